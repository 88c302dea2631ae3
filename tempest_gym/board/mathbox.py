"""The mathbox: sixteen signed 16-bit registers and a microprogram chosen by the address written (HARDWARE 1).

The registers live in the state row, sign extended; names as in the facts (R0 ... RF).
"""

from __future__ import annotations

import numba
import numpy as np

from tempest_gym.board.layout import WORD

R0 = WORD["r0"]
R1 = WORD["r1"]
R2 = WORD["r2"]
R3 = WORD["r3"]
R4 = WORD["r4"]
R5 = WORD["r5"]
R6 = WORD["r6"]
R7 = WORD["r7"]
R8 = WORD["r8"]
R9 = WORD["r9"]
RA = WORD["ra"]
RB = WORD["rb"]
RC = WORD["rc"]
RD = WORD["rd"]
RE = WORD["re"]
RF = WORD["rf"]
RESULT = WORD["mathbox_result"]

_LOW = np.full(32, -1, np.int64)
_HIGH = np.full(32, -1, np.int64)
for _command, _register in {
    0x00: R0,
    0x02: R1,
    0x04: R2,
    0x06: R3,
    0x08: R4,
    0x0A: R5,
    0x15: R7,
    0x1A: R8,
}.items():
    _LOW[_command] = _register
for _command, _register in {0x0D: RA, 0x0F: RB}.items():
    _LOW[_command] = _register
for _command, _register in {0x01: R0, 0x03: R1, 0x05: R2, 0x07: R3, 0x09: R4, 0x16: R7, 0x1B: R8}.items():
    _HIGH[_command] = _register
for _command, _register in {0x0E: RA, 0x10: RB}.items():
    _HIGH[_command] = _register


@numba.njit
def signed16(value):
    """The low 16 bits as a signed number."""
    return ((value & 0xFFFF) ^ 0x8000) - 0x8000


@numba.njit
def _rotate_first(words):
    """Command X: the first half of a rotation and projection; result R7."""
    p = words[R0] * words[R4]
    q = -words[R1] * words[R5]
    words[R7] = signed16((p >> 16) + (q >> 16))
    words[RE] = (p & 0xFFFF) >> 1
    words[RC] = (q & 0xFFFF) >> 1
    if (words[RC] + words[RE]) & 0x8000:
        words[R7] = signed16(words[R7] + 1)
    words[RESULT] = words[R7]
    if words[RF] >= 0:
        words[R7] = signed16(words[R7] + words[R2])
        words[RESULT] = words[R7]
        _rotate_second(words)


@numba.njit
def _rotate_second(words):
    """Command Y (12): the second half of a rotation; result R8, then the division if RF >= 0."""
    p = words[R1] * words[R4]
    q = words[R0] * words[R5]
    words[R8] = signed16((p >> 16) + (q >> 16))
    words[RC] = (q & 0xFFFF) >> 1
    words[R9] = signed16(((p & 0xFFFF) >> 1) + words[RC])
    if words[R9] < 0:
        words[R8] = signed16(words[R8] + 1)
    words[R9] = signed16(words[R9] << 1)
    words[RESULT] = words[R8]
    if words[RF] >= 0:
        words[R8] = signed16(words[R8] + words[R3])
        words[R9] = signed16(words[R9] & 0xFF00)
        words[RESULT] = words[R8]
        _divide(words, words[R8], words[R9])


@numba.njit
def _divide(words, high, low):
    """Commands 13 and 14: (high:low) / R7 in R6+1 steps; result the quotient."""
    words[RE] = signed16(words[R7] ^ high)
    if high >= 0:
        words[RD] = high
        quotient = low
    else:
        words[RD] = signed16(~high)
        quotient = signed16(~low)
        if quotient < 0 and signed16(quotient + 1) < 0:
            words[RD] = signed16(words[RD] + 1)
        quotient = signed16(quotient + 1)
    words[RC] = signed16(abs(words[R7]))
    words[RF] = words[R6]
    while True:
        words[RD] = signed16(words[RD] - words[RC])
        carried = (quotient >> 15) & 1
        quotient = signed16(quotient << 1)
        if words[RD] >= 0:
            quotient = signed16(quotient + 1)
        else:
            words[RD] = signed16(words[RD] + words[RC])
        words[RD] = signed16(2 * words[RD] + carried)
        words[RF] = signed16(words[RF] - 1)
        if words[RF] < 0:
            break
    words[RESULT] = signed16(-quotient) if words[RE] < 0 else quotient


@numba.njit
def _bisect(words):
    """Command 1C: clip a line by halving it R6+1 times; result R8. These sums have 17 bits (measured)."""
    while True:
        words[RE] = (words[R4] + words[R7]) >> 1
        words[RF] = (words[R5] + words[R8]) >> 1
        if words[RB] < words[RE] and words[RF] < words[RE] and words[RE] + words[RF] >= 0:
            words[R7] = words[RE]
            words[R8] = words[RF]
        else:
            words[R4] = words[RE]
            words[R5] = words[RF]
        words[R6] = signed16(words[R6] - 1)
        if words[R6] < 0:
            break
    words[RESULT] = words[R8]


@numba.njit
def _distance(words):
    """Command 1E: an approximation of the length of (R2, R3); result RD."""
    low = min(words[R2], words[R3])
    words[RC] = low >> 2
    words[RD] = signed16(max(words[R2], words[R3]) + words[RC])
    words[RC] >>= 1
    words[RD] = signed16(words[RD] + words[RC])
    words[RESULT] = words[RD]


@numba.njit
def mathbox_command(words, command, data):
    """Do what a write of ``data`` (0-255) to $6080 + ``command`` (0-31) does."""
    register = _LOW[command]
    if register >= 0:
        words[register] = signed16((words[register] & 0xFF00) | data)
        words[RESULT] = words[register]
        return
    register = _HIGH[command]
    if register >= 0:
        words[register] = signed16((words[register] & 0x00FF) | (data << 8))
        words[RESULT] = words[register]
        return
    if command == 0x0C:
        words[R6] = data
        words[RESULT] = data
    elif command == 0x0B or command == 0x11:
        words[R5] = signed16((words[R5] & 0x00FF) | (data << 8))
        if command == 0x0B:
            words[RF] = -1
            words[R4] = signed16(words[R4] - words[R2])
            words[R5] = signed16(words[R5] - words[R3])
        else:
            words[RF] = 0
        _rotate_first(words)
    elif command == 0x12:
        _rotate_second(words)
    elif command == 0x13:
        _divide(words, words[R8], words[R9])
    elif command == 0x14:
        _divide(words, words[RB], words[RA])
    elif command == 0x17:
        words[RESULT] = words[R7]
    elif command == 0x18:
        words[RESULT] = words[R9]
    elif command == 0x19:
        words[RESULT] = words[R8]
    elif command == 0x1C:
        words[R5] = signed16((words[R5] & 0x00FF) | (data << 8))
        _bisect(words)
    elif command == 0x1D:
        words[R3] = signed16((words[R3] & 0x00FF) | (data << 8))
        words[R2] = signed16(abs(signed16(words[R2] - words[R0])))
        words[R3] = signed16(abs(signed16(words[R3] - words[R1])))
        _distance(words)
    elif command == 0x1E:
        _distance(words)
