"""Runs two machines side by side on one ROM set and looks for the first byte in which they differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TypedDict

import numpy as np

from tempest_gym.actions import ACTION_COUNT, CONTROLS, advised_action
from tempest_gym.frame import Frame
from tempest_gym.machines.machine import Machine

__all__ = ["GAME_FRAMES", "Difference", "VerifyResult", "verify"]

GAME_FRAMES = 2_500
"""Game frames after which another game is begun at another level."""

_START_LEVELS = (1, 5, 9, 13, 17, 22, 27, 33, 40, 46, 49, 52, 55, 58, 62, 65, 73, 81, 3, 7, 11, 15, 20, 24)
"""Levels to start at, so that all colours and most shapes of tube come early."""

_EXPERT_SHARE = 0.8
"""Part of the actions that are the expert's, so that levels get cleared; the others are random."""

_FRAME_FIELDS = tuple(field.name for field in fields(Frame) if field.name != "features")


class Difference(TypedDict):
    """The first thing in which MAME and the board differ."""

    frame: int
    space: str
    address: int | str
    mame: float
    board: float


class VerifyResult(TypedDict):
    """Outcome of a comparison: frames compared, and the player's levels (1-99) that play came through."""

    frames: int
    equal: bool
    first_difference: Difference | None
    levels_seen: list[int]


def verify(mame: Machine, board: Machine, frames: int, seed: int) -> VerifyResult:
    """Play the same games on both machines and compare all that a program or the Lua can see.

    Compared at every bridge point: RAM, colour RAM, vector RAM, and the frame the Lua hands over.

    Args:
        mame: the machine to trust.
        board: the machine to try.
        frames: game frames to run; the comparison ends earlier at a difference.
        seed: seed of the first game, later games count up; it seeds the actions too.
    """
    levels: set[int] = set()
    for index, (ours, theirs) in enumerate(_games(mame, board, frames, seed)):
        found = _difference(index, mame, board, theirs, ours)
        if theirs.decision:
            levels.add(theirs.level + 1)
        if found:
            return VerifyResult(
                frames=index + 1, equal=False, first_difference=found, levels_seen=sorted(levels)
            )
    return VerifyResult(frames=frames, equal=True, first_difference=None, levels_seen=sorted(levels))


def _games(mame: Machine, board: Machine, frames: int, seed: int) -> Iterator[tuple[Frame, Frame]]:
    """Yield the board's and MAME's frame at each bridge point."""
    for game, first in enumerate(range(0, frames, GAME_FRAMES)):
        start_level = _START_LEVELS[game % len(_START_LEVELS)]
        generator = np.random.default_rng([seed, game])
        theirs = mame.reset(seed + game, start_level)
        yield board.reset(seed + game, start_level), theirs
        for _ in range(min(GAME_FRAMES, frames - first) - 1):
            controls = CONTROLS[_action(theirs, generator)]
            theirs = mame.step(*controls)
            yield board.step(*controls), theirs


def _action(frame: Frame, generator: np.random.Generator) -> int:
    if generator.random() >= _EXPERT_SHARE:
        return int(generator.integers(ACTION_COUNT))
    return advised_action(frame)


def _difference(frame: int, mame: Machine, board: Machine, theirs: Frame, ours: Frame) -> Difference | None:
    spaces = (
        ("ram", 0x0000, mame.ram(), board.ram()),
        ("colour", 0x0800, mame.colour_ram(), board.colour_ram()),
        ("vector", 0x2000, mame.vector_ram(), board.vector_ram()),
        ("features", 0, theirs.features, ours.features),
    )
    for space, start, expected, got in spaces:
        places = np.flatnonzero(expected != got)
        if len(places):
            at = int(places[0])
            return Difference(
                frame=frame, space=space, address=start + at, mame=expected[at].item(), board=got[at].item()
            )
    for name in _FRAME_FIELDS:
        expected, got = getattr(theirs, name), getattr(ours, name)
        if expected != got:
            return Difference(frame=frame, space="frame", address=name, mame=expected, board=got)
    return None
