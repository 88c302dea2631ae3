"""Measures MAME: the game frames that the bridge delivers, against a MAME that runs without any Lua."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from statistics import fmean
from typing import TypedDict

from tempest_gym.actions import CONTROLS, advised_action
from tempest_gym.commands.progress import with_progress
from tempest_gym.frame import FRAMES_PER_SECOND
from tempest_gym.machines.machine import Machine
from tempest_gym.machines.mame import MameMachine
from tempest_gym.machines.mame_process import MameError, MameProcess
from tempest_gym.roms import RomImage

__all__ = ["MameBench", "MamePlay", "bench_mame"]

VIDEO_FRAMES_PER_SECOND = 60.0
"""Of MAME's Tempest, in emulated time (HARDWARE 1)."""

_USUAL_SPEED = 16.0
"""Emulated seconds per second, from which the length of a run without Lua follows."""

_ROUNDS = 3
"""Number of turns of each measurement, so that other load on the computer affects both."""

_SPEED = re.compile(r"Average speed: ([\d.]+)%")
_GRACE = 60.0


class MameBench(TypedDict):
    """What `bench_mame` measures, summed over the instances; rates are per second of real time."""

    game: str
    instances: int
    video_frames_per_second: float
    video_frames_per_second_without_lua: float
    ratio: float
    game_frames_per_second: float


def bench_mame(rom: RomImage, instances: int, seconds: float, seed: int) -> MameBench:
    """Measure MAME with the whole exchange of every game frame, and the same MAME alone.

    Args:
        rom: the ROM set.
        instances: MAMEs at a time.
        seconds: about how long each of the two measurements takes.
        seed: seed of the first instance's first game; the expert plays.
    """
    with ExitStack() as stack, ThreadPoolExecutor(instances) as threads:
        machines = [stack.enter_context(closing(MameMachine(rom))) for _ in range(instances)]
        plays = [MamePlay(machine, seed + index) for index, machine in enumerate(machines)]
        speeds: list[float] = []
        for _ in with_progress(range(_ROUNDS), _ROUNDS, "rounds measured"):
            speeds += threads.map(lambda _: _alone(rom, seconds / _ROUNDS), plays)
            list(threads.map(lambda play: play.play(seconds / _ROUNDS), plays))
    alone = instances * fmean(speeds)
    game_frames = sum(play.frames / play.seconds for play in plays)
    video_frames = game_frames * VIDEO_FRAMES_PER_SECOND / FRAMES_PER_SECOND
    return MameBench(
        game=rom.name,
        instances=instances,
        video_frames_per_second=video_frames,
        video_frames_per_second_without_lua=alone,
        ratio=video_frames / alone,
        game_frames_per_second=game_frames,
    )


class MamePlay:
    """A MAME in which the expert plays, with the whole exchange of every game frame.

    Attributes:
        frames: game frames so far.
        seconds: real time they took.
    """

    def __init__(self, machine: Machine, seed: int) -> None:
        """Start a game."""
        self.frames, self.seconds = 0, 0.0
        self._machine = machine
        self._frame = machine.reset(seed, 1)

    def play(self, seconds: float) -> None:
        """Continue to play for some real time."""
        start = now = time.perf_counter()
        while now - start < seconds:
            self._frame = self._machine.step(*CONTROLS[advised_action(self._frame)])
            self.frames += 1
            now = time.perf_counter()
        self.seconds += now - start


def _alone(rom: RomImage, seconds: float) -> float:
    emulated = max(10, round(seconds * _USUAL_SPEED))
    process = MameProcess(rom, {}, arguments=["-seconds_to_run", str(emulated)], script=False)
    try:
        code = process.wait(emulated + _GRACE)
        found = _SPEED.search(process.last_lines())
        if code is None or found is None:
            raise MameError(f"MAME did not print its speed; its last lines:\n{process.last_lines()}")
        return VIDEO_FRAMES_PER_SECOND * float(found[1]) / 100.0
    finally:
        process.end()
