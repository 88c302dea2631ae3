"""Runs MAME and the board side by side on one ROM set and finds the first byte in which they differ."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from typing import TypedDict

import numpy as np

from tempest_gym.actions import ACTION_COUNT, CONTROLS, advised_action
from tempest_gym.board.layout import DEFAULT_MODEL, MODELS
from tempest_gym.commands.progress import with_progress
from tempest_gym.frame import Frame
from tempest_gym.machines.board import BoardMachine
from tempest_gym.machines.machine import Machine
from tempest_gym.machines.setup import Setup
from tempest_gym.roms import RomImage

__all__ = ["GAME_FRAMES", "Difference", "VerifyResult", "matching_model", "verify"]

GAME_FRAMES = 2_500
"""Game frames after which another game starts at another level."""

_MODEL_FRAMES = 30
"""Game frames that distinguish the board models; they differ from the second on."""

_START_LEVELS = (1, 5, 9, 13, 17, 22, 27, 33, 40, 46, 49, 52, 55, 58, 62, 65, 73, 81, 3, 7, 11, 15, 20, 24)
"""Start levels, chosen so that all colours and most tube shapes are seen early."""

_EXPERT_SHARE = 0.8
"""Share of the expert's actions, so that levels are cleared; the others are random."""

_FRAME_FIELDS = tuple(field.name for field in fields(Frame) if field.name != "features")


class Difference(TypedDict):
    """The first thing in which MAME and the board differ."""

    frame: int
    space: str
    address: int | str
    mame: float
    board: float


class VerifyResult(TypedDict):
    """Outcome of a comparison: the board's model, frames compared, and the player's levels (1-99) that were played."""

    board_model: str
    frames: int
    equal: bool
    first_difference: Difference | None
    levels_seen: list[int]


def matching_model(machine: Machine, rom: RomImage) -> str:
    """Return the model of a board, or the one that equals a MAME: the default model if none does.

    Args:
        machine: the machine; a MAME's game is lost.
        rom: its ROM set.
    """
    if isinstance(machine, BoardMachine):
        return machine.model
    for model in MODELS:
        machine.reset(0, 1)
        with closing(BoardMachine(rom, Setup(board_model=model))) as board:
            board.reset(0, 1)
            for _ in range(_MODEL_FRAMES):
                machine.step(False, False, 0)
                board.step(False, False, 0)
                if (machine.ram() != board.ram()).any():
                    break
            else:
                return model
    return DEFAULT_MODEL


def verify(mame: Machine, board: BoardMachine, frames: int, seed: int) -> VerifyResult:
    """Play the same games on both machines and compare everything that a program or the Lua can see.

    Compared at every bridge point: RAM, colour RAM, vector RAM, and the frame that the Lua delivers.

    Args:
        mame: the machine to trust.
        board: the machine to try, of the model that `matching_model` returns.
        frames: game frames to run; the comparison ends earlier at a difference.
        seed: seed of the first game, later games count up; it seeds the actions too.
    """
    levels: set[int] = set()
    compared, found = 0, None
    for ours, theirs in with_progress(_games(mame, board, frames, seed), frames, "game frames compared"):
        found = _difference(compared, mame, board, theirs, ours)
        compared += 1
        if theirs.decision:
            levels.add(theirs.level + 1)
        if found:
            break
    return VerifyResult(
        board_model=board.model,
        frames=compared,
        equal=found is None,
        first_difference=found,
        levels_seen=sorted(levels),
    )


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
