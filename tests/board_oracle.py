"""Runs small test programs on real MAME and on the board, and returns what both did, bridge point by bridge point.

A program is 6502 assembly text (see `assemble`); it shows results by leaving them in RAM and changing $03.
"""

from __future__ import annotations

import os
import re
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tempest_gym.board import Boards, translation
from tempest_gym.board.layout import DEFAULT_MODEL
from tempest_gym.board.opcodes import OPCODES
from tempest_gym.board.translation.compiler import compile_program
from tempest_gym.machines.mame_process import find_mame
from tempest_gym.roms import load_roms, squall_rom

_CODES = {(opcode.name, opcode.mode): opcode.code for opcode in OPCODES}
_OPERANDS = (
    ("imm", re.compile(r"^#(.+)$")),
    ("izx", re.compile(r"^\((.+),X\)$")),
    ("izy", re.compile(r"^\((.+)\),Y$")),
    ("ind", re.compile(r"^\((.+)\)$")),
    ("abx", re.compile(r"^(.+),X$")),
    ("aby", re.compile(r"^(.+),Y$")),
    ("abs", re.compile(r"^(.+)$")),
)
_SHORT = {"abs": "zp", "abx": "zpx", "aby": "zpy"}


DECIMAL = """
reset:
    SED
    LDA #0
    STA $10
each:
    LDX #0
add:
    LDA $11
    LSR A
    TXA
    ADC $10
    STA $0200,X
    PHP
    PLA
    STA $0300,X
    LDA $11
    LSR A
    TXA
    SBC $10
    STA $0400,X
    PHP
    PLA
    STA $0500,X
    INX
    BNE add
    STA $5000
    INC $03
    INC $10
    BNE each
    LDA $11
    EOR #1
    STA $11
    JMP each
"""
"""ADC, then SBC, of 256 accumulators with one operand for each bridge point; results and status bytes in RAM."""


class _Assembler:
    def __init__(self, origin: int) -> None:
        self.origin = origin
        self.labels: dict[str, int] = {}

    def value(self, text: str, final: bool) -> int:
        text = text.strip()
        if text.startswith("<"):
            return self.value(text[1:], final) & 0xFF
        if text.startswith(">"):
            return self.value(text[1:], final) >> 8
        total = 0
        for sign, term in re.findall(r"([+-]?)\s*([^+-]+)", text):
            term = term.strip()
            if term.startswith("$"):
                number = int(term[1:], 16)
            elif term.isdigit():
                number = int(term)
            else:
                number = self.labels[term] if final else self.labels.get(term, 0x9000)
            total += -number if sign == "-" else number
        return total

    def line(self, text: str, address: int, final: bool) -> bytes:
        name, _, operand = text.partition(" ")
        operand = operand.strip()
        if name == ".byte":
            return bytes(self.value(part, final) & 0xFF for part in operand.split(","))
        if name == ".word":
            words = [self.value(part, final) for part in operand.split(",")]
            return b"".join(word.to_bytes(2, "little") for word in words)
        if name == ".res":
            return bytes(self.value(operand, final))
        if not operand or operand == "A":
            mode = "imp" if (name, "imp") in _CODES else "acc"
            return bytes([_CODES[name, mode]])
        if (name, "rel") in _CODES:
            distance = self.value(operand, final) - address - 2
            assert not final or -128 <= distance < 128, f"branch too far: {text}"
            return bytes([_CODES[name, "rel"], distance & 0xFF])
        mode, inner = next(
            (mode, found[1]) for mode, pattern in _OPERANDS if (found := pattern.match(operand))
        )
        number = self.value(inner, final)
        if mode in _SHORT and number < 0x100 and (name, _SHORT[mode]) in _CODES:
            mode = _SHORT[mode]
        size = 2 if mode in ("abs", "abx", "aby", "ind") else 1
        return bytes([_CODES[name, mode]]) + (number & (1 << 8 * size) - 1).to_bytes(size, "little")


def assemble(source: str, origin: int = 0x9000) -> tuple[bytes, dict[str, int]]:
    """Machine code and labels of 6502 assembly text.

    One statement a line, ``;`` starts a comment, ``name:`` a label, ``name = value`` an equate; ``.byte``, ``.word``
    and ``.res`` place data. Addresses below $0100 use the short forms.
    """
    assembler = _Assembler(origin)
    lines = [line for raw in source.splitlines() if (line := raw.partition(";")[0].strip())]
    code = b""
    for final in (False, False, True):
        code = b""
        for line in lines:
            if line.endswith(":"):
                assembler.labels[line[:-1]] = origin + len(code)
            elif "=" in line:
                name, _, value = line.partition("=")
                assembler.labels[name.strip()] = assembler.value(value, final)
            else:
                code += assembler.line(line, origin + len(code), final)
    return code, assembler.labels


def rom_files(source: str, vectors: dict[int, bytes] | None = None) -> dict[str, bytes]:
    """The files of a `tempest1` set that runs `source`; labels ``reset``, ``irq`` and ``nmi`` are its vectors.

    `vectors` places bytes in the vector ROM ($3000-$3FFF) by address.
    """
    code, labels = assemble(source)
    program = bytearray(0x5000)
    program[: len(code)] = code
    for place, name in ((0xDFFA, "nmi"), (0xDFFC, "reset"), (0xDFFE, "irq")):
        program[place - 0x9000 : place - 0x9000 + 2] = labels.get(name, labels["reset"]).to_bytes(2, "little")
    vector_rom = bytearray(0x1000)
    for address, content in (vectors or {}).items():
        vector_rom[address - 0x3000 : address - 0x3000 + len(content)] = content
    return _split(bytes(program), bytes(vector_rom))


def _split(program: bytes, vector_rom: bytes) -> dict[str, bytes]:
    files = dict(squall_rom().files)
    names = list(files)
    programs = [name for name in names if re.match(r"136002-1(1[3-9]|2[0-2])\.", name)]
    pictures = [name for name in names if re.match(r"136002-12[34]\.", name)]
    assert (len(programs), len(pictures)) == (10, 2), names
    for index, name in enumerate(programs):
        files[name] = program[index * 0x800 : (index + 1) * 0x800]
    for index, name in enumerate(pictures):
        files[name] = vector_rom[index * 0x800 : (index + 1) * 0x800]
    return files


@dataclass
class Trace:
    """What a machine showed at each bridge point.

    Attributes:
        cycles: shape (n,), int64: the cycle of the write that changed $03.
        ram: (n, 2048), uint8. vram: (n, 4096). colour: (n, 16).
    """

    cycles: NDArray[np.int64]
    ram: NDArray[np.uint8]
    vram: NDArray[np.uint8]
    colour: NDArray[np.uint8]


_RECORD = np.dtype(
    [("cycle", "<i8"), ("ram", np.uint8, 0x800), ("vram", np.uint8, 0x1000), ("colour", np.uint8, 16)]
)

_LUA = Path(__file__).parent / "board_oracle.lua"


def run_mame(
    folder: Path,
    files: dict[str, bytes],
    bridges: int,
    *,
    phase: int = 0,
    buttons: tuple[int, ...] = (),
    fields: str = "",
) -> Trace:
    """Run a ROM set in the MAME that the package finds, to bridge point number `bridges`.

    Args:
        folder: an empty folder of the test.
        phase: added to the random sequences' index.
        buttons: what $60D8 shows in its button bits after bridge point 1, 2, ... (the last stays).
        fields: Lua statements run before the first cycle, to set switches.
    """
    (folder / "roms" / "tempest1").mkdir(parents=True)
    for name, content in files.items():
        (folder / "roms" / "tempest1" / name).write_bytes(content)
    output = folder / "trace.bin"
    (folder / "setup.lua").write_text(fields)
    home = folder / "home"
    home.mkdir()
    environment = {
        **os.environ,
        "HOME": str(home),
        "SDL_NO_SIGNAL_HANDLERS": "1",
        "SDL_VIDEODRIVER": "dummy",
        "BOARD_ORACLE": f"{output}\n{bridges}\n{phase}\n{','.join(map(str, buttons))}\n{folder / 'setup.lua'}\n",
    }
    command = [str(find_mame()), "tempest1", "-rompath", str(folder / "roms"), "-autoboot_script", str(_LUA)]
    command += ["-autoboot_delay", "0", "-video", "none", "-sound", "none", "-nothrottle", "-skip_gameinfo"]
    command += ["-frameskip", "10", "-nonvram_save", "-noreadconfig"]
    for option in ("cfg", "nvram", "snapshot", "state", "diff", "comment", "input"):
        command += [f"-{option}_directory", str(folder / option)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    records = np.fromfile(output, _RECORD)
    assert len(records) == bridges, (len(records), done.stderr[-2000:], done.stdout[-2000:])
    return Trace(records["cycle"], records["ram"], records["vram"], records["colour"])


def run_board(
    files: dict[str, bytes],
    bridges: int,
    folder: Path,
    *,
    phase: int = 0,
    buttons: tuple[int, ...] = (),
    skip_idle: bool = True,
    translate: bool = False,
    model: str = DEFAULT_MODEL,
    **fields: int,
) -> Trace:
    """Run the same on a board of that model; `fields` are set in the state after power-on."""
    boards = load_boards(files, folder, model=model)
    if translate:
        boards.use_translation(translation.load_table(compile_program(boards.rom, [])))
    state = boards.fields
    state["phase"] = phase
    state["skip_idle"] = skip_idle
    for name, value in fields.items():
        state[name] = value
    records = np.zeros(bridges, _RECORD)
    for index in range(bridges):
        boards.run()
        assert boards.error_text(0) is None, boards.error_text(0)
        # The bridge point is the last cycle of the instruction that changed $03.
        records[index] = (state["cycles"][0] - 1, boards.ram[0], boards.vram[0], boards.colour[0])
        if buttons:
            state["buttons"] = buttons[min(index, len(buttons) - 1)]
    return Trace(records["cycle"], records["ram"], records["vram"], records["colour"])


def load_boards(files: dict[str, bytes], folder: Path, n: int = 1, model: str = DEFAULT_MODEL) -> Boards:
    """Boards with such a ROM set."""
    target = folder / "board" / "tempest1"
    target.mkdir(parents=True)
    for name, content in files.items():
        (target / name).write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Boards(load_roms(target.parent, "tempest1"), n, model=model)


def assert_equal(mame: Trace, board: Trace) -> None:
    """Both machines showed the same, and at the same cycles."""
    for index in range(len(mame.cycles)):
        for space in ("ram", "vram", "colour"):
            theirs, ours = getattr(mame, space)[index], getattr(board, space)[index]
            wrong = np.flatnonzero(theirs != ours)
            listing = ", ".join(f"${a:04X}: MAME ${theirs[a]:02X}, board ${ours[a]:02X}" for a in wrong[:12])
            assert not len(wrong), f"bridge point {index + 1}, {space}: {listing}"
        assert mame.cycles[index] == board.cycles[index], (
            f"bridge point {index + 1}: MAME at cycle {mame.cycles[index]}, board at {board.cycles[index]}"
        )
