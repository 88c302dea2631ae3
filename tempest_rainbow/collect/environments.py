"""Makes the environments of a run: native vector environments, Gymnasium's own, or MAMEs in threads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import gymnasium as gym

from tempest_rainbow.collect.singles import SerialSource, ThreadedSource
from tempest_rainbow.collect.sources import Source, VectorSource, check_spaces

__all__ = ["TEMPEST", "Task", "make_single", "make_source", "make_vector", "probe"]

TEMPEST = "tempest_gym:Tempest-v0"
"""The environment trained on unless another is named."""


@dataclass(frozen=True)
class Task:
    """Which environment.

    Attributes:
        env: Gymnasium id.
        tempest: the id is Tempest's, so that the other settings apply.
        machine: ``board`` or ``mame``.
        rom: path of a ROM set, None for the environment's default.
        start_level: level at which games start.
        start_levels: levels one of which each game to collect from starts at instead, drawn by chance.
        frame_skip: game frames an action is held for.
        threads: threads that share boards, None for the environment's default.
    """

    env: str
    tempest: bool
    machine: Literal["board", "mame"] = "board"
    rom: str | None = None
    start_level: int = 1
    start_levels: tuple[int, ...] = ()
    frame_skip: int = 1
    threads: int | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of ``gymnasium.make``."""
        if not self.tempest:
            return {}
        return {
            "machine": self.machine,
            "rom": self.rom,
            "start_level": self.start_level,
            "frame_skip": self.frame_skip,
        }


def make_single(task: Task, *, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """Make one environment.

    Raises:
        ValueError: its constructor wants other arguments.
    """
    arguments = task.arguments()
    if render_mode is not None:
        arguments["render_mode"] = render_mode
    try:
        return gym.make(task.env, **arguments)
    except TypeError as error:
        raise ValueError(f"{task.env} cannot be made: {error}") from error


def make_vector(task: Task, count: int) -> gym.vector.VectorEnv[Any, Any, Any]:
    """Make ``count`` environments in one vector environment, natively where Tempest plays on boards."""
    if task.tempest and task.machine == "board":
        return gym.make_vec(task.env, num_envs=count, threads=task.threads, **task.arguments())
    return gym.make_vec(task.env, num_envs=count, vectorization_mode="sync", **task.arguments())


def make_source(task: Task, count: int, seed: int, *, deterministic: bool) -> Source:
    """Make ``count`` environments to collect from, seeded with ``seed``, ``seed`` + 1, ..."""
    if not task.tempest:
        return SerialSource([partial(make_single, task)] * count, seed)
    source: Source
    if task.machine == "mame":
        source = ThreadedSource([partial(make_single, task)] * count, seed, together=deterministic)
    else:
        source = VectorSource(make_vector(task, count), seed)
    if task.start_levels:
        source.call("set_start_level", *task.start_levels)
    return source


def probe(task: Task) -> tuple[int, int]:
    """Return observation size and action count, asked of one environment that is made and closed again.

    Raises:
        ValueError: the spaces are not Box and Discrete.
    """
    env = make_single(task)
    try:
        return check_spaces(env.observation_space, env.action_space)
    finally:
        env.close()
