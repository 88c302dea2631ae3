"""The vector generator's state PROM, our own (HARDWARE 1).

The generator's next state is looked up by run flag, opcode and state. A state with bit 3 set runs the handler
named by its low three bits.
"""

from __future__ import annotations

FETCH, LOW, DX_LOW, DX_HIGH, PUSH, SCALE, JUMP, DRAW = 0x9, 0x8, 0xA, 0xB, 0xC, 0xD, 0xE, 0xF

SEQUENCES: dict[int, tuple[int, ...]] = {
    0: (LOW, DX_HIGH, DX_LOW, PUSH, SCALE, DRAW),  # VCTR
    1: (LOW, DRAW),  # HALT
    2: (DX_HIGH, PUSH, SCALE, DRAW),  # SVEC
    3: (LOW, JUMP),  # STAT, SCAL
    4: (LOW, PUSH, DRAW),  # CNTR
    5: (LOW, PUSH, SCALE, JUMP),  # JSRL
    6: (LOW, SCALE, JUMP),  # RTSL
    7: (LOW, JUMP),  # JMPL
}
"""Opcode -> states after the fetch of the opcode; then the next opcode is fetched."""


def state_prom() -> bytes:
    """The 256 bytes of 136002-125.d7."""
    table = bytearray(256)
    for opcode, states in SEQUENCES.items():
        base = 0x80 | opcode << 4
        table[base : base + 16] = bytes([FETCH]) * 16
        for state, following in zip((FETCH, *states), (*states, FETCH), strict=True):
            table[base | state] = following
    return bytes(table)
