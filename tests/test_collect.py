"""Collection: what is written to the replay is what was played, at the set ratio, by the player that was chosen."""

import logging
import socket
import threading
import time
from collections import deque
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from fake_games import LADDER, LadderEnv

from tempest_rainbow.collect import single_sources as singles
from tempest_rainbow.collect.client_source import ClientSource
from tempest_rainbow.collect.collector import LocalCollector
from tempest_rainbow.collect.environments import make_source, make_vector
from tempest_rainbow.collect.episodes import Episode, EpisodeStatistics
from tempest_rainbow.collect.exploration import ExpertAssignment, Exploration
from tempest_rainbow.collect.single_sources import SerialSource, ThreadedSource
from tempest_rainbow.collect.sources import Arrivals, Truncation, VectorSource
from tempest_rainbow.config.schedules import EpsilonSchedule, ExpertSchedule
from tempest_rainbow.config.settings import Task
from tempest_rainbow.episode_sums import deaths_by_level
from tempest_rainbow.policy import random_actions
from tempest_rainbow.replay.batch import ACTOR_EXPERT, ACTOR_POLICY, ACTOR_RANDOM
from tempest_rainbow.training.rate_limiter import RateLimiter


class RecordingReplay:
    """A replay that only records what it is given, environment by environment."""

    def __init__(self, count):
        self.rows = [[] for _ in range(count)]
        self.cuts = []

    def insert(self, steps):
        for k, index in enumerate(steps.environments):
            self.rows[index].append(
                {
                    "observation": steps.observations[k].copy(),
                    "action": int(steps.actions[k]),
                    "reward": float(steps.rewards[k]),
                    "terminated": bool(steps.terminated[k]),
                    "truncated": bool(steps.truncated[k]),
                    "expert_action": int(steps.expert_actions[k]),
                    "actor": int(steps.actors[k]),
                    "final": steps.final_observations[k].copy(),
                }
            )

    def cut(self, ids):
        self.cuts.append(list(ids))


def sources():
    makers = [LadderEnv] * 3
    vector = gym.make_vec(LADDER, num_envs=3, vectorization_mode="sync")
    return {
        "vector": VectorSource(vector, seed=7),
        "serial": SerialSource(makers, seed=7),
        "threads": ThreadedSource(makers, seed=7, together=False),
        "threads together": ThreadedSource(makers, seed=7, together=True),
    }


def collector(source, recorded, *, unit="frame", **changes):
    act = lambda observations: np.full(len(observations), 2)  # noqa: E731
    options = {"life_ends": True, "seed": 0, **changes}
    return LocalCollector(source, act, recorded, EpsilonSchedule(), ExpertSchedule(unit=unit), **options)


@pytest.mark.parametrize("name", ["vector", "serial", "threads", "threads together"])
def test_the_rows_of_each_environment_replay_its_games(name):
    source = sources()[name]
    recorded = RecordingReplay(3)
    collecting = collector(source, recorded)
    total = 0
    for _ in range(120):
        frames, _ = collecting.step(Exploration(epsilon=0.5, expert_ratio=0.3))
        total += frames
    source.close()
    assert total == sum(map(len, recorded.rows)) == collecting.frames
    for index, rows in enumerate(recorded.rows):
        twin = LadderEnv()
        observation, info = twin.reset(seed=7 + index)
        lives = 0
        for row in rows:
            np.testing.assert_array_equal(row["observation"], observation)
            assert row["expert_action"] == info["expert_action"]
            observation, reward, terminated, truncated, info = twin.step(row["action"])
            assert row["reward"] == pytest.approx(reward)
            assert row["terminated"] == (terminated or info["life_lost"])
            assert row["truncated"] == (truncated and not info["life_lost"])
            lives += info["life_lost"]
            if truncated:
                np.testing.assert_array_equal(row["final"], observation)
            if terminated or truncated:
                observation, info = twin.reset()
        assert lives > 0


def test_a_lost_life_may_leave_the_episode_alone():
    source = sources()["vector"]
    recorded = RecordingReplay(3)
    collecting = collector(source, recorded, life_ends=False)
    for _ in range(60):
        collecting.step(Exploration(epsilon=1.0, expert_ratio=0.0))
    source.close()
    for index, rows in enumerate(recorded.rows):
        twin = LadderEnv()
        twin.reset(seed=7 + index)
        for row in rows:
            _, _, terminated, truncated, _ = twin.step(row["action"])
            assert row["terminated"] == terminated
            if terminated or truncated:
                twin.reset()


def test_a_life_costs_its_price_outside_the_environments_reward():
    source, recorded = sources()["vector"], RecordingReplay(3)
    collecting = collector(source, recorded, life_price=40.0)
    for _ in range(60):
        collecting.step(Exploration(epsilon=1.0, expert_ratio=0.0))
    source.close()
    lost = 0
    for index, rows in enumerate(recorded.rows):
        twin = LadderEnv()
        twin.reset(seed=7 + index)
        for row in rows:
            _, reward, terminated, truncated, info = twin.step(row["action"])
            assert row["reward"] == pytest.approx(reward - 40.0 * info["life_lost"])
            lost += info["life_lost"]
            if terminated or truncated:
                twin.reset()
    assert lost > 0


def shares(unit, epsilon, ratio, steps=1500):
    source = sources()["vector"]
    recorded = RecordingReplay(3)
    collecting = collector(source, recorded, unit=unit)
    for _ in range(steps):
        collecting.step(Exploration(epsilon=epsilon, expert_ratio=ratio))
    source.close()
    rows = [row for rows in recorded.rows for row in rows]
    for row in rows:
        if row["actor"] == ACTOR_EXPERT:
            assert row["action"] == row["expert_action"]
        elif row["actor"] == ACTOR_POLICY:
            assert row["action"] == 2
    actors = np.bincount([row["actor"] for row in rows], minlength=3) / len(rows)
    return dict(
        zip(["policy", "random", "expert"], actors[[ACTOR_POLICY, ACTOR_RANDOM, ACTOR_EXPERT]], strict=True)
    )


def test_the_teacher_and_chance_get_their_shares_of_the_frames():
    got = shares("frame", epsilon=0.4, ratio=0.3)
    # A quarter of the frames is in the descent: the teacher is asked twice as often, epsilon is a fifth.
    expert = 0.75 * 0.3 + 0.25 * 0.6
    chance = 0.75 * 0.7 * 0.4 + 0.25 * 0.4 * 0.08
    assert got["expert"] == pytest.approx(expert, abs=0.03)
    assert got["random"] == pytest.approx(chance, abs=0.03)


@pytest.mark.parametrize("ratio", [0.0, 0.4, 1.0])
def test_whole_episodes_give_the_teacher_the_same_share(ratio):
    assert shares("episode", epsilon=0.1, ratio=ratio, steps=4000)["expert"] == pytest.approx(ratio, abs=0.05)


def test_assignments_follow_the_ratio_although_the_teachers_episodes_are_longer():
    generator = np.random.default_rng(0)
    seats = ExpertAssignment(20)
    left = np.zeros(20, int)
    frames = np.zeros(2)
    for _ in range(4000):
        ended = np.flatnonzero(left == 0)
        if len(ended):
            seats.start(ended, 0.33, generator)
            left[ended] = np.where(seats.assigned[ended], 50, 5)
        left -= 1
        frames += [np.count_nonzero(~seats.assigned), np.count_nonzero(seats.assigned)]
    assert frames[1] / frames.sum() == pytest.approx(0.33, abs=0.02)


def test_exploration_of_tempest_zaps_rarely_and_fires_half_the_time():
    actions = random_actions(np.random.default_rng(0), 20_000, 44, 0.5, 0.05)
    buttons, spinner = np.divmod(actions, 11)
    assert np.mean(buttons % 2 == 1) == pytest.approx(0.05, abs=0.01)
    assert np.mean(buttons >= 2) == pytest.approx(0.5, abs=0.02)
    assert np.bincount(spinner, minlength=11) == pytest.approx(np.full(11, 20_000 / 11), rel=0.1)


def test_random_actions_are_uniform_where_there_are_not_44():
    actions = random_actions(np.random.default_rng(0), 30_000, 6, 0.5, 0.05)
    assert np.bincount(actions) == pytest.approx(np.full(6, 5000), rel=0.08)


@pytest.mark.parametrize("split", [0, 1, 40, 51, 52, 53])
def test_a_deterministic_source_and_a_restored_collector_repeat_themselves(split):
    def play(steps, state=None, split=None):
        source = make_source(Task(LADDER, tempest=False), 3, 11, deterministic=True)
        recorded = RecordingReplay(3)
        collecting = collector(source, recorded, unit="episode", seed=3)
        if state is not None:
            assert collecting.set_state(state) is None
        for i in range(steps):
            if i == split:
                state = collecting.get_state()
            collecting.step(Exploration(epsilon=0.3, expert_ratio=0.4))
        source.close()
        return recorded.rows, state, collecting.statistics.metrics()

    whole, state, statistics = play(90, split=split)
    rest, _, statistics_of_rest = play(90 - split, state)
    count = [len(rows) for rows in rest]
    for rows, again, number in zip(whole, rest, count, strict=True):
        for one, two in zip(rows[-number:], again, strict=True):
            for key in one:
                np.testing.assert_array_equal(one[key], two[key])
    assert statistics == statistics_of_rest


def test_where_environments_cannot_be_cloned_episodes_restart_and_streams_are_cut():
    def make():
        source = make_source(Task("CartPole-v1", tempest=False), 2, 0, deterministic=True)
        recorded = RecordingReplay(2)
        act = lambda observations: np.zeros(len(observations), np.int64)  # noqa: E731
        return (
            LocalCollector(
                source, act, recorded, EpsilonSchedule(), ExpertSchedule(), life_ends=True, seed=0
            ),
            recorded,
        )

    collecting, _ = make()
    for _ in range(5):
        collecting.step(Exploration(0.0, 0.0))
    again, recorded = make()
    assert again.set_state(collecting.get_state()) == "these environments cannot be put into a saved state"
    assert recorded.cuts == [[0, 1]]
    assert again.frames == collecting.frames
    again.step(Exploration(0.0, 0.0))
    assert recorded.rows == [[], []], "the first observation after a restart completes nothing"


def test_one_slow_environment_does_not_hold_up_the_others():
    slow = threading.Event()

    class Slow(LadderEnv):
        def step(self, action):
            slow.wait(10)
            return super().step(action)

    source = ThreadedSource([LadderEnv, Slow, LadderEnv], seed=0, together=False)
    seen = np.zeros(3, int)
    for _ in range(100):
        arrivals = source.recv()
        seen[arrivals.ids] += 1
        source.send(arrivals.ids, np.zeros(len(arrivals.ids), np.int64))
    slow.set()
    source.close()
    assert seen[1] <= 2
    assert seen[0] + seen[2] >= 98


class Failing(LadderEnv):
    """Fails at its 5th step, and then ``failures`` times before it can restart."""

    failures = 0

    def __init__(self):
        super().__init__()
        self.taken = 0
        self.started = []

    def step(self, action):
        self.taken += 1
        if self.taken == 5:
            raise RuntimeError("broken")
        return super().step(action)

    def reset(self, *, seed=None, options=None):
        self.started.append(time.monotonic())
        if self.taken >= 5 and self.failures:
            self.failures -= 1
            raise OSError("still broken")
        return super().reset(seed=seed)


def test_a_failed_environment_is_truncated_and_restarts(monkeypatch, caplog):
    monkeypatch.setattr(singles, "_SHORTEST_PAUSE", 0.05)
    monkeypatch.setattr(Failing, "failures", 4)
    source = ThreadedSource([LadderEnv, Failing], seed=0, together=False)
    seen = {0: [], 1: []}
    while len(seen[1]) < 20:
        arrivals = source.recv()
        for row, index in enumerate(arrivals.ids.tolist()):
            seen[index].append(
                (arrivals.observations[row], *(x[row] for x in (arrivals.first, arrivals.truncated)))
            )
        source.send(arrivals.ids, arrivals.info.get("expert_action", np.zeros(len(arrivals.ids), np.int64)))
    assert source.metrics() == {"collect/clients": 2.0, "collect/dropped_failed": 5.0}
    (_, environment) = source._envs
    source.close()
    assert [bool(first) for _, first, _ in seen[1][:8]] == [True, *[False] * 5, True, False]
    assert [bool(cut) for _, _, cut in seen[1][:8]] == [*[False] * 5, True, False, False]
    np.testing.assert_array_equal(seen[1][5][0], seen[1][4][0])
    assert not any(cut and index % 13 != 12 for index, (_, _, cut) in enumerate(seen[0])), (
        "the other is whole"
    )
    waits = np.diff(environment.started[1:6])
    assert (waits >= [0.05, 0.1, 0.2, 0.4]).all(), "longer pauses each time"
    assert caplog.text.count("environment 1 failed and is restarted: ") == 5


def test_a_source_whose_environments_all_failed_can_be_closed(monkeypatch):
    monkeypatch.setattr(Failing, "failures", 1000)
    source = ThreadedSource([Failing], seed=0, together=True)
    for _ in range(6):
        arrivals = source.recv()
        source.send(arrivals.ids, np.zeros(len(arrivals.ids), np.int64))
    assert len(source.recv().ids) == 0
    source.close()


def test_environments_that_cannot_be_made_leave_none_behind():
    closed = []

    class Noted(LadderEnv):
        def close(self):
            closed.append(self)

    def broken():
        raise OSError("nothing there")

    with pytest.raises(OSError, match="nothing there"):
        ThreadedSource([Noted, broken, Noted], seed=0, together=False)
    assert len(closed) == 2


def naive_pace(ratio, start, batch, slack, inserts):
    """The limiter's rule, spelt out: a queue of samples earned, spent by whole batches."""
    earned, collected, learned, log = 0.0, 0, 0, []
    waiting = deque(inserts)
    while waiting:
        while earned >= batch and collected >= start:
            earned -= batch
            learned += batch
        if earned > slack:
            break
        frames = waiting.popleft()
        for _ in range(frames):
            collected += 1
            earned += ratio * (collected > start)
        log.append((collected, learned))
    return log


@pytest.mark.parametrize(("ratio", "start"), [(0.5, 0), (8.0, 100), (2.0, 33)])
def test_samples_per_insert_is_kept(ratio, start):
    inserts = np.random.default_rng(0).integers(1, 20, 200).tolist()
    limiter = RateLimiter(ratio, start, batch_size=32, slack=1e9)
    learned = collected = 0
    log = []
    for frames in inserts:
        while limiter.may_learn():
            limiter.sampled(32)
            learned += 32
        limiter.inserted(frames)
        collected += frames
        log.append((collected, learned))
    assert log == naive_pace(ratio, start, 32, 1e9, inserts)
    assert abs(learned - ratio * (collected - start)) <= 32 + 20 * ratio


def test_the_side_that_is_ahead_waits():
    limiter = RateLimiter(1.0, 10, batch_size=8, slack=16)
    assert limiter.may_collect()
    assert not limiter.may_learn()
    assert not limiter.wait_to_learn(0.01)
    limiter.inserted(30)
    assert limiter.may_learn()
    assert not limiter.may_collect()
    threading.Timer(0.05, lambda: limiter.sampled(8)).start()
    assert limiter.wait_to_collect(10)
    limiter.learning = False
    limiter.inserted(1000)
    assert limiter.may_collect(), "with learning off, nothing limits collection"
    assert limiter.allowance == 12
    limiter.pause()
    assert not limiter.may_collect()


def test_training_accepts_the_originals_clients_as_configured():
    empty_hello = b"\0\0"
    for legacy, welcome in (("loopback", 1), ("none", 0)):
        source = ClientSource("127.0.0.1:0", 2, Task("tempest_gym:Tempest-v0", True), legacy=legacy)
        with socket.create_connection(source.address, 10) as client:
            client.sendall(empty_hello)
            while not (source.metrics()["collect/clients"] or "collect/dropped_legacy" in source.metrics()):
                source.recv()
            assert source.metrics()["collect/clients"] == welcome
        source.close()


def test_training_reports_that_it_waits_for_clients(caplog, monkeypatch):
    monkeypatch.setattr("tempest_rainbow.collect.client_source._SILENCE_SECONDS", 0.0)
    caplog.set_level(logging.INFO, "tempest_rainbow")
    source = ClientSource("127.0.0.1:0", 2, Task("tempest_gym:Tempest-v0", True))
    source.recv()
    host, port = source.address
    assert f"waiting for the first client at {host}:{port}" in caplog.messages
    with socket.create_connection(source.address, 10) as client:
        client.sendall(b"\0\0")
        while not source.metrics()["collect/clients"]:
            source.recv()
        source.recv()
    assert f"waiting for frames from clients (1 connected) at {host}:{port}" in caplog.messages
    source.close()


def test_games_that_started_late_do_not_change_the_means_of_whole_games():
    statistics = EpisodeStatistics(1)
    whole, late = (Episode(level, 10, 100.0 * level, level + 3.0, 0.0, level) for level in (1.0, 17.0))
    statistics.highest_start = 1
    for index, episode in enumerate((whole, late, late)):
        statistics.record(episode, 1000 * index)
    metrics = statistics.metrics()
    assert (metrics["episodes/agent_score"], metrics["episodes/agent_level"]) == (100.0, 4.0)
    assert metrics["episodes/agent_reward_100k"] == 1.0
    assert metrics["episodes/count"] == 3.0
    statistics.highest_start = None
    statistics.record(late, 4000)
    assert statistics.metrics()["episodes/agent_score"] == 900.0
    again = EpisodeStatistics(1)
    again.set_state(statistics.get_state())
    assert again.metrics() == statistics.metrics()


class WithStates(LadderEnv):
    """Offers its state in the form that a test asks for."""

    closed = 0
    state: Any = b""

    def clone_state(self):
        return self.state

    def restore_state(self, state):
        pass

    def close(self):
        type(self).closed += 1


def test_states_that_cannot_be_stored_are_left_out(monkeypatch):
    """As those of ale-py, whose ``clone_state`` returns an object of its own."""
    source = SerialSource([WithStates], seed=0)
    source.recv()
    assert source.get_state() is not None
    monkeypatch.setattr(WithStates, "state", object())
    assert source.get_state() is None


def test_a_time_limit_continues_over_a_saved_state():
    source, again = (
        SerialSource([lambda: gym.wrappers.TimeLimit(WithStates(), 3)], seed=0) for _ in range(2)
    )
    for _ in range(3):
        source.send(source.recv().ids, np.array([0]))
    again.set_state(source.get_state())
    assert again.recv().truncated.tolist() == source.recv().truncated.tolist() == [True]


def test_environments_made_before_one_that_fails_are_closed(monkeypatch):
    monkeypatch.setattr(WithStates, "closed", 0)

    def broken():
        raise RuntimeError("no machine")

    with pytest.raises(RuntimeError, match="no machine"):
        SerialSource([WithStates, WithStates, broken], seed=0)
    assert WithStates.closed == 2


def test_an_episode_knows_the_level_it_started_at():
    source = SerialSource([lambda: LadderEnv()], seed=0)
    statistics = EpisodeStatistics(1)
    levels = iter((5.0, 5.0, 6.0, 7.0))
    ended = []
    while not ended:
        arrivals = source.recv()
        arrivals.info["level"] = np.array([5.0 if arrivals.first[0] else next(levels, 7.0)])
        ended = statistics.add(arrivals, np.array([False]))
        source.send(arrivals.ids, np.array([0]))
    assert (ended[0].first_level, ended[0].level) == (5.0, min(7.0, 4.0 + max(ended[0].length - 1, 1)))


def test_training_games_may_start_at_several_levels_and_evaluated_ones_at_one():
    task = Task("tempest_gym:Tempest-v0", tempest=True, start_levels=(1, 17), threads=1)
    source = make_source(task, 12, 0, deterministic=True)
    assert set(source.recv().info["level"].tolist()) == {1.0, 17.0}
    source.close()
    envs = make_vector(task, 12)
    assert set(envs.reset(seed=0)[1]["level"].tolist()) == {1}
    envs.close()


def arrivals_of(truncations, *, terminated=False, first=False, **info):
    count = len(truncations)
    return Arrivals(
        ids=np.arange(count),
        observations=np.zeros((count, 5), np.float32),
        rewards=np.ones(count, np.float32),
        terminated=np.full(count, terminated),
        truncations=np.array(truncations, np.int8),
        first=np.full(count, first),
        info={name: np.full(count, value) for name, value in info.items()},
    )


def test_a_departure_and_a_fault_are_bootstrapped_but_only_a_time_limit_ends_a_game():
    """In version 0.1 the score of a client that left counted as that of a finished game."""
    ways = [Truncation.TIME_LIMIT, Truncation.DEPARTURE, Truncation.FAULT]

    class Ends(SerialSource):
        def recv(self):
            step = next(script)
            return arrivals_of(step[0], first=step[1], score=104_276.0, level=9.0, expert_action=1)

    script = iter([([0, 0, 0], True), (ways, False)])
    source, recorded = Ends([LadderEnv] * 3, seed=0), RecordingReplay(3)
    collecting = collector(source, recorded, unit="episode")
    collecting.step(Exploration(epsilon=0.0, expert_ratio=1.0))
    _, ended = collecting.step(Exploration(epsilon=0.0, expert_ratio=1.0))
    assert [row["truncated"] for rows in recorded.rows for row in rows] == [True] * 3
    assert [(episode.score, episode.truncated) for episode in ended] == [(104_276.0, True)]
    metrics = collecting.statistics.metrics()
    assert (metrics["episodes/count"], metrics["episodes/truncated"]) == (1.0, 1.0)


def test_deaths_per_level_count_the_levels_passed_and_where_lives_were_lost():
    statistics = EpisodeStatistics(1)
    statistics.highest_start = 1
    game = Episode(0.0, 9, 0.0, level=12.0, expert_share=0.0, first_level=4.0, deaths=(5.0, 11.0, 12.0))
    late = Episode(
        0.0, 9, 0.0, level=12.0, expert_share=0.0, first_level=11.0, deaths=(11.0,), truncated=True
    )
    teacher = Episode(0.0, 9, 0.0, level=12.0, expert_share=1.0, first_level=1.0, deaths=(1.0,))
    for episode in (game, late, teacher):
        statistics.record(episode, 10)
    # Passed: 4 and 5; 6 to 10; 11 twice. Died: once at 5, three times from 11 on.
    assert deaths_by_level([game, late]) == {"1-5": (1, 2), "6-10": (0, 5), "11-15": (3, 2)}
    metrics = statistics.metrics()
    assert metrics["episodes/agent_deaths_per_level"] == 4 / 9
    assert [metrics[f"deaths_per_level/{block}"] for block in ("1-5", "6-10", "11-15")] == [0.5, 0.0, 1.5]
    again = EpisodeStatistics(1)
    again.set_state(statistics.get_state())
    assert again.metrics() == metrics


def test_deaths_are_counted_at_the_level_at_which_they_happen():
    """Also where the step that reports one has reached the next level, as after a death on the way there."""
    statistics, nobody = EpisodeStatistics(1), np.array([False])
    statistics.add(arrivals_of([0], first=True, level=1.0, life_lost=False), nobody)
    for level, lost in ((1.0, True), (2.0, False), (3.0, True)):
        assert not statistics.add(arrivals_of([0], level=level, life_lost=lost), nobody)
    (game,) = statistics.add(arrivals_of([0], terminated=True, level=3.0, life_lost=True), nobody)
    assert game.deaths == (1.0, 2.0, 3.0)
