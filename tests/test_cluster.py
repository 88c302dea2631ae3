"""Collection on a Ray cluster: fragments lose nothing, and what is lost costs only what was under way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from ray.cluster_utils import Cluster
from resources import Clock, wait_for
from training_process import Training

from tempest_rainbow.bench.learner import random_batch
from tempest_rainbow.collect.cluster import ClusterCollector, Weights
from tempest_rainbow.collect.collector import LocalCollector
from tempest_rainbow.collect.environments import make_source
from tempest_rainbow.collect.exploration import Exploration
from tempest_rainbow.collect.fragments import Fragment, FragmentRecorder
from tempest_rainbow.collect.runner import Runner, RunnerPlan
from tempest_rainbow.config.schedules import EpsilonSchedule, ExpertSchedule
from tempest_rainbow.config.settings import ClusterConfig, LearnerConfig, NetworkConfig, Task
from tempest_rainbow.learner.learner import Learner
from tempest_rainbow.networks.rainbow import RainbowNetwork
from tempest_rainbow.policy import NetworkPolicy, network_card
from tempest_rainbow.replay.replay import Replay, ReplayConfig
from tempest_rainbow.replay.steps import Steps

NETWORK = NetworkConfig(encoder="none", trunk=(16,), head=16, value_min=0.0, value_max=100.0)
TEMPEST = Task(env="tempest_gym:Tempest-v0", tempest=True, threads=1)
CALM = Exploration(epsilon=0.5, expert_ratio=0.0)
RINGS = 4


def replay_of(environments: int, size: int = 4) -> Replay:
    return Replay(ReplayConfig(capacity=4096, n_step=3, dtype="float16"), environments, size, seed=0)


def assert_same(one: Replay, two: Replay) -> None:
    states = one.get_state(), two.get_state()
    assert states[0]["scalars"] == states[1]["scalars"]
    for name, value in states[0]["arrays"].items():
        np.testing.assert_array_equal(value, states[1]["arrays"][name], err_msg=name)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_a_fragment_stores_what_a_direct_insert_stores(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    direct, through = replay_of(RINGS), replay_of(RINGS)
    recorder = FragmentRecorder(4)
    for _ in range(steps):
        count = int(rng.integers(1, RINGS + 1))
        played = Steps(
            np.sort(rng.permutation(RINGS)[:count]),
            rng.standard_normal((count, 4)).astype(np.float32),
            rng.integers(0, 2, count),
            rng.standard_normal(count).astype(np.float32),
            rng.random(count) < 0.1,
            rng.random(count) < 0.2,
            rng.integers(-1, 2, count),
            rng.integers(0, 3, count).astype(np.uint8),
            rng.standard_normal((count, 4)).astype(np.float32),
        )
        direct.insert(played)
        recorder.insert(played)
        if rng.random() < 0.2:
            broken = rng.permutation(RINGS)[: rng.integers(1, RINGS + 1)]
            direct.cut(broken)
            recorder.cut(broken)
    fragment = recorder.take()
    assert len(recorder) == 0
    fragment.insert_into(through, 0)
    assert_same(direct, through)


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


def tensors_of(network: RainbowNetwork) -> dict[str, NDArray[Any]]:
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}


class FakeLearner:
    """Counts learner steps, and gives weights that hold the number of their step."""

    def __init__(self) -> None:
        self.steps = 0
        self.network = RainbowNetwork(NETWORK, 4, 2)

    def weights(self) -> Weights:
        return Weights(self.steps, tensors_of(self.network), 0.0)


def collector(
    address: str,
    learner: FakeLearner,
    runners: int = 2,
    plans: Callable[[int], RunnerPlan] = plan,
    **changes: float,
) -> ClusterCollector:
    config = ClusterConfig(**{"fragment": 64, "weights_every": 10, **changes})
    replay = replay_of(runners * RINGS)
    return ClusterCollector(config, address, runners, plans, learner.weights, lambda: learner.steps, replay)


def collect_until(
    collecting: ClusterCollector, condition: Callable[[], bool], seconds: float = 240.0
) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition was not met in time"
        collecting.step(CALM)


def all_play(collecting: ClusterCollector) -> Callable[[], bool]:
    return lambda: collecting.metrics()["cluster/runners"] == len(collecting.sessions())


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # Runners need their share of a busy machine.
        patch.setenv("RAY_health_check_period_ms", "500")  # A lost node is detected sooner.
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 3, "include_dashboard": False})
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
        ray.shutdown()
        cluster.shutdown()


@dataclass
class Pair:
    """Two runners that play, and the steps of their learner."""

    collecting: ClusterCollector
    learner: FakeLearner


@pytest.fixture(scope="module")
def shared(nodes: Cluster) -> Iterator[Pair]:
    learner = FakeLearner()
    collecting = collector(nodes.address, learner)
    yield Pair(collecting, learner)
    collecting.close()


@pytest.fixture
def pair(shared: Pair) -> Pair:
    shared.collecting.lost = 0
    collect_until(shared.collecting, all_play(shared.collecting))
    return shared


def test_runners_play_with_weights_sent_at_the_stated_cadence(pair: Pair) -> None:
    collecting, learner = pair.collecting, pair.learner
    start = learner.steps = learner.steps + collecting.config.weights_every
    frames, staleness = collecting.frames, collecting.metrics()["cluster/staleness_steps"]
    stored: list[tuple[int, int, int]] = []
    store = collecting._store

    def note(fragment: Fragment, index: int) -> None:
        stored.append((index, fragment.weights_step, learner.steps - fragment.weights_step))
        store(fragment, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collecting, "_store", note)
        while len({step for _, step, _ in stored if step >= start}) < 3:
            _, episodes = collecting.step(CALM)
            assert all(episode.length == episode.reward for episode in episodes)
            learner.steps += 1
    for runner in (0, 1):
        sent = [step for index, step, _ in stored if index == runner]
        assert sent == sorted(sent)
        assert all((step - start) % collecting.config.weights_every == 0 for step in sent if step >= start)
    for _, _, age in stored:
        assert age >= 0
        staleness += 0.1 * (age - staleness)
    figures = collecting.metrics()
    assert figures["cluster/staleness_steps"] == pytest.approx(staleness)
    assert figures["cluster/bytes_per_transition"] < 40
    assert figures["cluster/lost"] == 0
    assert collecting.frames == collecting.replay.inserted >= frames + 64 * len(stored)
    assert collecting.statistics.finished > 5


def test_a_killed_runner_restarts_with_its_settings_and_loses_what_was_in_flight(pair: Pair) -> None:
    """With a threshold of 0 the pole counts as fallen after the first step."""
    collecting = pair.collecting
    victim, other = collecting.sessions()
    dropped, lengths = collecting.replay.dropped, set[int]()
    store = collecting._store

    def note(fragment: Fragment, index: int) -> None:
        if index == 0 and collecting.lost > 0:
            lengths.update(episode.length for episode in fragment.episodes)
        store(fragment, index)

    assert victim is not None
    collecting.call("set_wrapper_attr", "theta_threshold_radians", 0.0)
    os.kill(victim.process, signal.SIGKILL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collecting, "_store", note)
        collect_until(collecting, lambda: bool(lengths))
    collecting.call("set_wrapper_attr", "theta_threshold_radians", 0.2)
    assert lengths == {1}

    collect_until(collecting, all_play(collecting))
    replaced, same = collecting.sessions()
    assert replaced not in (None, victim)
    assert same == other
    assert collecting.lost == 1
    collecting.replay.check_valid()
    assert collecting.frames == collecting.replay.inserted
    assert collecting.replay.dropped <= dropped + RINGS * collecting.replay.config.n_step


def test_a_runner_that_hangs_is_killed_and_replaced(
    nodes: Cluster, pair: Pair, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the stopped one: fragments that arrive between two steps count as a sign of life."""
    clock = Clock()
    monkeypatch.setattr("tempest_rainbow.collect.cluster.time", clock)
    collecting = collector(nodes.address, FakeLearner(), runners=1, patience=3600.0)

    def lost() -> bool:
        if "is killed" not in caplog.text:
            clock.ahead += 3601.0
        return collecting.lost == 1

    try:
        collect_until(collecting, all_play(collecting))
        assert ray.wait([collecting._places[0].awaited], timeout=240)[0]
        clock.ahead = 3601.0
        collecting.step(CALM)
        assert collecting.lost == 0
        (before,) = collecting.sessions()
        assert before is not None
        os.kill(before.process, signal.SIGSTOP)
        collect_until(collecting, lost)
        collect_until(collecting, all_play(collecting))
        assert collecting.sessions() != [before]
        collecting.replay.check_valid()
    finally:
        collecting.close()


def test_runners_that_fail_are_created_again(pair: Pair) -> None:
    collecting, learner = pair.collecting, pair.learner
    before = collecting.sessions()
    good, learner.network = learner.network, RainbowNetwork(NETWORK, 5, 2)  # Weights that do not fit.
    learner.steps += 10
    collect_until(collecting, lambda: collecting.lost == 2)
    learner.network = good
    learner.steps += 10
    collect_until(collecting, all_play(collecting))
    assert collecting.lost == 2
    assert not set(before) & set(collecting.sessions())
    collecting.replay.check_valid()


def test_a_killed_node_is_survived_and_its_runner_moves(nodes: Cluster, pair: Pair) -> None:
    doomed = nodes.add_node(num_cpus=1)  # Beside the pair the first node has one core left.
    collecting = collector(nodes.address, FakeLearner(), runners=2)
    try:
        collect_until(collecting, all_play(collecting))
        nodes.remove_node(doomed, allow_graceful=False)
        collect_until(collecting, lambda: collecting.lost == 1)
        before = collecting.frames
        collect_until(collecting, lambda: collecting.frames > before + 1000)
        fresh = nodes.add_node(num_cpus=1)
        collect_until(collecting, all_play(collecting))
        assert collecting.lost == 1
        collecting.replay.check_valid()
        assert collecting.frames == collecting.replay.inserted
    finally:
        collecting.close()
    nodes.remove_node(fresh)


def test_a_runner_that_was_restarted_meanwhile_does_not_play_for_its_former_self() -> None:
    runner, again = Runner(plan(0)), Runner(plan(0))
    weights = FakeLearner().weights().tensors
    assert again.hello() != runner.hello() == runner.hello()
    assert again.collect(runner.hello(), weights, 0, 0.0, CALM, 8) is None
    fragment = again.collect(again.hello(), weights, 7, 0.0, CALM, 8)
    assert fragment is not None
    assert fragment.weights_step == 7


def test_a_runner_that_cannot_play_at_all_ends_the_run(nodes: Cluster) -> None:
    def broken(index: int) -> RunnerPlan:
        return RunnerPlan(**{**vars(plan(index)), "task": Task(env="NoSuchGame-v0", tempest=False)})

    collecting = collector(nodes.address, FakeLearner(), runners=1, plans=broken)
    try:
        with pytest.raises(RuntimeError, match="NoSuchGame"):
            collect_until(collecting, all_play(collecting))
    finally:
        collecting.close()


def test_published_weights_are_whole_and_name_their_step() -> None:
    config = LearnerConfig(imitation="none", publish_steps=5)
    learner = Learner(NETWORK, config, 195, 44, deterministic=True)
    states = []
    for seed in range(7):
        states.append(tensors_of(learner.network))
        learner.step(random_batch(8, seed))
    step, weights = learner.published()
    learner.publish()
    assert step == 5
    for name, value in states[5].items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)


def learnt(replay: Replay, steps: int) -> dict[str, NDArray[Any]]:
    """Return the weights after some learner steps on a replay."""
    learner = Learner(NETWORK, LearnerConfig(imitation="none"), 195, 44, seed=0, deterministic=True)
    for _ in range(steps):
        batch = replay.sample(32)
        result = learner.step(batch)
        replay.update_priorities(batch.indices, batch.stamps, result.priorities)
    return tensors_of(learner.network)


def test_frames_from_another_node_teach_what_local_frames_teach(nodes: Cluster) -> None:
    card = network_card(NETWORK, 195, 44)
    game = RunnerPlan(**{**vars(plan(0)), "task": TEMPEST, "card": card, "life_ends": True})
    network = RainbowNetwork(NETWORK, 195, 44)
    mixed = Exploration(epsilon=0.2, expert_ratio=0.0)
    remote, local = replay_of(RINGS, 195), replay_of(RINGS, 195)

    elsewhere = nodes.add_node(num_cpus=1, resources={"elsewhere": 1})
    actor = ray.remote(Runner).options(num_cpus=1, resources={"elsewhere": 1}).remote(game, exact=True)
    try:
        session = ray.get(actor.hello.remote())
        for _ in range(3):
            arguments = session, tensors_of(network), 0, 0.0, mixed, 512
            ray.get(actor.collect.remote(*arguments)).insert_into(remote, 0)
    finally:
        ray.kill(actor)
        nodes.remove_node(elsewhere)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    source = make_source(TEMPEST, RINGS, game.seed, deterministic=False)
    policy = NetworkPolicy("local", network, card)
    collecting = LocalCollector(
        source,
        lambda seen: policy.act(seen, {}),
        local,
        game.epsilon,
        game.expert,
        life_ends=True,
        seed=game.seed,
    )
    try:
        while local.inserted < remote.inserted:
            collecting.step(mixed)
        assert_same(remote, local)
        weights = learnt(remote, 30), learnt(local, 30)
    finally:
        collecting.close()
        torch.set_num_threads(threads)
    assert any((weights[0][name] != value).any() for name, value in tensors_of(network).items())
    for name, value in weights[0].items():
        np.testing.assert_array_equal(value, weights[1][name], err_msg=name)


def descendants(pid: int) -> list[int]:
    """Return all processes that a process has started, and those that they have."""
    children: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            children += map(int, task.read_text().split())
    return children + [each for child in children for each in descendants(child)]


def gone(pid: int) -> bool:
    """Whether a process has ended (one that nobody has waited for yet has, too)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


SMALL = [
    *("--env", "CartPole-v1", "--preset", "classic", "--learn-start", "500", "--cluster.fragment", "128"),
    *("--ray", "local", "--runners", "1", "--envs-per-runner", "4", "--checkpoint.every-frames", "500"),
]


def cluster_of(training: Training) -> dict[int, str]:
    """Return the command lines of the processes that a trainer has started, as soon as its runner plays."""
    names: dict[int, str] = {}

    def complete() -> bool:
        training.check()
        for pid in descendants(training.pid):
            with suppress(OSError):
                names[pid] = Path(f"/proc/{pid}/cmdline").read_text()
        return all(
            any(part in name for name in names.values()) for part in ("raylet", "gcs_server", "::Runner")
        )

    wait_for(complete, 240)
    return names


def saved_frames(training: Training) -> int:
    return int(training.checkpoints().latest().name.split("-")[0])


def test_a_killed_learner_continues_from_its_checkpoint(nodes: Cluster, tmp_path: Path) -> None:
    """First on a cluster of its own, then on a given one."""
    folder = tmp_path / "run"
    first = Training(folder, *SMALL)
    try:
        first.wait_for_frames(1000, 240)
        names = cluster_of(first)
    finally:
        first.kill()
    # Ray's two agents try to report for another minute, see the next test.
    wait_for(lambda: all("Agent" in name or gone(pid) for pid, name in names.items()))
    saved = saved_frames(first)

    second = Training(folder, "--resume", str(folder), "--ray", nodes.address, quick=False)
    try:
        wait_for(lambda: second.check() and saved_frames(second) >= saved + 1000, 240)
        assert f"resumed from {first.checkpoints().folder}" in second.printed()
        assert second.interrupt() == 0
    finally:
        second.kill()


@pytest.mark.slow
def test_a_local_cluster_leaves_no_process_behind(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    killed = Training(folder, *SMALL)
    try:
        killed.wait_for_frames(1000, 240)
        names = cluster_of(killed)
    finally:
        killed.kill()
    wait_for(lambda: all(map(gone, names)), 180)

    ended = Training(folder, "--resume", str(folder), quick=False)
    try:
        ended.wait_for_line("resumed from", 240)
        names = cluster_of(ended)
        assert ended.interrupt() == 0
    finally:
        ended.kill()
    wait_for(lambda: all(map(gone, names)), 180)


@pytest.mark.slow
def test_the_bench_measures_one_two_and_four_runners() -> None:
    command = [sys.executable, "-m", "tempest_rainbow.bench", "--ray", "--json", "--seconds", "2"]
    printed = subprocess.run(command, check=True, capture_output=True, timeout=900).stdout
    result = json.loads(printed)
    for runners in (1, 2, 4):
        figures = result[f"runners_{runners}"]
        assert figures["transitions_per_second"] > 0
        assert 405 <= figures["bytes_per_transition"] <= figures["wire_bytes"]
