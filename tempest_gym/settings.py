"""The settings of a Tempest environment, checked at the door, and what follows from them alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args

import numpy as np
from gymnasium import spaces

from tempest_gym.actions import ACTION_COUNT
from tempest_gym.frame import FEATURE_COUNT, FRAMES_PER_SECOND
from tempest_gym.machines.machine import MACHINES, MachineName

__all__ = [
    "LAST_START_LEVEL",
    "TIME_LIMIT",
    "EpisodeKind",
    "Settings",
    "action_space",
    "checked_levels",
    "draw_level",
    "observation_space",
    "start_levels_of",
    "whole_number",
]

EpisodeKind = Literal["game", "life"]


TIME_LIMIT = 1800.0
"""Seconds of game time after which an episode is truncated, unless the environment is told otherwise."""

LAST_START_LEVEL = 81
"""The highest level the game's own menu offers to start at (ARCADE C.12)."""


def observation_space() -> spaces.Box:
    """Return the space of one observation: the 195 features, float32 within [-1, 1]."""
    return spaces.Box(-1.0, 1.0, (FEATURE_COUNT,), np.float32)


def action_space() -> spaces.Discrete:
    """Return the space of one action: the 44 joint actions."""
    return spaces.Discrete(ACTION_COUNT)


@dataclass(frozen=True, slots=True)
class Settings:
    """How an environment plays and rewards; wrong values raise at once.

    Attributes:
        machine: ``"board"`` (in process) or ``"mame"``.
        start_level: level a game starts at, 1-81; the menu's last entry that is not above it is chosen.
        episode: ``"game"`` (until the last life is lost) or ``"life"`` (one life; reset goes on in the game).
        frame_skip: decision frames that one action lasts.
        objective_scale: factor of the score reward.
        subjective_scale: factor of the lane-shaping reward.
        reward_clip: largest absolute reward of a step.
        time_limit: seconds of game time after which an episode is truncated; None for no limit.

    Raises:
        TypeError: a value has the wrong type.
        ValueError: a value is out of range.
    """

    machine: MachineName = "board"
    start_level: int = 1
    episode: EpisodeKind = "game"
    frame_skip: int = 1
    objective_scale: float = 0.01
    subjective_scale: float = 0.01
    reward_clip: float = 10.0
    time_limit: float | None = TIME_LIMIT

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Settings:
        """Return the settings that an environment's keyword arguments name.

        Raises:
            TypeError: there is no such argument; or, as for a value out of range, what the class raises.
        """
        for name in arguments.keys() - cls.__dataclass_fields__.keys():
            close = get_close_matches(name, cls.__dataclass_fields__, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"Tempest-v0 has no argument {name!r}{hint}")
        return cls(**arguments)

    @property
    def episode_frames(self) -> float:
        """Game frames after which an episode is truncated, infinity without a time limit."""
        return math.inf if self.time_limit is None else int(self.time_limit * FRAMES_PER_SECOND)

    def reward(self, objective: Any, subjective: Any) -> Any:
        """Return the reward of a step from its sums, numbers or arrays of them."""
        reward, clip = self.objective_scale * objective + self.subjective_scale * subjective, self.reward_clip
        if isinstance(reward, np.ndarray):
            return np.minimum(np.maximum(reward, -clip, out=reward), clip, out=reward)
        return min(max(reward, -clip), clip)

    def ends(self, over: Any, life_lost: Any, episode_frames: Any) -> tuple[Any, Any]:
        """Return whether a step ends the episode: terminated and truncated, truth values or arrays of them.

        Args:
            over: the game is over.
            life_lost: the player died on this step.
            episode_frames: game frames since the episode began.
        """
        terminated = over | life_lost if self.episode == "life" else over
        return terminated, (episode_frames >= self.episode_frames) > terminated

    def __post_init__(self) -> None:
        """Check every value."""
        _one_of("machine", self.machine, MACHINES)
        _one_of("episode", self.episode, get_args(EpisodeKind))
        whole_number("start_level", self.start_level, 1, LAST_START_LEVEL)
        whole_number("frame_skip", self.frame_skip, 1, 1000)
        for name in ("objective_scale", "subjective_scale"):
            _number(name, getattr(self, name))
        if _number("reward_clip", self.reward_clip) <= 0.0:
            raise ValueError(f"reward_clip must be greater than 0, got {self.reward_clip!r}")
        if self.time_limit is not None and _number("time_limit", self.time_limit) <= 0.0:
            raise ValueError(f"time_limit must be greater than 0 seconds, or None, got {self.time_limit!r}")


def start_levels_of(options: dict[str, Any] | None, default: tuple[int, ...]) -> tuple[int, ...]:
    """Return the start levels to draw from: the one that reset's options ask for, or else the usual ones.

    Raises:
        ValueError: an option is unknown, or the level is out of range.
        TypeError: the level is not a whole number.
    """
    if not options:
        return default
    unknown = sorted(set(options) - {"start_level"})
    if unknown:
        raise ValueError(f"reset knows the option 'start_level', got {', '.join(map(repr, unknown))} as well")
    return (whole_number("options['start_level']", options["start_level"], 1, LAST_START_LEVEL),)


def checked_levels(levels: Sequence[int]) -> tuple[int, ...]:
    """Return start levels.

    Raises:
        ValueError: there is none, or one is out of range.
        TypeError: one is not a whole number.
    """
    if not levels:
        raise ValueError("set_start_level needs a level at least")
    return tuple(whole_number("start_level", level, 1, LAST_START_LEVEL) for level in levels)


def draw_level(levels: tuple[int, ...], generator: np.random.Generator) -> int:
    """Return one of the levels; one alone costs no random number."""
    return levels[0] if len(levels) == 1 else levels[int(generator.integers(len(levels)))]


def _one_of(name: str, value: object, expected: tuple[str, ...]) -> None:
    if value not in expected:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, expected))}, got {value!r}")


def whole_number(name: str, value: Any, low: int, high: int) -> int:
    """Return the value as an int.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number from {low} to {high}, got {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low} to {high}, got {value!r}")
    return int(value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value!r}")
    return float(value)
