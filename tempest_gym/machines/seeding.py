"""From an environment's seed to the phase of the POKEYs' random numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["PHASE_COUNT", "SEED_COUNT", "expert_random", "fork_phases", "phase_of"]

SEED_COUNT = 2**31 - 1
"""Seeds of games are drawn below this, and given seeds taken modulo it: the range of Lua's generator."""

PHASE_COUNT = 131_071
"""Period of the 17-bit polynomial counter behind RANDOM (HARDWARE 1); a Mersenne prime."""

_STEP = 81_006
"""The golden section of the period: phases of neighbouring seeds stand far apart."""

_OFFSET = 12_345
"""Keeps seed 0 away from phase 0, the phase the machines run with before they are seeded."""


def phase_of(seed: int) -> int:
    """Return the phase, 0-131,070 in CPU cycles, that a seed gives both POKEYs.

    Any 131,071 successive seeds have different phases, since the step is prime to the period.

    Raises:
        ValueError: the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    return (seed * _STEP + _OFFSET) % PHASE_COUNT


_FORK_OFFSET = _OFFSET + 65_537
"""Makes a copy of a game differ from it even with the seed that the game started with."""


def fork_phases(seeds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the phases that seeds below 2^31 give to running games, other ones than to games that start with them."""
    return (seeds * _STEP + _FORK_OFFSET) % PHASE_COUNT


_FOUR_STEPS = pow(48271, 4, SEED_COUNT)
"""Four steps of Park and Miller's generator at once."""


def expert_random(seeds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the state in which seeds start the expert's random generator, as `state.seed` of the Lua does."""
    return (seeds % (SEED_COUNT - 1) + 1) * _FOUR_STEPS % SEED_COUNT
