"""Spreads the games of an evaluation over a Ray cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from tempest_rainbow.collect.cluster import start_ray
from tempest_rainbow.evaluate import Share

__all__ = ["spread"]

_log = logging.getLogger(__name__)

_PROGRESS_SECONDS = 30.0


def spread(
    play: Callable[[int, int], Share], games: int, seed: int, address: str, runners: int
) -> list[Share]:
    """Play an evaluation's games in Ray tasks of one core each, and return what each played, by seed.

    Ray repeats the games of a task whose machine is lost.

    Args:
        play: plays games, given their number and the seed of the first.
        games: number of games.
        seed: of the first game.
        address: of a Ray cluster, ``auto`` for the one this machine belongs to, ``local`` to start one here.
        runners: most tasks at once; the games are shared evenly among them.

    Raises:
        ConnectionError: there is no cluster at the address, or it refuses the connection.
        ValueError: there are no games or no runners.
    """
    if games < 1 or runners < 1:
        raise ValueError(f"expected at least 1 game and 1 runner, got {games} and {runners}")
    import ray

    tasks = min(runners, games)
    started = not ray.is_initialized()
    if started:
        start_ray(address, tasks)
    try:
        bounds = [index * games // tasks for index in range(tasks + 1)]
        task: Any = ray.remote(_play).options(num_cpus=1, scheduling_strategy="SPREAD")
        asked = [task.remote(play, end - start, seed + start) for start, end in pairwise(bounds)]
        while len(done := ray.wait(asked, num_returns=tasks, timeout=_PROGRESS_SECONDS)[0]) < tasks:
            _log.info("%d of %d runners have played their games", len(done), tasks)
        shares: list[Share] = ray.get(asked)
        return shares
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    finally:
        if started:
            ray.shutdown()


def _play(play: Callable[[int, int], Share], games: int, seed: int) -> Share:
    return play(games, seed)
