"""A small program for the Tempest board, assembled by py65, that shows what the machine under it does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from py65.assembler import Assembler
from py65.devices.mpu6502 import MPU

from tempest_gym.rom_sets import AVG_PROM, ROM_FILES, ROM_SETS
from tempest_gym.roms import RomImage, RomWarning, load_roms
from tempest_gym.squall import prom

START, END = 0x9000, 0xE000

SHOW = """
reset:  SEI
        CLD
        LDX #$FF
        TXS
        INX
clear:  LDA #0
        STA $00,X
        STA $0200,X
        INX
        BNE clear
        LDA #$04
        STA $00
        LDA #$C0
        STA $05
        LDA #$03
        STA $48
        STA $0201
        STA $60CF
        STA $60DF
        LDA #$10
        STA $4000
        LDX #$0F
colour: TXA
        STA $0800,X
        DEX
        BPL colour
        STA $5800
        STA $5000
        CLI
wait:   LDA $53
        CMP #9
        BCC wait
        LDA #0
        STA $53
        LDA $50
        STA $71
        LDA #0
        STA $50
        LDA $4D
        STA $70
        LDA $60CA
        STA $80
        LDA $60CA
        STA $81
        LDA $60CA
        STA $82
        LDA $60CA
        STA $83
        LDA $60CA
        STA $84
        LDA $60DA
        STA $85
        LDX $03
        STA $2200,X
        INC $03
        JMP wait
irq:    PHA
        STA $5000
        INC $53
        LDA $60D8
        AND #$78
        STA $4D
        STA $60DB
        PLA
        RTI
"""
"""Plays a game that is always on: shows the buttons in $70, the spinner in $71, and random numbers in $80-$85
(five of POKEY 1 and one of POKEY 2, each 7 cycles after the other)."""

HANG = """
reset:  SEI
loop:   STA $5000
        JMP loop
irq:    RTI
"""
"""Never reaches a bridge point, and keeps the watchdog quiet."""


def assemble(source: str) -> bytes:
    """Return 20 KiB with the program at its start and the vectors at its end."""
    lines = [re.fullmatch(r"(?:(\w+):)?\s*(.+)", line.strip()) for line in source.strip().splitlines()]
    labels: dict[str, int] = {}
    program = b""
    for _ in range(2):  # The second pass knows the labels that lie ahead.
        program = b""
        for line in lines:
            assert line
            here = START + len(program)
            if line[1]:
                labels[line[1]] = here
            text = re.sub(r"\b[a-z]\w+\b", lambda m, here=here: f"${labels.get(m[0], here):04X}", line[2])
            program += bytes(Assembler(MPU()).assemble(text, here))
    image = bytearray(END - START)
    image[: len(program)] = program
    for vector, label in ((0xDFFA, "reset"), (0xDFFC, "reset"), (0xDFFE, "irq")):
        image[vector - START : vector - START + 2] = labels[label].to_bytes(2, "little")
    return bytes(image)


def tiny_rom(folder: Path, source: str) -> RomImage:
    """Write a set ``tempest1`` with this program and load it."""
    files = {name: bytes(ROM_FILES[name][0]) for name in ROM_SETS["tempest1"].names}
    image = assemble(source)
    for place, name in enumerate(ROM_SETS["tempest1"].program):
        files[name] = image[2048 * place : 2048 * (place + 1)]
    files[AVG_PROM] = prom.state_prom()
    target = folder / "tempest1"
    target.mkdir()
    for name, content in files.items():
        (target / name).write_bytes(content)
    with pytest.warns(RomWarning):
        return load_roms(target)
