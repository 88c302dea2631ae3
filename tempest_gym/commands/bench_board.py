"""Measures the speed of boards and MAME; ratios are taken within one run, so that they hold on a busy computer."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from functools import partial
from typing import Any, TypedDict

import numpy as np

from tempest_gym.commands.bench_mame import MamePlay
from tempest_gym.commands.progress import with_progress
from tempest_gym.env import TempestEnv
from tempest_gym.machines.lua_host import LuaHost
from tempest_gym.machines.mame import MameMachine
from tempest_gym.machines.mame_process import MameMissingError
from tempest_gym.roms import RomImage
from tempest_gym.settings import SettingsArguments
from tempest_gym.vector import TempestVectorEnv

__all__ = ["BoardBench", "bench_board"]

_WARM_UP_STEPS = 300
"""Steps before the measurement, so that games are at different points."""

_ROUNDS = 10
"""Number of turns of each measurement, so that other load on the computer affects all of them."""

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
        forks_per_second: copies of games within the process, each with random numbers of its own, on one core.
        mame_game_frames_per_second: of one MAME with the same ROM set, or None without MAME.
        ratio_to_mame: env_steps_per_second to that.
    """

    game: str
    obs_type: str
    envs: int
    threads: int
    env_steps_per_second: float
    game_frames_per_second: float
    cpu_only_steps_per_second: float
    share: dict[str, float]
    bytes_per_env: int
    single_step_us: float
    forks_per_second: float
    mame_game_frames_per_second: float | None
    ratio_to_mame: float | None


def bench_board(
    rom: RomImage,
    envs: int,
    threads: int,
    seconds: float,
    seed: int,
    observed: SettingsArguments | None = None,
) -> BoardBench:
    """Measure boards in process, and one MAME with the same ROM set beside them.

    Args:
        rom: the ROM set.
        envs: environments in the vector.
        threads: threads that share them.
        seconds: about how long each of the five measurements takes.
        seed: seed of the first game.
        observed: ``obs_type`` and ``screen_size`` of the environments; None for features.
    """
    settings: SettingsArguments = observed or {}
    with ExitStack() as stack:
        single = _Single(stack.enter_context(closing(TempestEnv(rom=rom, **settings))), seed)
        many = TempestVectorEnv(envs, threads=threads, rom=rom, **settings)
        vector = _Vector(stack.enter_context(closing(many)), seed)
        forks = _Forks(stack.enter_context(closing(TempestVectorEnv(2 * envs, threads=1, rom=rom))), seed)
        mame = None
        with suppress(MameMissingError):
            mame = MamePlay(stack.enter_context(closing(MameMachine(rom))), seed)
        for _ in with_progress(range(_ROUNDS), _ROUNDS, "rounds measured"):
            single.play(seconds / _ROUNDS)
            vector.play(seconds / _ROUNDS)
            vector.run_without_lua(seconds / _ROUNDS)
            forks.copy(seconds / _ROUNDS)
            if mame:
                mame.play(seconds / _ROUNDS)
        mame_frames = mame.frames / mame.seconds if mame else None
        steps = vector.steps / vector.seconds
        cpu_only = vector.cpu_frames / vector.cpu_seconds
        in_cpu = min(vector.frames / cpu_only, vector.in_fleet)
        return BoardBench(
            game=rom.name,
            obs_type=many.settings.obs_type,
            envs=envs,
            threads=vector.env.threads,
            env_steps_per_second=steps,
            game_frames_per_second=vector.frames / vector.seconds,
            cpu_only_steps_per_second=cpu_only,
            share={
                "cpu": in_cpu / vector.seconds,
                "lua": (vector.in_fleet - in_cpu) / vector.seconds,
                "python": (vector.seconds - vector.in_fleet) / vector.seconds,
            },
            bytes_per_env=len(vector.env.fleet.save_state()) // envs,
            forks_per_second=forks.count / forks.seconds,
            single_step_us=1e6 * single.seconds / single.steps,
            mame_game_frames_per_second=mame_frames,
            ratio_to_mame=None if mame_frames is None else steps / mame_frames,
        )


class _Single:
    """A single environment that the expert plays; the time of its steps alone counts."""

    def __init__(self, env: TempestEnv, seed: int) -> None:
        self.env = env
        self.seconds, self.steps = 0.0, 0
        _, self._info = env.reset(seed=seed)
        self.play(seconds=0.1)
        self.seconds, self.steps = 0.0, 0

    def play(self, seconds: float) -> None:
        until = self.seconds + seconds
        while self.seconds < until:
            action = self._info["expert_action"]
            start = time.perf_counter()
            _, _, terminated, truncated, self._info = self.env.step(action)
            self.seconds += time.perf_counter() - start
            self.steps += 1
            if terminated or truncated:
                _, self._info = self.env.reset()


class _Forks:
    """A vector environment whose first half is copied onto its second, again and again."""

    def __init__(self, env: TempestVectorEnv, seed: int) -> None:
        self.env = env
        self.seconds, self.count = 0.0, 0
        env.reset(seed=seed)
        self._sources, self._targets = np.split(np.arange(env.num_envs), 2)

    def copy(self, seconds: float) -> None:
        until = self.seconds + seconds
        while self.seconds < until:
            start = time.perf_counter()
            self.env.fork(self._sources, self._targets, seeds=self._sources + self.count)
            self.seconds += time.perf_counter() - start
            self.count += len(self._targets)


class _Vector:
    """A vector environment that the expert plays."""

    def __init__(self, env: TempestVectorEnv, seed: int) -> None:
        self.env = env
        self.seconds = self.in_fleet = self.cpu_seconds = 0.0
        self.steps = self.frames = self.cpu_frames = 0
        env.fleet.step = self._timed(env.fleet.step)  # type: ignore[method-assign]
        _, self._infos = env.reset(seed=seed)
        for _ in range(_WARM_UP_STEPS):
            self._step()
        self.in_fleet, self.steps, self.frames = 0.0, 0, 0

    def play(self, seconds: float) -> None:
        start = now = time.perf_counter()
        while now - start < seconds:
            self._step()
            now = time.perf_counter()
        self.seconds += now - start

    def run_without_lua(self, seconds: float) -> None:
        """Run the boards on from their present play, without Lua, and restore them; on as many threads."""
        fleet = self.env.fleet
        state = fleet.save_state()
        slices = np.array_split(np.arange(self.env.num_envs), self.env.threads)
        until = self.cpu_seconds + seconds
        while self.cpu_seconds < until:
            start = time.perf_counter()
            fleet.run([partial(self._run_boards, int(rows[0]), int(rows[-1]) + 1) for rows in slices])
            self.cpu_seconds += time.perf_counter() - start
            self.cpu_frames += _CPU_FRAMES * self.env.num_envs
            fleet.load_state(state)

    def _step(self) -> None:
        _, _, _, _, self._infos = self.env.step(self._infos["expert_action"])
        self.steps += self.env.num_envs
        self.frames += int(self._infos["frames"].sum())

    def _timed(self, step: Callable[..., None]) -> Callable[..., None]:
        def timed(*arguments: Any, **how: Any) -> None:
            start = time.perf_counter()
            step(*arguments, **how)
            self.in_fleet += time.perf_counter() - start

        return timed

    def _run_boards(self, first: int, end: int, _: LuaHost) -> None:
        for _frame in range(_CPU_FRAMES):
            self.env.fleet.boards.run(first, end)
