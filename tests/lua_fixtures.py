"""RAM images for tests of the Lua: random ones, recorded ones, and a "board" that shows one after the other.

That board's run function copies the next image over its RAM, so the images alone decide what the Lua sees.
"""

from __future__ import annotations

from functools import cache

import numba
import numpy as np
from numpy.typing import NDArray

from tempest_gym.actions import SPINNER_LEVELS
from tempest_gym.board import Boards
from tempest_gym.frame import FEATURE_COUNT, FRAME_DTYPE
from tempest_gym.machines.lua_host import FleetArrays, LuaHost
from tempest_gym.roms import squall_rom

RAM_BYTES = 2048
BUTTONS = 2048
"""Offset of the buttons in a row of state."""
_POSITION = 2056
"""Offset of the int64 number of the image shown."""
STATE_BYTES = 2112

# Cells with few meaningful values, which random bytes would hardly ever hit: address -> number of values.
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
    """Random RAM, uint8 ``(count, 2048)``: most in play, half of them following from the one before."""
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


class Slideshow:
    """Some "boards" that show RAM images, each from another one on, observed by one Lua runtime."""

    def __init__(self, runtime: str, images: NDArray[np.uint8], boards: int = 1) -> None:
        self.host = LuaHost(runtime, run_address=FAKE_RUN, buttons_offset=BUTTONS)
        self.rom = as_rom(images)
        self.state = np.zeros((boards, STATE_BYTES), np.uint8)
        self.state[:, _POSITION : _POSITION + 8].view(np.int64)[:, 0] = (
            np.arange(boards) * len(images) // boards
        )
        self.memory = np.zeros((boards, self.host.memory_size))
        self.features = np.zeros((boards, FEATURE_COUNT), np.float32)
        self.frames = np.zeros(boards, FRAME_DTYPE)
        self.rows = np.arange(boards, dtype=np.int32)
        self.fire, self.zap, self.spinner = np.zeros((3, boards), np.int32)
        for row in range(boards):
            self.host.init(self.memory[row], row, 9)

    def advance(self, **how: int) -> None:
        """Advance all boards."""
        self.host.advance(self.fleet, self.rows, **how)

    @property
    def fleet(self) -> FleetArrays:
        """The arrays as they are now."""
        boards, actions = (self.state, self.memory, self.rom), (self.fire, self.zap, self.spinner)
        return FleetArrays(*boards, *actions, self.features, self.frames)


class SquallBoard:
    """One board that has just been switched on with Squall, seeded and observed."""

    def __init__(self, start_level: int = 1, seed: int = 0) -> None:
        self.rom, self.host = squall_rom(), LuaHost()
        self.boards = Boards(self.rom, 1)
        self.boards.power_on(0)
        for _ in range(4):
            self.boards.run_one(0)
        self.ram = self.boards.ram[0]
        self.memory = np.zeros((1, self.host.memory_size))
        self.features, self.frames = np.zeros((1, FEATURE_COUNT), np.float32), np.zeros(1, FRAME_DTYPE)
        self.row, self.actions = np.zeros(1, np.int32), np.zeros((3, 1), np.int32)
        boards = self.boards.state, self.memory, self.rom.memory
        self.fleet = FleetArrays(*boards, *self.actions, self.features, self.frames)
        self.host.init(self.memory[0], seed, start_level, self.rom.name)
        self.host.observe(self.fleet, self.row)

    def advance(self, fire: bool = False, zap: bool = False, spinner: int = 0, **how: int) -> np.void:
        """Act and run on; returns the frame."""
        self.actions[:, 0] = fire, zap, spinner
        self.host.advance(self.fleet, self.row, **how)
        assert self.boards.error_text(0) is None
        frame: np.void = self.frames[0]
        return frame


@cache
def squall_recording(start_level: int, frames: int = 1500, seed: int = 0) -> NDArray[np.uint8]:
    """RAM of successive bridge points of Squall from the start of attract mode on, uint8 ``(frames, 2048)``.

    The player does anything at random.
    """
    rng = np.random.default_rng(seed)
    board = SquallBoard(start_level, seed)
    images = np.empty((frames, RAM_BYTES), np.uint8)
    for i in range(frames):
        images[i] = board.ram
        board.advance(rng.random() < 0.5, rng.random() < 0.02, int(rng.choice(SPINNER_LEVELS)), limit=1)
    return images
