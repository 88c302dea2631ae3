"""The EAROM (General Instrument ER2055, 64 bytes) behind its address, data and control latches.

A write to $6000-$603F latches address and data, $6040 sets the control lines and $6050 reads the data latch, which
a read cycle fills from the addressed cell. What each step does was measured on MAME with random sequences.
"""

from __future__ import annotations

import numba
import numpy as np

from tempest_gym.board.layout import EAROM, WORD

# Bits of $6040.
CLOCK = 0x01
C2 = 0x02
NOT_C1 = 0x04
CHIP_SELECT = 0x08

_ADDRESS = WORD["earom_address"]
_DATA = WORD["earom_data"]
_CONTROL = WORD["earom_control"]


@numba.njit
def earom_latch(words, address, value):
    """A write to $6000 + address."""
    words[_ADDRESS] = address
    words[_DATA] = value


@numba.njit
def _erase_or_write(state, words, control):
    """C1 low: C2 high erases the cell to $FF, C2 low clears the bits that are 0 in the data latch."""
    if control & NOT_C1:
        cell = EAROM + words[_ADDRESS]
        if control & C2:
            state[cell] = np.uint8(0xFF)
        else:
            state[cell] = np.uint8(state[cell] & words[_DATA])


@numba.njit
def earom_control(state, words, value):
    """A write to $6040: first the mode lines change, then the clock; its falling edge does a cycle of the mode."""
    previous = words[_CONTROL]
    words[_CONTROL] = value & 0x0F
    if value & CHIP_SELECT == 0:
        return
    if (value ^ previous) & (C2 | NOT_C1 | CHIP_SELECT):
        _erase_or_write(state, words, value)
    if previous & CLOCK and value & CLOCK == 0:
        if value & NOT_C1 == 0:
            words[_DATA] = np.int64(state[EAROM + words[_ADDRESS]])
        _erase_or_write(state, words, value)
