"""The prioritised replay."""

from tempest_rainbow.config.settings import ReplayConfig
from tempest_rainbow.replay.replay import Replay
from tempest_rainbow.replay.steps import Steps

__all__ = ["Replay", "ReplayConfig", "Steps"]
