"""The cost of collection on a cluster: runners on separate nodes on this machine, and their learner."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tempest_rainbow.bench.learner import random_batch
from tempest_rainbow.collect.cluster import ClusterCollector
from tempest_rainbow.collect.collector import Exploration
from tempest_rainbow.collect.environments import probe
from tempest_rainbow.collect.factory import open_cluster
from tempest_rainbow.config.settings import TrainConfig
from tempest_rainbow.learner.learner import Learner
from tempest_rainbow.presets import preset
from tempest_rainbow.replay.replay import Replay, ReplayConfig

__all__ = ["measure_cluster"]

_log = logging.getLogger(__name__)

_RUNNERS = (1, 2, 4)
_PATIENCE = 600.0
"""Seconds within which all runners must have started."""
_CALM = Exploration(epsilon=0.05, expert_ratio=0.0)


def measure_cluster(seconds: float = 20.0) -> dict[str, Any]:
    """Measure the default preset's learner, and collection by 1, 2 and 4 runners while nothing is learnt.

    Every runner has a node (a raylet and an object store) to itself and the learner has another, so that
    fragments travel as they do between machines.

    Args:
        seconds: time for each measurement.

    Returns:
        ``learner_steps_per_second`` and ``learner_samples_per_second``; ``weights_bytes`` of one broadcast; by number
        of runners: ``transitions_per_second``, ``bytes_per_transition`` (the arrays of a fragment), ``wire_bytes``
        for each transition that went through the loopback interface, and ``learner_cpu_us`` and ``raylet_cpu_us``,
        the processor time for each transition of the learner's process and of its node.

    Raises:
        TimeoutError: runners did not start.
    """
    config = preset("default")
    size, actions = probe(config.task)
    learner = Learner(config.network, config.learner, size, actions)
    weights = sum(value.nbytes for value in learner.published()[1].values())
    result: dict[str, Any] = {
        "cores": os.cpu_count(),
        **_learning(learner, config.batch_size, seconds),
        "weights_bytes": weights,
    }
    for runners in _RUNNERS:
        result[f"runners_{runners}"] = _collecting(replace(config, runners=runners), learner, size, seconds)
    return result


def _learning(learner: Learner, batch_size: int, seconds: float) -> dict[str, float]:
    batches = [random_batch(batch_size, seed) for seed in range(4)]
    for batch in batches:
        learner.step(batch, imitation_weight=1.0, prior_weight=1.0)
    steps, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        learner.step(batches[steps % len(batches)], imitation_weight=1.0, prior_weight=1.0)
        steps += 1
    rate = steps / (time.perf_counter() - started)
    return {"learner_steps_per_second": rate, "learner_samples_per_second": rate * batch_size}


def _collecting(config: TrainConfig, learner: Learner, size: int, seconds: float) -> dict[str, float]:
    import ray
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_worker_niceness", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(config.runners):
            cluster.add_node(num_cpus=1)
        config = replace(config, ray=cluster.address)
        replay = Replay(ReplayConfig(capacity=200_000), config.rings, size)
        collector = open_cluster(config, learner, replay, lambda: 0.0)
        try:
            _wait_until_all_play(collector, config.runners)
            values = _watch(collector, cluster.head_node, seconds)
        finally:
            collector.close()
    finally:
        ray.shutdown()
        cluster.shutdown()
    _log.info("%d runners: %.0f transitions/s", config.runners, values["transitions_per_second"])
    return values


def _wait_until_all_play(collector: ClusterCollector, runners: int) -> None:
    until = time.monotonic() + _PATIENCE
    while collector.metrics()["cluster/runners"] < runners:
        if time.monotonic() > until:
            raise TimeoutError(f"{runners} runners did not start within {_PATIENCE:.0f} s")
        collector.step(_CALM)


def _watch(collector: ClusterCollector, node: Any, seconds: float) -> dict[str, float]:
    """Collect for a while and return what a transition cost."""
    raylet = node.all_processes["raylet"][0].process.pid
    frames, started = 0, time.perf_counter()
    before = time.process_time(), _cpu_seconds(raylet), _loopback_bytes()
    while time.perf_counter() - started < seconds:
        frames += collector.step(_CALM)[0]
    span = time.perf_counter() - started
    own, its, sent = time.process_time(), _cpu_seconds(raylet), _loopback_bytes()
    return {
        "transitions_per_second": frames / span,
        "bytes_per_transition": collector.metrics()["cluster/bytes_per_transition"],
        "wire_bytes": (sent - before[2]) / frames,
        "learner_cpu_us": 1e6 * (own - before[0]) / frames,
        "raylet_cpu_us": 1e6 * (its - before[1]) / frames,
    }


def _cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _loopback_bytes() -> int:
    """Return how many bytes have gone through the loopback interface."""
    return int(Path("/sys/class/net/lo/statistics/tx_bytes").read_text())
