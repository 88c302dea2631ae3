"""Measures how fast the machines are here; ratios are of one run, so that they hold on a busy computer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any, TypedDict

import numpy as np

from tempest_gym.bench_mame import game_frames_per_second
from tempest_gym.env import TempestEnv
from tempest_gym.machines.board import BoardFleet
from tempest_gym.machines.lua_host import LuaHost
from tempest_gym.roms import RomImage
from tempest_gym.vector import TempestVectorEnv

__all__ = ["BoardBench", "bench_board"]

_WARM_UP_STEPS = 300
"""Steps before a measurement, so that games are at different points."""

_CPU_FRAMES = 20
"""Game frames that boards run without Lua before they go back to where they were in play."""


class BoardBench(TypedDict):
    """What `bench_board` measures.

    Attributes:
        env_steps_per_second: of the vector environment, the expert playing.
        game_frames_per_second: likewise; a step is one game frame in play, many around a death.
        cpu_only_steps_per_second: game frames of the same boards in play, without Lua and Python.
        share: of a step's time, by what is spent in it: ``cpu`` (the board), ``lua``, ``python``.
        bytes_per_env: arrays that one environment owns.
        single_step_us: one `TempestEnv.step`.
        mame_game_frames_per_second: of one MAME with the same ROM set, or None without MAME.
        ratio_to_mame: env_steps_per_second to that.
    """

    game: str
    envs: int
    threads: int
    env_steps_per_second: float
    game_frames_per_second: float
    cpu_only_steps_per_second: float
    share: dict[str, float]
    bytes_per_env: int
    single_step_us: float
    mame_game_frames_per_second: float | None
    ratio_to_mame: float | None


def bench_board(rom: RomImage, envs: int, threads: int, seconds: float, seed: int) -> BoardBench:
    """Measure boards in process, and one MAME with the same ROM set beside them.

    Args:
        rom: the ROM set.
        envs: environments in the vector.
        threads: threads that share them.
        seconds: about how long each measurement takes.
        seed: seed of the first game.
    """
    single = _single_step(rom, seconds, seed)
    env = TempestVectorEnv(envs, threads=threads, rom=rom)
    try:
        vector = _vector(env, seconds, seed)
    finally:
        env.close()
    mame = game_frames_per_second(rom, seconds, seed)
    steps = vector.steps_per_second
    return BoardBench(
        game=rom.name,
        envs=envs,
        threads=env.threads,
        env_steps_per_second=steps,
        game_frames_per_second=vector.frames_per_second,
        cpu_only_steps_per_second=vector.cpu_only,
        share=vector.share,
        bytes_per_env=vector.bytes_per_env,
        single_step_us=single,
        mame_game_frames_per_second=mame,
        ratio_to_mame=None if mame is None else steps / mame,
    )


def _single_step(rom: RomImage, seconds: float, seed: int) -> float:
    env = TempestEnv(rom=rom)
    _, info = env.reset(seed=seed)
    steps, spent = 0, 0.0
    while spent < seconds:
        start = time.perf_counter()
        _, _, terminated, truncated, info = env.step(info["expert_action"])
        spent += time.perf_counter() - start
        steps += 1
        if terminated or truncated:
            _, info = env.reset()
    env.close()
    return 1e6 * spent / steps


@dataclass(slots=True)
class _Vector:
    steps_per_second: float
    frames_per_second: float
    cpu_only: float
    share: dict[str, float]
    bytes_per_env: int


def _vector(env: TempestVectorEnv, seconds: float, seed: int) -> _Vector:
    fleet = env.fleet
    timer = _Timer(fleet)
    _, infos = env.reset(seed=seed)
    for _ in range(_WARM_UP_STEPS):
        _, _, _, _, infos = env.step(infos["expert_action"])
    timer.seconds = 0.0
    steps = frames = 0
    start = now = time.perf_counter()
    while now - start < seconds:
        _, _, _, _, infos = env.step(infos["expert_action"])
        frames += int(infos["frames"].sum())
        steps += 1
        now = time.perf_counter()
    spent, in_fleet = now - start, timer.seconds
    cpu_only = _cpu_only(fleet, seconds)
    in_cpu = min(frames / cpu_only, in_fleet)
    return _Vector(
        steps_per_second=steps * env.num_envs / spent,
        frames_per_second=frames / spent,
        cpu_only=cpu_only,
        share={
            "cpu": in_cpu / spent,
            "lua": (in_fleet - in_cpu) / spent,
            "python": (spent - in_fleet) / spent,
        },
        bytes_per_env=len(fleet.save_state()) // env.num_envs,
    )


class _Timer:
    """Adds up the time a fleet spends on its jobs."""

    def __init__(self, fleet: BoardFleet) -> None:
        self.seconds = 0.0
        run = fleet.run

        def timed(jobs: Any) -> None:
            start = time.perf_counter()
            run(jobs)
            self.seconds += time.perf_counter() - start

        fleet.run = timed  # type: ignore[method-assign]


def _cpu_only(fleet: BoardFleet, seconds: float) -> float:
    """Game frames a second of the boards as they stand in play, without Lua, on the fleet's threads."""
    state = fleet.save_state()
    slices = np.array_split(np.arange(len(fleet.frames)), fleet.threads)

    def run(rows: np.ndarray, host: LuaHost) -> None:
        for _ in range(_CPU_FRAMES):
            fleet.boards.run(int(rows[0]), int(rows[-1]) + 1)

    spent, rounds = 0.0, 0
    while spent < seconds:
        start = time.perf_counter()
        fleet.run([partial(run, rows) for rows in slices])
        spent += time.perf_counter() - start
        fleet.load_state(state)
        rounds += 1
    return rounds * _CPU_FRAMES * len(fleet.frames) / spent
