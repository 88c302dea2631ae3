"""Both POKEYs as a program sees them: ALLPOT, the reset in SKCTL, and RANDOM exact to the cycle.

What it writes to the voices is kept for `tempest_gym.display.sound`. RANDOM is
the hardware's shift register at the very cycle of the read, counted from the cycle at which SKCTL left reset, plus the
phase that the seed chose (DESIGN 1). ``which`` below is 0 for POKEY 1 at $60C0, 1 for POKEY 2 at $60D0.
"""

from __future__ import annotations

import numba
import numpy as np

from tempest_gym.board.layout import AUDIO, BUTTONS, IN1, IN2, KNOB, RANDOM_PERIOD, WORD

# Registers read.
ALLPOT = 0x8
KBCODE = 0x9
RANDOM = 0xA
IRQST = 0xE
# Registers written.
AUDCTL = 0x8
POTGO = 0xB
SKCTL = 0xF

FAST_POTS = 0x04  # bit of SKCTL
LINE_CYCLES = 114
POT_LINES = 228
NO_KEY = 0x09
NO_INTERRUPT = 0xF7

NINE_BIT_PERIOD = 511

_PHASE = WORD["phase"]
_SKCTL = WORD["skctl1"]
_AUDCTL = WORD["audctl1"]
_RELEASE = WORD["release1"]
_POTS = WORD["pots1"]
_POTGO = WORD["potgo1"]
_POT_COUNT = WORD["pot_count1"]


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
def inputs(state, which):
    """The eight lines at a POKEY's potentiometer pins, as levels: the inverse of what ALLPOT shows."""
    if which == 0:
        shown = ((state[KNOB] & 0x0F) ^ 0x0F) | (state[IN1] & 0xF0)
    else:
        shown = (state[BUTTONS] & 0x78) | (state[IN2] & 0x87)
    return np.int64(shown) ^ 0xFF


@numba.njit
def pot_counter(words, which, cycle):
    """Lines counted since the last POTGO, 0-228."""
    if words[_SKCTL + which] & 3 == 0:
        return words[_POT_COUNT + which]
    start = max(words[_POTGO + which], words[_RELEASE + which])
    if words[_SKCTL + which] & FAST_POTS:
        ticks = cycle - start
    else:
        origin = words[_RELEASE + which]
        ticks = (cycle - origin) // LINE_CYCLES - (start - origin) // LINE_CYCLES
    return min(words[_POT_COUNT + which] + ticks, POT_LINES)


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
    if register <= ALLPOT:
        count = pot_counter(words, which, cycle)
        done = words[_POTS + which]
        if count == POT_LINES:
            done = 0xFF
        if register < ALLPOT:
            if words[_POTS + which] & (1 << register):
                return 0
            return count
        if words[_SKCTL + which] & 3:
            done ^= 0xFF
        if which == 1:
            # The bridge holds the buttons at their value, whatever the counters are (DESIGN 1).
            done = (done & 0x87) | np.int64(state[BUTTONS] & 0x78)
        return done
    if register == KBCODE:
        return NO_KEY
    if register == IRQST:
        return NO_INTERRUPT
    return 0xFF


@numba.njit
def potgo(state, words, which, cycle):
    """Latch the inputs and start counting."""
    words[_POTS + which] = inputs(state, which)
    words[_POTGO + which] = cycle
    words[_POT_COUNT + which] = 0


@numba.njit
def pokey_write(state, words, which, register, value, cycle):
    """Do what a write to a POKEY register does at this CPU cycle."""
    if register == SKCTL:
        if words[_SKCTL + which] & 3 == 0 and value & 3 != 0:
            words[_RELEASE + which] = cycle
        else:
            words[_POT_COUNT + which] = pot_counter(words, which, cycle)
            words[_POTGO + which] = cycle
        words[_SKCTL + which] = value
    elif register == AUDCTL:
        words[_AUDCTL + which] = value
    elif register == POTGO:
        potgo(state, words, which, cycle)
    elif register < AUDCTL:
        state[AUDIO + 8 * which + register] = value
