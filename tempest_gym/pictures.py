"""Pictures of the game's screens, saved as PNG files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tempest_gym.actions import CONTROLS, advised_action
from tempest_gym.frame import Frame
from tempest_gym.machines import Machine

__all__ = ["save_pictures", "write_png"]

_DESCENT = 0x20
_LIMIT = 20_000


def save_pictures(machine: Machine, folder: Path) -> list[Path]:
    """Play until each screen has been seen once and save it; returns the files, title first.

    Raises:
        RuntimeError: a screen did not come within 12 minutes of game time.
    """
    wanted: list[tuple[str, int, Callable[[Frame, int], bool]]] = [
        ("title", 1, lambda frame, shown: shown == 1),
        ("closed", 1, lambda frame, shown: frame.decision and not frame.open and shown > 150),
        ("open", 9, lambda frame, shown: frame.decision and frame.open and shown > 150),
        ("descent", 17, lambda frame, shown: frame.decision and frame.game_state == _DESCENT and shown > 10),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    return [_save(machine, folder / f"{name}.png", level, reached) for name, level, reached in wanted]


def _save(machine: Machine, file: Path, start_level: int, reached: Callable[[Frame, int], bool]) -> Path:
    frame = machine.reset(seed=0, start_level=start_level)
    in_state = 0
    for _ in range(_LIMIT):
        previous = frame.game_state
        frame = machine.step(*CONTROLS[advised_action(frame)])
        in_state = in_state + 1 if frame.game_state == previous else 1
        if reached(frame, in_state):
            file.write_bytes(write_png(machine.picture()))
            return file
    raise RuntimeError(f"{file.stem}: this screen did not come up in {_LIMIT} game frames")


def write_png(picture: NDArray[np.uint8]) -> bytes:
    """Encode an RGB picture of shape ``(height, width, 3)`` as PNG."""
    height, width, _ = picture.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # Each row begins with its filter, 0 for none.
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
