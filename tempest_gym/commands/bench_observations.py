"""Measures how many steps a second each kind of observation allows on one core, beside those of ale-py."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, TypedDict

import gymnasium as gym
import numpy as np

from tempest_gym.commands.progress import with_progress
from tempest_gym.roms import RomImage

__all__ = ["ObservationBench", "ObservationSpeed", "bench_observations"]

_ROUNDS = 10
"""Number of turns for each environment, so that other load on the computer affects all alike."""

_BLOCK = 20
"""Steps between two readings of the clock."""


class ObservationSpeed(TypedDict):
    """Steps per second of CPU time with random actions; a vector's are those of all its games together.

    Attributes:
        environment: ``"Tempest-v0"``, or the one of ale-py.
        observation: what is observed, with the size of a picture.
        single: of a single environment, or None without one of this kind.
        vector: of a vector environment, likewise.
    """

    environment: str
    observation: str
    single: float | None
    vector: float | None


class ObservationBench(TypedDict):
    """What `bench_observations` measures; ``ale_py`` is its version, or None where it is not installed."""

    game: str
    envs: int
    ale_py: str | None
    speeds: list[ObservationSpeed]


def bench_observations(
    rom: RomImage, envs: int, screen_size: tuple[int, int], seconds: float, seed: int
) -> ObservationBench:
    """Measure all kinds of observations in turns, on one thread.

    Args:
        rom: the ROM set.
        envs: games of each vector environment.
        screen_size: height and width of observed pictures.
        seconds: CPU time for each environment.
        seed: seed of the first game and of the actions.
    """
    with ExitStack() as stack:
        rows = _of_tempest(rom, envs, screen_size) + _of_ale(envs, screen_size)
        runners = {
            (place, kind): _Runner(stack.enter_context(closing(env)), seed)
            for place, (_, _, *pair) in enumerate(rows)
            for kind, env in zip(("single", "vector"), pair, strict=True)
            if env is not None
        }
        for _ in with_progress(range(_ROUNDS), _ROUNDS, "rounds measured"):
            for runner in runners.values():
                runner.run(seconds / _ROUNDS)
        speeds = {which: runner.speed for which, runner in runners.items()}
    return ObservationBench(
        game=rom.name,
        envs=envs,
        ale_py=version("ale-py") if find_spec("ale_py") else None,
        speeds=[
            ObservationSpeed(
                environment=environment,
                observation=observation,
                single=speeds.get((place, "single")),
                vector=speeds.get((place, "vector")),
            )
            for place, (environment, observation, *_) in enumerate(rows)
        ],
    )


_Row = tuple[str, str, Any, Any]
"""Environment, observation, and a single and a vector environment with it."""


def _of_tempest(rom: RomImage, envs: int, screen_size: tuple[int, int]) -> list[_Row]:
    height, width = screen_size
    rows: list[_Row] = []
    for kind in ("features", "ram", "grayscale", "rgb"):
        for teacher in (True, False):
            settings: dict[str, Any] = {
                "rom": rom,
                "obs_type": kind,
                "screen_size": screen_size,
                "teacher": teacher,
            }
            name = f"{kind} {height}x{width}" if kind in ("grayscale", "rgb") else kind
            single = gym.make("Tempest-v0", disable_env_checker=True, **settings)
            vector = gym.make_vec("Tempest-v0", envs, threads=1, **settings)
            rows.append(("Tempest-v0", name if teacher else f"{name}, no teacher", single, vector))
    return rows


def _of_ale(envs: int, screen_size: tuple[int, int]) -> list[_Row]:
    """Return ale-py's environments with one frame per step, as in Tempest; nothing if it is not installed."""
    if not find_spec("ale_py"):
        return []
    import ale_py
    from ale_py.vector_env import AtariVectorEnv

    gym.register_envs(ale_py)
    name = "ALE/Breakout-v5"
    rows: list[_Row] = []
    for kind, size in (("ram", ""), ("grayscale", " 210x160"), ("rgb", " 210x160")):
        single = gym.make(name, obs_type=kind, frameskip=1, disable_env_checker=True)
        rows.append((name, kind + size, single, None))
    height, width = screen_size
    for kind in ("grayscale", "rgb"):
        # Its vector environment resizes in C++; AtariPreprocessing, which resizes single ones, needs square pictures.
        vector = AtariVectorEnv(
            "breakout",
            envs,
            num_threads=1,
            img_height=height,
            img_width=width,
            grayscale=kind == "grayscale",
            stack_num=1,
            frameskip=1,
        )
        resized = None
        if height == width and find_spec("cv2"):
            resized = gym.wrappers.AtariPreprocessing(
                gym.make(name, frameskip=1, disable_env_checker=True),
                frame_skip=1,
                screen_size=height,
                grayscale_obs=kind == "grayscale",
            )
        rows.append((name, f"{kind} {height}x{width}", resized, vector))
    return rows


class _Runner:
    """Takes random steps in an environment and measures their CPU time."""

    def __init__(self, env: Any, seed: int) -> None:
        self._env = env
        self._games = getattr(env, "num_envs", 1)
        choices = int(getattr(env, "single_action_space", env.action_space).n)
        actions = np.random.default_rng(seed).integers(choices, size=(_BLOCK, self._games))
        self._actions: list[Any] = list(actions) if hasattr(env, "num_envs") else actions[:, 0].tolist()
        self._seconds, self._blocks = 0.0, 0
        env.reset(seed=seed)
        self.run(0.1)
        self._seconds, self._blocks = 0.0, 0

    def run(self, seconds: float) -> None:
        """Take steps for some CPU time; a vector environment resets by itself."""
        env, until = self._env, self._seconds + seconds
        alone = not hasattr(env, "num_envs")
        while self._seconds < until:
            start = time.process_time()
            for action in self._actions:
                _, _, terminated, truncated, _ = env.step(action)
                if alone and (terminated or truncated):
                    env.reset()
            self._seconds += time.process_time() - start
            self._blocks += 1

    @property
    def speed(self) -> float:
        """Steps of all games per second of CPU time."""
        return self._blocks * _BLOCK * self._games / self._seconds
