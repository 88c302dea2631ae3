"""The EAROM (General Instrument ER2055, 64 bytes) behind its address, data and control latches.

An access to $6000-$603F latches address and data, $6040 sets the control lines and $6050 reads the output.
"""

from __future__ import annotations

import numba
import numpy as np

from tempest_gym.board.layout import EAROM, WORD

CLOCK = 0x01
C2 = 0x02
NOT_C1 = 0x04
CHIP_SELECT = 0x08

_ADDRESS = WORD["earom_address"]
_LATCH = WORD["earom_latch"]
_CONTROL = WORD["earom_control"]
_DATA = WORD["earom_data"]


@numba.njit
def earom_latch(words, address, value):
    """A write to $6000 + address."""
    words[_ADDRESS] = address
    words[_LATCH] = value


@numba.njit
def earom_control(state, words, value):
    """A write to $6040: the mode lines take effect at once, reading on the falling edge of the clock."""
    previous = words[_CONTROL]
    words[_CONTROL] = value
    if value & CHIP_SELECT == 0:
        return
    reading = value & NOT_C1 == 0
    if not reading:
        cell = EAROM + words[_ADDRESS]
        if value & C2 == 0:
            state[cell] = np.uint8(state[cell] & words[_LATCH])
        else:
            state[cell] = np.uint8(0xFF)
    elif previous & CLOCK and value & CLOCK == 0:
        words[_DATA] = np.int64(state[EAROM + words[_ADDRESS]])
