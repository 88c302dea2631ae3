"""The operator's switches that change how a game is played (HARDWARE 1)."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BONUS_LIVES", "DIFFICULTIES", "FACTORY", "LIVES", "Switches", "switches_for"]

LIVES = (3, 4, 5, 2)
"""Lives of a game by bits 6-7 of option switch 2."""

BONUS_LIVES = (20_000, 10_000, 30_000, 40_000, 50_000, 60_000, 70_000, None)
"""Points from one extra life to the next by bits 3-5 of option switch 2; None for no extra lives."""

DIFFICULTIES = ("medium", "easy", "hard")
"""Difficulties by bits 0-1 of $60D8 as the program reads it."""


class Switches(NamedTuple):
    """What the program reads of the switches.

    Attributes:
        dip2: option switch 2, $0E00.
        difficulty: bits 0-1 of $60D8.
    """

    dip2: int = 0
    difficulty: int = 0


FACTORY = Switches()
"""The factory's setting: three lives, medium difficulty, an extra life every 20,000 points."""


def switches_for(lives: int, difficulty: str, bonus_life: int | None) -> Switches:
    """Return the switches for a number of lives, a difficulty and the points for an extra life."""
    return Switches(
        LIVES.index(lives) << 6 | BONUS_LIVES.index(bonus_life) << 3, DIFFICULTIES.index(difficulty)
    )
