"""The 44 joint actions: four fire and zap pairs by eleven spinner levels (ARCADE F.5)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tempest_gym.frame import Frame

__all__ = [
    "ACTION_COUNT",
    "CONTROLS",
    "MEANINGS",
    "SPINNER_LEVELS",
    "advised_action",
    "checked_action",
    "decode_action",
    "encode_action",
    "expert_action",
    "expert_actions",
]

SPINNER_LEVELS: tuple[int, ...] = (0, 12, 9, 6, 3, 1, -1, -3, -6, -9, -12)
"""Spinner counts per game frame by spinner index; 16 counts are one lane, negative turns to higher lanes."""

ACTION_COUNT = 4 * len(SPINNER_LEVELS)

CONTROLS: tuple[tuple[bool, bool, int], ...] = tuple(
    (fire, zap, level) for fire in (False, True) for zap in (False, True) for level in SPINNER_LEVELS
)
"""``(fire, zap, spinner)`` of every joint action, by its index."""

MEANINGS: tuple[str, ...] = tuple(
    " ".join(["FIRE"] * fire + ["ZAP"] * zap + [f"TURN {level:+d}"] * bool(level)) or "NOOP"
    for fire, zap, level in CONTROLS
)
"""What every joint action does, by its index: ``"NOOP"``, ``"FIRE ZAP TURN -3"``."""

LANES = 16

_STAND, _LOWER, _HIGHER = (SPINNER_LEVELS.index(level) for level in (0, 12, -12))


def checked_action(action: Any) -> int:
    """Return a joint action as an int.

    Raises:
        ValueError: the action is not a whole number within 0-43.
    """
    try:
        index = int(action)
    except (TypeError, ValueError, OverflowError):
        index = -1
    if not 0 <= index < ACTION_COUNT or index != action:
        raise ValueError(f"action must be a whole number from 0 to {ACTION_COUNT - 1}, got {action!r}")
    return index


def decode_action(action: int) -> tuple[bool, bool, int]:
    """Return ``(fire, zap, spinner)`` of a joint action 0-43.

    Raises:
        ValueError: as `checked_action`.
    """
    return CONTROLS[checked_action(action)]


def encode_action(fire: bool, zap: bool, spinner: int) -> int:
    """Return the joint action nearest to the given controls (ties go to the smaller turn)."""
    nearest = min(SPINNER_LEVELS, key=lambda level: (abs(level - spinner), abs(level)))
    return len(SPINNER_LEVELS) * (2 * bool(fire) + bool(zap)) + SPINNER_LEVELS.index(nearest)


def expert_action(target: int, lane: int, is_open: bool, fire: bool, zap: bool) -> int:
    """Turn the advice of one frame into a joint action, as `expert_actions` does for arrays.

    The expert names a lane; the quickest turn among the 11 levels leads there by the shorter way (to higher
    lanes when both ways are equally long).
    """
    distance = target - lane
    if target < 0 or distance == 0:
        spinner = _STAND
    else:
        ahead = distance > 0 if is_open else (distance + 7) % LANES > 7
        spinner = _HIGHER if ahead else _LOWER
    return len(SPINNER_LEVELS) * (2 * fire + zap) + spinner


_ADVICE = np.array(
    [
        expert_action(target, lane, is_open, fire, zap)
        for fire in (False, True)
        for zap in (False, True)
        for is_open in (False, True)
        for lane in range(LANES)
        for target in range(-1, LANES)
    ],
    np.int64,
).reshape(2, 2, 2, LANES, LANES + 1)
"""The expert's joint action by fire, zap, open tube, lane and target lane + 1."""


def advised_action(frame: Frame) -> int:
    """Return the joint action that the expert advises in a frame."""
    return expert_action(
        frame.expert_target, frame.player_lane, frame.open, frame.expert_fire, frame.expert_zap
    )


def expert_actions(
    target: ArrayLike, lane: ArrayLike, is_open: ArrayLike, fire: ArrayLike, zap: ArrayLike
) -> NDArray[np.int64]:
    """Turn the expert's advice into joint actions.

    All arguments broadcast together.

    Args:
        target: lanes 0-15 the expert steers for, -1 for none.
        lane: the player's lanes, 0-15.
        is_open: whether the tube is open, so that there is only one way.
        fire: whether the expert fires.
        zap: whether the expert zaps.
    """
    advice = (np.asarray(value, np.int64) for value in (fire, zap, is_open, lane))
    joint_actions: NDArray[np.int64] = _ADVICE[(*advice, np.asarray(target, np.int64) + 1)]
    return joint_actions
