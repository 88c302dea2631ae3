"""Both POKEYs as far as a program can see them: ALLPOT, the reset in SKCTL, and RANDOM exact to the cycle.

RANDOM is the hardware's shift register at the very cycle of the read, counted from the cycle at which SKCTL left
reset, plus the phase that the seed chose (DESIGN 1). ``first`` below is 0 for POKEY 1 at $60C0, 1 for POKEY 2 at
$60D0.
"""

from __future__ import annotations

import numba
import numpy as np

from tempest_gym.board.layout import BUTTONS, IN1, IN2, KNOB, RANDOM_PERIOD, WORD

ALLPOT = 0x8  # read
RANDOM = 0xA  # read
AUDCTL = 0x8  # write
SKCTL = 0xF  # write

NINE_BIT_PERIOD = 511

_PHASE = WORD["phase"]
_SKCTL = WORD["skctl1"]
_AUDCTL = WORD["audctl1"]
_RELEASE = WORD["release1"]


def random_17() -> np.ndarray:
    """RANDOM (uint8) for each of the 131,071 states of the 17-bit register, from all ones on (HARDWARE 1)."""
    values = np.empty(RANDOM_PERIOD, np.uint8)
    register = 0x1FFFF
    for index in range(RANDOM_PERIOD):
        values[index] = (register >> 8) & 0xFF
        low = register & 1
        mixed = ((register >> 8) ^ (register >> 13)) & 1
        register = (register >> 1) & ~(1 << 7) | (low << 16) | (mixed << 7)
    return values


def random_9() -> np.ndarray:
    """RANDOM (uint8) for each of the 511 states of the 9-bit register that AUDCTL bit 7 selects."""
    values = np.empty(NINE_BIT_PERIOD, np.uint8)
    register = 0x1FF
    for index in range(NINE_BIT_PERIOD):
        values[index] = register & 0xFF
        register = (register >> 1) | (((register ^ (register >> 5)) & 1) << 8)
    return values


_RANDOM_17 = random_17()
_RANDOM_9 = random_9()


@numba.njit
def pokey_read(state, words, which, register, cycle):
    """The value a read of a POKEY register returns at this CPU cycle."""
    if register == RANDOM:
        if words[_SKCTL + which] & 3 == 0:
            return 0xFF
        steps = cycle - words[_RELEASE + which] + words[_PHASE]
        if words[_AUDCTL + which] & 0x80:
            return np.int64(_RANDOM_9[steps % NINE_BIT_PERIOD])
        return np.int64(_RANDOM_17[steps % RANDOM_PERIOD])
    if register == ALLPOT:
        if which == 0:
            return np.int64(((state[KNOB] & 0x0F) ^ 0x0F) | (state[IN1] & 0xF0))
        return np.int64((state[BUTTONS] & 0x78) | (state[IN2] & 0x87))
    return 0xFF


@numba.njit
def pokey_write(words, which, register, value, cycle):
    """Do what a write to a POKEY register does at this CPU cycle."""
    if register == SKCTL:
        if words[_SKCTL + which] & 3 == 0 and value & 3 != 0:
            words[_RELEASE + which] = cycle
        words[_SKCTL + which] = value
    elif register == AUDCTL:
        words[_AUDCTL + which] = value
