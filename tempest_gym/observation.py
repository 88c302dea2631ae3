"""What an agent observes of a machine: features, RAM or a picture, as the settings choose."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_gym.machines.board import BoardMachine
from tempest_gym.machines.fleet import BoardFleet
from tempest_gym.machines.lua_host import LuaHost
from tempest_gym.machines.machine import Machine
from tempest_gym.roms import RomImage
from tempest_gym.settings import Settings

__all__ = ["Observations", "draw_machine"]

_UPRIGHT = 0x10
"""What Tempest and Squall write to $4000 in a game of one player; it cannot be read from MAME."""


class Observations:
    """Makes the observations of one machine or of the boards of a fleet, each a new array.

    Args:
        settings: ``obs_type`` and ``screen_size`` are used.
        rom: the ROM set, which holds subroutines of the display list.
    """

    def __init__(self, settings: Settings, rom: RomImage) -> None:
        """Keep what the observations depend on."""
        self._kind, self._size = settings.obs_type, settings.screen_size
        self._channels = 1 if self._kind == "grayscale" else 3
        self._vector_rom = rom.memory[0x3000:0x4000]

    def of_machine(self, machine: Machine, features: NDArray[np.float32]) -> NDArray[Any]:
        """Return the observation of a machine whose features are these."""
        if self._kind == "features":
            return features
        if self._kind == "ram":
            return machine.ram()
        return self._shaped(draw_machine(machine, self._vector_rom, self._size, self._channels))[0]

    def of_fleet(self, fleet: BoardFleet, rows: NDArray[np.int32] | None = None) -> NDArray[Any]:
        """Return the observations of some boards, or of all, with a board a row; pictures are drawn on all threads."""
        chosen: Any = slice(None) if rows is None else rows
        if self._kind == "features":
            return fleet.features[chosen].copy() if rows is None else fleet.features[chosen]
        boards = fleet.boards
        if self._kind == "ram":
            return boards.ram[chosen].copy() if rows is None else boards.ram[chosen]
        from tempest_gym.display.render import draw_boards  # Brings in numba, which features do not need.

        def draw(part: NDArray[np.int32], drawn: NDArray[np.uint8], _: LuaHost) -> None:
            draw_boards(
                boards.vram, self._vector_rom, boards.colour, boards.fields["output_4000"], part, drawn
            )

        if rows is None:
            rows = np.arange(len(boards), dtype=np.int32)
        pictures = np.empty((len(rows), *self._size, self._channels), np.uint8)
        parts = min(len(rows), 4 * fleet.threads) if fleet.threads > 1 else 1
        pieces = zip(np.array_split(rows, parts), np.array_split(pictures, parts), strict=True)
        fleet.run([partial(draw, part, drawn) for part, drawn in pieces])
        return self._shaped(pictures)

    def _shaped(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return pictures[..., 0] if self._channels == 1 else pictures


def draw_machine(
    machine: Machine,
    vector_rom: NDArray[np.uint8],
    size: tuple[int, int],
    channels: int = 3,
    glow: float = 1.0,
) -> NDArray[np.uint8]:
    """Draw what a machine's display list shows now, shape ``(1, height, width, channels)``, at any size."""
    from tempest_gym.display.render import draw_boards

    outputs = np.array([_UPRIGHT], np.uint8)
    if isinstance(machine, BoardMachine):
        outputs[:] = machine.fleet.boards.fields["output_4000"]
    picture = np.empty((1, *size, channels), np.uint8)
    memories = machine.vector_ram()[None], vector_rom, machine.colour_ram()[None]
    draw_boards(*memories, outputs, np.zeros(1, np.int32), picture, glow)
    return picture
