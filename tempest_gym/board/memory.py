"""The CPU's address space (HARDWARE 1): RAM and ROM directly, everything else by its handler.

``state`` is a board's row as uint8, ``words`` the same row as int64, ``rom`` the 64 KiB image, ``cycle`` the CPU
cycle of the access.
"""

from __future__ import annotations

import numba
import numpy as np

from tempest_gym.board.earom import earom_control, earom_latch
from tempest_gym.board.layout import (
    COLOUR,
    DIP1,
    DIP2,
    IN0,
    IRQ_CYCLES,
    MODEL,
    VRAM,
    WATCHDOG_CYCLES,
    WORD,
)
from tempest_gym.board.mathbox import mathbox_command
from tempest_gym.board.pokey import pokey_read, pokey_write
from tempest_gym.board.vector_generator import (
    generator_go,
    generator_halted,
    generator_reset,
    generator_write,
    synchronise,
)

_IRQ = WORD["irq"]
_IRQ_LATE = WORD["irq_late"]
_NEXT_IRQ = WORD["next_irq"]
_WATCHDOG = WORD["watchdog"]
_EAROM_DATA = WORD["earom_data"]
_RESULT = WORD["mathbox_result"]
_OUTPUT_4000 = WORD["output_4000"]
_OUTPUT_60E0 = WORD["output_60e0"]

THREE_KHZ_BIT = 0x100
"""The 3 kHz signal is this bit of the CPU's cycle counter."""


@numba.njit
def io_read(state, words, rom, address, cycle):
    """A read from $0800-$8FFF."""
    page = address >> 8
    if page >= 0x30 and page < 0x40:
        return np.int64(rom[address])
    if page >= 0x20 and page < 0x30:
        return np.int64(state[VRAM + (address - 0x2000)])
    if page == 0x60:
        low = address & 0xF0
        if low == 0xC0 or low == 0xD0:
            synchronise(state, words, rom, cycle)
        if low == 0xC0:
            return pokey_read(state, words, 0, address & 0x0F, cycle)
        if low == 0xD0:
            return pokey_read(state, words, 1, address & 0x0F, cycle)
        if address == 0x6050:
            return words[_EAROM_DATA]
        if address == 0x6060:
            return words[_RESULT] & 0xFF
        if address == 0x6070:
            return (words[_RESULT] >> 8) & 0xFF
        return 0
    if address == 0x0C00:
        value = np.int64(state[IN0] & 0x3F)
        if generator_halted(state, words, rom, cycle):
            value |= 0x40
        if cycle & THREE_KHZ_BIT:
            value |= 0x80
        return value
    if address == 0x0D00:
        return np.int64(state[DIP1])
    if address == 0x0E00:
        return np.int64(state[DIP2])
    return 0


@numba.njit
def io_write(state, words, rom, address, value, cycle):
    """A write to $0800-$FFFF. Returns 1 if the core must check its events again, else 0."""
    page = address >> 8
    if page >= 0x20 and page < 0x30:
        generator_write(state, words, rom, cycle)
        state[VRAM + (address - 0x2000)] = np.uint8(value)
        return 0
    if page == 0x60:
        low = address & 0xFF
        if low >= 0xC0 and low < 0xE0:
            synchronise(state, words, rom, cycle)
        if low < 0x40:
            earom_latch(words, low, value)
        elif low == 0x40:
            earom_control(state, words, value)
        elif low >= 0x80 and low < 0xA0:
            mathbox_command(words, low & 0x1F, value)
        elif low & 0xF0 == 0xC0:
            pokey_write(state, words, 0, address & 0x0F, value, cycle)
        elif low & 0xF0 == 0xD0:
            pokey_write(state, words, 1, address & 0x0F, value, cycle)
        elif low == 0xE0:
            words[_OUTPUT_60E0] = value
        return 0
    if address == 0x5000:
        synchronise(state, words, rom, cycle)
        while words[_NEXT_IRQ] <= cycle:
            words[_NEXT_IRQ] += IRQ_CYCLES
            words[_IRQ] = 1
        words[_IRQ_LATE] = words[_IRQ] if state[MODEL] == 0 else 0
        words[_IRQ] = 0
        words[_WATCHDOG] = cycle + WATCHDOG_CYCLES
        return 1
    if address >= 0x0800 and address < 0x0810:
        state[COLOUR + (address - 0x0800)] = np.uint8(value & 0x0F)
    elif address == 0x4000:
        words[_OUTPUT_4000] = value
    elif address == 0x4800:
        generator_go(state, words, rom, cycle)
    elif address == 0x5800:
        generator_reset(state, words, rom, cycle)
    return 0


@numba.njit
def fetch_elsewhere(state, words, rom, address, cycle):
    """An instruction byte from outside ROM; the address wraps at $10000."""
    address &= 0xFFFF
    if address >= 0x9000:
        return np.int64(rom[address])
    if address < 0x0800:
        return np.int64(state[address])
    return io_read(state, words, rom, address, cycle)


@numba.njit
def fetch_word_elsewhere(state, words, rom, address, cycle):
    """Two instruction bytes that are not both in ROM."""
    low = fetch_elsewhere(state, words, rom, address, cycle)
    return low | (fetch_elsewhere(state, words, rom, address + 1, cycle + 1) << 8)
