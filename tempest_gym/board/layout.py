"""The layout of a row of the state array, which holds all mutable state of one board.

A board is one row of a C-contiguous ``(n, STATE_BYTES)`` uint8 array and nothing else: copying the row clones
the machine. ``STATE_DTYPE`` names the fields; the upper-case constants are the byte offsets of the ones that
other parts of the package (and the Lua host) use directly.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

CPU_HZ = 1_512_000
"""Clock of the 6502 and of both POKEYs (HARDWARE 1)."""

IRQ_CYCLES = 6144
"""CPU cycles from one interrupt to the next (HARDWARE 1)."""

FRAME_CYCLES = 9 * IRQ_CYCLES
"""CPU cycles of a game frame."""

WATCHDOG_CYCLES = 131_072
"""CPU cycles from the last write to $5000 to the watchdog's reset: 256 periods of the 3 kHz signal."""

FRAME_COUNTER = 0x03
"""RAM address of the game's frame counter: its change is the bridge point."""

RANDOM_PERIOD = 131_071
"""Steps until a POKEY's 17-bit shift register repeats."""

NEVER = 1 << 62
"""A cycle that is never reached."""

ROM_BYTES = 0x10000
"""A ROM image holds the CPU's whole address space, ROM bytes at their addresses."""

LINK = 0x8800
"""Where a `Boards`' ROM image keeps the address of its translation's table, or 0; the CPU cannot see it."""

BoardModel = Literal["mame-0.251", "mame-0.276"]

MODELS: tuple[BoardModel, ...] = get_args(BoardModel)
"""Board models, each named after the oldest MAME that it was measured equal to; their index is the row's ``model``.

They differ in when an interrupt is taken. With the first, an opcode fetch sees a line asserted before it; a device
access in the cycle before delays that by a cycle; an acknowledgement in the cycle before is too late; the watchdog
clears the line. With the second, an opcode fetch sees a line asserted up to its end, whatever the cycle before was; an
acknowledgement in the cycle before counts; the line survives the watchdog.
"""

DEFAULT_MODEL: BoardModel = MODELS[0]
"""The NMOS 6502 decides before an instruction's last cycle, so an acknowledgement in that cycle is too late there
too. Neither model, and no MAME, has the chip's delay by an instruction after a taken branch within a page."""

VERSIONS = np.array([int(model.rpartition(".")[2]) for model in MODELS])
"""The version of MAME in the name of each model, without its ``0.``."""

# Fields after the memories, all int64 so that compiled code reaches them through one view.
WORDS = (
    "pc",
    "a",
    "x",
    "y",
    "sp",
    "p",
    "cycles",  # CPU cycles since power-on
    "bridges",  # bridge points since power-on
    "phase",  # added to the index of both POKEYs' random sequences, 0..131070
    "stop",  # the run ends after the present instruction
    "irq",  # interrupt line
    "irq_late",  # the line as the next opcode fetch still sees it
    "synced",  # cycle after the last access to a device that ends MAME's time slice
    "next_irq",  # cycle at which the line is next asserted
    "irq_flag_delay",  # 0, or 1 + the I flag that still counts at the next opcode fetch
    "watchdog",  # cycle of the watchdog's reset
    "resets",  # watchdog resets since power-on
    "last_split",  # cycle at which MAME's scheduler last started a time slice
    "error",
    "error_pc",
    "error_opcode",
    "skctl1",
    "skctl2",
    "audctl1",
    "audctl2",
    "release1",  # cycle at which SKCTL of POKEY 1 left reset
    "release2",
    "pots1",  # inputs as the last POTGO latched them
    "pots2",
    "potgo1",  # cycle since which the counters run
    "potgo2",
    "pot_count1",  # lines counted before that
    "pot_count2",
    "earom_address",
    "earom_control",
    "earom_data",
    "output_4000",
    "output_60e0",
    "r0",  # mathbox registers R0-RF, sign extended
    "r1",
    "r2",
    "r3",
    "r4",
    "r5",
    "r6",
    "r7",
    "r8",
    "r9",
    "ra",
    "rb",
    "rc",
    "rd",
    "re",
    "rf",
    "mathbox_result",
    # Vector generator: registers as MAME names them, then its two timers (cycle, rest in attoseconds).
    "vg_pc",
    "vg_sp",
    "vg_stack0",
    "vg_stack1",
    "vg_stack2",
    "vg_stack3",
    "vg_state",
    "vg_op",
    "vg_dvx",
    "vg_dvy",
    "vg_dvy12",
    "vg_timer",
    "vg_scale",
    "vg_halt",
    "vg_shown",  # the halt flag as $0C00 shows it
    "vg_run_cycle",
    "vg_run_rest",
    "vg_halt_cycle",
    "vg_halt_rest",
    "vg_next",  # nothing happens before this cycle
    "vg_standard",
    "n",  # flags as translated code and interpreter hand them over, 0 between runs: bit 7 is N,
    "z",  # 0 is Z,
    "c",
    "v",
    "d",
)

_MEMORIES = (
    ("ram", np.uint8, (0x800,)),
    ("vram", np.uint8, (0x1000,)),
    ("colour", np.uint8, (16,)),
    (
        "buttons",
        np.uint8,
        (),
    ),  # active-high bits as $60D8 shows them: $08 zap, $10 fire, $20 start 1, $40 start 2
    ("knob", np.uint8, ()),  # 0-15, the spinner's absolute position
    ("in0", np.uint8, ()),  # bits 0-5 of $0C00, active low
    ("in1", np.uint8, ()),  # bits 4-7 of $60C8 as read (bit 4: cocktail cabinet)
    ("in2", np.uint8, ()),  # bits 0-2 and 7 of $60D8 as read (difficulty, rating)
    ("dip1", np.uint8, ()),
    ("dip2", np.uint8, ()),
    ("skip_idle", np.uint8, ()),  # 1: jump over idle loops (same results, faster)
    ("audio", np.uint8, (2, 8)),  # what was last written to AUDF and AUDC of each POKEY's four voices
    ("model", np.uint8, ()),  # index into MODELS
    ("spare", np.uint8, (23,)),
    ("earom", np.uint8, (64,)),
)

_FIELDS = [(name, kind, shape) for name, kind, shape in _MEMORIES] + [(name, np.int64, ()) for name in WORDS]
_USED = np.dtype(_FIELDS).itemsize
STATE_BYTES = -(-_USED // 64) * 64
"""Bytes of one board, a multiple of 64."""

STATE_DTYPE = np.dtype([*_FIELDS, ("padding", np.uint8, (STATE_BYTES - _USED,))])
"""Structured dtype of one row: ``boards.state.view(STATE_DTYPE)``."""


def offset(name: str) -> int:
    """Byte offset of a field in the row."""
    fields = STATE_DTYPE.fields
    assert fields is not None
    return int(fields[name][1])


RAM = offset("ram")
VRAM = offset("vram")
COLOUR = offset("colour")
EAROM = offset("earom")
BUTTONS = offset("buttons")
KNOB = offset("knob")
IN0 = offset("in0")
IN1 = offset("in1")
IN2 = offset("in2")
DIP1 = offset("dip1")
DIP2 = offset("dip2")
SKIP_IDLE = offset("skip_idle")
MODEL = offset("model")
AUDIO = offset("audio")
ERROR = offset("error")

WORD = {name: offset(name) // 8 for name in WORDS}
"""Index of each int64 field in the row seen as int64."""

# Results of a run.
BRIDGE_REACHED = 0
CYCLES_EXHAUSTED = 1
UNDOCUMENTED_OPCODE = 2


POWER_ON_CYCLES = 7
"""Cycles that the 6502's reset sequence takes."""


def power_on_state(rom: NDArray[np.uint8], model: str = DEFAULT_MODEL) -> NDArray[np.uint8]:
    """One row, shape (STATE_BYTES,), uint8: a board just switched on, with no input and factory DIP switches.

    Raises:
        ValueError: ``model`` is not one of `MODELS`.
    """
    if model not in MODELS:
        raise ValueError(f"the board model must be one of {', '.join(map(repr, MODELS))}, got {model!r}")
    row = np.zeros(STATE_BYTES, np.uint8)
    fields = row.view(STATE_DTYPE)[0]
    fields["earom"] = 0xFF
    fields["in0"] = 0x3F
    fields["skip_idle"] = 1
    fields["model"] = MODELS.index(model)
    fields["pc"] = int(rom[0xFFFC]) | int(rom[0xFFFD]) << 8
    fields["sp"] = 0xFD
    fields["p"] = 0x36
    fields["cycles"] = POWER_ON_CYCLES
    fields["next_irq"] = IRQ_CYCLES
    fields["watchdog"] = WATCHDOG_CYCLES
    for timer in ("vg_run_cycle", "vg_halt_cycle", "vg_next"):
        fields[timer] = NEVER
    fields["pots1"] = 0xF0
    fields["pots2"] = 0xFF
    return row
