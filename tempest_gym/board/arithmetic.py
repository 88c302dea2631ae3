"""Pieces of the 6502 that are not one opcode: the status byte, decimal mode, idle loops, the watchdog's reset."""

from __future__ import annotations

import numba
import numpy as np

from tempest_gym.board.layout import IRQ_CYCLES, MODEL, WATCHDOG_CYCLES, WORD
from tempest_gym.board.opcodes import OPCODES
from tempest_gym.board.pokey import potgo

RESET_CYCLES = 7

_RESETS = WORD["resets"]
_WATCHDOG = WORD["watchdog"]
_NEXT_IRQ = WORD["next_irq"]
_IRQ = WORD["irq"]
_IRQ_LATE = WORD["irq_late"]
_IRQ_FLAG_DELAY = WORD["irq_flag_delay"]


@numba.njit
def pack(n, v, d, i, z, c):
    """The status byte as PHP pushes it: bits 4 and 5 set."""
    zero = 0 if z != 0 else 2
    return (n & 0x80) | (v << 6) | 0x30 | (d << 3) | (i << 2) | zero | c


@numba.njit
def add_decimal(a, m, c):
    """ADC in decimal mode on an NMOS 6502.

    Z is that of the binary sum; N and V are those of the high nibble before its own correction.
    Returns result | N byte << 8 | Z byte << 16 | carry << 24 | overflow << 25.
    """
    low = (a & 0x0F) + (m & 0x0F) + c
    if low > 9:
        low += 6
    high = (a >> 4) + (m >> 4) + (1 if low > 0x0F else 0)
    negative = (high << 4) & 0xFF
    zero = (a + m + c) & 0xFF
    overflow = 1 if (~(a ^ m) & (a ^ negative) & 0x80) != 0 else 0
    if high > 9:
        high += 6
    carry = 1 if high > 0x0F else 0
    result = ((high << 4) | (low & 0x0F)) & 0xFF
    return result | (negative << 8) | (zero << 16) | (carry << 24) | (overflow << 25)


@numba.njit
def subtract_decimal(a, m, c):
    """SBC in decimal mode on an NMOS 6502: all flags are those of the binary difference. Packed as add_decimal."""
    difference = a - m - 1 + c
    low = (a & 0x0F) - (m & 0x0F) - 1 + c
    high = (a >> 4) - (m >> 4)
    if low < 0:
        low -= 6
        high -= 1
    if high < 0:
        high -= 6
    overflow = 1 if ((a ^ m) & (a ^ difference) & 0x80) != 0 else 0
    carry = 1 if difference >= 0 else 0
    binary = difference & 0xFF
    result = ((high << 4) & 0xF0) | (low & 0x0F)
    return result | (binary << 8) | (binary << 16) | (carry << 24) | (overflow << 25)


# For each opcode that an idle loop may contain: its length, plus 8 if it reads an address of one byte, 16 of two.
_IDLE_OPCODES = np.zeros(256, np.uint8)
for _opcode in OPCODES:
    if (
        _opcode.name in ("LDA", "LDX", "LDY", "CMP", "CPX", "CPY", "BIT", "AND", "ORA")
        or _opcode.kind == "branch"
    ):
        if _opcode.mode in ("imm", "rel"):
            _IDLE_OPCODES[_opcode.code] = _opcode.length
        elif _opcode.mode == "zp":
            _IDLE_OPCODES[_opcode.code] = _opcode.length + 8
        elif _opcode.mode == "abs":
            _IDLE_OPCODES[_opcode.code] = _opcode.length + 16


@numba.njit
def is_idle_loop(rom, start, end):
    """Whether the ROM code from ``start`` up to the jump at ``end`` only reads RAM and stays inside.

    Once such a loop has run with equal registers, it repeats unchanged until an interrupt.
    """
    if start < 0x9000:
        return False
    pc = start
    while pc < end:
        kind = np.int64(_IDLE_OPCODES[rom[pc]])
        length = kind & 3
        if length == 0:
            return False
        if kind & 16 and rom[pc + 2] >= 0x08:
            return False
        if rom[pc] & 0x1F == 0x10:
            target = pc + 2 + ((np.int64(rom[pc + 1]) ^ 0x80) - 0x80)
            if target <= pc or target > end:
                return False
        pc += length
    return pc == end


@numba.njit
def bite(state, words, rom):
    """The watchdog's reset; returns the cycle at which the first instruction starts."""
    cycle = words[_WATCHDOG]
    words[_RESETS] += 1
    words[_WATCHDOG] = cycle + WATCHDOG_CYCLES
    words[_NEXT_IRQ] = cycle + IRQ_CYCLES
    if state[MODEL] == 0:
        words[_IRQ] = 0
    words[_IRQ_LATE] = 0
    words[_IRQ_FLAG_DELAY] = 0
    potgo(state, words, 0, cycle)
    potgo(state, words, 1, cycle)
    return cycle + RESET_CYCLES
