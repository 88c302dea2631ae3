"""Translated programs against the interpreter: the same rows, byte for byte and cycle for cycle."""

from __future__ import annotations

import platform
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tempest_gym.board import Boards, native, translation
from tempest_gym.board.layout import STATE_DTYPE, UNDOCUMENTED_OPCODE
from tempest_gym.board.opcodes import OPCODES, Opcode
from tempest_gym.board.translation import compiler
from tempest_gym.board.translation import jump_targets as rehearsal
from tempest_gym.board.translation.compiler import compile_program
from tempest_gym.board.translation.program import find_regions
from tempest_gym.vector import TempestVectorEnv

START = 0x9000
HANDLER = 0xFE00

# Zero page pointers and pages that random operands prefer: RAM, colour RAM, inputs, vector RAM and ROM, strobes, ROM.
POINTERS = (0x20, 0x30, 0x40)
PAGES = (0x00, 0x01, 0x02, 0x05, 0x07, 0x08, 0x0C, 0x20, 0x2F, 0x30, 0x40, 0x48, 0x50, 0x60, 0x90, 0xFF)

RARE = ([0x60], [0x60], [0x28], [0x58], [0x78], [0xE6, 0x03], [0x8D, 0x00, 0x50], [0x6C, 0x20, 0x00])
"""RTS, PLP, CLI, SEI, ``INC $03``, ``STA $5000`` and ``JMP ($20)``, which a random program has now and then."""

LEFT_OUT = frozenset({"BRK", "JMP", "JSR", "RTS", "RTI", "TXS", "PLP", "CLI", "SEI"})
"""What it has only so: most would soon end it, or lead it out of the ROM."""


def random_program(random: np.random.Generator, length: int) -> NDArray[np.uint8]:
    """A ROM image with a program that goes round and round, calls itself, and is interrupted."""
    memory = np.zeros(0x10000, np.uint8)
    memory[0x3000:0x4000] = random.integers(0, 256, 0x1000)
    memory[0x9800:] = random.integers(0, 256, 0x6800)
    usual = [opcode for opcode in OPCODES if opcode.name not in LEFT_OUT]
    code: list[int] = []
    starts = []
    calls = []
    while len(code) < length:
        starts.append(START + len(code))
        kind = random.random()
        if kind < 0.05:
            calls.append(len(code) + 1)
            code += [0x20 if kind < 0.04 else 0x4C, 0, 0]
        elif kind < 0.09:
            code += RARE[random.integers(len(RARE))]
        else:
            code += instruction(random, usual[random.integers(len(usual))])
    for place in calls:
        target = starts[random.integers(len(starts))]
        code[place : place + 2] = [target & 0xFF, target >> 8]
    # Acknowledge now and then, and start over.
    code += [0x8D, 0x00, 0x50, 0x58, 0x4C, START & 0xFF, START >> 8]
    memory[START : START + len(code)] = code
    interrupt = [0x48, 0x8D, 0x00, 0x50, 0xE6, 0x03, 0x68, 0x40]
    memory[HANDLER : HANDLER + len(interrupt)] = interrupt
    for vector, target in ((0xFFFA, HANDLER), (0xFFFC, START), (0xFFFE, HANDLER)):
        memory[vector : vector + 2] = [target & 0xFF, target >> 8]
    return memory


def instruction(random: np.random.Generator, opcode: Opcode) -> list[int]:
    """Bytes of an instruction with an operand that makes sense."""
    low = int(random.integers(256))
    if opcode.mode == "rel":
        return [opcode.code, int(random.integers(-24, 25)) & 0xFF]
    if opcode.mode in ("izy", "izx") and random.random() < 0.8:
        low = int(random.choice(POINTERS))
    if opcode.length == 3:
        page = int(random.choice(PAGES))
        if opcode.mode == "abs" and opcode.kind == "store" and page == 0x20:
            page += int(random.integers(16))
        return [opcode.code, low & (0x7F if page == 7 else 0xFF), page]
    return [opcode.code, low][: opcode.length]


def assert_same(boards: Boards, table: translation.Table, cycles: int) -> int:
    """Run rows 0 (interpreted), 1 (translated), 2 and 3 (likewise, stepping through idle loops) to their next stop
    and hold them equal; returns why they stopped."""
    boards.fields["skip_idle"] = (1, 1, 0, 0)
    results = []
    for row in range(4):
        boards.use_translation(table if row % 2 else None)
        results.append(boards.run_one(row, cycles))
    assert len(set(results)) == 1, results
    boards.fields["skip_idle"] = 1
    for row in range(1, 4):
        if boards.state[row].tobytes() != boards.state[0].tobytes():
            ours, theirs = (boards.state[index].view(STATE_DTYPE)[0] for index in (row, 0))
            names = [name for name in STATE_DTYPE.names or () if np.any(ours[name] != theirs[name])]
            shown = {name: (ours[name].tolist(), theirs[name].tolist()) for name in names}
            raise AssertionError(f"row {row} and row 0: {shown}")
    return results[0]


@given(seed=st.integers(0, 2**32 - 1), length=st.sampled_from([20, 60, 200]))
@settings(max_examples=40, deadline=None)
def test_random_programs(seed: int, length: int) -> None:
    """From random states, with interrupts and watchdog bites, over many bridge points and odd stops."""
    random = np.random.default_rng(seed)
    memory = random_program(random, length)
    targets = random.integers(START, START + length, 3).tolist()
    table = translation.load_table(compile_program(memory, targets))
    boards = Boards(SimpleNamespace(memory=memory), 4)
    first = boards.fields[0]
    first["ram"] = random.integers(0, 256, 0x800)
    for place in POINTERS:
        first["ram"][place : place + 2] = random.integers(256), random.choice(PAGES)
    for name in ("a", "x", "y"):
        first[name] = random.integers(256)
    first["p"] = random.integers(256) | 0x30
    boards.state[1:] = boards.state[0]
    for _ in range(12):
        if assert_same(boards, table, int(random.integers(1, 30_000))) == UNDOCUMENTED_OPCODE:
            break


@pytest.mark.parametrize("place", [0x0000, 0x0001, 0x0002, 0x0007, 0x0100, 0x07F0, 0x2000, 0x3000, 0x8800])
@pytest.mark.parametrize("way", ["JMP", "RTS", "JMP ()"])
def test_programs_outside_of_rom(place: int, way: str) -> None:
    """Translated code continues in RAM, in vector memory and at unmapped addresses."""
    low, high = place & 0xFF, place >> 8
    behind = place - 1 & 0xFFFF
    code = {
        "JMP": [0x4C, low, high],
        "RTS": [0xA9, behind >> 8, 0x48, 0xA9, behind & 0xFF, 0x48, 0x60],
        "JMP ()": [0xA9, low, 0x85, 0x80, 0xA9, high, 0x85, 0x81, 0x6C, 0x80, 0x00],
    }[way]
    memory = np.zeros(0x10000, np.uint8)
    memory[START : START + len(code)] = code
    memory[0x3000:0x3003] = there = [0x4C, START & 0xFF, START >> 8]
    memory[0xFFFC:] = [START & 0xFF, START >> 8] * 2
    boards = Boards(SimpleNamespace(memory=memory), 4)
    for space in (boards.ram, boards.vram):
        for at in {place & 0x7FF, 0}:
            space[:, at : at + 3] = there
    table = translation.load_table(compile_program(memory, []))
    for _ in range(3):
        assert_same(boards, table, 1000)


def test_random_programs_use_every_opcode() -> None:
    """What the generator above makes and the translation takes is all but what is meant to be left out."""
    translated = set()
    for seed in range(40):
        memory = random_program(np.random.default_rng(seed), 200)
        for region in find_regions(memory, []):
            translated |= {each.opcode.name for block in region.blocks.values() for each in block}
    assert {opcode.name for opcode in OPCODES} - translated == {
        "BRK",
        "CLI",
        "PHP",
        "PLP",
        "RTI",
        "SEI",
        "TXS",
    }


def test_play_at_every_level() -> None:
    """Two fleets play the same games of Squall, one translated, one interpreted: every row stays the same."""
    levels = range(1, 82, 5)
    translated, interpreted = (TempestVectorEnv(len(levels), threads=1) for _ in range(2))
    interpreted.fleet.boards.use_translation(None)
    try:
        for env in (translated, interpreted):
            for row, level in enumerate(levels):
                mask = np.arange(len(levels)) == row
                options = {"start_level": level, "reset_mask": mask}
                _, infos = env.reset(seed=[77 + row] * len(levels), options=options)
        random = np.random.default_rng(5)
        for _ in range(400):
            actions = np.where(
                random.random(len(levels)) < 0.8, infos["expert_action"], random.integers(0, 44, len(levels))
            )
            infos = translated.step(actions)[4]
            interpreted.step(actions)
            assert translated.fleet.boards.state.tobytes() == interpreted.fleet.boards.state.tobytes()
        assert len(set(infos["level"].tolist())) > 10
    finally:
        translated.close()
        interpreted.close()


def test_a_user_s_program_is_translated_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first `Boards` of a ROM compiles it into the cache, later ones load it, in the same process not even that;
    another ROM's is another file."""
    native.load()
    monkeypatch.setenv(native.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(rehearsal, "_FRAMES", 8)
    memory = random_program(np.random.default_rng(1), 60)
    tables = []
    for _ in range(2):
        monkeypatch.setattr(translation, "_tables", {})
        tables.append(translation.table_for(memory))
        assert translation.table_for(memory) is tables[-1]
        assert len(list(tmp_path.glob("program-*.o"))) == 1
    assert all(np.array_equal(np.flatnonzero(table), np.flatnonzero(tables[0])) for table in tables)
    assert tables[0][START] != 0
    memory[START + 1] ^= 1
    translation.precompile(memory)
    assert len(list(tmp_path.glob("program-*.o"))) == 2


@pytest.mark.parametrize("trouble", ["processor", "compiler"])
def test_the_interpreter_runs_what_cannot_be_translated(
    trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    native.load()
    monkeypatch.setenv(native.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(translation, "_tables", {})
    if trouble == "processor":
        monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    else:
        monkeypatch.setattr(compiler, "translate", lambda *_: "this is not LLVM IR")
        monkeypatch.setattr(rehearsal, "_FRAMES", 8)
    image = SimpleNamespace(memory=random_program(np.random.default_rng(1), 60))
    slow, interpreted = Boards(image, 1, translate=True), Boards(image, 1)
    for boards in (slow, interpreted):
        boards.run()
    assert slow.state.tobytes() == interpreted.state.tobytes()
    assert ("was not translated" in caplog.text) == (trouble == "compiler")
