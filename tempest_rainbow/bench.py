"""How fast learner and replay are on this machine: ``python -m tempest_rainbow.bench --json``."""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tempest_rainbow.batch import Batch
from tempest_rainbow.learner import Learner
from tempest_rainbow.learner_config import LearnerConfig
from tempest_rainbow.network import NETWORK_PRESETS
from tempest_rainbow.plain import PlainLearner
from tempest_rainbow.replay import Replay, ReplayConfig

__all__ = ["bench", "bench_learner", "bench_replay", "random_batch"]

_log = logging.getLogger(__name__)

OBSERVATION_SIZE = 195
ACTIONS = 44
ENVIRONMENTS = 64


def random_batch(size: int, seed: int = 0) -> Batch:
    """Return a batch of random numbers in the shape of Tempest's transitions, observations in float16."""
    rng = np.random.default_rng(seed)

    def observations() -> np.ndarray[Any, Any]:
        values = rng.uniform(-1, 1, (size, OBSERVATION_SIZE)).astype(np.float16)
        values[:, 29] = rng.integers(0, 2, size)
        values[:, 135:142] = rng.uniform(0.06, 0.94, (size, 7)) * rng.integers(0, 2, (size, 7))
        return values

    return Batch(
        observations=observations(),
        actions=rng.integers(0, ACTIONS, size),
        returns=rng.uniform(-5, 15, size).astype(np.float32),
        discounts=np.full(size, 0.886, np.float32),
        next_observations=observations(),
        expert_actions=rng.integers(0, ACTIONS, size),
        actors=np.zeros(size, np.uint8),
        weights=rng.uniform(0.3, 1.0, size).astype(np.float32),
        imitation_weights=np.ones(size, np.float32),
        indices=np.arange(size),
        stamps=np.arange(size),
    )


def bench_learner(seconds: float = 20.0, batch_size: int = 256, device: str = "cpu") -> dict[str, Any]:
    """Time the learner's step against a plain one, in turns, on the `original` network.

    Both do the same: categorical double Q-learning on one batch that comes from the replay as float16,
    gradient clipping, Adam, and new priorities as an array. Medians of single steps count.
    """
    config = LearnerConfig(imitation="none")
    learner = Learner(NETWORK_PRESETS["original"], config, OBSERVATION_SIZE, ACTIONS, device)
    plain = PlainLearner(learner.network, config.learning_rate, config.adam_epsilon, config.gradient_clip)
    batches = [random_batch(batch_size, seed) for seed in range(4)]

    def plain_step(batch: Batch) -> None:
        names = ("observations", "actions", "returns", "discounts", "next_observations", "weights")
        tensors = [torch.from_numpy(getattr(batch, name)).to(learner.device) for name in names]
        tensors[0], tensors[4] = tensors[0].float(), tensors[4].float()
        plain.step(*tensors).cpu().numpy()

    times: dict[str, list[float]] = {"learner": [], "plain": []}
    steps: dict[str, Callable[[Batch], object]] = {"learner": learner.step, "plain": plain_step}
    for warm_up in (True, False):
        until = time.perf_counter() + (0.0 if warm_up else seconds)
        for turn in range(1_000_000):
            for name, step in steps.items():
                started = time.perf_counter()
                step(batches[turn % len(batches)])
                if not warm_up:
                    times[name].append(time.perf_counter() - started)
            if turn >= 2 and time.perf_counter() > until:
                break
    learner_time, plain_time = statistics.median(times["learner"]), statistics.median(times["plain"])
    return {
        "learner_steps_per_second": 1.0 / learner_time,
        "plain_steps_per_second": 1.0 / plain_time,
        "ratio": plain_time / learner_time,
        "batch_size": batch_size,
        "precision": learner.precision,
        "threads": torch.get_num_threads(),
        "device": str(learner.device),
    }


def bench_replay(transitions: int = 15_000_000, batch_size: int = 256, draws: int = 400) -> dict[str, Any]:
    """Fill a replay to the brim, then draw from it and update priorities.

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
        replay.insert(environments, observations, actions, rewards, rng.random(count) < 1e-3, never, actions)

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


def bench(
    seconds: float = 20.0, transitions: int = 15_000_000, batch_size: int = 256, device: str = "cpu"
) -> dict[str, Any]:
    """Measure learner, replay and training; keys as `bench_learner`, `bench_replay` and `measure_training` give."""
    from tempest_rainbow.bench_training import measure_training

    return {
        **bench_learner(seconds, batch_size, device),
        **bench_replay(transitions, batch_size),
        **measure_training(1.5 * seconds),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="tempest-rainbow bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--seconds", type=float, default=20.0, help="time for the learner's part")
    parser.add_argument("--transitions", type=int, default=15_000_000, help="size of the replay")
    parser.add_argument("--batch-size", type=int, default=256, help="transitions per batch")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps or auto")
    parser.add_argument("--monitors", action="store_true", help="measure what watching a run costs instead")
    parser.add_argument("--ray", action="store_true", help="measure collection on a cluster instead")
    parser.add_argument("--clients", type=int, help="measure the server with so many clients instead")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    try:
        if options.monitors:
            from tempest_rainbow.monitor.cost import measure_monitors

            return _show(measure_monitors(options.seconds), options.json)
        if options.clients is not None:
            from tempest_rainbow.bench_clients import measure_clients

            return _show(measure_clients(max(1, options.clients), options.seconds), options.json)
        if options.ray:
            from tempest_rainbow.collect.cluster_bench import measure_cluster

            return _show(measure_cluster(options.seconds), options.json)
        result = bench(options.seconds, options.transitions, options.batch_size, options.device)
    except MemoryError as error:
        parser.error(str(error))
    return _show(result, options.json)


def _show(result: dict[str, Any], as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
        return 0
    for name, value in result.items():
        if isinstance(value, dict):
            sys.stdout.write(f"{name}:\n")
            _show(value, False)
            continue
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        sys.stdout.write(f"{name:28} {shown}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
