"""Hours of use leave memory, open files and threads as they were; a moment of each is part of every run.

``pytest -m soak`` takes about three hours and prints its figures at the end; TEMPEST_SOAK_SCALE=0.01 makes
everything a hundredth as long.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from resources import rounds, soak_scale, usage

Record = Callable[[str, Any], None]

_log = logging.getLogger(__name__)

HOUR = 3600.0


def at_length(full: float, short: float) -> pytest.MarkDecorator:
    """Run a test once at its full length under the mark ``soak``, and once shortly in every run."""
    long = pytest.param(full * soak_scale(), marks=pytest.mark.soak, id="soak")
    return pytest.mark.parametrize("length", [pytest.param(short, id="moment"), long])


@at_length(HOUR, 3.0)
def test_boards_at_full_speed(length: float, record_property: Record) -> None:
    """64 games in one thread, with saved states, pictures and single environments now and then."""
    generator = np.random.default_rng(0)
    envs = gym.make_vec("tempest_gym:Tempest-v0", num_envs=64, threads=1)
    native = envs.unwrapped
    _, infos = envs.reset(seed=0)
    steps = episodes = frames = 0
    held = []
    for end in rounds(length, 60):
        while True:
            by_chance = generator.random(64) < 0.1
            actions = np.where(by_chance, generator.integers(0, 44, 64), infos["expert_action"])
            _, _, terminated, truncated, infos = envs.step(actions)
            steps += 64
            frames += int(infos["frames"].sum())
            episodes += int(np.count_nonzero(terminated | truncated))
            if time.monotonic() >= end:
                break
        native.restore_state(native.clone_state())
        native.picture(int(generator.integers(64)))
        with gym.make("tempest_gym:Tempest-v0", start_level=33) as single:
            single.reset(seed=0)
            single.step(0)
        held.append(usage())
        _log.info("%d steps, %s", steps, held[-1])
    envs.close()
    start, last = held[5], held[-1]
    record_property(
        "figures",
        {
            "seconds": length,
            "steps": steps,
            "game_frames": frames,
            "episodes": episodes,
            "memory_mib": [start.memory, last.memory],
            "files": [start.files, last.files],
            "threads": [start.threads, last.threads],
        },
    )
    assert last.memory - start.memory < 8
    assert (last.files, last.threads, last.children) == (start.files, start.threads, start.children)
