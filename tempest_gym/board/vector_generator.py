"""The vector generator as far as a program can see it: how long a display list keeps it busy."""

from __future__ import annotations

import numba

from tempest_gym.board.layout import WORD

_HALTED = WORD["vg_halted"]


@numba.njit
def generator_halted(state, words, rom, cycle):
    """Whether bit 6 of $0C00 is set at this cycle."""
    return words[_HALTED] != 0


@numba.njit
def generator_go(state, words, rom, cycle):
    """A write to $4800."""
    words[_HALTED] = 0


@numba.njit
def generator_reset(state, words, rom, cycle):
    """A write to $5800."""
    words[_HALTED] = 1


@numba.njit
def generator_write(state, words, rom, address, value, cycle):
    """A write to vector RAM is about to happen."""
