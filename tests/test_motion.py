"""Lines between two game frames: each line is found in the picture before and moved from there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tempest_gym.actions import CONTROLS, advised_action
from tempest_gym.display.motion import Motion, earlier_places
from tempest_gym.display.render import display_list
from tempest_gym.machines.board import BoardMachine
from tempest_gym.roms import squall_rom

COLOURS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def shape(points, colour, x, y):
    """An object of connected lines."""
    ends = np.array(points, np.float32) + np.float32([x, y])
    lines = np.empty((len(ends) - 1, 8), np.float32)
    lines[:, :2], lines[:, 2:4], lines[:, 4:7], lines[:, 7] = ends[:-1], ends[1:], COLOURS[colour], 1.0
    return lines


SQUARE = [(0, 0), (12, 0), (12, 12), (0, 12), (0, 0)]
ZIGZAG = [(0, 0), (5, 20), (10, 0), (15, 20)]


def test_moved_objects_are_found_when_others_appear_and_vanish():
    before = np.concatenate(
        [shape(SQUARE, 0, 100, 100), shape(ZIGZAG, 1, 300, 200), shape(SQUARE, 0, 200, 400)]
    )
    after = np.concatenate([shape(ZIGZAG, 2, 50, 50), shape(SQUARE, 0, 108, 95), shape(SQUARE, 0, 190, 410)])
    expected = np.concatenate(
        [shape(ZIGZAG, 2, 50, 50), shape(SQUARE, 0, 100, 100), shape(SQUARE, 0, 200, 400)]
    )
    np.testing.assert_array_equal(earlier_places(before, after), expected)


def test_a_line_far_away_or_of_another_colour_is_not_the_same():
    after = shape(SQUARE, 0, 300, 300)
    for before in (shape(SQUARE, 0, 300, 361), shape(SQUARE, 1, 300, 300), after[:0]):
        np.testing.assert_array_equal(earlier_places(before, after), after)
    assert len(earlier_places(after, after[:0])) == 0


objects = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), st.integers(0, 2)), max_size=6)


@given(objects)
def test_a_picture_that_stands_still_is_itself(places):
    lines = np.concatenate([np.zeros((0, 8), np.float32), *(shape(SQUARE, c, x, y) for x, y, c in places)])
    np.testing.assert_array_equal(earlier_places(lines, lines), lines)


def naive_cost(before, after):
    """Least total cost of an alignment, by trying all of them."""
    if not len(before) or not len(after):
        return 30.0 * (len(before) + len(after))
    cost = 30.0 + min(naive_cost(before[1:], after), naive_cost(before, after[1:]))
    if (before[0, 4:7] == after[0, 4:7]).all():
        moved = before[0, :4] - after[0, :4]
        distance = np.abs(moved[:2] + moved[2:]).sum() / 2 + 2 * np.abs(moved[2:] - moved[:2]).sum()
        cost = min(cost, distance + naive_cost(before[1:], after[1:]))
    return cost


def cost_of(places, before, after):
    """Cost of the alignment that was found."""
    cost, free = 30.0 * (len(before) + len(after)), list(range(len(before)))
    for old, new in zip(places, after, strict=True):
        partner = next((row for row in free if (before[row, :4] == old[:4]).all()), None)
        if partner is not None and (before[partner, 4:7] == new[4:7]).all():
            free.remove(partner)
            moved = old[:4] - new[:4]
            cost += np.abs(moved[:2] + moved[2:]).sum() / 2 + 2 * np.abs(moved[2:] - moved[:2]).sum() - 60.0
    return cost


@pytest.mark.parametrize("seed", range(20))
def test_no_alignment_is_cheaper(seed):
    rng = np.random.default_rng(seed)

    def lines(count):
        made = np.zeros((count, 8), np.float32)
        made[:, :4] = np.sort(rng.integers(0, 60, (count, 4)), axis=1)
        made[:, 4 + rng.integers(0, 2)] = 1.0
        return made

    before, after = lines(5), lines(5)
    found = cost_of(earlier_places(before, after), before, after)
    assert found == pytest.approx(naive_cost(before, after))


def test_motion_runs_from_the_earlier_picture_to_the_newest():
    motion = Motion()
    first, second = shape(SQUARE, 0, 100, 100), shape(SQUARE, 0, 110, 100)
    motion.add(first)
    np.testing.assert_array_equal(motion.at(0.0), first)
    motion.add(second)
    np.testing.assert_array_equal(motion.at(0.0), first)
    np.testing.assert_array_equal(motion.at(0.5), shape(SQUARE, 0, 105, 100))
    np.testing.assert_array_equal(motion.at(1.0), second)


def test_in_a_game_lines_are_found_and_halfway_is_near_where_they_were():
    """Of three frames in a row, halfway from the first to the third is compared with the second."""
    rom = squall_rom()
    machine = BoardMachine(rom)
    frame, pictures = machine.reset(1, 9), []
    for _ in range(400):
        frame = machine.step(*CONTROLS[advised_action(frame)])
        pictures.append(display_list(machine.vector_ram(), rom.memory[0x3000:0x4000], machine.colour_ram()))
    lines = found = 0
    halfway, held = [], []
    for first, second, third in zip(pictures[40:], pictures[41:], pictures[42:], strict=False):
        old, middle = earlier_places(first, second), earlier_places(second, third)
        rows = {tuple(line[:4]): row for row, line in enumerate(second)}
        for line, place in zip(third, middle, strict=True):
            row = rows.get(tuple(place[:4]))
            lines, found = lines + 1, found + (row is not None)
            if row is not None and np.abs(old[row, :4] - line[:4]).max() > 1.0:
                halfway.append(np.abs((old[row, :4] + line[:4]) / 2 - second[row, :4]).mean())
                held.append(np.abs(old[row, :4] - second[row, :4]).mean())
    assert found > 0.9 * lines
    assert len(halfway) > 1000
    assert np.mean(halfway) < 0.5 * np.mean(held)
