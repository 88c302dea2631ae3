"""Calls single routines of Squall on the in-process board and counts their cycles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tempest_gym.board import Boards
from tempest_gym.display.render import display_list, render_vectors
from tempest_gym.squall.build import CHIP, SET, build

LAUNCH = 0xDFC0
"""LDA #a, JSR routine, INC $03, JMP to itself: in the unused end of the program ROM."""
LAUNCH_CYCLES = 2 + 5


class _Image:
    def __init__(self, memory: NDArray[np.uint8]) -> None:
        self.memory = memory


class Routines:
    """A board on which a test puts RAM and calls routines by name.

    Attributes:
        ram, vector_ram, colour_ram: the board's memories, uint8.
        labels: address of every global name.
    """

    def __init__(self, folder: Path) -> None:
        labels = folder / "labels"
        files = build(labels=labels)
        self.labels = {
            fields[2][1:]: int(fields[1], 16)
            for line in labels.read_text().splitlines()
            if (fields := line.split())
        }
        memory = np.zeros(0x10000, np.uint8)
        for chip, place in zip(
            (*SET.program, *SET.vector), (*range(0x9000, 0xE000, CHIP), 0x3000, 0x3800), strict=True
        ):
            memory[place : place + CHIP] = np.frombuffer(files[chip], np.uint8)
        memory[0xF800:] = memory[0xD800:0xE000]
        assert (memory[LAUNCH : LAUNCH + 16] == 0xEA).all(), "the launch code needs unused ROM"
        self.memory = memory
        self.boards = Boards(_Image(memory), 1)
        self.ram = self.boards.ram[0]
        self.vector_ram = self.boards.vram[0]
        self.colour_ram = self.boards.colour[0]
        for _ in range(4):
            self.boards.run()

    def call(self, name: str, a: int = 0) -> int:
        """Calls a routine with this A; returns the cycles from its JSR to after its RTS."""
        target = self.labels[name]
        self.memory[LAUNCH : LAUNCH + 10] = (
            0xA9,
            a,
            0x20,
            target & 0xFF,
            target >> 8,
            0xE6,
            3,
            0x4C,
            LAUNCH + 7 & 0xFF,
            LAUNCH >> 8,
        )
        self.boards.rom[LAUNCH : LAUNCH + 10] = self.memory[LAUNCH : LAUNCH + 10]
        fields = self.boards.fields
        fields["pc"] = LAUNCH
        fields["p"] |= 4
        far = int(fields["cycles"][0]) + 10**9
        fields["watchdog"] = far
        fields["next_irq"] = far
        fields["irq"] = 0
        self.ram[7] = int(self.ram[7]) + 9 & 0xFF  # interrupts, as if a frame had passed
        before = int(fields["cycles"][0])
        frame = int(self.ram[3])
        self.boards.run()
        assert self.boards.error_text(0) is None, self.boards.error_text(0)
        self.ram[3] = frame
        return int(fields["cycles"][0]) - before - LAUNCH_CYCLES

    def lines(self) -> NDArray[np.float32]:
        """The lines on the screen, as `tempest_gym.display.render.display_list` gives them."""
        return display_list(self.vector_ram, self.memory[0x3000:0x4000], self.colour_ram)

    def picture(self) -> NDArray[np.uint8]:
        """The picture on the screen."""
        return render_vectors(self.vector_ram, self.memory[0x3000:0x4000], self.colour_ram)

    def play(self, shape: int = 0, level: int = 1, eye: int = -24) -> None:
        """An empty tube of this shape in a real game, player at lane 3 on the rim."""
        self.ram[0x0200:0x0400] = 0
        self.ram[0x9F] = level - 1
        self.call("tube_load", shape)
        self.call("colour_load")
        for address, value in {
            0x00: 0x04, 0x01: 0x00, 0x05: 0xC0, 0x46: level - 1, 0x48: 3, 0x51: 0x38,
            0x5B: eye >> 8 & 0xFF, 0x5F: eye & 0xFF, 0x74: 0, 0xA6: 0, 0x106: 0, 0x115: 0, 0x116: 0,
            0x123: 0, 0x124: 0, 0x125: 0, 0x135: 0, 0x200: 3, 0x201: 4, 0x202: 0x10,
        }.items():  # fmt: skip
            self.ram[address] = value
