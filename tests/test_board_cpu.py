"""The 6502 against py65, decimal mode against its published description, and properties that hold for any program."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from board_oracle import DECIMAL, assemble
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from py65.devices.mpu6502 import MPU

from tempest_gym.board import STATE_BYTES, Boards
from tempest_gym.board.layout import BRIDGE_REACHED, CYCLES_EXHAUSTED, UNDOCUMENTED_OPCODE
from tempest_gym.board.opcodes import OPCODES

CODE = 0x0300
FAR = 1 << 60
TRIALS = 48

# Bytes that make addresses in RAM (with room for an index) or ROM, so that no device is touched.
SAFE = np.array([*range(7), *range(0x90, 0x100)], np.uint8)


def image(memory: NDArray[np.uint8]) -> SimpleNamespace:
    return SimpleNamespace(memory=memory)


def rom_with(program: bytes) -> NDArray[np.uint8]:
    memory = np.zeros(0x10000, np.uint8)
    memory[0x9000 : 0x9000 + len(program)] = np.frombuffer(program, np.uint8)
    memory[0xFFFA:0x10000] = np.frombuffer(b"\x00\x90" * 3, np.uint8)
    return memory


def quiet(boards: Boards) -> None:
    """No interrupt and no watchdog for now."""
    boards.fields["next_irq"] = FAR
    boards.fields["watchdog"] = FAR


@pytest.mark.parametrize(
    "opcode", OPCODES, ids=lambda opcode: f"{opcode.code:02X} {opcode.name} {opcode.mode}"
)
def test_one_instruction_as_py65(opcode: SimpleNamespace) -> None:
    """Registers, flags, memory and cycles after one instruction, from random states."""
    random = np.random.default_rng(opcode.code)
    memory = np.zeros(0x10000, np.uint8)
    memory[0x9000:] = random.choice(SAFE, 0x7000)
    boards = Boards(image(memory), TRIALS)
    quiet(boards)
    fields = boards.fields
    boards.ram[:] = random.choice(SAFE, (TRIALS, 0x800))
    fields["pc"] = CODE + random.integers(0, 0x200, TRIALS)
    for name in ("a", "x", "y", "sp", "p"):
        fields[name] = random.integers(0, 256, TRIALS)
    fields["p"] |= 0x30
    if opcode.name in ("ADC", "SBC"):
        fields["p"] &= ~0x08
    for row in range(TRIALS):
        pc = int(fields["pc"][row])
        boards.ram[row, pc] = opcode.code
        if opcode.mode == "rel":
            boards.ram[row, pc + 1] = random.integers(0, 256)
    before = boards.state.copy()
    boards.run(max_cycles=1)

    for row in range(TRIALS):
        start = before[row].view(fields.dtype)[0]
        theirs = MPU()
        theirs.memory = memory.tolist()
        theirs.memory[:0x800] = start["ram"].tolist()
        for name in ("pc", "a", "x", "y", "sp", "p"):
            setattr(theirs, name, int(start[name]))
        theirs.step()
        # py65 lets a store change ROM, and takes DEC absolute for 3 cycles.
        wanted = [theirs.pc, theirs.a, theirs.x, theirs.y, theirs.sp, theirs.p | 0x30]
        ours = [int(fields[name][row]) for name in ("pc", "a", "x", "y", "sp", "p")]
        assert ours == wanted, f"from {start}"
        assert boards.ram[row].tolist() == theirs.memory[:0x800]
        cycles = 6 if opcode.code == 0xCE else theirs.processorCycles
        assert int(fields["cycles"][row] - start["cycles"]) == cycles


def decimal_mode(subtract: bool, b: int, carry: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Results and status bytes (N, V, Z, C) for all 256 values of A, after Bruce Clark's description of the NMOS
    6502 ("Decimal Mode", appendix A, sequences 1, 2 and 3)."""
    a = np.arange(256)
    signed_a, signed_b = ((value ^ 0x80) - 0x80 for value in (a & 0xF0, b & 0xF0))
    binary = a - b - 1 + carry if subtract else a + b + carry
    zero = (binary & 0xFF) == 0
    if subtract:
        low = (a & 0x0F) - (b & 0x0F) + carry - 1
        low = np.where(low < 0, ((low - 6) & 0x0F) - 0x10, low)
        total = (a & 0xF0) - (b & 0xF0) + low
        total = np.where(total < 0, total - 0x60, total)
        negative = (binary & 0x80) != 0
        difference = ((a ^ 0x80) - 0x80) - ((b ^ 0x80) - 0x80) - 1 + carry
        overflow = (difference < -128) | (difference > 127)
        carried = binary >= 0
    else:
        low = (a & 0x0F) + (b & 0x0F) + carry
        low = np.where(low >= 0x0A, ((low + 6) & 0x0F) + 0x10, low)
        total = (a & 0xF0) + (b & 0xF0) + low
        signed = signed_a + signed_b + low
        negative = (signed & 0x80) != 0
        overflow = (signed < -128) | (signed > 127)
        total = np.where(total >= 0xA0, total + 0x60, total)
        carried = total >= 0x100
    status = negative * 0x80 + overflow * 0x40 + 0x38 + zero * 0x02 + carried * 0x01
    return total & 0xFF, status


def test_decimal_mode() -> None:
    """Every accumulator, operand and carry, valid BCD or not, through ADC and SBC."""
    code, _ = assemble(DECIMAL)
    boards = Boards(image(rom_with(code)), 1)
    boards.fields["p"] &= ~0x04
    quiet(boards)
    for carry in (0, 1):
        for b in range(256):
            boards.run()
            assert boards.error_text(0) is None
            for subtract, place in ((False, 0x200), (True, 0x400)):
                result, status = decimal_mode(subtract, b, carry)
                assert boards.ram[0, place : place + 256].tolist() == result.tolist()
                flags = boards.ram[0, place + 256 : place + 512] & ~np.uint8(0x04)
                assert flags.tolist() == status.tolist(), f"subtract {subtract}, operand {b}, carry {carry}"
        quiet(boards)


@pytest.mark.parametrize("code", sorted(set(range(256)) - {opcode.code for opcode in OPCODES}))
def test_undocumented_opcode_is_named(code: int) -> None:
    """It stops there every time, with address and opcode as error; nothing has changed."""
    boards = Boards(image(rom_with(bytes([0xEA, code]))), 2)
    for _ in range(2):
        assert boards.run_one(1) == UNDOCUMENTED_OPCODE
        assert boards.error_text(1) is not None
        assert f"${code:02X}" in str(boards.error_text(1))
        assert "$9001" in str(boards.error_text(1))
    assert boards.error_text(0) is None
    assert boards.fields["cycles"][1] == boards.fields["cycles"][0] + 2


def test_no_bridge_point_is_an_error_and_can_be_resumed() -> None:
    code, _ = assemble("reset:\n    STA $5000\n    INC $10\n    JMP reset\n")
    boards = Boards(image(rom_with(code)), 1)
    boards.run(max_cycles=1000)
    assert "frame counter" in str(boards.error_text(0))
    assert boards.run_one(0, 5000) == CYCLES_EXHAUSTED
    once = Boards(image(rom_with(code)), 1)
    # A run ends with the first instruction at or after its last cycle.
    once.run(max_cycles=int(boards.fields["cycles"][0] - once.fields["cycles"][0]))
    assert once.ram.tobytes() == boards.ram.tobytes()


def test_a_loop_that_was_left_and_entered_again_is_not_skipped_by_the_time_in_between() -> None:
    """The loop LDA $10, BNE is entered at its BNE with equal registers, again and again, and left at once."""
    code = b"\xa9\x05\x4c\x10\x90" + b"\xea" * 9  # 9000: LDA #5, JMP $9010
    code += b"\xa5\x10\xd0\xfc"  # 900E: LDA $10; 9010: BNE $900E
    code += b"\xe6\x20\x4c\x00\x90"  # 9012: INC $20, JMP $9000
    boards = Boards(image(rom_with(code)), 2)
    boards.fields["skip_idle"][1] = 0
    for _ in range(5):
        assert boards.run_one(0, 1_000) == boards.run_one(1, 1_000) == CYCLES_EXHAUSTED
        assert boards.fields["cycles"][0] == boards.fields["cycles"][1]
        assert boards.ram[0].tobytes() == boards.ram[1].tobytes()


@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([16, 256, 8192]))
@example(seed=1548, size=8192)  # The watchdog ends an idle loop that is entered again.
@settings(max_examples=150, deadline=None)
def test_random_programs_stay_inside(seed: int, size: int) -> None:
    """Random bytes as program neither hang nor touch anything but their own row, skip idle loops or not, and
    restoring a snapshot brings the same future."""
    random = np.random.default_rng(seed)
    memory = np.zeros(0x10000, np.uint8)
    memory[0x3000:0x4000] = random.integers(0, 256, 0x1000)
    memory[0x8000:0x8100] = random.integers(0, 256, 0x100)
    documented = np.array([opcode.code for opcode in OPCODES], np.uint8)
    program = random.integers(0, 256, size).astype(np.uint8)
    if random.random() < 0.8:
        # Mostly opcodes without jumps, so that programs last longer than a few instructions.
        chosen = random.random(size) < 0.7
        program[chosen] = random.choice(documented, int(chosen.sum()))
    memory[0x9000:] = np.resize(program, 0x7000)
    boards = Boards(image(memory), 4)
    rom = boards.rom.copy()
    boards.fields["skip_idle"][2] = 0
    others = boards.state[[0, 3]].copy()
    for _ in range(4):
        results = [boards.run_one(row, 60_000) for row in (1, 2)]
        assert results[0] == results[1]
        assert set(results) <= {BRIDGE_REACHED, CYCLES_EXHAUSTED, UNDOCUMENTED_OPCODE}
        boards.fields["skip_idle"][2] = 1
        assert boards.snapshot(1) == boards.snapshot(2)
        boards.fields["skip_idle"][2] = 0
    assert boards.state[[0, 3]].tobytes() == others.tobytes()
    assert boards.rom.tobytes() == rom.tobytes()

    saved = boards.snapshot(1)
    boards.run_one(1, 60_000)
    after = boards.snapshot(1)
    boards.restore(3, saved)
    boards.run_one(3, 60_000)
    assert boards.snapshot(3) == after


def test_rows_are_independent_and_batches_equal_single_runs() -> None:
    code, _ = assemble(
        "reset:\n    LDA $60CA\n    ADC $10\n    STA $10\n    STA $5000\n    INC $03\n    JMP reset\n"
    )
    memory = rom_with(b"\xa9\x03\x8d\xcf\x60" + code.replace(b"\x00\x90", b"\x05\x90"))
    together, alone = Boards(image(memory), 5), Boards(image(memory), 5)
    for boards in (together, alone):
        boards.fields["phase"] = [0, 1, 5000, 77, 131_070]
    for _ in range(50):
        together.run(0, 2)
        together.run(2, 5)
        for row in range(5):
            alone.run_one(row)
    assert together.state.tobytes() == alone.state.tobytes()
    assert len({row.tobytes() for row in together.ram}) == 5
    assert together.state.shape == (5, STATE_BYTES)
    assert STATE_BYTES % 64 == 0


def test_arguments_are_checked() -> None:
    memory = rom_with(b"\xea")
    with pytest.raises(ValueError, match="at least one board"):
        Boards(image(memory), 0)
    with pytest.raises(ValueError, match="65536"):
        Boards(image(memory[:100]), 1)
    boards = Boards(image(memory), 2)
    with pytest.raises(IndexError, match="1:3 of 2"):
        boards.run(1, 3)
    with pytest.raises(ValueError, match=str(STATE_BYTES)):
        boards.restore(0, b"short")
