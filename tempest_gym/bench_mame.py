"""Measures MAME: the game frames that the bridge hands over, against a MAME that runs without any Lua."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypedDict

from tempest_gym.actions import CONTROLS, advised_action
from tempest_gym.machines.mame import MameMachine
from tempest_gym.machines.mame_process import MameError, MameMissingError, MameProcess
from tempest_gym.roms import RomImage
from tempest_gym.settings import FRAMES_PER_SECOND

__all__ = ["MameBench", "bench_mame", "game_frames_per_second"]

VIDEO_FRAMES_PER_SECOND = 60.0
"""Of MAME's Tempest, in emulated time (HARDWARE 1)."""

_USUAL_SPEED = 16.0
"""Emulated seconds per second, so that a run without Lua takes about as long as wished."""

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
    alone = sum(_together(instances, lambda _: _alone(rom, seconds)))
    game_frames = sum(_together(instances, lambda index: _play(rom, seconds, seed + index)))
    video_frames = game_frames * VIDEO_FRAMES_PER_SECOND / FRAMES_PER_SECOND
    return MameBench(
        game=rom.name,
        instances=instances,
        video_frames_per_second=video_frames,
        video_frames_per_second_without_lua=alone,
        ratio=video_frames / alone,
        game_frames_per_second=game_frames,
    )


def game_frames_per_second(rom: RomImage, seconds: float, seed: int) -> float | None:
    """Return the game frames a second of one MAME with the whole exchange; None where there is no MAME."""
    try:
        return _play(rom, seconds, seed)
    except MameMissingError:
        return None


def _together(count: int, work: Callable[[int], float]) -> list[float]:
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(work, range(count)))


def _play(rom: RomImage, seconds: float, seed: int) -> float:
    with closing(MameMachine(rom)) as machine:
        frame = machine.reset(seed, 1)
        frames = 0
        start = now = time.perf_counter()
        while now - start < seconds:
            frame = machine.step(*CONTROLS[advised_action(frame)])
            frames += 1
            now = time.perf_counter()
        return frames / (now - start)


def _alone(rom: RomImage, seconds: float) -> float:
    emulated = max(10, round(seconds * _USUAL_SPEED))
    process = MameProcess(rom, {}, arguments=["-seconds_to_run", str(emulated)], script=False)
    try:
        code = process.wait(emulated + _GRACE)
        found = _SPEED.search(process.last_lines())
        if code is None or found is None:
            raise MameError(f"MAME did not tell its speed; its last lines:\n{process.last_lines()}")
        return VIDEO_FRAMES_PER_SECOND * float(found[1]) / 100.0
    finally:
        process.end()
