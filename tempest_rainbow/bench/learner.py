"""The speed of the learner and of its reference implementation."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tempest_rainbow.bench.reference import PlainLearner
from tempest_rainbow.config.settings import NETWORK_PRESETS, LearnerConfig
from tempest_rainbow.learner.learner import Learner
from tempest_rainbow.networks.lane_encoder import OBSERVATION_SIZE
from tempest_rainbow.replay.batch import Batch

ACTIONS = 44


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
    """Time the learner's step and the reference implementation's, in turns, on the `original` network.

    Both do the same: categorical double Q-learning on one batch as the replay gives it, in float16,
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
