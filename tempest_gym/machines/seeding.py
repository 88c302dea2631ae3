"""From an environment's seed to the phase of the POKEYs' random numbers."""

from __future__ import annotations

__all__ = ["PHASE_COUNT", "phase_of"]

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
