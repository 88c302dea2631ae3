"""Forks: copies of games within the process, with their source's future or, reseeded, one of their own."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tempest_gym.env import TempestEnv
from tempest_gym.machines.lua_host import LuaHost
from tempest_gym.machines.seeding import expert_random, fork_phases, phase_of
from tempest_gym.vector import TempestVectorEnv

COUNT = 6


@pytest.fixture(scope="module")
def envs():
    made = TempestVectorEnv(COUNT, threads=1, autoreset_mode="Disabled")
    yield made
    made.close()


def play(envs, rng, steps, rows=None):
    """Act at random in some rows; return everything that was shown, and the actions."""
    rows = np.arange(COUNT) if rows is None else np.asarray(rows)
    shown = []
    for _ in range(steps):
        observations, rewards, terminations, truncations, infos = envs.step_rows(
            rows, rng.integers(0, 44, len(rows))
        )
        shown.append(
            (observations, rewards, terminations, truncations, infos["score"], infos["expert_action"])
        )
        if (terminations | truncations).any():
            break
    return shown


def same(first, second):
    return all(
        np.array_equal(mine, theirs)
        for one, other in zip(first, second, strict=True)
        for mine, theirs in zip(one, other, strict=True)
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), warm=st.integers(0, 60), level=st.sampled_from([1, 9, 33, 65]))
def test_a_fork_without_a_seed_has_the_future_of_its_source(envs, seed, warm, level):
    envs.reset(seed=seed, options={"start_level": level})
    play(envs, np.random.default_rng(seed), warm, [0])
    envs.fork(0, [3, 5])
    before = envs.fleet.boards.snapshot(0)
    futures = [play(envs, np.random.default_rng(1), 40, [row]) for row in (5, 3, 0)]
    assert same(futures[0], futures[1])
    assert same(futures[0], futures[2])
    assert envs.fleet.boards.snapshot(0) != before


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**31), others=st.lists(st.integers(0, 100_000), min_size=3, max_size=3, unique=True)
)
def test_forks_with_seeds_start_alike_and_have_other_futures(envs, seed, others):
    envs.reset(seed=seed)
    envs.fork([0, 0, 0], [1, 2, 3], seeds=others)
    ram = envs.fleet.boards.ram
    assert all(ram[row].tobytes() == ram[0].tobytes() for row in (1, 2, 3))
    actions = np.random.default_rng(0).integers(0, 44, 150)
    for action in actions:
        *_, terminations, truncations, _ = envs.step_rows([0, 1, 2, 3], np.full(4, action))
        if (terminations | truncations).any():
            break
    assert len({ram[row].tobytes() for row in range(4)}) == 4


def test_the_same_seed_gives_forks_the_same_future(envs):
    envs.reset(seed=3)
    envs.fork(0, [1, 2], seeds=[77, 77])
    futures = [play(envs, np.random.default_rng(2), 100, [row]) for row in (1, 2)]
    assert same(*futures)


def test_forks_share_nothing_with_their_source(envs):
    envs.reset(seed=8)
    envs.fork(2, 4)
    state = envs.clone_state()
    play(envs, np.random.default_rng(0), 50, [4])
    after = envs.clone_state()
    envs.fork(4, 4)
    assert envs.clone_state() == after, "a fork onto itself changes nothing"
    envs.restore_state(state)
    source = envs.fleet.boards.snapshot(2), envs.fleet.frames[2], envs.fleet.features[2].tobytes()
    play(envs, np.random.default_rng(0), 50, [4])
    assert source == (envs.fleet.boards.snapshot(2), envs.fleet.frames[2], envs.fleet.features[2].tobytes())


def test_games_after_a_fork_are_those_of_the_source_and_drawn_separately():
    """The generator that later games draw their seeds from is copied, not shared."""
    envs = TempestVectorEnv(3, threads=1, episode="game")
    envs.reset(seed=5)
    envs.fork(0, [1, 2])
    for row in (0, 1, 2, 0, 1, 2):
        mask = np.arange(3) == row
        envs.reset(options={"reset_mask": mask})
    _, infos = envs.reset()
    assert infos["seed"][0] == infos["seed"][1] == infos["seed"][2]
    envs.fork(0, [1, 2], seeds=[1, 2])
    _, infos = envs.reset()
    assert len(set(infos["seed"].tolist())) == 3
    envs.close()


def test_a_single_environment_and_another_vector_can_be_forked(envs):
    single = TempestEnv()
    observation, info = single.reset(seed=12)
    for _ in range(30):
        observation, *_, info = single.step(info["expert_action"])
    other = TempestVectorEnv(2, threads=1)
    other.reset(seed=0)
    other.fork(0, 1, origin=single)
    envs.reset(seed=0)
    envs.fork([1], [4], origin=other)
    assert np.array_equal(envs.fleet.features[4], observation)
    for action in np.random.default_rng(0).integers(0, 44, 60):
        expected = single.step(action)
        observations, rewards, *_, infos = envs.step_rows([4], np.array([action]))
        assert np.array_equal(observations[0], expected[0])
        assert rewards[0] == expected[1]
        assert infos["episode_frames"][0] == expected[4]["episode_frames"]
        if expected[2]:
            break
    single.close()
    other.close()


def test_step_rows_steps_as_step_does_and_leaves_the_others(envs):
    twin = TempestVectorEnv(COUNT, threads=1, autoreset_mode="Disabled")
    for each in (envs, twin):
        each.reset(seed=31)
    rng = np.random.default_rng(0)
    rows = [4, 1]
    idle = [row for row in range(COUNT) if row not in rows]
    still = [envs.fleet.boards.snapshot(row) for row in idle]
    for _ in range(80):
        actions = rng.integers(0, 44, COUNT)
        expected, ours = twin.step(actions), envs.step_rows(rows, actions[rows])
        for whole, part in zip(expected[:4], ours[:4], strict=True):
            assert np.array_equal(whole[rows], part)
        for name, values in ours[4].items():
            assert np.array_equal(expected[4][name][rows], values), name
        if expected[2].any():
            break
    assert still == [envs.fleet.boards.snapshot(row) for row in idle]
    twin.close()


def test_an_ended_row_waits_for_a_fork_or_reset():
    envs = TempestVectorEnv(2, threads=1, episode="life", autoreset_mode="Disabled")
    envs.reset(seed=0)
    while True:
        *_, terminations, _, _ = envs.step_rows([0], np.array([0]))
        if terminations[0]:
            break
    with pytest.raises(Exception, match=r"no episode is under way in \[0\]"):
        envs.step_rows([0], np.array([0]))
    envs.fork(1, 0)
    envs.step_rows([0], np.array([0]))
    envs.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0], [6]), "targets must be from 0 to 5"),
        (([9], [1]), "sources must be from 0 to 5"),
        (([0, 1], [1, 1]), "each environment once"),
        (([0, 1], [2, 3, 4]), "2 sources for 3 targets"),
        (([0], [1], [-1]), "1 whole numbers of 0 or more"),
        (([0], [1], [1, 2]), "1 whole numbers of 0 or more"),
        (([0.5], [1]), "whole numbers"),
    ],
)
def test_wrong_forks_are_refused(envs, arguments, message):
    with pytest.raises(ValueError, match=message):
        envs.fork(*arguments)


def test_restoring_with_a_seed_or_without_random_numbers_gives_other_futures():
    env = TempestEnv()
    env.reset(seed=4)
    for action in np.random.default_rng(0).integers(0, 44, 40):
        env.step(action)
    whole, bare = env.clone_state(), env.clone_state(include_random=False)

    def future():
        rng, shown = np.random.default_rng(1), []
        for _ in range(150):
            observation, *_, terminated, _, _ = env.step(rng.integers(44))
            shown.append(observation.tobytes())
            if terminated:
                break
        return b"".join(shown)

    def after(state, **arguments):
        env.restore_state(state, **arguments)
        return future()

    assert after(whole) == after(whole)
    assert after(whole, seed=9) == after(whole, seed=9) != after(whole)
    first, second = after(bare), after(bare)
    assert first != second, "the random numbers continue from one restore to the next"
    env.close()


def test_a_vector_restores_with_seeds_too(envs):
    envs.reset(seed=2)
    play(envs, np.random.default_rng(0), 30)
    state, bare = envs.clone_state(), envs.clone_state(include_random=False)
    rams = []
    for arguments in ({}, {"seed": 5}, {"seed": [5, 6, 7, 8, 9, 10]}, {"seed": 50}):
        envs.restore_state(state, **arguments)
        play(envs, np.random.default_rng(1), 60)
        rams.append(envs.fleet.boards.ram.tobytes())
    assert rams[1] == rams[2]
    assert len(set(rams)) == 3
    for _ in range(2):
        envs.restore_state(bare)
        play(envs, np.random.default_rng(1), 60)
        rams.append(envs.fleet.boards.ram.tobytes())
    assert rams[-1] != rams[-2]


@given(st.integers(0, 2**31 - 2))
def test_a_copy_never_gets_the_random_numbers_of_a_game_by_the_game_s_own_seed(seed):
    assert fork_phases(np.array([seed]))[0] != phase_of(seed)


def test_the_experts_random_numbers_start_as_the_lua_starts_them():
    host = LuaHost()
    memory = np.zeros(host.memory_size)
    for seed in (0, 1, 77, 2**31 - 3, 2**31 - 2):
        host.init(memory, seed, 1)
        assert memory[host.random_slot] == expert_random(np.array([seed]))[0]


def test_mame_refuses_what_it_cannot_do(envs):
    mame = TempestEnv("mame")
    try:
        mame.reset(seed=0)
        with pytest.raises(ValueError, match="games on MAME cannot be forked"):
            envs.fork(0, 1, origin=mame)
        with pytest.raises(ValueError, match="a state of MAME includes its random numbers"):
            mame.restore_state(mame.clone_state(), seed=1)
    finally:
        mame.close()


def test_the_score_counts_beyond_six_digits(envs):
    """The game's BCD digits wrap from 999,999 to 0; info's score does not."""
    envs.reset(seed=0)
    envs.fleet.boards.ram[0, 0x40:0x43] = (0x50, 0x99, 0x99)
    rewards, scores, infos = 0.0, [], None
    for _ in range(400):
        advice = [0] if infos is None else infos["expert_action"]
        _, _, terminations, _, infos = envs.step_rows([0], np.asarray(advice))
        scores.append(int(infos["score"][0]))
        rewards += float(infos["objective_reward"][0])
        if terminations[0]:
            break
    assert scores[0] < 1_000_000 < scores[-1]
    assert all(later >= earlier for earlier, later in pairwise(scores))
    envs.reset(seed=1)
    *_, infos = envs.step_rows([0], np.array([0]))
    assert infos["score"][0] < 1000
