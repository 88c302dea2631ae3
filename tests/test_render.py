"""The picture in process is the one that MAME shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from render_oracle import HEIGHT, WIDTH, Scene, mame_game_picture, mame_pictures
from squall_driver import FIRE, Game

from tempest_gym.display.render import SCREEN_HEIGHT, SCREEN_WIDTH, display_list, render_vectors
from tempest_gym.roms import squall_rom

VECTOR_ROM = squall_rom().memory[0x3000:0x4000]
COLOURS = np.array([0x0, 0x4, 0x8, 0xC, 0x3, 0x7, 0xB, 0xF, 0xE, 0xD, 0x1, 0x2, 0x5, 0x6, 0x9, 0xA], np.uint8)
BOX = 5
"""Pixels of the box that pictures are blurred by: lines may differ in width and glow, not in place."""


def blurred(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    values = picture.astype(np.float64)
    for axis in (0, 1):
        sums = np.cumsum(np.insert(values, 0, 0.0, axis=axis), axis=axis)
        size = sums.shape[axis]
        values = sums.take(range(BOX, size), axis) - sums.take(range(size - BOX), axis)
    return values / BOX**2


def assert_same_picture(ours: NDArray[np.uint8], mame: NDArray[np.uint8]) -> None:
    """Both show the same lines in the same colours: alike when blurred, nothing that only one shows."""
    ours_soft, mame_soft = blurred(ours), blurred(mame)
    alike = np.corrcoef(ours_soft.ravel(), mame_soft.ravel())[0, 1]
    assert alike > 0.95, f"correlation {alike:.3f}"
    # A line fills a fifth of its box. Colours that one shows clearly must be there in the other.
    for one, other, who in ((ours_soft, mame_soft, "render"), (mame_soft, ours_soft, "MAME")):
        lonely = (one > 30) & (other < 3)
        assert lonely.sum() <= 20, f"only {who} shows {int(lonely.sum())} pixels"


def words(*values: int) -> bytes:
    return b"".join((value & 0xFFFF).to_bytes(2, "little") for value in values)


def vector(dx: int, dy: int, level: int) -> tuple[int, int]:
    return dy & 0x1FFF, level << 13 | dx & 0x1FFF


def short(dx: int, dy: int, level: int) -> int:
    return 0x4000 | (dy & 0x1F) << 8 | level << 5 | dx & 0x1F


def memory(program: bytes, **parts: bytes) -> NDArray[np.uint8]:
    """Vector RAM with `program` at its start and parts at named addresses (``at_0800=``)."""
    ram = np.zeros(4096, np.uint8)
    ram[: len(program)] = np.frombuffer(program, np.uint8)
    for name, content in parts.items():
        place = int(name[3:], 16)
        ram[place : place + len(content)] = np.frombuffer(content, np.uint8)
    return ram


def random_list(seed: int, ending: int) -> NDArray[np.uint8]:
    """A list of every instruction with random operands, three subroutines deep."""
    random = np.random.default_rng(seed)
    program = [0x8040]  # without it MAME shows the first line of a pass as a dot
    for _ in range(60):
        kind = random.integers(8)
        if kind < 2:
            program += [0x8040, 0x7000 | int(random.integers(2, 5)) << 8 | int(random.integers(256))]
            program += vector(int(random.integers(-900, 900)), int(random.integers(-900, 900)), 0)
        elif kind < 4:
            program += vector(*(int(random.integers(-400, 400)) for _ in range(2)), int(random.integers(8)))
        elif kind == 4:
            program.append(short(*(int(random.integers(-16, 16)) for _ in range(2)), int(random.integers(8))))
        elif kind == 5:
            program.append(0x6800 | int(random.integers(16)))
        elif kind == 6:
            program.append(0x6000 | int(random.integers(16)) << 4)
        else:
            program.append(0xA400 | int(random.integers(3)) * 0x40)
    deepest = words(short(12, 3, 7), short(-3, 12, 1), 0xC000)
    middle = words(*vector(60, -20, 5), 0xA480, *vector(-20, 60, 6), 0xC000)
    outer = words(short(-8, -8, 0), 0xA440, short(4, 4, 7), 0xA480, 0xC000)
    return memory(words(*program, ending), at_0800=outer, at_0880=middle, at_0900=deepest)


@pytest.fixture(scope="module")
def squall_scenes() -> list[Scene]:
    """Squall's own screens: high scores, level select, play on closed and open tubes, descent."""
    scenes = []

    def add(game: Game) -> None:
        scenes.append(Scene(game.boards.vram[0].copy(), game.boards.colour[0].copy()))

    game = Game()
    for _ in range(5):
        game.step()
    add(game)
    for level in (1, 9, 17, 33, 46, 81):
        game = Game()
        game.start(level)
        for frame in range(200):
            game.step(FIRE if frame % 4 < 3 else 0)
        add(game)
    return scenes


def test_squall_looks_as_in_mame(squall_scenes: list[Scene], tmp_path: Path) -> None:
    pictures = mame_pictures(tmp_path, squall_scenes, VECTOR_ROM.tobytes())
    for scene, mame in zip(squall_scenes, pictures, strict=True):
        ours = render_vectors(scene.vector_ram, VECTOR_ROM, scene.colour_ram, WIDTH, HEIGHT)
        assert mame.max() > 200, "MAME's picture is black"
        assert_same_picture(ours, mame)


def test_every_instruction_looks_as_in_mame(tmp_path: Path) -> None:
    scenes = [
        Scene(random_list(seed, 0xE000 if seed % 2 else 0x2000), COLOURS, outputs)
        for seed, outputs in enumerate((0x10, 0x10, 0x10, 0x10, 0x00, 0x08, 0x18))
    ]
    pictures = mame_pictures(tmp_path, scenes, VECTOR_ROM.tobytes())
    for scene, mame in zip(scenes, pictures, strict=True):
        flips = {"flip_x": bool(scene.outputs & 0x08), "flip_y": bool(scene.outputs & 0x10)}
        ours = render_vectors(scene.vector_ram, VECTOR_ROM, scene.colour_ram, WIDTH, HEIGHT, **flips)
        assert_same_picture(ours, mame)


def test_a_list_gives_its_lines() -> None:
    program = words(
        0x8040, 0x7100, 0x6801, 0x60A0,  # centre, half size, colour 1, intensity 10
        *vector(100, 40, 0), *vector(-50, 0, 1), short(10, -5, 7), 0xE000,
    )  # fmt: skip
    lines = display_list(memory(program), VECTOR_ROM, COLOURS)
    half = 255 / 256 / 2
    x, y = SCREEN_WIDTH // 2 + 100 * half, (SCREEN_HEIGHT + 1) / 2 - 40 * half
    expected = [[x, y, x - 50 * half, y], [x - 50 * half, y, x - 30 * half, y + 10 * half]]
    np.testing.assert_allclose(lines[:, :4], expected, atol=0.01)
    yellow = (0xF3 / 255, 0xF3 / 255, 0.0)
    np.testing.assert_allclose(lines[:, 4:7], [(0xFF / 255, *yellow[1:])] * 2, atol=1e-6)
    np.testing.assert_allclose(lines[:, 7], [10 / 15, 14 / 15], atol=1e-6)


@pytest.mark.parametrize(
    "program",
    [
        words(0xE001, 0xE001),  # jumps to itself
        words(0xA000),  # calls itself
        words(0xC000),  # returns from nowhere
        words(0xE000),  # the shortest endless loop
        words(0x2000),
        words(0x4000, 0xE000),
    ],
)
def test_endless_lists_end(program: bytes) -> None:
    lines = display_list(memory(program), np.zeros(4096, np.uint8), COLOURS)
    assert lines.shape == (0, 8)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1))
def test_random_bytes_never_hang(seed: int) -> None:
    random = np.random.default_rng(seed)
    ram, rom = random.integers(0, 256, (2, 4096), dtype=np.uint8)
    colours = random.integers(0, 256, 16, dtype=np.uint8)
    lines = display_list(ram, rom, colours)
    assert len(lines) <= 10_000
    assert np.isfinite(lines).all()
    picture = render_vectors(ram, rom, colours, 60, 80)
    assert picture.shape == (80, 60, 3)


def test_a_picture_is_new_black_and_of_the_size_asked_for() -> None:
    nothing = memory(words(0xE000))
    first = render_vectors(nothing, VECTOR_ROM, COLOURS, 84, 96)
    second = render_vectors(nothing, VECTOR_ROM, COLOURS, 84, 96)
    assert first.shape == (96, 84, 3)
    assert first.dtype == np.uint8
    assert not first.any()
    assert not np.shares_memory(first, second)
    with pytest.raises(ValueError, match="0 x 10"):
        render_vectors(nothing, VECTOR_ROM, COLOURS, 0, 10)


def test_pictures_of_different_sizes_show_the_same(squall_scenes: list[Scene]) -> None:
    scene = squall_scenes[1]
    large = render_vectors(scene.vector_ram, VECTOR_ROM, scene.colour_ram, 480, 640)
    small = render_vectors(scene.vector_ram, VECTOR_ROM, scene.colour_ram, 240, 320)
    shrunk = large.reshape(320, 2, 240, 2, 3).mean(axis=(1, 3)).astype(np.uint8)
    assert np.corrcoef(blurred(small).ravel(), blurred(shrunk).ravel())[0, 1] > 0.95


def test_the_game_in_mame_shows_what_the_board_draws(tmp_path: Path) -> None:
    """The real machine's own loop of list and generator, while a screen stands still: the high scores."""
    mame = mame_game_picture(tmp_path, squall_rom().files, video_frame=90)
    game = Game()
    game.step(count=30)
    ours = render_vectors(game.boards.vram[0], VECTOR_ROM, game.boards.colour[0], WIDTH, HEIGHT)
    assert_same_picture(ours, mame)
