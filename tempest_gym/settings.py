"""The settings of a Tempest environment, checked on construction, and what follows from them alone.

A new keyword of the environments is a field of `Settings` and of `SettingsArguments`: the environments' signatures,
their error messages and the keyword's docstring are made from these. A keyword that changes how a game is played also
concerns `env.py`, `vector.py` and `server/pool.py`, which refuses what clients cannot do.
"""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, Literal, TypedDict, TypeVar, get_args

import numpy as np
from gymnasium import spaces

from tempest_gym.actions import ACTION_COUNT
from tempest_gym.board.layout import DEFAULT_MODEL, MODELS, BoardModel
from tempest_gym.frame import FEATURE_COUNT, FRAMES_PER_SECOND
from tempest_gym.machines.machine import MACHINES, MachineName
from tempest_gym.machines.seeding import SEED_COUNT
from tempest_gym.machines.setup import BONUS_LIVES, DIFFICULTIES, LIVES, Setup

__all__ = [
    "LAST_START_LEVEL",
    "TIME_LIMIT",
    "Difficulty",
    "EpisodeKind",
    "ObsType",
    "Settings",
    "SettingsArguments",
    "action_space",
    "checked_levels",
    "draw_game",
    "observation_space",
    "start_levels_of",
    "whole_number",
    "with_settings",
]

Difficulty = Literal["easy", "medium", "hard"]

EpisodeKind = Literal["game", "life", "level"]

ObsType = Literal["features", "ram", "rgb", "grayscale"]

TIME_LIMIT = 1800.0
"""Default limit of an episode, in seconds of game time."""

LAST_START_LEVEL = 81
"""The highest level that the game's own menu offers to start at (ARCADE C.12)."""

_Class = TypeVar("_Class", bound=type)


def observation_space(settings: Settings) -> spaces.Box:
    """Return the space of one observation: 195 features within [-1, 1], or bytes of RAM or of a picture."""
    if settings.obs_type == "features":
        return spaces.Box(-1.0, 1.0, (FEATURE_COUNT,), np.float32)
    shapes = {"ram": (2048,), "rgb": (*settings.screen_size, 3), "grayscale": settings.screen_size}
    return spaces.Box(0, 255, shapes[settings.obs_type], np.uint8)


def action_space() -> spaces.Discrete:
    """Return the space of one action: the 44 joint actions."""
    return spaces.Discrete(ACTION_COUNT)


class SettingsArguments(TypedDict, total=False):
    """The keyword arguments that become `Settings`, beside ``machine``: for type checkers."""

    obs_type: ObsType
    screen_size: tuple[int, int]
    start_level: int | Sequence[int]
    lives: int
    difficulty: Difficulty
    bonus_life: int | None
    board_model: BoardModel
    episode: EpisodeKind
    frame_skip: int
    repeat_action_probability: float
    objective_scale: float
    subjective_scale: float
    reward_clip: float
    teacher: bool
    glow: float
    time_limit: float | None


@dataclass(frozen=True, slots=True)
class Settings:
    """How an environment plays and rewards; wrong values raise at once.

    Attributes:
        machine: ``"board"`` for the hardware in process, ``"mame"`` for a MAME process.
        obs_type: ``"features"`` (195 numbers), ``"ram"`` (2,048 bytes), ``"rgb"`` or ``"grayscale"``.
        screen_size: height and width of an observed picture in pixels; lines are drawn at that size.
        start_level: level at which a game starts, 1-81; the menu's last entry that is not above it is chosen. Of
            several levels each game draws one.
        lives: lives of a game, 2-5.
        difficulty: ``"easy"``, ``"medium"`` or ``"hard"``; what it changes is up to the game.
        bonus_life: points from one extra life to the next, 10,000-70,000 in steps of 10,000; None for no extra lives.
        board_model: the MAME that the board equals in when it takes an interrupt: ``"mame-0.251"`` or ``"mame-0.276"``
            (and later ones). A seed gives another game on each. With ``machine="mame"`` that MAME decides.
        episode: ``"game"`` ends with the last life; ``"life"`` with each, and reset continues the same game;
            ``"level"`` when the level is cleared or a life lost, and reset starts another game.
        frame_skip: decision frames for which one action is held.
        repeat_action_probability: chance that a step repeats the action of the step before.
        objective_scale: factor of the score reward, per point.
        subjective_scale: factor of the lane-shaping reward.
        reward_clip: largest absolute reward of a step.
        teacher: False leaves out the teacher's advice and the lane-shaping reward, for speed.
        glow: width of the glow around the lines of rendered pictures, times the monitor's; 0 for none. Observations
            are not changed.
        time_limit: seconds of game time after which an episode is truncated; None for no limit.

    Raises:
        TypeError: a value has the wrong type.
        ValueError: a value is out of range.

    Example:
        >>> Settings(frame_skip=4).reward(objective=250, subjective=-50)
        2.0
        >>> Settings.of({"frameskip": 4})
        Traceback (most recent call last):
        TypeError: Tempest-v0 got an unexpected keyword argument 'frameskip'; did you mean 'frame_skip'?
    """

    machine: MachineName = "board"
    obs_type: ObsType = "features"
    screen_size: tuple[int, int] = (84, 84)
    start_level: int | Sequence[int] = 1
    lives: int = 3
    difficulty: Difficulty = "medium"
    bonus_life: int | None = 20_000
    board_model: BoardModel = DEFAULT_MODEL
    episode: EpisodeKind = "game"
    frame_skip: int = 1
    repeat_action_probability: float = 0.0
    objective_scale: float = 0.01
    subjective_scale: float = 0.01
    reward_clip: float = 10.0
    teacher: bool = True
    glow: float = 1.0
    time_limit: float | None = TIME_LIMIT

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Settings:
        """Return the settings that an environment's keyword arguments name.

        Raises:
            TypeError: an argument is unknown; or, as for a value out of range, what the class raises.
        """
        for name in arguments.keys() - cls.__dataclass_fields__.keys():
            close = get_close_matches(name, cls.__dataclass_fields__, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            # Python's own wording: torchrl searches for it to learn which keywords it may pass.
            raise TypeError(f"Tempest-v0 got an unexpected keyword argument {name!r}{hint}")
        return cls(**arguments)

    @property
    def episode_frames(self) -> float:
        """Game frames after which an episode is truncated, infinity without a time limit."""
        return math.inf if self.time_limit is None else int(self.time_limit * FRAMES_PER_SECOND)

    def reward(self, objective: Any, subjective: Any) -> Any:
        """Return the reward of a step from its sums, numbers or arrays of them."""
        clip, reward = self.reward_clip, self.objective_scale * objective
        if self.teacher:
            reward = reward + self.subjective_scale * subjective
        if isinstance(reward, np.ndarray):
            return np.minimum(np.maximum(reward, -clip, out=reward), clip, out=reward)
        return min(max(reward, -clip), clip)

    @property
    def start_levels(self) -> tuple[int, ...]:
        """The start levels, one or more."""
        return checked_levels(
            self.start_level if isinstance(self.start_level, Sequence) else [self.start_level]
        )

    @property
    def setup(self) -> Setup:
        """How the environment's machine is set up."""
        features = self.obs_type == "features"
        return Setup(self.lives, self.difficulty, self.bonus_life, features, self.teacher, self.board_model)

    @property
    def ends_at_death(self) -> bool:
        """Whether a life lost ends the episode."""
        return self.episode != "game"

    def ends(self, over: Any, life_lost: Any, cleared: Any, episode_frames: Any) -> tuple[Any, Any]:
        """Return whether a step ends the episode: terminated and truncated, truth values or arrays of them.

        Args:
            over: the game is over.
            life_lost: the player died on this step.
            cleared: the game has reached a higher level than the episode's first.
            episode_frames: game frames since the episode started.
        """
        terminated = over | life_lost if self.ends_at_death else over
        if self.episode == "level":
            terminated = terminated | cleared
        return terminated, (episode_frames >= self.episode_frames) > terminated

    def __post_init__(self) -> None:
        """Check every value."""
        _one_of("machine", self.machine, MACHINES)
        _one_of("episode", self.episode, get_args(EpisodeKind))
        _one_of("obs_type", self.obs_type, get_args(ObsType))
        if not isinstance(self.screen_size, Sequence) or len(self.screen_size) != 2:
            raise ValueError(f"screen_size must be a height and a width, got {self.screen_size!r}")
        size = tuple(whole_number("screen_size", each, 8, 4096) for each in self.screen_size)
        object.__setattr__(self, "screen_size", size)
        if len(self.start_levels) > 1:
            object.__setattr__(self, "start_level", self.start_levels)
        _one_of("lives", self.lives, sorted(LIVES))
        _one_of("difficulty", self.difficulty, DIFFICULTIES)
        _one_of("bonus_life", self.bonus_life, BONUS_LIVES)
        _one_of("board_model", self.board_model, MODELS)
        probability = _number("repeat_action_probability", self.repeat_action_probability)
        if not 0.0 <= probability < 1.0:
            raise ValueError(f"repeat_action_probability must be from 0 to below 1, got {probability!r}")
        if not isinstance(self.teacher, bool):
            raise TypeError(f"teacher must be True or False, got {self.teacher!r}")
        whole_number("frame_skip", self.frame_skip, 1, 1000)
        for name in ("objective_scale", "subjective_scale"):
            _number(name, getattr(self, name))
        if _number("reward_clip", self.reward_clip) <= 0.0:
            raise ValueError(f"reward_clip must be greater than 0, got {self.reward_clip!r}")
        if not 0.0 <= _number("glow", self.glow) <= 10.0:
            raise ValueError(f"glow must be from 0 to 10, got {self.glow!r}")
        if self.time_limit is not None and _number("time_limit", self.time_limit) <= 0.0:
            raise ValueError(f"time_limit must be greater than 0 seconds, or None, got {self.time_limit!r}")


def with_settings(cls: _Class) -> _Class:
    """Make `inspect.signature` show the settings in place of the ``**settings`` of a class."""
    signature = inspect.signature(cls)
    own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    names = {each.name for each in own}
    ours = [
        inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type
        )
        for each in fields(Settings)
        if each.name not in names
    ]
    cls.__signature__ = signature.replace(parameters=[*own, *ours])  # type: ignore[attr-defined]
    return cls


def start_levels_of(options: Mapping[str, Any] | None, default: tuple[int, ...]) -> tuple[int, ...]:
    """Return the start levels to draw from: the one in reset's options, or else the usual ones.

    Other options, such as those of wrappers, are ignored.

    Raises:
        ValueError: the level is out of range.
        TypeError: the level is not a whole number.
    """
    if not options or "start_level" not in options:
        return default
    return (whole_number("options['start_level']", options["start_level"], 1, LAST_START_LEVEL),)


def checked_levels(levels: Sequence[int]) -> tuple[int, ...]:
    """Return start levels, checked.

    Raises:
        ValueError: the list is empty, or a level is out of range.
        TypeError: one is not a whole number.
    """
    if not levels:
        raise ValueError("start_level needs at least one level")
    return tuple(whole_number("start_level", level, 1, LAST_START_LEVEL) for level in levels)


def draw_game(seed: int | None, levels: tuple[int, ...], generator: np.random.Generator) -> tuple[int, int]:
    """Return seed and start level of a game; a given seed and a single level use up no random number."""
    chosen = int(generator.integers(SEED_COUNT)) if seed is None else seed
    level = levels[0] if len(levels) == 1 else levels[int(generator.integers(len(levels)))]
    return chosen % SEED_COUNT, level


def _one_of(name: str, value: object, expected: Sequence[object]) -> None:
    if value not in expected:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, expected))}, got {value!r}")


def whole_number(name: str, value: Any, low: int, high: int) -> int:
    """Return the value as an int; wrappers turn options into arrays without dimensions, so those count too.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is out of range.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number from {low} to {high}, got {value!r}")
    if not low <= number <= high:
        raise ValueError(f"{name} must be from {low} to {high}, got {value!r}")
    return number


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value!r}")
    return float(value)
