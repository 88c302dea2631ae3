"""The prioritised replay."""

from tempest_rainbow.config.settings import ReplayConfig
from tempest_rainbow.replay.replay import Replay

__all__ = ["Replay", "ReplayConfig"]
