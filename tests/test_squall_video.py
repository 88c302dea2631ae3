"""Squall's tubes and what its display code draws, on the in-process board."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from squall_driver import DESCENT, FIRE, PLAY, ZOOM, Game
from squall_routines import Routines

from tempest_gym.display.render import SCREEN_HEIGHT, SCREEN_WIDTH
from tempest_gym.squall.tubes import OPEN_SHAPES, tubes

FLIPPER, PULSAR, TANKER, SPIKER, FUSEBALL = range(5)
SHAPES = range(16)
SCREENS = range(0x00, 0x18, 2)
RED_TUBE_LEVEL = 17


@pytest.fixture(scope="module")
def squall(tmp_path_factory: pytest.TempPathFactory) -> Routines:
    return Routines(tmp_path_factory.mktemp("squall"))


def drawn(squall: Routines) -> NDArray[np.float32]:
    """The lines once both buffers show the present state."""
    for _ in range(3):
        squall.call("draw_frame")
    return squall.lines()


def assert_inside(lines: NDArray[np.float32]) -> None:
    assert (lines[:, [0, 2]] >= 0).all()
    assert (lines[:, [0, 2]] <= SCREEN_WIDTH).all()
    assert (lines[:, [1, 3]] >= 0).all()
    assert (lines[:, [1, 3]] <= SCREEN_HEIGHT).all()


def place(squall: Routines, slot: int, kind: int, lane: int, depth: int, edge: int | None = None) -> None:
    """An enemy in a slot; `edge` as $02CC holds it."""
    squall.ram[0x283 + slot] = kind
    squall.ram[0x28A + slot] = 0
    squall.ram[0x2B9 + slot] = lane
    squall.ram[0x2CC + slot] = (lane + 1) & 15 if edge is None else edge
    squall.ram[0x2DF + slot] = depth


def new_lines(before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lines of `after` that `before` did not have."""
    known = {line.tobytes() for line in before}
    return np.array([line for line in after if line.tobytes() not in known], np.float32).reshape(-1, 8)


def on_screen(shape: int, x: float, y: float) -> NDArray[np.float64]:
    """Where a point of the rim, in tube coordinates, stands on the screen: upright, and as wide as high."""
    stretch = (SCREEN_WIDTH / 3) / (SCREEN_HEIGHT / 4)
    height = 55 / 32
    centre_x, centre_y = SCREEN_WIDTH // 2, (SCREEN_HEIGHT + 1) / 2
    return np.array([centre_x + (x - 128) * height * stretch, centre_y - (y - 128) * height])


# --- tubes


@pytest.mark.parametrize("shape", SHAPES)
def test_lane_angles_fit_the_spokes(shape: int) -> None:
    tube = tubes()[shape]
    for lane in range(15 if tube.open else 16):
        edge = complex(
            int(tube.x[(lane + 1) % 16]) - int(tube.x[lane]), int(tube.y[(lane + 1) % 16]) - int(tube.y[lane])
        )
        off = np.degrees(np.angle(edge / np.exp(2j * np.pi * tube.angles[lane] / 16)))
        assert abs(off) < 4, (lane, off)
        assert 16 <= abs(edge) <= 64, (lane, abs(edge))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_flip_never_turns_more_than_the_rules_allow(shape: int) -> None:
    tube = tubes()[shape]
    lanes = range(1, 15) if tube.open else range(16)
    steps = [(int(tube.angles[lane - 1]) + 8 - int(tube.angles[lane])) % 16 for lane in lanes]
    assert min(steps) >= 2
    assert max(steps) <= 14
    if not tube.open:  # once round, against the clock
        assert sum(8 - step for step in steps) == 16


def test_closed_tubes_close_and_open_ones_do_not() -> None:
    for shape, tube in enumerate(tubes()):
        assert tube.open == (shape in OPEN_SHAPES)
        gap = np.hypot(float(tube.x[15]) - float(tube.x[0]), float(tube.y[15]) - float(tube.y[0]))
        assert (gap > 64) == tube.open or tube.name == "hook", tube.name


def test_shapes_differ() -> None:
    assert len({tube.angles.tobytes() + tube.x.tobytes() for tube in tubes()}) == 16
    assert len({tube.name for tube in tubes()}) == 16


@pytest.mark.parametrize("shape", SHAPES)
def test_the_tube_in_ram(squall: Routines, shape: int) -> None:
    squall.play(shape)
    tube, ram = tubes()[shape], squall.ram
    assert ram[0x111] == (0xFF if tube.open else 0)
    assert ram[0x112] == shape
    np.testing.assert_array_equal(ram[0x3CE:0x3DE], tube.x)
    np.testing.assert_array_equal(ram[0x3DE:0x3EE], tube.y)
    np.testing.assert_array_equal(ram[0x3EE:0x3FE], tube.angles)
    for lane in range(15 if tube.open else 16):
        other = (lane + 1) % 16
        assert abs(float(ram[0x435 + lane]) - (float(tube.x[lane]) + float(tube.x[other])) / 2) <= 0.5
        assert abs(float(ram[0x445 + lane]) - (float(tube.y[lane]) + float(tube.y[other])) / 2) <= 0.5


# --- the picture


@pytest.mark.parametrize("shape", SHAPES)
def test_the_rim_stands_where_the_spokes_say(squall: Routines, shape: int) -> None:
    squall.play(shape)
    lines = drawn(squall)
    tube = tubes()[shape]
    for lane in range(15 if tube.open else 16):
        ends = [on_screen(shape, float(tube.x[i % 16]), float(tube.y[i % 16])) for i in (lane, lane + 1)]
        off = [np.abs(line[:4] - np.concatenate(ends)).max() for line in lines]
        assert min(off) < 4, lane


@pytest.mark.parametrize("shape", SHAPES)
def test_all_of_a_full_tube_is_inside_the_screen(squall: Routines, shape: int) -> None:
    squall.play(shape, level=RED_TUBE_LEVEL)
    lanes = 15 if tubes()[shape].open else 16
    for lane in range(lanes):
        squall.ram[0x200], squall.ram[0x201], squall.ram[0x51] = lane, lane + 1 & 15, 16 * lane + 3
        for slot in range(7):
            depth = (0x10, 0x10, 0x30, 0x60, 0x90, 0xC0, 0xF0)[slot]
            place(squall, slot, (lane + slot) % 5, (lane + slot) % lanes, depth)
        lines = drawn(squall)
        assert len(lines) > 100
        assert_inside(lines)


@pytest.mark.parametrize("screen", SCREENS)
def test_every_screen_is_inside_the_screen(squall: Routines, screen: int) -> None:
    squall.play()
    squall.ram[1] = screen
    squall.ram[[0x7B, 0x127, 0x200, 4]] = (3, 27, 5, 9)
    for frame in range(0, 64, 5):
        squall.ram[3] = frame
        lines = drawn(squall)
        assert len(lines) >= 12
        assert_inside(lines)


def test_enemies_lie_in_their_lanes(squall: Routines) -> None:
    for shape in SHAPES:
        squall.play(shape)
        bare = drawn(squall)
        for kind in (FLIPPER, PULSAR, TANKER, SPIKER, FUSEBALL):
            lane = 6
            place(squall, 0, kind, lane, 0x10, edge=0x20 if kind == FUSEBALL else None)
            lines = new_lines(bare, drawn(squall))
            squall.ram[0x2DF] = 0
            assert len(lines) >= 3, (shape, kind)
            tube = tubes()[shape]
            first, second = (on_screen(shape, float(tube.x[i]), float(tube.y[i])) for i in (lane, lane + 1))
            middle = np.concatenate([lines[:, :2], lines[:, 2:4]]).mean(axis=0)
            target = first if kind == FUSEBALL else (first + second) / 2
            width = np.hypot(*(second - first))
            assert np.hypot(*(middle - target)) < 0.25 * width + 2, (shape, kind)
            points = np.concatenate([lines[:, :2], lines[:, 2:4]])
            assert np.hypot(*(points - target).T).max() < 0.85 * width, (shape, kind)


def test_a_turning_flipper_turns_about_the_shared_spoke(squall: Routines) -> None:
    shape, lane = 0, 5
    tube = tubes()[shape]
    squall.play(shape)
    bare = drawn(squall)
    pivot = on_screen(shape, float(tube.x[lane]), float(tube.y[lane]))
    back = (int(tube.angles[lane - 1]) + 8) % 16
    tips = []
    for step in range((back - int(tube.angles[lane])) % 16 + 1):
        angle = (back - step) % 16
        place(squall, 0, FLIPPER, lane, 0x10, edge=0x80 | angle)
        lines = new_lines(bare, drawn(squall))
        points = np.concatenate([lines[:, :2], lines[:, 2:4]])
        away = points - pivot
        assert np.hypot(*away.T).min() < 3
        tip = away[np.hypot(*away.T).argmax()] / (SCREEN_WIDTH / 3, -SCREEN_HEIGHT / 4)
        tips.append(np.degrees(np.arctan2(tip[1], tip[0])) - 22.5 * angle)
    assert max(abs((off + 180) % 360 - 180) for off in tips) < 3
    first = on_screen(shape, float(tube.x[lane - 1]), float(tube.y[lane - 1]))
    place(squall, 0, FLIPPER, lane, 0x10, edge=0x80 | back)
    lines = new_lines(bare, drawn(squall))
    assert np.hypot(*(np.concatenate([lines[:, :2], lines[:, 2:4]]) - first).T).min() < 4


def test_each_kind_of_enemy_has_its_own_picture(squall: Routines) -> None:
    pictures = set()
    for kind, flags, pulse in (
        (FLIPPER, 0, 0x80),
        (PULSAR, 0, 0x80),
        (PULSAR, 0, 0x05),
        (TANKER, 0, 0x80),
        (TANKER, 1, 0x80),
        (TANKER, 2, 0x80),
        (TANKER, 3, 0x80),
        (SPIKER, 0, 0x80),
        (FUSEBALL, 0, 0x80),
    ):
        squall.play()
        squall.ram[0x148] = pulse
        bare = drawn(squall)
        place(squall, 0, kind, 9, 0x40)
        squall.ram[0x28A] = flags
        pictures.add(new_lines(bare, drawn(squall))[:, :4].tobytes())
    assert len(pictures) == 9


def test_things_shrink_with_depth(squall: Routines) -> None:
    for kind in (FLIPPER, PULSAR, TANKER, SPIKER, FUSEBALL):
        sizes = []
        for depth in range(0x10, 0xF1, 0x20):
            squall.play()
            bare = drawn(squall)
            place(squall, 0, kind, 9, depth)
            lines = new_lines(bare, drawn(squall))
            sizes.append(float(np.ptp(lines[:, [0, 2]]) + np.ptp(lines[:, [1, 3]])))
        assert all(near > far for near, far in pairwise(sizes)), (kind, sizes)


def test_a_spike_reaches_from_the_far_end_to_its_tip(squall: Routines) -> None:
    squall.play()
    bare = drawn(squall)
    lengths = []
    for tip in (0xE0, 0xA0, 0x60, 0x20):
        squall.ram[0x3AC + 9] = tip
        lines = new_lines(bare, drawn(squall))
        assert len(lines) == 1
        lengths.append(float(np.hypot(lines[0, 2] - lines[0, 0], lines[0, 3] - lines[0, 1])))
    assert lengths == sorted(lengths)
    assert lengths[0] > 1
    squall.ram[0x3AC + 9] = 0
    assert len(new_lines(bare, drawn(squall))) == 0


def test_shots_appear_and_disappear(squall: Routines) -> None:
    squall.play()
    bare = len(drawn(squall))
    squall.ram[0x135], squall.ram[0xA6] = 8, 4
    squall.ram[0x2D3:0x2DF] = 0x50
    squall.ram[0x2AD:0x2B9] = np.arange(12)
    full = len(drawn(squall))
    assert full == bare + 8 * 4 + 4 * 2
    squall.ram[0x135] = squall.ram[0xA6] = 0
    squall.ram[0x2D3:0x2DF] = 0
    assert len(drawn(squall)) == bare


def test_pending_enemies_are_dots_beyond_the_far_end(squall: Routines) -> None:
    squall.play()
    bare = drawn(squall)
    squall.ram[0x3AB], squall.ram[0x74] = 5, 5
    squall.ram[0x203:0x208] = (0, 4, 4, 9, 12)
    squall.ram[0x243:0x248] = (5, 10, 20, 30, 0x80)
    squall.ram[3] = 0
    dots = new_lines(bare, drawn(squall))
    assert len(dots) == 3  # two share lane 4, one circles still
    np.testing.assert_array_equal(dots[:, :2], dots[:, 2:4])


def test_the_score_is_written(squall: Routines) -> None:
    def top(lines: NDArray[np.float32]) -> bytes:
        return lines[lines[:, 1] < 45, :4].tobytes()

    pictures = set()
    for score in ((0, 0, 0), (0x50, 0, 0), (0, 0x50, 0), (0, 0, 0x50), (0x50, 0x50, 0x50)):
        squall.play()
        squall.ram[0x40:0x43] = score
        pictures.add(top(drawn(squall)))
    assert len(pictures) == 5


@pytest.mark.parametrize("block", range(7))
def test_the_tube_has_the_colour_of_its_block(squall: Routines, block: int) -> None:
    expected = ("blue", "red", "yellow", "cyan", "black", "green", "green")[block]
    for level in (16 * block + 1, min(16 * block + 16, 99)):
        squall.play(level=level)
        squall.ram[0x202] = 0xFF  # no player in the way
        rim = on_screen(0, float(tubes()[0].x[9]), float(tubes()[0].y[9]))
        lines = drawn(squall)
        corner = lines[(np.abs(lines[:, 2:4] - rim).max(axis=1) < 4)]
        red, green, blue = (corner[0, 4:7] > 0.5).tolist()
        name = {
            (False, False, True): "blue",
            (True, False, False): "red",
            (True, True, False): "yellow",
            (False, True, True): "cyan",
            (False, False, False): "black",
            (False, True, False): "green",
        }[(red, green, blue)]
        assert name == expected


def test_the_new_tube_grows_until_the_eye_rests(squall: Routines) -> None:
    sizes = []
    for eye in (*range(-1536, -24, 24), -24):
        squall.play(eye=eye)
        squall.ram[0] = ZOOM
        squall.ram[0x202] = 0xFF
        lines = drawn(squall)
        assert_inside(lines)
        tube = lines[lines[:, 1] > 80]
        sizes.append(float(np.ptp(tube[:, [0, 2]])))
    assert sizes == sorted(sizes)
    assert sizes[0] < 30
    assert sizes[-1] > 390


def test_the_descent_stays_inside_the_screen(squall: Routines) -> None:
    for shape in SHAPES:
        for depth in range(0x10, 0xF0, 0x18):
            squall.play(shape, eye=depth - 40)
            squall.ram[0], squall.ram[0x202], squall.ram[0x115] = DESCENT, depth, 1
            squall.ram[0x3AC:0x3BC] = np.arange(0x10, 0xF0, 14)
            squall.ram[0x3FE:0x406] = np.arange(0x18, 0xE8, 26)
            assert_inside(drawn(squall))


# --- cost and soundness over played games


@pytest.fixture(scope="module")
def frames_of_play() -> dict[int, list[NDArray[np.uint8]]]:
    """Whole board states at bridge points of games from several start levels, by game state."""
    states: dict[int, list[NDArray[np.uint8]]] = defaultdict(list)
    for level in (1, 5, 9, 17, 33, 65):
        game = Game()
        game.start(level)
        random = np.random.default_rng(level)
        for _ in range(900):
            game[0x48] = 3
            game.step(FIRE if random.random() < 0.9 else 0, int(random.choice((-12, -6, 0, 0, 6, 12))))
            states[game[0]].append(game.boards.state[0].copy())
            assert not game[0x08] & 0x40, "the generator halted: it read a list that was half new"
    return states


def cost(squall: Routines, states: list[NDArray[np.uint8]]) -> list[int]:
    """Cycles of the next draw_frame in each board state."""
    costs = []
    for state in states:
        squall.boards.state[0] = state
        costs.append(squall.call("draw_frame"))
    return costs


def test_a_frame_of_play_is_cheap(
    squall: Routines, frames_of_play: dict[int, list[NDArray[np.uint8]]]
) -> None:
    costs = cost(squall, frames_of_play[PLAY])
    assert len(costs) > 3000
    assert np.mean(costs) <= 6500
    assert max(costs) <= 20_000


def test_lists_end_inside_their_buffers(
    squall: Routines, frames_of_play: dict[int, list[NDArray[np.uint8]]]
) -> None:
    for states in frames_of_play.values():
        for state in states[::10]:
            squall.boards.state[0] = state
            squall.call("draw_frame")
            back = int(squall.ram[0xC2])
            end = int(squall.ram[0xC0]) | int(squall.ram[0xC1]) << 8
            assert (0x240E if back else 0x200E) <= end < (0x2700 if back else 0x2300)
            assert squall.vector_ram[0x0C:0x0E].tolist() == [0x07, 0xE2 if back else 0xE0]
            assert len(squall.lines()) > 10
