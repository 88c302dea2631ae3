"""Small programs of our own on real MAME and on the board: the same memory at the same cycle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_oracle import assert_equal, rom_files, run_board, run_mame

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
    """Run `source` on both to that bridge point and hold everything equal, with and without idle-loop skipping."""
    files = rom_files(source, vectors)
    mame = run_mame(folder / "mame", files, bridges, fields=fields, **both)
    for skip in (True, False):
        ours = run_board(files, bridges, folder / f"skip {skip}", skip_idle=skip, **both, **(board or {}))
        assert_equal(mame, ours)


def table(values: bytes) -> str:
    """``.byte`` lines."""
    lines = [values[start : start + 32] for start in range(0, len(values), 32)]
    return "\n".join("    .byte " + ",".join(map(str, line)) for line in lines)


def test_power_on(tmp_path: Path) -> None:
    """First cycle, stack pointer, status byte, and what inputs, latches and unmapped addresses show."""
    reads = (0x0800, 0x0C00, 0x0D00, 0x0E00, 0x1000, 0x2000, 0x4000, 0x5000, 0x6000, 0x6040, 0x6050, 0x6060, 0x6070)
    reads += (0x6080, 0x60A0, 0x60C8, 0x60CA, 0x60D8, 0x60DA, 0x60CE, 0x60CF, 0x60E0, 0x7000, 0x8000, 0xE000)
    reads += (0xF000, 0xF800, 0xFFFC, 0x0C01, 0x0D80, 0x1C00, 0x6010, 0x6061)
    source = "reset:\n    PHP\n    TSX\n    STX $10\n    STA $11\n    STY $12\n"
    source += "".join(f"    LDA ${address:04X}\n    STA {0x20 + index}\n" for index, address in enumerate(reads))
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


def test_inputs(tmp_path: Path) -> None:
    """Every button, the knob, coins, tilt and self-test, and all DIP switches, read as a program reads them."""
    setup = """
    for _, port in pairs(manager.machine.ioport.ports) do
      for name, field in pairs(port.fields) do
        local tag = port.tag
        if tag == ":DSW1" or tag == ":DSW2" then
          if field.type_class == "dipswitch" then field.user_value = WANTED[tag] & field.mask end
        end
      end
    end
"""
    source = (
        START
        + """
    LDA #3
    STA $60CF
    STA $60DF
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
    buttons = (0x08, 0x10, 0x20, 0x40, 0x78, 0x00, 0x18)
    compare(tmp_path, source, 9, buttons=buttons)
    for dip1, dip2 in ((0x00, 0x00), (0xA5, 0x5A), (0x1F, 0xE7)):
        folder = tmp_path / f"dip {dip1}"
        wanted = f'local WANTED = {{[":DSW1"] = {dip1}, [":DSW2"] = {dip2}}}\n'
        compare(folder, source, 2, fields=wanted + setup, board={"dip1": dip1, "dip2": dip2})


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
    "held line": "    SEI\n" + "    INC $20\n    LDY #0\nlong:\n    DEY\n    BNE long\n" + "    CLI\n    LDA #1\n    LDA #2\n",
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
