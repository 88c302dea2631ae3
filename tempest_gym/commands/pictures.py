"""Pictures of the game's screens, saved as PNG files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tempest_gym.actions import CONTROLS, advised_action
from tempest_gym.frame import DESCENT, Frame
from tempest_gym.machines.board import BoardMachine
from tempest_gym.machines.fleet import BoardFleet
from tempest_gym.roms import RomImage

__all__ = ["save_pictures", "write_png"]

_Picture = NDArray[np.uint8]

_SCREEN, _LOGO = 0x01, 0x12
_LIMIT = 20_000


def save_pictures(rom: RomImage, folder: Path) -> list[Path]:
    """Play until each screen has been seen once and save it; returns the files, title first.

    Raises:
        RuntimeError: a screen did not appear within 12 minutes of game time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {
        "title": _title(rom),
        "closed": _play(rom, 5, lambda frame, shown: not frame.open and shown > 150),
        "open": _play(rom, 9, lambda frame, shown: frame.open and shown > 150),
        "descent": _play(rom, 17, lambda frame, shown: frame.game_state == DESCENT and shown > 10),
    }
    files = []
    for name, picture in pictures.items():
        files.append(folder / f"{name}.png")
        files[-1].write_bytes(write_png(picture))
    return files


def _title(rom: RomImage) -> _Picture:
    """The logo, which the game shows until start is pressed."""
    fleet = BoardFleet(rom, 1)
    shown = 0
    for _ in range(_LIMIT):
        fleet.boards.run(0, 1)
        fleet.check(0)
        shown += fleet.boards.ram[0, _SCREEN] == _LOGO
        if shown > 40:
            return fleet.picture(0)
    raise RuntimeError(f"the title did not appear within {_LIMIT} game frames")


def _play(rom: RomImage, start_level: int, reached: Callable[[Frame, int], bool]) -> _Picture:
    """The first frame of the expert's game for which ``wanted`` is true, given the frames in this state."""
    machine = BoardMachine(rom)
    frame = machine.reset(seed=0, start_level=start_level)
    in_state = 0
    for _ in range(_LIMIT):
        previous = frame.game_state
        frame = machine.step(*CONTROLS[advised_action(frame)])
        in_state = in_state + 1 if frame.game_state == previous else 1
        if frame.decision and reached(frame, in_state):
            return machine.picture()
    raise RuntimeError(f"a screen of level {start_level} did not appear within {_LIMIT} game frames")


def write_png(picture: _Picture) -> bytes:
    """Encode an RGB picture of shape ``(height, width, 3)`` as PNG."""
    height, width, _ = picture.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # Each row starts with its filter, 0 for none.
    rows[:, 1:] = picture.reshape(height, 3 * width)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    )
    encoded = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        encoded += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return encoded
