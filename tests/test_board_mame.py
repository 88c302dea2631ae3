"""Small programs of our own on real MAME and on the board: the same memory at the same cycle.

With the variable MAME set to another version they hold for that one; the board is of the model that equals it.
"""

from __future__ import annotations

import functools
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_oracle import DECIMAL, assert_equal, rom_files, run_board, run_mame

from tempest_gym.commands.verify import matching_model
from tempest_gym.machines.mame import MameMachine
from tempest_gym.roms import squall_rom

START = """
reset:
    SEI
    CLD
    LDX #$FF
    TXS
"""

STAY = """
    INC $03
stay:
    JMP stay
"""


@functools.cache
def board_model() -> str:
    """The board model that equals this MAME."""
    rom = squall_rom()
    with closing(MameMachine(rom)) as mame:
        return matching_model(mame, rom)


def compare(
    folder: Path,
    source: str,
    bridges: int,
    *,
    vectors: dict[int, bytes] | None = None,
    fields: str = "",
    board: dict[str, int] | None = None,
    **both: Any,
) -> None:
    """Run `source` on both to that bridge point and hold everything equal: interpreted with and without skipping of
    idle loops, and translated."""
    files = rom_files(source, vectors)
    model = board_model()
    mame = run_mame(folder / "mame", files, bridges, fields=fields, **both)
    for way, chosen in {
        "skipping": {"skip_idle": True},
        "stepping": {"skip_idle": False},
        "translated": {"translate": True},
    }.items():
        ours = run_board(files, bridges, folder / way, model=model, **chosen, **both, **(board or {}))
        assert_equal(mame, ours)


def table(values: bytes) -> str:
    """``.byte`` lines."""
    lines = [values[start : start + 32] for start in range(0, len(values), 32)]
    return "\n".join("    .byte " + ",".join(map(str, line)) for line in lines)


def test_power_on(tmp_path: Path) -> None:
    """First cycle, stack pointer, status byte, and what inputs, latches and unmapped addresses show."""
    reads = (
        0x0800,
        0x0C00,
        0x0D00,
        0x0E00,
        0x1000,
        0x2000,
        0x4000,
        0x5000,
        0x6000,
        0x6040,
        0x6050,
        0x6060,
        0x6070,
    )
    reads += (0x6080, 0x60A0, 0x60C8, 0x60CA, 0x60D8, 0x60DA, 0x60CE, 0x60CF, 0x60E0, 0x7000, 0x8000, 0xE000)
    reads += (0xF000, 0xF800, 0xFFFC, 0x0C01, 0x0D80, 0x1C00, 0x6010, 0x6061)
    source = "reset:\n    PHP\n    TSX\n    STX $10\n    STA $11\n    STY $12\n"
    source += "".join(
        f"    LDA ${address:04X}\n    STA {0x20 + index}\n" for index, address in enumerate(reads)
    )
    compare(tmp_path, source + STAY, 1)


def test_clock_signal_and_writes_to_nowhere(tmp_path: Path) -> None:
    """Bit 7 of $0C00 at 256 different cycles; stores to ROM, unmapped and write-only addresses change nothing else."""
    source = (
        START
        + """
    LDX #0
sample:
    LDA $0C00
    STA $0200,X
    LDY #5
wait:
    DEY
    BNE wait
    LDA $0C00
    STA $0300,X
    INX
    BNE sample
    INC $03
    LDA #$5A
    STA $9000
    STA $3000
    STA $1000
    STA $7000
    STA $E000
    STA $4000
    STA $60E0
    LDX #15
colours:
    TXA
    STA $0800,X
    DEX
    BPL colours
    LDA #$F3
    STA $0807
    LDX #0
copy:
    TXA
    STA $2000,X
    STA $2F00,X
    LDA $9000,X
    STA $0400,X
    LDA $3000,X
    STA $0500,X
    LDA $F800,X
    STA $0600,X
    INX
    BNE copy
"""
        + STAY
    )
    compare(tmp_path, source, 2, vectors={0x3000: bytes(range(256))})


def test_decimal_mode(tmp_path: Path) -> None:
    """ADC and SBC of every accumulator, operand and carry, valid BCD or not: results and flags."""
    compare(tmp_path, DECIMAL, 512)


@pytest.mark.parametrize("phase", [0, 1, 77_777, 131_070])
def test_random(tmp_path: Path, phase: int) -> None:
    """RANDOM of both POKEYs at many cycles, out of reset at different times, both lengths of the register."""
    source = (
        START
        + """
    LDA #0
    STA $60CF
    STA $60DF
    LDA $60CA
    STA $10
    LDA #3
    STA $60DF
    NOP
    STA $60CF
    LDA $60CA
    STA $11
    LDA $60DA
    STA $12
    LDX #0
sample:
    LDA $60CA
    STA $0200,X
    LDA $60DA
    STA $0300,X
    AND #7
    TAY
wait:
    DEY
    BPL wait
    LDA $60CA
    STA $0400,X
    INX
    BNE sample
    INC $03
    LDA #$80
    STA $60C8
    LDA $60CA
    STA $10
    LDX #0
nine:
    LDA $60CA
    STA $0200,X
    LDA $60DA
    STA $0300,X
    INX
    BNE nine
    INC $03
    LDA #4
    STA $60CF
    LDA $60CA
    STA $10
    STX $60C8
    LDA #7
    STA $60CF
    LDA $60CA
    STA $11
    LDA $60DA
    STA $12
    LDA #3
    STA $60CF
    LDA $60CA
    STA $13
"""
        + STAY
    )
    compare(tmp_path, source, 3, phase=phase)


INPUTS = (
    START
    + """
    LDA #0
    STA $60E0       ; player 1's controls
    LDA #3
    STA $60CF
    STA $60DF
    LDA #8          ; settings are latched at video frames, of which MAME does one in eleven
    STA $20
    LDY #0
settle:
    LDX #0
inner:
    DEX
    BNE inner
    STA $5000
    DEY
    BNE settle
    DEC $20
    BNE settle
again:
    STA $60CB
    STA $60DB
    LDX #200
wait:
    DEX
    BNE wait
    LDA $60C8
    STA $10
    LDA $60D8
    STA $11
    LDA $0C00
    AND #$3F
    STA $12
    LDA $0D00
    STA $13
    LDA $0E00
    STA $14
    INC $03
    STA $5000
    JMP again
"""
)

SET_INPUTS = """
for tag, port in pairs(manager.machine.ioport.ports) do
  for name, field in pairs(port.fields) do
    local value = WANTED[tag]
    if tag == ":KNOBP1" then
      emu.register_frame_done(function() field:set_value(WANTED.knob) end)
    elseif value and field.type_class == "dipswitch" then
      field.user_value = value & field.mask
    elseif value and field.type_class == "misc" and tag == ":IN0" then
      field:set_value(value & field.mask == 0 and 1 or 0)
    end
  end
end
"""


def test_buttons(tmp_path: Path) -> None:
    """Each button as the bridge holds it, in both readings of a frame."""
    compare(tmp_path, INPUTS, 9, buttons=(0x08, 0x10, 0x20, 0x40, 0x78, 0x00, 0x18))


@pytest.mark.parametrize(
    ("dip1", "dip2", "in0", "in1", "in2", "knob"),
    [
        (0x00, 0x00, 0x3F, 0x00, 0x00, 0),
        (0xA5, 0x5A, 0x2A, 0x10, 0x03, 0),
        (0x1F, 0xE7, 0x15, 0x00, 0x04, 10),
        (0xFF, 0xFF, 0x00, 0x00, 0x05, 15),
    ],
)
def test_switches(tmp_path: Path, dip1: int, dip2: int, in0: int, in1: int, in2: int, knob: int) -> None:
    """The knob, coins, tilt, self-test, cabinet, difficulty, rating and both DIP switches, as a program reads them."""
    wanted = f'local WANTED = {{[":DSW1"] = {dip1}, [":DSW2"] = {dip2}, [":IN0"] = {in0}, knob = {knob}, '
    wanted += f'[":IN1_DSW0"] = {in1 ^ 0x10}, [":IN2"] = {in2 ^ 0x07}}}\n'
    board = {"dip1": dip1, "dip2": dip2, "in0": in0, "in1": in1, "in2": in2, "knob": knob}
    compare(tmp_path, INPUTS, 2, fields=wanted + SET_INPUTS, board=board)


def test_mathbox(tmp_path: Path) -> None:
    """Every command with random data, 7,000 in a row, so that each sees what earlier ones left in the registers."""
    random = np.random.default_rng(1981)
    count = 7000
    commands = random.integers(0, 32, count).astype(np.uint8)
    # Random arguments alone would hardly ever reach the interesting commands with fresh operands.
    commands[::7] = random.choice([0x0B, 0x11, 0x12, 0x13, 0x14, 0x1C, 0x1D, 0x1E], len(commands[::7]))
    data = random.integers(0, 256, count).astype(np.uint8)
    data[commands == 0x0C] &= 0x1F
    pairs = np.stack([commands, data], axis=1).tobytes()
    source = (
        START
        + f"""
    LDA #<pairs
    STA $10
    LDA #>pairs
    STA $11
page:
    LDA #0
    STA $12
    LDA #2
    STA $13
    LDA #3
    STA $16
next:
    LDY #0
    LDA ($10),Y
    TAX
    INY
    LDA ($10),Y
    STA $6080,X
    DEY
    LDA $6060
    STA ($12),Y
    INY
    LDA $6070
    STA ($12),Y
    LDA $6040
    ORA $14
    STA $14
    CLC
    LDA $10
    ADC #2
    STA $10
    BCC same
    INC $11
same:
    CLC
    LDA $12
    ADC #2
    STA $12
    BNE next
    INC $13
    STA $5000
    DEC $16
    BNE next
    INC $03
    JMP page
pairs:
{table(pairs)}
"""
    )
    compare(tmp_path, source, count // 384)


def test_earom(tmp_path: Path) -> None:
    """Writes, erasures, reads and half-done control sequences in random order; then all cells read out."""
    random = np.random.default_rng(2055)
    count = 5000
    steps = np.zeros((count, 3), np.uint8)
    steps[:, 0] = random.integers(0, 64, count)
    steps[:, 1] = random.integers(0, 256, count)
    steps[:, 2] = random.integers(0, 16, count)
    source = (
        START
        + f"""
    LDA #<steps
    STA $10
    LDA #>steps
    STA $11
page:
    LDA #0
    STA $12
    LDA #2
    STA $13
next:
    LDY #0
    LDA ($10),Y
    TAX
    INY
    LDA ($10),Y
    BMI control
    STA $6000,X
control:
    INY
    LDA ($10),Y
    STA $6040
    LDA $6050
    LDY #0
    STA ($12),Y
    CLC
    LDA $10
    ADC #3
    STA $10
    BCC same
    INC $11
same:
    INC $12
    BNE next
    INC $13
    STA $5000
    LDA $13
    CMP #6
    BNE next
    INC $03
    JMP page
steps:
{table(steps.tobytes())}
"""
    )
    compare(tmp_path, source, count // 1024)


LOGGING_IRQ = """
irq:
    STA $F0
    PLA
    STX $F1
    LDX $F2
    STA $0300,X
    PLA
    STA $0400,X
    PLA
    STA $0500,X
    PHA
    LDA $0400,X
    PHA
    LDA $0300,X
    PHA
    INC $F2
    BNE more
    INC $03
more:
    STA $5000
    LDX $F1
    LDA $F0
    RTI
"""

LATENCY_BODIES = {
    "cli and sei": "    SEI\n    INC $20\n    CLI\n    SEI\n    LDA #1\n    CLI\n    NOP\n    CLI\n    INC $21\n",
    "plp": "    PHP\n    SEI\n    PLP\n    LDA #4\n    PHA\n    PLP\n    LDA #0\n    PHA\n    PLP\n    LDA $20\n",
    "rti": """    SEI
    LDA #>back
    PHA
    LDA #<back
    PHA
    LDA #0
    PHA
    RTI
    NOP
back:
    INC $20
""",
    "branches": """    LDX #3
turn:
    DEX
    BNE turn
    CLC
    BCC on
    NOP
on:
    BCS off
    LDA $1FF,X
off:
    INC $22
""",
    "brk": "    CLI\n    BRK\n    NOP\n    INC $20\n    SEI\n    BRK\n    NOP\n    CLI\n",
    "device reads": "    LDA $60CA\n    LSR A\n    LDX $60DA\n    NOP\n    LDY $60C8\n    LDA $20\n",
    "device writes": "    STA $60CC\n    LSR A\n    STA $60DC\n    INC $20\n",
    "vector generator writes": "    STA $4800\n    LSR A\n    STA $5800\n    NOP\n    LDA $0C00\n",
    "acknowledged too early": "    STA $5000\n    LSR A\n    LDX $20\n    STA $5000\n    CLI\n",
    "long instructions": """    LDX #$FF
    INC $0123,X
    ASL $0140,X
    LDA ($40),Y
    STA $0120,X
    JSR sub
    JMP ($0050)
    NOP
sub:
    PHA
    PLA
    RTS
""".replace("    JMP ($0050)\n    NOP\n", "    JMP past\n").replace("    RTS\n", "    RTS\npast:\n"),
    "held line": "    SEI\n"
    + "    INC $20\n    LDY #0\nlong:\n    DEY\n    BNE long\n"
    + "    CLI\n    LDA #1\n    LDA #2\n",
}


@pytest.mark.parametrize("name", list(LATENCY_BODIES))
def test_interrupts(tmp_path: Path, name: str) -> None:
    """Where each of some thousand interrupts cuts in, and the status it pushes, around everything that masks it."""
    source = START + "    CLI\nloop:\n" + LATENCY_BODIES[name] + "    JMP loop\n" + LOGGING_IRQ
    compare(tmp_path, source, 8)


def test_idle_loops(tmp_path: Path) -> None:
    """Waiting for the interrupt in the usual ways: loops over zero page and RAM, a jump to itself, nested waits."""
    source = (
        START
        + """
    CLI
frame:
    LDA #0
    STA $53
wait:
    LDA $53
    CMP #9
    BCC wait
    INC $03
wait_absolute:
    LDA $0253
    BEQ wait_absolute
    LDA #0
    STA $0253
    LDX $0C00
    STX $20
wait_two:
    BIT $53
    BMI leave
    LDX $54
    BNE leave
    LDY $53
    CPY #12
    BNE wait_two
leave:
    INC $21
    LDA $21
    CMP #5
    BNE frame
    JMP self
self:
    JMP self
irq:
    PHA
    INC $53
    INC $0253
    LDA $03
    CMP #5
    BNE not_yet
    INC $55
    LDA $55
    CMP #20
    BNE not_yet
    INC $03
not_yet:
    STA $5000
    PLA
    RTI
"""
    )
    compare(tmp_path, source, 6)


def test_watchdog(tmp_path: Path) -> None:
    """Not fed, it bites after 131,072 cycles; what survives, and when the program and interrupts start again."""
    source = """
reset:
    PHP
    TSX
    STX $10
    PLA
    STA $11
    LDX #$FF
    TXS
    LDA $0C00
    STA $12
    LDA $60C8
    STA $13
    LDA $60CA
    STA $14
    LDA #3
    STA $60CF
    LDA #$5A
    STA $6000
    STA $0801
    STA $2001
    LDA #$01
    STA $6081
    LDA $6070
    STA $15
    INC $03
    SED
    CLI
    LDA #0
    STA $16
    STA $17
    STA $18
count:
    INC $16
    BNE count
    INC $17
    BNE count
    INC $18
    JMP count
irq:
    STA $20
    LDA $16
    STA $21
    LDA $17
    STA $22
    LDA $18
    STA $23
    INC $24
    LDA $24
    CMP #19
    BNE out
    INC $03
out:
    LDA $20
    SEI
hang:
    JMP hang
"""
    compare(tmp_path, source, 5)


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "little") for value in values)


def noise(random: np.random.Generator, count: int) -> bytes:
    """Random words, but no jump out of vector memory: there MAME reads other devices, and does not repeat itself."""
    values = random.integers(0, 0x10000, count)
    jumps = (values & 0xA000) == 0xA000
    return np.where(jumps, values & 0xEFFF, values).astype("<u2").tobytes()


SHARES = {"VCTR": 0.3, "SVEC": 0.3, "STAT": 0.1, "SCAL": 0.1, "CNTR": 0.03, "JSRL": 0.12, "JMPL": 0.05}


def random_list(random: np.random.Generator, wild: bool) -> bytes:
    """256 bytes of display list with every opcode; a wild one is noise."""
    if wild:
        return noise(random, 128)
    values: list[int] = []
    routine = 108  # words from here on: subroutines for JSRL
    while len(values) < 90:
        kind = random.choice(list(SHARES), p=list(SHARES.values()))
        if kind == "VCTR":
            reach = int(random.choice([8, 200, 4095]))
            dx, dy = random.integers(-reach, reach + 1, 2)
            values += [int(dy) & 0x1FFF, int(random.integers(8)) << 13 | int(dx) & 0x1FFF]
        elif kind == "SVEC":
            values.append(0x4000 | int(random.integers(0x2000)))
        elif kind == "STAT":
            values.append(0x6000 | int(random.choice([0x800, 0])) | int(random.integers(0x800)) & 0x7FF)
        elif kind == "SCAL":
            values.append(0x7000 | int(random.integers(0x800)))
        elif kind == "CNTR":
            values.append(0x8000)
        elif kind == "JSRL":
            values.append(0xA000 | routine + 6 * int(random.integers(3)))
        else:
            values += [0xE000 | len(values) + 2, 0x2000]
    values.append(0x2000 if random.random() < 0.8 else 0xE000)
    values += [0x2000] * (routine - len(values))
    for inner in (6, 12, 0):
        last = 0xC000 if inner == 0 else 0xA000 | routine + inner
        values += [0x4000 | int(random.integers(0x2000)), 0x7000 | int(random.integers(0x800))]
        values += [0x5F3F, 0x4000, last, 0xC000]
    return words(*values)[:256].ljust(256, b"\0")


SAMPLED_LISTS = (
    START
    + """
    LDA #<lists
    STA $10
    LDA #>lists
    STA $11
each:
    LDY #0
copy:
    LDA ($10),Y
    STA $2000,Y
    INY
    BNE copy
    STA $5800
    LDA $0C00
    STA $12
    STA $5000
    STA $4800
    LDX $11
early:
    DEX
    BNE early
    LDX #0
sample:
    LDY #7
between:
    DEY
    BNE between
    LDA $0C00
    AND #$40
    STA $0200,X
    LDA $0C00
    STA $0300,X
    NOP
    LDA $0C00
    STA $0400,X
    INX
    BNE sample
    STA $5000
    INC $03
    INC $11
    JMP each
lists:
"""
)


@pytest.mark.parametrize("wild", [False, True])
def test_display_lists(tmp_path: Path, wild: bool) -> None:
    """The halt flag at 768 cycles after GO, for 60 lists of all opcodes, and for 60 of plain noise."""
    random = np.random.default_rng(570 + wild)
    lists = b"".join(random_list(random, wild) for _ in range(60))
    vectors = {0x3000: noise(random, 0x7F8) + words(*[0xE000] * 8)}
    compare(tmp_path, SAMPLED_LISTS + table(lists), 60, vectors=vectors)


def test_halt_flag_to_the_cycle(tmp_path: Path) -> None:
    """Lists of different length, each started 256 times and polled at another phase, across interrupts and frames."""
    lists = (
        words(0x2000),
        words(0x7100, *[300, 0x8000 | 0x1FF0] * 12, 0x8000, 0x2000),
        words(0x7000, *[5, 0x8003] * 6, *[0x4503, 0x5C1F] * 4, 0x2000),
        words(*[0x8000] * 3, 0x2000),
    )
    source = (
        START
        + f"""
    LDA #<lists
    STA $10
    LDA #>lists
    STA $11
list:
    LDY #0
copy:
    LDA ($10),Y
    STA $2000,Y
    INY
    BNE copy
again:
    STA $4800
    LDA #0
    STA $20
    STA $21
    LDY $30
delay:
    DEY
    BNE delay
wait:
    INC $20
    BNE on
    INC $21
on:
    BIT $0C00
    BVC wait
    LDX $30
    LDA $20
    STA $0200,X
    LDA $21
    STA $0300,X
    STA $5000
    LDA $60CA
    INC $30
    BNE again
    INC $03
    INC $11
    JMP list
lists:
{table(b"".join(one.ljust(256, bytes(1)) for one in lists))}
"""
    )
    compare(tmp_path, source, len(lists))


def test_list_changed_while_drawn(tmp_path: Path) -> None:
    """An endless list whose words change under the generator, ending in HALT at another moment each time; GO while
    it runs; GO while the halt is on its way; reset while it runs."""
    source = (
        START
        + """
    LDA #3
    STA $60CF
again:
    LDX #0
fill:
    LDA body,X
    STA $2000,X
    INX
    CPX #40
    BNE fill
    STA $4800
    LDA $60CA
    LSR A
    TAX
    INX
late:
    LDY #30
inner:
    DEY
    BNE inner
    DEX
    BNE late
    LDA $30
    LSR A
    BCC halt
    STA $4800
halt:
    LDA $60CA
    AND #$1E
    TAX
    LDA #$20
    STA $2001,X
    LDA #0
    STA $21
    STA $20
    LDA $30
    AND #7
    CMP #7
    BNE wait
    STA $5800
wait:
    INC $20
    BNE on
    INC $21
    STA $5000
    LDA $21
    CMP #20
    BEQ stuck
on:
    BIT $0C00
    BVC wait
stuck:
    LDA $30
    AND #3
    BNE keep
    STA $4800
    STA $4800
    LDA $0C00
    STA $22
keep:
    LDX $30
    LDA $20
    STA $0200,X
    LDA $21
    STA $0300,X
    LDA $22
    STA $0400,X
    INC $30
    LDA $30
    AND #15
    BEQ done
    JMP again
done:
    STA $5000
    INC $03
    JMP again
body:
"""
        + table(words(0x7100, *[300, 0x8000 | 0x1FF0] * 8, 0x8000, 0xE000).ljust(64, b"\0"))
    )
    compare(tmp_path, source, 24, phase=4711)
