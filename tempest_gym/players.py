"""Players other than a person: the expert, random actions, and players that other packages register."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from tempest_gym.actions import ACTION_COUNT
from tempest_gym.env import TempestEnv
from tempest_gym.extras import missing_extra
from tempest_gym.info import TempestInfo

__all__ = ["ENTRY_POINTS", "OWN_PLAYERS", "Player", "make_player", "player_names"]

Player = Callable[[NDArray[Any], TempestInfo], int]
"""Chooses an action from the latest observation and info."""

ENTRY_POINTS = "tempest_gym.players"
"""Group of entry points by which packages register players: callables from `TempestEnv` and a seed to a `Player`."""

OWN_PLAYERS = ("expert", "random")
"""Players that need nothing else and play from any observation."""


def player_names() -> list[str]:
    """Return the names of all players that are installed."""
    return [*OWN_PLAYERS, *sorted(entry_points(group=ENTRY_POINTS).names)]


def make_player(name: str, env: TempestEnv, seed: int) -> Player:
    """Make the player of one game.

    Args:
        name: ``"expert"`` follows the scripted expert, ``"random"`` draws from the 44 actions evenly, other names are
            entry points of the group `ENTRY_POINTS`.
        env: the environment it will play in.
        seed: of its random numbers.

    Raises:
        ValueError: no player has this name.
        gymnasium.error.DependencyNotInstalled: what the player needs is not installed.
    """
    if name == "expert":
        return lambda _, info: int(info["expert_action"])
    if name == "random":
        generator = np.random.default_rng(seed)
        return lambda *_: int(generator.integers(ACTION_COUNT))
    for found in entry_points(group=ENTRY_POINTS, name=name):
        try:
            player: Player = found.load()(env, seed)
        except ModuleNotFoundError as error:
            needs = missing_extra(f"the player {name!r}", "rainbow")
            raise gym.error.DependencyNotInstalled(f"{error.name} is not installed; {needs}") from error
        return player
    raise ValueError(f"policy must be one of {', '.join(map(repr, player_names()))}, got {name!r}")
