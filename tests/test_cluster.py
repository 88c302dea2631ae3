"""Collection on a Ray cluster: fragments lose nothing, and a lost runner or node costs only what was under way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import ray
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.cluster_utils import Cluster

from tempest_rainbow.collect.cluster import ClusterCollector, ClusterConfig, Weights
from tempest_rainbow.collect.collector import Exploration
from tempest_rainbow.collect.environments import Task
from tempest_rainbow.collect.fragments import FragmentRecorder
from tempest_rainbow.collect.runner import RunnerPlan
from tempest_rainbow.network import NetworkConfig, RainbowNetwork
from tempest_rainbow.policy import network_card
from tempest_rainbow.replay import Replay, ReplayConfig
from tempest_rainbow.schedules import EpsilonSchedule, ExpertSchedule

NETWORK = NetworkConfig(encoder="none", trunk=(16,), head=16, value_min=0.0, value_max=100.0)
CALM = Exploration(epsilon=0.5, expert_ratio=0.0)
RINGS = 4


def replay_of(environments: int) -> Replay:
    return Replay(ReplayConfig(capacity=4096, n_step=3, dtype="float16"), environments, 4, seed=0)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_a_fragment_stores_what_a_direct_insert_stores(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    direct, through = replay_of(RINGS), replay_of(RINGS)
    recorder = FragmentRecorder(4)
    for _ in range(steps):
        count = int(rng.integers(1, RINGS + 1))
        step: tuple[Any, ...] = (
            np.sort(rng.permutation(RINGS)[:count]),
            rng.standard_normal((count, 4)).astype(np.float32),
            rng.integers(0, 2, count),
            rng.standard_normal(count).astype(np.float32),
            rng.random(count) < 0.1,
            rng.random(count) < 0.2,
        )
        more = {
            "expert_actions": rng.integers(-1, 2, count),
            "actors": rng.integers(0, 3, count).astype(np.uint8),
            "final_observations": rng.standard_normal((count, 4)).astype(np.float32),
        }
        direct.insert(*step, **more)
        recorder.insert(*step, **more)
        if rng.random() < 0.2:
            broken = rng.permutation(RINGS)[: rng.integers(1, RINGS + 1)]
            direct.cut(broken)
            recorder.cut(broken)
    fragment = recorder.take()
    assert len(recorder) == 0
    fragment.insert_into(through, 0)
    one, two = direct.get_state(), through.get_state()
    assert one["scalars"] == two["scalars"]
    for name, value in one["arrays"].items():
        np.testing.assert_array_equal(value, two["arrays"][name], err_msg=name)


def plan(index: int) -> RunnerPlan:
    return RunnerPlan(
        task=Task(env="CartPole-v1", tempest=False),
        environments=RINGS,
        seed=100 * index,
        card=network_card(NETWORK, 4, 2),
        epsilon=EpsilonSchedule(),
        expert=ExpertSchedule(start=0.0, end=0.0),
        life_ends=False,
    )


class Learner:
    """Counts steps, and has weights that tell which step they are from."""

    def __init__(self) -> None:
        self.steps = 0
        self.network = RainbowNetwork(NETWORK, 4, 2)

    def weights(self) -> Weights:
        tensors = {name: value.numpy().copy() for name, value in self.network.state_dict().items()}
        return Weights(self.steps, tensors, 0.0)


def collector(address: str, learner: Learner, runners: int = 2) -> ClusterCollector:
    config = ClusterConfig(fragment=64, weights_every=10)
    replay = replay_of(runners * RINGS)
    return ClusterCollector(
        config, address, runners, RINGS, plan, learner.weights, lambda: learner.steps, replay
    )


def collect_until(
    collecting: ClusterCollector, condition: Callable[[], bool], seconds: float = 240.0
) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        collecting.step(CALM)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_runners_collect_with_weights_that_are_never_older_than_told(nodes: Cluster) -> None:
    learner = Learner()
    collecting = collector(nodes.address, learner)
    try:
        collect_until(collecting, lambda: collecting.frames > 0)
        for _ in range(40):
            _, episodes = collecting.step(CALM)
            assert all(episode.length == episode.reward for episode in episodes)
            learner.steps += 1
        assert collecting.frames == collecting.replay.inserted >= 40 * 64
        assert collecting.statistics.finished > 5
        figures = collecting.metrics()
        assert 0 <= figures["cluster/staleness_steps"] <= 10 + 2 * ClusterConfig().in_flight * 2
        assert figures["cluster/lost"] == 0
        assert figures["cluster/bytes_per_transition"] < 40
    finally:
        collecting.close()


def test_a_killed_node_is_survived(nodes: Cluster) -> None:
    extra = nodes.add_node(num_cpus=2)
    nodes.wait_for_nodes()
    collecting = collector(nodes.address, Learner(), runners=3)
    try:
        collect_until(collecting, lambda: collecting.frames > 500)
        nodes.remove_node(extra, allow_graceful=False)
        collect_until(collecting, lambda: collecting.lost >= 1)
        before = collecting.frames
        collect_until(collecting, lambda: collecting.frames > before + 1000)
        collecting.replay.check_valid()
    finally:
        collecting.close()
