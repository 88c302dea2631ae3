"""Makes the environments of a run: native vector environments, Gymnasium's own, or MAMEs in threads."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym

from tempest_rainbow.collect.single_sources import SerialSource, ThreadedSource
from tempest_rainbow.collect.sources import Source, VectorSource, check_spaces
from tempest_rainbow.config.settings import Task

__all__ = ["make_single", "make_source", "make_vector", "probe"]


def make_single(task: Task, *, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """Make one environment.

    Raises:
        ValueError: its constructor does not accept the arguments.
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
    """Return observation size and action count of an environment, which is made and closed again for this.

    Raises:
        ValueError: the spaces are not Box and Discrete.
    """
    env = make_single(task)
    try:
        return check_spaces(env.observation_space, env.action_space)
    finally:
        env.close()
