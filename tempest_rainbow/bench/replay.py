"""The speed and the size of the replay."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from tempest_rainbow.bench.learner import ACTIONS, OBSERVATION_SIZE
from tempest_rainbow.replay.replay import Replay, ReplayConfig
from tempest_rainbow.replay.steps import Steps

ENVIRONMENTS = 64


def bench_replay(transitions: int = 15_000_000, batch_size: int = 256, draws: int = 400) -> dict[str, Any]:
    """Fill a replay, then draw from it and update priorities.

    Raises:
        MemoryError: that many transitions do not fit.
    """
    replay = Replay(ReplayConfig(capacity=transitions), ENVIRONMENTS, OBSERVATION_SIZE)
    rng = np.random.default_rng(0)
    steps = 16
    count = steps * ENVIRONMENTS
    environments = np.tile(np.arange(ENVIRONMENTS), steps)
    observations = rng.uniform(-1, 1, (count, OBSERVATION_SIZE)).astype(np.float32)
    actions = rng.integers(0, ACTIONS, count)
    rewards = rng.uniform(-1, 1, count).astype(np.float32)
    never = np.zeros(count, bool)

    def insert() -> None:
        ends = rng.random(count) < 1e-3
        replay.insert(Steps(environments, observations, actions, rewards, ends, never, actions))

    insert()  # compiles
    started = time.perf_counter()
    inserted = 0
    while len(replay) < replay.capacity - 64 * ENVIRONMENTS:
        insert()
        inserted += count
    insert_seconds = time.perf_counter() - started
    sample_times, update_times = [], []
    for draw in range(draws + 20):
        started = time.perf_counter()
        batch = replay.sample(batch_size)
        sampled = time.perf_counter()
        replay.update_priorities(batch.indices, batch.stamps, rng.random(batch_size))
        if draw >= 20:
            sample_times.append(sampled - started)
            update_times.append(time.perf_counter() - sampled)
    return {
        "replay_insert_per_second": inserted / insert_seconds,
        "replay_sample_ms": 1e3 * statistics.median(sample_times),
        "replay_update_ms": 1e3 * statistics.median(update_times),
        "replay_bytes_per_transition": replay.bytes_per_transition,
        "replay_transitions": len(replay),
    }
