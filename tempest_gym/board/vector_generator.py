"""The vector generator as a program sees it: how long a display list keeps it busy, exact to the cycle.

The state machine runs from the ROM set's own state PROM, in slices of at least 10,000 master clocks: a slice reads
vector memory at its start and then takes its time, as in MAME. Times are kept as CPU cycle plus a
rest in attoseconds, because MAME counts in those: a CPU cycle has 661,375,661,375 of them, a master clock
82,671,957,671, and eight clocks are therefore a little less than a cycle. Nothing is done before a program can see
it: the generator catches up when its flag is read, its memory written or a time slice of the emulator starts.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from tempest_gym.board.layout import IRQ_CYCLES, NEVER, VRAM, WORD

PROM = 0x8000
"""Where a ROM image shows the state PROM (256 bytes); the CPU cannot see it."""

SLICE_CLOCKS = 10_000
CYCLE_ATTOSECONDS = 661_375_661_375
CLOCK_ATTOSECONDS = 82_671_957_671
VIDEO_FRAME_CYCLES = 25_200

# MAME divides times by the length of a cycle, both shortened by 9 bits: an event just before the end of a cycle
# counts as after it if the emulator's time slice has lasted long enough for the error to grow.
DIVISION_SHIFT = 9
SHORT_CYCLE = CYCLE_ATTOSECONDS >> DIVISION_SHIFT

_PC = WORD["vg_pc"]
_SP = WORD["vg_sp"]
_STACK = WORD["vg_stack0"]
_STATE = WORD["vg_state"]
_OP = WORD["vg_op"]
_DVX = WORD["vg_dvx"]
_DVY = WORD["vg_dvy"]
_DVY12 = WORD["vg_dvy12"]
_TIMER = WORD["vg_timer"]
_SCALE = WORD["vg_scale"]
_HALT = WORD["vg_halt"]
_SHOWN = WORD["vg_shown"]
_RUN_CYCLE = WORD["vg_run_cycle"]
_RUN_REST = WORD["vg_run_rest"]
_HALT_CYCLE = WORD["vg_halt_cycle"]
_HALT_REST = WORD["vg_halt_rest"]
_NEXT = WORD["vg_next"]
_STANDARD = WORD["vg_standard"]
_SPLIT = WORD["last_split"]
_SYNCED = WORD["synced"]
_NEXT_IRQ = WORD["next_irq"]

HALTED = 0x10
HANDLER = 0x08
FIRST_STATE = 0x09


@numba.njit
def fetch_vector(state, rom, pc):
    """A byte of the display list; the high byte of each word is first."""
    address = pc ^ 1
    if address < 0x1000:
        return np.int64(state[VRAM + address])
    if address < 0x2000:
        return np.int64(rom[0x2000 + address])
    return 0


# The states from one opcode to the next with the PROM described in HARDWARE 1, which Squall has, a digit each.
STANDARD_PATHS = (0x8BACDF9, 0x8F9, 0xBCDF9, 0x8E9, 0x8CF9, 0x8CDE9, 0x8DE9, 0x8E9)


@numba.njit
def is_standard(rom):
    """Whether the PROM runs every opcode through the standard states."""
    for op in range(8):
        state: Any = FIRST_STATE
        path = 0
        for _ in range(8):
            state = np.int64(rom[PROM + (0x80 | op << 4 | state)] & 0x0F)
            path = path << 4 | state
            if state == FIRST_STATE:
                break
        if path != STANDARD_PATHS[op]:
            return 0
    return 1


@numba.njit
def scaled_timer(timer, op, steps):
    """The timer after that many halvings of the drawing time."""
    long = 0x4000 | ((op & 2) << 6)
    for _ in range(steps):
        timer = (timer >> 1) | long
    if op & 2:
        timer &= 0xFF
    return timer


@numba.njit
def normalise(words, op):
    """Double the vector and halve the time until a component has all its bits, at most 16 times."""
    dvx = words[_DVX]
    dvy = words[_DVY]
    steps = 0
    while ((dvy ^ (dvy << 1)) | (dvx ^ (dvx << 1))) & 0x1000 == 0 and steps < 16:
        dvy = (dvy & 0x1000) | ((dvy << 1) & 0x1FFF)
        dvx = (dvx & 0x1000) | ((dvx << 1) & 0x1FFF)
        steps += 1
    words[_DVX] = dvx
    words[_DVY] = dvy
    words[_TIMER] = scaled_timer(words[_TIMER], op, steps)


@numba.njit
def handle(state, words, rom, handler):
    """One step of the hardware; returns the master clocks it takes beyond the state's own eight."""
    op = words[_OP]
    if handler <= 3:
        data = fetch_vector(state, rom, words[_PC])
        words[_PC] = (words[_PC] + 1) & 0xFFFF
        if handler == 0:
            words[_DVY] = (words[_DVY] & 0x1F00) | data
        elif handler == 1:
            words[_DVY12] = (data >> 4) & 1
            words[_OP] = data >> 5
            words[_DVY] = (data & 0x1F) << 8
            words[_DVX] = 0
        elif handler == 2:
            words[_DVX] = (words[_DVX] & 0x1F00) | data
        else:
            words[_DVX] = ((data & 0x1F) << 8) | (words[_DVX] & 0xFF)
    elif handler == 4:
        if op & 1:
            words[_STACK + (words[_SP] & 3)] = words[_PC]
        else:
            normalise(words, op)
    elif handler == 5:
        if op & 4:
            words[_SP] = (words[_SP] + (-1 if op & 2 else 1)) & 0x0F
        else:
            words[_TIMER] = scaled_timer(words[_TIMER], op, words[_SCALE])
    elif handler == 6:
        if op & 4:
            words[_PC] = words[_DVY] << 1 if op & 1 else words[_STACK + (words[_SP] & 3)]
        elif words[_DVY12]:
            words[_SCALE] = (words[_DVY] >> 8) & 7
    else:
        words[_HALT] = op & 1
        clocks = 0
        if op & 4:
            clocks = 0x8000 - words[_TIMER]
            words[_TIMER] = 0
        elif op & 1 == 0:
            clocks = 0x100 - (words[_TIMER] & 0xFF) if op & 2 else 0x8000 - words[_TIMER]
            words[_TIMER] = 0
        return clocks
    return 0


def _leading_zeros(typing_context, value):
    """Zero bits above the highest one bit of an int64."""

    def code_generator(context, builder, signature, arguments):
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return numba.types.int64(numba.types.int64), code_generator


leading_zeros: Any = intrinsic(_leading_zeros)


@numba.njit
def run_standard(state, words, rom, clocks):
    """Whole opcodes of a standard PROM, as long as they fit into the slice up to their last step; returns the clocks
    used up.

    The same as the state machine's steps by `handle`: the drawing time of a vector is halved once for each doubling and
    each step of the binary scale.
    """
    pc = words[_PC]
    sp = words[_SP]
    scale = words[_SCALE]
    op = words[_OP]
    last = words[_DVY12] << 12
    while True:
        if pc < 0x0FFD:
            data = np.int64(state[VRAM + pc]) | (np.int64(state[VRAM + pc + 1]) << 8)
            second = np.int64(state[VRAM + pc + 2]) | (np.int64(state[VRAM + pc + 3]) << 8)
        elif pc >= 0x1000 and pc < 0x1FFD:
            data = np.int64(rom[0x2000 + pc]) | (np.int64(rom[0x2001 + pc]) << 8)
            second = np.int64(rom[0x2002 + pc]) | (np.int64(rom[0x2003 + pc]) << 8)
        else:
            break
        code = data >> 13
        if code == 0:
            if clocks + 56 >= SLICE_CLOCKS:
                break
            changes = ((data ^ (data << 1)) | (second ^ (second << 1))) & 0x1FFF
            halvings = scale + (16 if changes == 0 else leading_zeros(changes) - 51)
            clocks += 56 + max(0x8000 >> halvings, 1)
            pc += 4
        elif code == 2:
            if clocks + 40 >= SLICE_CLOCKS:
                break
            dvy = (data >> 8) & 0x1F
            dvx = data & 0x1F
            changes = ((dvy ^ (dvy << 1)) | (dvx ^ (dvx << 1))) & 0x1F
            halvings = scale + (16 if changes == 0 else leading_zeros(changes) - 59)
            clocks += 40 + max(0x100 >> halvings, 1)
            pc += 2
        elif code == 3:
            if clocks + 24 >= SLICE_CLOCKS:
                break
            if data & 0x1000:
                scale = (data >> 8) & 7
            clocks += 24
            pc += 2
        elif code == 5:
            if clocks + 40 >= SLICE_CLOCKS:
                break
            words[_STACK + (sp & 3)] = pc + 2
            sp = (sp + 1) & 0x0F
            pc = (data & 0x1FFF) << 1
            clocks += 40
        elif code == 6:
            if clocks + 32 >= SLICE_CLOCKS:
                break
            sp = (sp - 1) & 0x0F
            pc = words[_STACK + (sp & 3)]
            clocks += 32
        elif code == 7:
            if clocks + 24 >= SLICE_CLOCKS:
                break
            pc = (data & 0x1FFF) << 1
            clocks += 24
        elif code == 4:
            if clocks + 32 >= SLICE_CLOCKS:
                break
            changes = (data ^ (data << 1)) & 0x1FFF
            clocks += 32 + max(0x8000 >> (16 if changes == 0 else leading_zeros(changes) - 51), 1)
            pc += 2
        else:
            break
        op = code
        last = data
        if clocks >= SLICE_CLOCKS:
            break
    words[_PC] = pc
    words[_SP] = sp
    words[_SCALE] = scale
    words[_OP] = op
    words[_DVY12] = (last >> 12) & 1
    words[_STATE] = STANDARD_PATHS[op] >> 4 & 15
    return clocks


@numba.njit(forceinline=True)
def next_state(words, rom, latch):
    """What the state PROM holds for the present state, opcode and halt bit."""
    return np.int64(rom[PROM + (((latch & HALTED) ^ HALTED) << 3 | words[_OP] << 4 | latch & 15)] & 15)


@numba.njit
def run_slice(state, words, rom):
    """One slice, from the moment of its start; returns the master clocks it takes."""
    clocks = 0
    while clocks < SLICE_CLOCKS:
        latch = words[_STATE]
        following = next_state(words, rom, latch)
        at_opcode = following == FIRST_STATE and latch & HALTED == 0 and words[_HALT] == 0
        if at_opcode and words[_STANDARD] and words[_TIMER] == 0 and words[_PC] & 1 == 0:
            clocks = run_standard(state, words, rom, clocks)
            if clocks >= SLICE_CLOCKS:
                break
            latch = words[_STATE]
            following = next_state(words, rom, latch)
        if following & HANDLER:
            clocks += handle(state, words, rom, following & 7)
        if words[_HALT] != 0 and latch & HALTED == 0:
            schedule_halt(words, clocks)
        words[_STATE] = (words[_HALT] << 4) | following
        clocks += 8
    return clocks


@numba.njit
def schedule_halt(words, clocks):
    """Let the halt flag show this many master clocks after the start of the slice."""
    rest = words[_RUN_REST] + clocks * CLOCK_ATTOSECONDS
    words[_HALT_CYCLE] = words[_RUN_CYCLE] + rest // CYCLE_ATTOSECONDS
    words[_HALT_REST] = rest % CYCLE_ATTOSECONDS


@numba.njit
def is_idle(words, rom):
    """Whether the state machine is halted until GO."""
    latch = words[_STATE]
    if latch & HALTED == 0 or words[_HALT] == 0 or words[_HALT_CYCLE] != NEVER:
        return False
    return rom[PROM + (words[_OP] << 4 | latch & 15)] & 15 == latch & 15 and latch & HANDLER == 0


@numba.njit
def split_before(words, cycle):
    """The cycle, at most `cycle`, at which the emulator's present time slice started: after an interrupt, a video
    frame, or a device that made the CPU wait for it."""
    irq = words[_NEXT_IRQ] - IRQ_CYCLES
    while irq > cycle:
        irq -= IRQ_CYCLES
    video = cycle // VIDEO_FRAME_CYCLES * VIDEO_FRAME_CYCLES
    return max(max(irq, video), min(words[_SPLIT], cycle))


@numba.njit
def visible_cycle(words, cycle, rest):
    """The first CPU cycle after an event at that time, by MAME's division."""
    start = split_before(words, cycle)
    duration = (cycle - start) * CYCLE_ATTOSECONDS + rest
    return start + (duration >> DIVISION_SHIFT) // SHORT_CYCLE


@numba.njit
def catch_up(state, words, rom, cycle):
    """Do everything that the generator does before a CPU cycle."""
    while True:
        halting = words[_HALT_CYCLE] < words[_RUN_CYCLE] or (
            words[_HALT_CYCLE] == words[_RUN_CYCLE] and words[_HALT_REST] <= words[_RUN_REST]
        )
        event = words[_HALT_CYCLE] if halting else words[_RUN_CYCLE]
        rest = words[_HALT_REST] if halting else words[_RUN_REST]
        words[_NEXT] = event
        if event > cycle:
            return
        visible = visible_cycle(words, event, rest)
        if visible > cycle:
            return
        words[_SPLIT] = visible
        if halting:
            words[_HALT] = 1
            words[_SHOWN] = 1
            words[_HALT_CYCLE] = NEVER
        elif is_idle(words, rom):
            # Empty slices, all of the same length, up to the present.
            count = (cycle - event) // (SLICE_CLOCKS // 8) + 1
            rest -= count * (SLICE_CLOCKS // 8 * CYCLE_ATTOSECONDS - SLICE_CLOCKS * CLOCK_ATTOSECONDS)
            words[_RUN_CYCLE] = event + count * (SLICE_CLOCKS // 8) + rest // CYCLE_ATTOSECONDS
            words[_RUN_REST] = rest % CYCLE_ATTOSECONDS
        else:
            rest += run_slice(state, words, rom) * CLOCK_ATTOSECONDS
            words[_RUN_CYCLE] = event + rest // CYCLE_ATTOSECONDS
            words[_RUN_REST] = rest % CYCLE_ATTOSECONDS


@numba.njit
def synchronise(state, words, rom, cycle):
    """A device access at this cycle ends the emulator's time slice.

    Measured: the CPU still fetches the next opcode first, so an interrupt in that very cycle is seen an instruction
    later.
    """
    if words[_NEXT] <= cycle:
        catch_up(state, words, rom, cycle)
    words[_SYNCED] = cycle + 1
    words[_SPLIT] = cycle + 2


@numba.njit
def generator_halted(state, words, rom, cycle):
    """Whether bit 6 of $0C00 is set at this cycle."""
    if words[_NEXT] <= cycle:
        catch_up(state, words, rom, cycle)
    return words[_SHOWN] != 0


@numba.njit
def generator_go(state, words, rom, cycle):
    """A write to $4800."""
    synchronise(state, words, rom, cycle)
    words[_STANDARD] = is_standard(rom)
    words[_PC] = 0
    words[_SP] = 0
    words[_HALT] = 0
    words[_SHOWN] = 0
    words[_RUN_CYCLE] = cycle
    words[_RUN_REST] = 0
    words[_NEXT] = min(cycle, words[_HALT_CYCLE])


@numba.njit
def generator_reset(state, words, rom, cycle):
    """A write to $5800."""
    if words[_NEXT] <= cycle:
        catch_up(state, words, rom, cycle)
    words[_STATE] = 0
    words[_SCALE] = 0
    words[_HALT] = 1
    words[_SHOWN] = 1


@numba.njit
def generator_write(state, words, rom, cycle):
    """A write to vector memory is about to happen."""
    if words[_NEXT] <= cycle:
        catch_up(state, words, rom, cycle)
