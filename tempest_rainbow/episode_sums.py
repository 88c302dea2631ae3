"""What episodes add up to: rewards, steps and levels while they run, deaths and levels passed afterwards."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["LevelsPlayed", "RunningEpisodes", "deaths_by_level"]

_BLOCK = 5


class RunningEpisodes:
    """Adds up the episode under way in each of ``count`` environments.

    Attributes:
        reward, length: sum of the rewards, and steps.
        level, first_level: highest level seen and the first one, NaN where none was shown.
        deaths: levels at which a life was lost.
    """

    def __init__(self, count: int) -> None:
        """Start with no episodes."""
        self.reward, self.length = np.zeros(count), np.zeros(count, np.int64)
        self.level, self.first_level = np.full((2, count), np.nan)
        self.deaths: list[list[float]] = [[] for _ in range(count)]

    def start(self, ids: NDArray[np.int64], rows: NDArray[Any], info: Mapping[str, Any]) -> None:
        """Start the episodes of environments ``ids``, which ``rows`` of ``info`` belong to."""
        self.reward[ids] = self.length[ids] = 0
        self.level[ids] = self.first_level[ids] = np.nan
        for index in ids:
            self.deaths[index] = []
        self._see_levels(ids, rows, info)

    def step(
        self, ids: NDArray[np.int64], rows: NDArray[Any], rewards: NDArray[Any], info: Mapping[str, Any]
    ) -> None:
        """Count a step of environments ``ids``, which ``rows`` of ``rewards`` and ``info`` belong to."""
        self.reward[ids] += rewards[rows]
        self.length[ids] += 1
        if "life_lost" in info:  # Counted at the level of the step before.
            for index in ids[np.asarray(info["life_lost"], np.bool_)[rows]]:
                self.deaths[index].append(float(self.level[index]))
        self._see_levels(ids, rows, info)

    def _see_levels(self, ids: NDArray[np.int64], rows: NDArray[Any], info: Mapping[str, Any]) -> None:
        if "level" in info:
            levels, first = np.asarray(info["level"], np.float64)[rows], self.first_level[ids]
            self.level[ids] = np.fmax(self.level[ids], levels)
            self.first_level[ids] = np.where(np.isnan(first), levels, first)

    def result(self, index: int, info: Mapping[str, Any], row: int) -> dict[str, Any]:
        """Return what an episode amounts to that ended with a ``row`` of ``info``."""
        totals = {name: float(getattr(self, name)[index]) for name in ("reward", "level", "first_level")}
        score = float(info["score"][row]) if "score" in info else totals["reward"]
        return {**totals, "score": score, "deaths": tuple(self.deaths[index])}

    def get_state(self) -> dict[str, Any]:
        """Return what `set_state` needs."""
        return deepcopy(vars(self))

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what `get_state` returned; version 0.1 kept neither first levels nor deaths."""
        vars(self).update(deepcopy({name: state[name] for name in vars(self) if name in state}))


class LevelsPlayed(Protocol):
    """A game of which the levels are known."""

    @property
    def first_level(self) -> float:
        """Level at which it started, NaN where the environment shows none."""

    @property
    def level(self) -> float:
        """Highest level seen, NaN where the environment shows none."""

    @property
    def deaths(self) -> Sequence[float]:
        """Levels at which a life was lost."""


def deaths_by_level(games: Iterable[LevelsPlayed]) -> dict[str, tuple[int, int]]:
    """Return deaths and levels passed by block of five levels, named "1-5", "6-10" and so on, in their order."""
    counts: dict[int, list[int]] = {}
    for game in games:
        if math.isnan(game.level) or math.isnan(game.first_level):
            continue
        passed = range(int(game.first_level), int(game.level))
        for column, levels in enumerate((map(int, game.deaths), passed)):
            for level in levels:
                counts.setdefault((level - 1) // _BLOCK, [0, 0])[column] += 1
    return {
        f"{_BLOCK * block + 1}-{_BLOCK * (block + 1)}": (deaths, levels)
        for block, (deaths, levels) in sorted(counts.items())
    }
