"""The 44 joint actions, and the expert's advice turned into one of them."""

import itertools

import numpy as np
import pytest

from tempest_gym.actions import (
    ACTION_COUNT,
    CONTROLS,
    SPINNER_LEVELS,
    decode_action,
    encode_action,
    expert_action,
    expert_actions,
)


def test_every_index_stands_for_the_controls_of_the_original_wire_format():
    assert SPINNER_LEVELS == (0, 12, 9, 6, 3, 1, -1, -3, -6, -9, -12)
    for fire, zap, index in itertools.product((0, 1), (0, 1), range(11)):
        joint = 11 * (2 * fire + zap) + index
        assert decode_action(joint) == CONTROLS[joint] == (bool(fire), bool(zap), SPINNER_LEVELS[index])
        assert encode_action(bool(fire), bool(zap), SPINNER_LEVELS[index]) == joint
    assert len(CONTROLS) == ACTION_COUNT == 44


def test_the_nearest_level_encodes_an_arbitrary_turn():
    for spinner in range(-32, 32):
        _, _, level = CONTROLS[encode_action(False, False, spinner)]
        assert abs(level - spinner) == min(abs(other - spinner) for other in SPINNER_LEVELS)


@pytest.mark.parametrize("action", [-1, 44, 1.5, float("nan"), float("inf"), "x", None, [1, 2]])
def test_an_error_names_the_wrong_action(action):
    with pytest.raises(ValueError, match=r"from 0 to 43, got"):
        decode_action(action)


def turns_to(target: int, lane: int, is_open: bool) -> set[int]:
    """Lane steps (+1 higher, -1 lower) that start a shortest way, found by walking it."""
    lanes = range(15) if is_open else range(16)
    frontier, seen, ways = {(lane, 0)}, {lane}, set()
    while not ways and frontier:
        nxt = set()
        for place, first in frontier:
            for step in (1, -1):
                place_to = place + step if is_open else (place + step) % 16
                if place_to not in lanes or place_to in seen:
                    continue
                if place_to == target:
                    ways.add(first or step)
                nxt.add((place_to, first or step))
        seen |= {place for place, _ in nxt}
        frontier = nxt
    return ways


@pytest.mark.parametrize("is_open", [False, True])
def test_the_expert_turns_the_shorter_way_at_full_speed(is_open):
    lanes = range(15) if is_open else range(16)
    for lane, target in itertools.product(lanes, lanes):
        fire, zap, spinner = CONTROLS[expert_action(target, lane, is_open, True, False)]
        assert (fire, zap) == (True, False)
        if target == lane:
            assert spinner == 0
        else:  # A negative turn leads to higher lanes.
            assert spinner in (12, -12)
            assert (1 if spinner < 0 else -1) in turns_to(target, lane, is_open)


def test_without_a_target_the_expert_stands_still():
    for lane, is_open, zap in itertools.product(range(16), (False, True), (False, True)):
        assert CONTROLS[expert_action(-1, lane, is_open, False, zap)] == (False, zap, 0)


def test_a_tie_goes_to_higher_lanes():
    assert CONTROLS[expert_action(8, 0, False, False, False)][2] == -12
    assert CONTROLS[expert_action(0, 8, False, False, False)][2] == -12


def test_arrays_give_what_single_values_give():
    cases = list(itertools.product(range(-1, 16), range(16), (False, True), (False, True), (False, True)))
    columns = (np.array(column) for column in zip(*cases, strict=True))
    np.testing.assert_array_equal(expert_actions(*columns), [expert_action(*case) for case in cases])
