"""Runs a program with random input for a while, to find where its computed jumps go."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tempest_gym.board import native
from tempest_gym.board.layout import FRAME_CYCLES, ROM_BYTES, STATE_DTYPE, power_on_state

_FRAMES = 2_000
"""Game frames of a run, about half a second of computing."""

_HELD_FRAMES = 8
"""Game frames for which controls stay as they are."""

_COIN_SLOTS = 0x07
_START_1, _FIRE, _ZAP = 0x20, 0x10, 0x08


def jump_targets(memory: NDArray[np.uint8]) -> list[int]:
    """Addresses that RTS and JMP through memory went to while coins were put in and controls used at random.

    Args:
        memory: uint8 ``(65536,)``, the ROM image, without a translation.
    """
    random = np.random.default_rng(1)
    row = power_on_state(memory)
    fields = row.view(STATE_DTYPE)[0]
    marks = np.zeros(ROM_BYTES, np.uint8)
    trace = native.load().trace
    for _ in range(_FRAMES // _HELD_FRAMES):
        pressed = random.random(4) < (0.2, 0.2, 0.6, 0.1)
        fields["in0"] = 0x3F & ~(_COIN_SLOTS * pressed[0])
        fields["buttons"] = _START_1 * pressed[1] | _FIRE * pressed[2] | _ZAP * pressed[3]
        for _ in range(_HELD_FRAMES):
            fields["knob"] = (int(fields["knob"]) + random.integers(-3, 4)) & 0x0F
            trace(row.ctypes.data, memory.ctypes.data, marks.ctypes.data, FRAME_CYCLES)
    return [int(address) for address in np.flatnonzero(marks)]
