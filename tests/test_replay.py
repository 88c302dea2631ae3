"""The replay against a naive twin, its limits, and that it survives being saved."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_twin import NaiveReplay, Step

from tempest_rainbow.replay import storage as replay_files
from tempest_rainbow.replay.batch import ACTOR_EXPERT, ACTOR_POLICY, ACTOR_RANDOM, Batch
from tempest_rainbow.replay.replay import Replay, ReplayConfig
from tempest_rainbow.replay.steps import Steps

SIZE = 3


def small(**changes) -> ReplayConfig:
    """Windows of 3 steps; priorities p stand in the tree as p + 1, so that whole numbers add up exactly."""
    return dataclasses.replace(
        ReplayConfig(
            capacity=40,
            n_step=3,
            gamma=0.5,
            dtype="float32",
            priority_exponent=1.0,
            minimum_priority=1.0,
        ),
        **changes,
    )


class Pair:
    """The replay and its twin, fed with the same random streams."""

    def __init__(self, config: ReplayConfig, environments: int, seed: int) -> None:
        self.config = config
        self.environments = environments
        self.rng = np.random.default_rng(seed)
        self.replay = Replay(config, environments, SIZE, seed=seed)
        self.twin = NaiveReplay(config.capacity // environments, environments, config.n_step, config.gamma)
        self.largest = 1.0

    def insert(self, rows: int, end_share: float = 0.2) -> None:
        rng = self.rng
        rings = rng.integers(0, self.environments, rows)
        observations = rng.standard_normal((rows, SIZE)).astype(np.float32)
        finals = rng.standard_normal((rows, SIZE)).astype(np.float32)
        actions, advice = rng.integers(0, 44, rows), rng.integers(-1, 44, rows)
        actors = rng.integers(0, 3, rows)
        rewards = rng.integers(-8, 9, rows).astype(np.float32)
        terminated, truncated = rng.random(rows) < end_share, rng.random(rows) < end_share
        self.replay.insert(
            Steps(rings, observations, actions, rewards, terminated, truncated, advice, actors, finals)
        )
        for i in range(rows):
            step = Step(
                observations[i],
                int(actions[i]),
                float(rewards[i]),
                bool(terminated[i]),
                bool(truncated[i]) and not terminated[i],
                int(advice[i]),
                int(actors[i]),
                finals[i],
                1,
                0,
                0,
            )
            self.twin.insert(int(rings[i]), step, self.largest)

    def reprioritise(self, batch: Batch) -> None:
        _, first = np.unique(batch.indices, return_index=True)
        indices, stamps = batch.indices[first], batch.stamps[first]
        priorities = self.rng.integers(0, 9, len(indices))
        self.replay.update_priorities(indices, stamps, priorities)
        self.largest = max(self.largest, float(priorities.max()) + 1.0)
        drawable = self.twin.drawable()
        for row, stamp, priority in zip(indices, stamps, priorities, strict=True):
            key = (int(row) // self.twin.ring_length, int(stamp))
            if key in drawable:
                self.twin.streams[key[0]][drawable[key]].value = float(priority) + 1.0

    def check(self) -> None:
        self.replay.check_valid()
        assert len(self.replay) == len(self.twin.drawable())
        state = self.replay.get_state()
        np.testing.assert_array_equal(state["arrays"]["values"], self.twin.values())
        if not len(self.replay):
            return
        generator = np.random.default_rng()
        generator.bit_generator.state = state["scalars"]["rng"]
        batch = self.replay.sample(16, beta=0.7)
        # The same draw by a running sum over all rows.
        values = self.twin.values()
        masses = (np.arange(16) + generator.random(16)) * values.sum() / 16
        np.testing.assert_array_equal(batch.indices, np.searchsorted(np.cumsum(values), masses, side="right"))
        self.check_batch(batch, self.config.n_step)
        chance = len(self.replay) * values[batch.indices] / values.sum()
        np.testing.assert_allclose(batch.weights, chance**-0.7 / (chance**-0.7).max(), rtol=1e-6)
        self.check_batch(self.replay.sample(8, n_step=1), 1)

    def check_batch(self, batch: Batch, n_step: int) -> None:
        drawable = self.twin.drawable()
        for i in range(len(batch)):
            environment = int(batch.indices[i]) // self.twin.ring_length
            index = drawable[environment, int(batch.stamps[i])]
            step = self.twin.streams[environment][index]
            total, discount, following = self.twin.window(environment, index, n_step)
            np.testing.assert_array_equal(batch.observations[i], step.observation)
            assert batch.actions[i] == step.action
            assert batch.expert_actions[i] == step.expert_action
            assert batch.imitation_weights[i] == (step.expert_action >= 0)
            assert batch.actors[i] == step.actor
            assert batch.returns[i] == total
            assert batch.discounts[i] == discount
            if discount > 0.0:
                np.testing.assert_array_equal(batch.next_observations[i], following)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.integers(1, 12)),
        st.tuples(st.just("cut"), st.integers(0, 1)),
        st.tuples(st.just("reprioritise"), st.integers(1, 8)),
    ),
    min_size=1,
    max_size=14,
)


@settings(deadline=None, max_examples=60)
@given(OPERATIONS, st.integers(0, 2**31), st.sampled_from([0.0, 0.1, 0.6]), st.sampled_from([10, 17, 40]))
def test_every_draw_is_what_the_naive_twin_says(operations, seed, end_share, capacity):
    pair = Pair(small(capacity=capacity), 2, seed)
    late = None
    for name, number in operations:
        if name == "insert":
            pair.insert(number, end_share)
        elif name == "cut":
            pair.replay.cut([number])
            pair.twin.cut(number)
        elif len(pair.replay):
            pair.reprioritise(late or pair.replay.sample(number))
            late = pair.replay.sample(number)
        pair.check()


def test_one_step_windows_and_one_environment():
    pair = Pair(small(n_step=1, capacity=7), 1, 5)
    for _ in range(30):
        pair.insert(2, 0.3)
        pair.check()


def steps(count: int, first: int = 0, rings=0, **changes) -> Steps:
    """Steps to insert: observation i is [i, i, i], reward i, in one ring."""
    numbers = np.arange(first, first + count, dtype=np.float32)
    given = Steps(
        np.full(count, rings),
        np.repeat(numbers[:, None], SIZE, 1),
        np.zeros(count, int),
        numbers,
        np.zeros(count, bool),
        np.zeros(count, bool),
    )
    return dataclasses.replace(given, **changes)


def test_windows_never_cross_a_death():
    replay = Replay(small(), 1, SIZE)
    replay.insert(steps(10, terminated=np.arange(10) == 4))
    # Rows 0-4 end at the death, rows 5 and 6 have complete windows.
    assert len(replay) == 7
    batch = replay.sample(200)
    by_row = {int(row): i for i, row in enumerate(batch.indices)}
    assert sorted(by_row) == [0, 1, 2, 3, 4, 5, 6]
    assert [float(batch.discounts[by_row[row]]) for row in range(7)] == [0.125, 0.125, 0, 0, 0, 0.125, 0.125]
    assert float(batch.returns[by_row[3]]) == 3 + 0.5 * 4
    assert float(batch.returns[by_row[4]]) == 4


def test_truncation_bootstraps_from_the_final_observation():
    replay = Replay(small(), 1, SIZE)
    finals = np.array([[np.nan] * SIZE, [77.0] * SIZE], np.float32)
    replay.insert(steps(2, truncated=np.array([False, True]), final_observations=finals))
    batch = replay.sample(50)
    assert set(batch.next_observations[:, 0]) == {77.0}
    assert {(int(row), float(d)) for row, d in zip(batch.indices, batch.discounts, strict=True)} == {
        (0, 0.25),
        (1, 0.5),
    }


def test_a_cut_drops_open_windows_and_counts_them():
    replay = Replay(small(), 1, SIZE)
    replay.insert(steps(5))
    assert len(replay) == 2
    replay.cut([0])
    replay.insert(steps(4, first=100))
    assert replay.dropped == 3
    batch = replay.sample(60)
    assert set(batch.indices.tolist()) == {0, 1, 5}
    assert set(batch.next_observations[:, 0]) == {3.0, 4.0, 103.0}


def test_late_priorities_of_overwritten_rows_are_counted_and_ignored():
    replay = Replay(small(capacity=8), 1, SIZE)
    replay.insert(steps(8))
    batch = replay.sample(4)
    replay.insert(steps(16, first=8))
    before = replay.get_state()["arrays"]["values"]
    replay.update_priorities(batch.indices, batch.stamps, np.full(4, 50.0))
    assert replay.stale == 4
    np.testing.assert_array_equal(replay.get_state()["arrays"]["values"], before)


def test_draws_follow_the_priorities():
    replay = Replay(small(capacity=16, n_step=1), 1, SIZE)
    replay.insert(steps(5))
    replay.update_priorities(np.arange(4), np.arange(4), np.array([0.0, 1.0, 2.0, 5.0]))
    counts = np.bincount(np.concatenate([replay.sample(10).indices for _ in range(2000)]), minlength=4)
    # 20,000 draws by 1 : 2 : 3 : 6; stratification makes the spread smaller than independent draws would.
    np.testing.assert_allclose(counts / counts.sum(), np.array([1, 2, 3, 6]) / 12, atol=0.015)


def test_exponent_zero_draws_uniformly_with_equal_weights():
    replay = Replay(small(priority_exponent=0.0), 1, SIZE)
    replay.insert(steps(20))
    batch = replay.sample(8)
    replay.update_priorities(batch.indices, batch.stamps, np.arange(8.0))
    assert (replay.sample(16).weights == 1.0).all()


def test_new_transitions_enter_at_the_largest_or_at_the_mean():
    for kind, expected in (("max", 6.0), ("mean", (1 + 3 + 6) / 3)):
        replay = Replay(small(n_step=1, new_priority=kind), 1, SIZE)
        replay.insert(steps(4))
        replay.update_priorities(np.arange(3), np.arange(3), np.array([0.0, 2.0, 5.0]))
        replay.insert(steps(1, first=4))
        assert replay.get_state()["arrays"]["values"][3] == pytest.approx(expected)


def test_half_precision_keeps_what_half_precision_can():
    replay = Replay(small(dtype="float16"), 1, SIZE)
    observations = np.random.default_rng(0).uniform(-1, 1, (6, SIZE)).astype(np.float32)
    replay.insert(steps(6, observations=observations))
    batch = replay.sample(20)
    assert batch.observations.dtype == np.float16
    np.testing.assert_array_equal(batch.observations, observations.astype(np.float16)[batch.indices])
    np.testing.assert_array_equal(batch.next_observations, observations.astype(np.float16)[batch.indices + 3])


@pytest.mark.parametrize("way", ["state", "files"])
@pytest.mark.parametrize("rows", [0, 9, 200])
def test_saved_restored_continued_is_never_interrupted(way, rows, tmp_path):
    pair = Pair(small(), 2, 11)
    if rows:
        pair.insert(rows)
        pair.reprioritise(pair.replay.sample(8))
    other = Replay(pair.config, 2, SIZE, seed=99)
    other.insert(steps(15))
    if way == "state":
        other.set_state(pair.replay.get_state())
    else:
        pair.replay.save(tmp_path / "replay")
        pair.replay.save(tmp_path / "replay")
        other.load(tmp_path / "replay")
        assert [path.name for path in tmp_path.iterdir()] == ["replay"]
    for replay in (pair.replay, other):
        replay.insert(steps(6, first=3, rings=1))
    for _ in range(5):
        one, two = pair.replay.sample(8), other.sample(8)
        for field in dataclasses.fields(Batch):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))
        for replay in (pair.replay, other):
            replay.update_priorities(one.indices, one.stamps, np.arange(8.0))
    other.check_valid()
    assert other.statistics() == pair.replay.statistics()


def test_a_state_of_another_shape_is_refused(tmp_path):
    replay = Replay(small(), 2, SIZE)
    replay.save(tmp_path / "replay")
    with pytest.raises(ValueError, match="n_step 3, this one has 2"):
        Replay(small(n_step=2), 2, SIZE).load(tmp_path / "replay")
    with pytest.raises(ValueError, match="capacity"):
        Replay(small(capacity=60), 2, SIZE).set_state(replay.get_state())


def test_clear_forgets_everything():
    pair = Pair(small(), 2, 3)
    pair.insert(30)
    pair.replay.clear()
    pair.replay.check_valid()
    assert len(pair.replay) == 0
    with pytest.raises(ValueError, match="no complete transition"):
        pair.replay.sample(1)
    pair.replay.insert(steps(4))
    assert len(pair.replay) == 1


def test_a_file_holds_the_observations(tmp_path):
    config = small(path=tmp_path / "deep" / "observations.bin")
    pair = Pair(config, 2, 4)
    pair.insert(60)
    pair.check()
    pair.replay.close()
    stored = np.fromfile(config.path, np.float32).reshape(-1, SIZE)
    np.testing.assert_array_equal(stored, pair.replay.get_state()["arrays"]["observations"])


def test_the_capacity_can_be_given_as_memory():
    replay = Replay(small(memory_gb=0.001), 4, SIZE)
    assert replay.capacity * replay.bytes_per_transition <= 1_000_000
    assert (replay.capacity + 4) * replay.bytes_per_transition > 1_000_000


def test_fifteen_million_transitions_fit_into_six_and_a_half_gigabytes():
    assert 15_000_000 * replay_files.bytes_per_row(195, "float16") <= 6.5e9
    # The figure is what is really allocated.
    replay = Replay(ReplayConfig(capacity=100_000), 50, 195)
    state = replay.get_state()["arrays"]
    tree = replay._tree.nodes.nbytes
    total = sum(array.nbytes for array in state.values()) + tree
    assert total <= replay.capacity * replay.bytes_per_transition + 10_000


def test_what_does_not_fit_is_refused_with_the_numbers(monkeypatch, tmp_path):
    monkeypatch.setattr(replay_files, "available_memory", lambda: 10**9)
    with pytest.raises(MemoryError, match=r"15,000,000 transitions needs 6\.\d GB .* choose at most 2,2"):
        Replay(ReplayConfig(capacity=15_000_000), 64, 195)
    with pytest.raises(MemoryError, match="on the disk"):
        Replay(ReplayConfig(capacity=10**13, path=tmp_path / "file"), 64, 195)
    monkeypatch.setattr(replay_files, "available_memory", lambda: None)
    assert Replay(small(), 2, SIZE).capacity == 40


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"capacity": 8}, "at least|need"),
        ({"n_step": 0}, "n_step"),
        ({"gamma": 1.5}, "gamma"),
        ({"dtype": "int8"}, "float16 or float32"),
        ({"new_priority": "median"}, "new_priority"),
        ({"minimum_priority": 0.0}, "minimum_priority"),
    ],
)
def test_settings_out_of_range_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        Replay(small(**changes), 2, SIZE)


def test_bad_steps_are_refused_on_insertion():
    replay = Replay(small(dtype="float16"), 1, SIZE)
    bad = [
        ("not finite", "observations", np.full((2, SIZE), np.nan, np.float32)),
        ("not finite, or too large", "observations", np.full((2, SIZE), 1e6, np.float32)),
        ("reward", "rewards", np.array([0.0, np.inf])),
        ("environments", "environments", np.array([0, 1])),
        ("final observation", "truncated", np.array([False, True])),
        ("observations of 3", "observations", np.zeros((2, SIZE + 1), np.float32)),
        ("expected 2 actions", "actions", np.zeros(3, int)),
    ]
    for words, name, value in bad:
        with pytest.raises(ValueError, match=words):
            replay.insert(steps(2, **{name: value}))
    assert replay.inserted == 0
    replay.insert(steps(9))
    with pytest.raises(ValueError, match="n_step must lie within 1-3"):
        replay.sample(1, n_step=4)
    with pytest.raises(ValueError, match="priority is not finite"):
        replay.update_priorities(np.array([0]), np.array([0]), np.array([np.nan]))


def test_joined_batches_keep_their_order():
    replay = Replay(small(), 1, SIZE)
    replay.insert(steps(20))
    parts = [replay.sample(3), replay.sample(5)]
    joined = Batch.join(parts)
    assert len(joined) == 8
    np.testing.assert_array_equal(joined.returns, np.concatenate([part.returns for part in parts]))
    assert (ACTOR_POLICY, ACTOR_RANDOM, ACTOR_EXPERT) == (0, 1, 2)


def test_threads_may_insert_and_draw_at_once():
    replay = Replay(small(capacity=400), 4, SIZE)
    replay.insert(steps(30))
    failures = []

    def insert(ring):
        try:
            for _ in range(200):
                replay.insert(steps(7, rings=ring))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=insert, args=(ring,)) for ring in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        batch = replay.sample(16)
        # A window of consecutive numbers, whatever the other threads do meanwhile.
        first = batch.observations[:, 0]
        live = batch.returns - (first + 0.5 * (first + 1) + 0.25 * (first + 2))
        wraps = (first % 7) > 3
        assert (live[~wraps] == 0).all()
        replay.update_priorities(batch.indices, batch.stamps, np.ones(16))
    for thread in threads:
        thread.join()
    assert not failures
    assert replay.inserted == 30 + 4 * 200 * 7
    replay.check_valid()
