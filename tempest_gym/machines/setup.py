"""How a machine is set up: the operator's switches, what the Lua computes, and the board's model."""

from __future__ import annotations

from typing import NamedTuple

from tempest_gym.board.layout import DEFAULT_MODEL

__all__ = ["BONUS_LIVES", "DEFAULT_SETUP", "DIFFICULTIES", "LIVES", "Setup"]

LIVES = (3, 4, 5, 2)
"""Lives of a game by bits 6-7 of option switch 2."""

BONUS_LIVES = (20_000, 10_000, 30_000, 40_000, 50_000, 60_000, 70_000, None)
"""Points from one extra life to the next by bits 3-5 of option switch 2; None for no extra lives."""

DIFFICULTIES = ("medium", "easy", "hard")
"""Difficulties by bits 0-1 of $60D8 as the program reads it."""


class Setup(NamedTuple):
    """How an environment's machine is set up.

    Attributes:
        lives: one of `LIVES`.
        difficulty: one of `DIFFICULTIES`.
        bonus_life: one of `BONUS_LIVES`.
        features: compute the features; MAME always does.
        teacher: compute the teacher's advice and the lane-shaping reward; MAME always does.
        board_model: one of `tempest_gym.board.layout.MODELS`; a MAME is what it is.
    """

    lives: int = 3
    difficulty: str = "medium"
    bonus_life: int | None = 20_000
    features: bool = True
    teacher: bool = True
    board_model: str = DEFAULT_MODEL

    @property
    def dip2(self) -> int:
        """Option switch 2, $0E00."""
        return LIVES.index(self.lives) << 6 | BONUS_LIVES.index(self.bonus_life) << 3

    @property
    def difficulty_bits(self) -> int:
        """Bits 0-1 of $60D8."""
        return DIFFICULTIES.index(self.difficulty)


DEFAULT_SETUP = Setup()
"""The factory's switches: three lives, medium difficulty, an extra life every 20,000 points."""
