"""RAM images and a program in their stead, for tests of the Lua without a game.

``FakeBoard`` is a "board" whose run function copies the next recorded RAM image over its RAM, keeping what was poked
nowhere: the images alone decide what the Lua sees.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

RAM_BYTES = 2048
BUTTONS = 2048
"""Offset of the buttons in a row of state."""
_POSITION = 2056
"""Offset of the int64 number of the image shown."""
STATE_BYTES = 2112

# Cells whose meaningful range is small, so that uniformly random bytes would hardly ever reach it: address -> values.
_NARROW = {
    0x00: 0x26,
    0x48: 7,
    0x0111: 2,
    0x0135: 9,
    0x03AA: 3,
    0x03AB: 64,
}


@numba.cfunc("int32(CPointer(uint8), CPointer(uint8), int64)")
def _show_next_image(state: object, images: object, max_cycles: object) -> int:
    row = numba.carray(state, (STATE_BYTES,))
    position = row[_POSITION : _POSITION + 8].view(np.int64)
    header = numba.carray(images, (8,)).view(np.int64)
    count = header[0]
    everything = numba.carray(images, (8 + count * RAM_BYTES,))
    start = 8 + (position[0] % count) * RAM_BYTES
    for i in range(RAM_BYTES):
        row[i] = everything[start + i]
    position[0] += 1
    return 0


FAKE_RUN: int = _show_next_image.address


def as_rom(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put recorded images where `FAKE_RUN` looks for them."""
    header = np.array([len(images)], np.int64).view(np.uint8)
    return np.concatenate([header, images.reshape(-1)])


def random_images(count: int, seed: int) -> NDArray[np.uint8]:
    """Random RAM, uint8 ``(count, 2048)``: some wholly random, most with play states and slots near each other."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, RAM_BYTES), dtype=np.uint8)
    for address, values in _NARROW.items():
        images[:, address] = rng.integers(0, values, count)
    playing = rng.random(count) < 0.7
    images[playing, 0x00] = rng.choice([0x04, 0x20], playing.sum())
    images[playing, 0x05] = 0xC0
    alive = rng.random(count) < 0.8
    images[alive, 0x0201] &= 0x0F
    empty = rng.random((count, 7)) < 0.3
    images[:, 0x02DF:0x02E6][empty] = 0
    rim = rng.random((count, 7)) < 0.25
    images[:, 0x02DF:0x02E6][rim] = rng.choice([0x0F, 0x10, 0x11, 0x18], rim.sum())
    common = rng.random((count, 7)) < 0.8
    kinds = images[:, 0x0283:0x028A]
    kinds[common] = (kinds[common] & 0xF8) | rng.integers(0, 5, common.sum(), dtype=np.uint8)
    no_shot = rng.random((count, 4)) < 0.4
    images[:, 0x02DB:0x02DF][no_shot] = 0
    images[:, 0x02AD:0x02C0] &= np.where(rng.random((count, 1)) < 0.9, 0x0F, 0xFF).astype(np.uint8)
    # Half of the images follow from the one before: enemies move a little, so that changes are small.
    for i in range(1, count, 2):
        images[i, 0x0283:0x028A] = images[i - 1, 0x0283:0x028A]
        moved = images[i - 1, 0x02DF:0x02E6].astype(int) - rng.integers(0, 9, 7)
        images[i, 0x02DF:0x02E6] = np.clip(moved, 0, 255)
        images[i, 0x02B9:0x02C0] = (images[i - 1, 0x02B9:0x02C0] + rng.integers(-1, 2, 7)) & 15
        images[i, 0x0111] = images[i - 1, 0x0111]
    return images
