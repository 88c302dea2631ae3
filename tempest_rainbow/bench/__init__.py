"""Benchmarks of the trainer, ``tempest-rainbow bench`` or ``python -m tempest_rainbow.bench``."""

from tempest_rainbow.bench.command import bench, bench_learner, bench_replay
from tempest_rainbow.bench.learner import random_batch

__all__ = ["bench", "bench_learner", "bench_replay", "random_batch"]
