"""Where lives are lost: deaths and levels passed, by block of levels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

__all__ = ["LevelsPlayed", "deaths_by_level"]

_BLOCK = 5


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
