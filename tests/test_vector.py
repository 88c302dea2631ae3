"""The native vector environment: equal to single environments, by Gymnasium's conventions."""

import pickle
import subprocess
import sys
from copy import deepcopy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from tempest_gym.actions import ACTION_COUNT
from tempest_gym.env import TempestEnv
from tempest_gym.vector import TempestVectorEnv

STEPS = 8000
"""Enough for several games of random play to end."""


def actions(count, steps=STEPS, seed=0):
    return np.random.default_rng(seed).integers(ACTION_COUNT, size=(steps, count))


@pytest.fixture
def pair(request):
    """A vector environment and Gymnasium's own over as many single ones."""
    arguments = dict(request.param)
    count, threads = arguments.pop("count"), arguments.pop("threads")
    mode = arguments.pop("mode", AutoresetMode.NEXT_STEP)
    native = TempestVectorEnv(count, threads=threads, autoreset_mode=mode, **arguments)
    reference = SyncVectorEnv([lambda: TempestEnv(**arguments)] * count, autoreset_mode=mode)
    yield native, reference
    native.close()
    reference.close()


@pytest.mark.parametrize(
    "pair",
    [
        {"count": 1, "threads": 1},
        {"count": 5, "threads": 2, "start_level": 33},
        {"count": 3, "threads": 1, "mode": AutoresetMode.SAME_STEP, "start_level": 33},
        {"count": 5, "threads": 2, "mode": AutoresetMode.SAME_STEP, "episode": "life"},
        {"count": 4, "threads": 3, "episode": "life", "frame_skip": 3, "start_level": 9},
    ],
    indirect=True,
    ids=str,
)
def test_it_equals_single_environments_step_by_step(pair):
    native, reference = pair
    assert data_equivalence(native.reset(seed=40), reference.reset(seed=40), exact=True)
    ended = np.zeros(native.num_envs, bool)
    for step, chosen in enumerate(actions(native.num_envs)):
        ours, theirs = native.step(chosen), reference.step(chosen)
        assert data_equivalence(ours, theirs, exact=True), f"step {step}"
        ended |= ours[2] | ours[3]
        if ended.all() and not (ours[2] | ours[3]).any():
            break
    assert ended.all()
    assert data_equivalence(native.reset(), reference.reset(), exact=True)


@pytest.mark.parametrize(
    "pair",
    [
        {"count": 3, "threads": 2, "time_limit": 250 / 27.34375},
        {"count": 3, "threads": 2, "mode": AutoresetMode.SAME_STEP, "time_limit": 250 / 27.34375},
    ],
    indirect=True,
    ids=str,
)
def test_time_runs_out_as_in_single_environments(pair):
    native, reference = pair
    native.reset(seed=1)
    reference.reset(seed=1)
    truncations = 0
    for chosen in actions(3, 500):
        ours = native.step(chosen)
        assert data_equivalence(ours, reference.step(chosen), exact=True)
        truncations += int(ours[3].sum())
    assert truncations >= 3


@pytest.mark.parametrize(
    "pair", [{"count": 4, "threads": 2, "mode": AutoresetMode.DISABLED, "start_level": 33}], indirect=True
)
def test_without_autoreset_the_ended_ones_are_reset_by_a_mask(pair):
    native, reference = pair
    native.reset(seed=7)
    reference.reset(seed=7)
    for chosen in actions(4):
        ours, theirs = native.step(chosen), reference.step(chosen)
        assert data_equivalence(ours, theirs, exact=True)
        ended = ours[2] | ours[3]
        if ended.any():
            break
    with pytest.raises(gym.error.ResetNeeded, match=str(np.flatnonzero(ended).tolist()).strip("[]")):
        native.step(chosen)
    ours = native.reset(options={"reset_mask": ended.copy()})
    assert data_equivalence(ours, reference.reset(options={"reset_mask": ended.copy()}), exact=True)
    assert data_equivalence(native.step(chosen), reference.step(chosen), exact=True)


def test_seeds_may_be_given_one_by_one():
    env, single = TempestVectorEnv(3), TempestEnv()
    observations, infos = env.reset(seed=[5, None, 9], options={"start_level": 7})
    for row, seed in ((0, 5), (2, 9)):
        observation, info = single.reset(seed=seed, options={"start_level": 7})
        np.testing.assert_array_equal(observations[row], observation)
        assert (infos["seed"][row], infos["level"][row]) == (seed, info["level"]) == (seed, 7)


def test_several_start_levels_are_drawn_as_single_environments_draw_them():
    env, singles = TempestVectorEnv(6, threads=2, autoreset_mode="SameStep"), [TempestEnv() for _ in range(6)]
    for each in (env, *singles):
        each.set_start_level(1, 9, 33)
    _, infos = env.reset(seed=3)
    drawn = [single.reset(seed=3 + row)[1]["level"] for row, single in enumerate(singles)]
    assert infos["level"].tolist() == drawn
    assert len(set(drawn)) > 1
    waiting = set(range(6))
    while waiting:
        _, _, terminated, truncated, infos = env.step(np.zeros(6, int))
        for row in waiting & set(np.flatnonzero(terminated | truncated).tolist()):
            waiting.remove(row)
            assert infos["level"][row] == singles[row].reset()[1]["level"]


def test_a_new_start_level_takes_effect_with_the_next_game():
    env = TempestVectorEnv(2)
    env.reset(seed=0)
    env.set_start_level(17)
    assert env.step(np.zeros(2, int))[4]["level"].tolist() == [1, 1]
    assert env.reset()[1]["level"].tolist() == [17, 17]


def test_make_vec_builds_it_with_plain_keywords():
    arguments = {"threads": 2, "autoreset_mode": "SameStep", "episode": "life"}
    env = gym.make_vec("tempest_gym:Tempest-v0", num_envs=6, **arguments)
    assert isinstance(env, TempestVectorEnv)
    assert (env.num_envs, env.threads) == (6, 2)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.observation_space == gym.spaces.Box(-1, 1, (6, 195), np.float32)
    assert env.action_space == gym.spaces.MultiDiscrete([44] * 6)
    observations, infos = env.reset(seed=0)
    assert observations in env.observation_space
    assert infos["_expert_action"].all()
    env.close()


def test_gymnasiums_wrappers_fit():
    env = gym.wrappers.vector.RecordEpisodeStatistics(
        gym.make_vec("tempest_gym:Tempest-v0", num_envs=3, start_level=33)
    )
    env.reset(seed=0)
    finished = []
    for chosen in actions(3):
        *_, infos = env.step(chosen)
        finished += infos["episode"]["l"][infos["_episode"]].tolist() if "episode" in infos else []
        if len(finished) >= 3:
            break
    assert len(finished) >= 3
    assert min(finished) > 50


def test_returned_arrays_are_new_each_time():
    env = TempestVectorEnv(4)
    observations, _ = env.reset(seed=0)
    chosen = actions(4, 30)
    results, copies = [], []
    for row in chosen:
        results.append(env.step(row))
        copies.append(deepcopy(results[-1]))
    assert data_equivalence(results, copies, exact=True)
    observations[:] = 7.0  # What a user does to an array is the user's affair.
    after, *_ = env.step(chosen[0])
    assert after in env.observation_space


def test_threads_change_nothing():
    envs = [TempestVectorEnv(24, threads=threads) for threads in (1, 2, 5)]
    for env in envs:
        env.reset(seed=3)
    for chosen in actions(24, 400):
        results = [env.step(chosen) for env in envs]
        assert data_equivalence(results[0], results[1], exact=True)
        assert data_equivalence(results[0], results[2], exact=True)


def test_a_restored_state_continues_bit_for_bit():
    env = TempestVectorEnv(4, threads=2)
    env.reset(seed=5)
    for chosen in actions(4, 200):
        env.step(chosen)
    state = env.clone_state()
    future = [env.step(chosen) for chosen in actions(4, 500, seed=1)]
    for other in (env, TempestVectorEnv(4, threads=1)):
        other.restore_state(state)
        assert data_equivalence(
            future, [other.step(chosen) for chosen in actions(4, 500, seed=1)], exact=True
        )


def test_a_state_of_another_number_of_environments_is_refused():
    env = TempestVectorEnv(2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="num_envs"):
        TempestVectorEnv(3).restore_state(env.clone_state())


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"num_envs": 0}, ValueError, "num_envs must be from 1 to 1000000, got 0"),
        ({"threads": 0}, ValueError, "threads must be from 1"),
        ({"machine": "mame"}, ValueError, "machine must be 'board' here, got 'mame'.*async"),
        ({"autoreset_mode": "Never"}, ValueError, "Never"),
        ({"render_mode": "human"}, ValueError, "None or 'rgb_array', got 'human'"),
        ({"num_envs": 2, "autoreset_mode": "same"}, ValueError, "must be one of 'NextStep'"),
    ],
)
def test_a_wrong_argument_is_refused(wrong, error, message):
    with pytest.raises(error, match=message):
        TempestVectorEnv(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros(2, int), r"shape \(3,\), got \(2,\)"),
        (np.array([0, 44, 0]), r"from 0 to 43, got"),
        (np.array([0, -1, 0]), r"from 0 to 43, got"),
        (np.zeros(3), "whole numbers, got an array of float64"),
    ],
)
def test_wrong_actions_are_refused(wrong, message):
    env = TempestVectorEnv(3)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(np.zeros(3, int))
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.step(wrong)


@pytest.mark.parametrize(
    "mask", [[True, False], np.array([1, 0]), np.array([False, False]), np.ones(3, bool)], ids=str
)
def test_a_wrong_reset_mask_is_refused(mask):
    env = TempestVectorEnv(2)
    with pytest.raises(ValueError, match="reset_mask"):
        env.reset(options={"reset_mask": mask})


def test_a_drawing_shows_the_moment_at_which_it_was_taken():
    env = TempestVectorEnv(2)
    env.reset(seed=3)
    before, drawing = env.picture(1), env.drawing(1)
    for _ in range(30):
        env.step(np.zeros(2, int))
    assert (env.picture(1) != before).any()
    np.testing.assert_array_equal(drawing(), before)


def test_pictures_show_each_game():
    env = TempestVectorEnv(2, render_mode="rgb_array")
    env.reset(seed=0)
    for chosen in actions(2, 40):
        env.step(chosen)
    pictures = env.render()
    assert len(pictures) == 2
    assert (pictures[0] != pictures[1]).any()
    for index, picture in enumerate(pictures):
        np.testing.assert_array_equal(env.picture(index), picture)
        assert env.lane_positions(index).shape == (16, 2)
        assert env.enemy_positions(index).shape == (7, 2)


STEP_IN_A_CHILD = """
import os, signal
import numpy as np
from tempest_gym.vector import TempestVectorEnv
envs = TempestVectorEnv(4, threads={threads})
envs.reset(seed=0)
if not (child := os.fork()):
    signal.alarm(20)
    try:
        envs.step(np.zeros(4, int))
    except RuntimeError as error:
        os._exit(10 if "forked" in str(error) else 11)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
envs.step(np.zeros(4, int))
"""


@pytest.mark.parametrize(("threads", "code"), [(1, 0), (2, 10)])
def test_a_forked_process_can_step_or_gets_an_error_with_the_reason(threads, code):
    """Threads do not follow into a child: waiting for them would never end."""
    command = [sys.executable, "-W", "ignore", "-c", STEP_IN_A_CHILD.format(threads=threads)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (child.stdout, child.returncode) == (f"{code}\n", 0), child.stderr


@pytest.mark.parametrize("copy", [deepcopy, lambda envs: pickle.loads(pickle.dumps(envs))])
def test_a_copy_continues_bit_for_bit(copy):
    envs = TempestVectorEnv(3, threads=2, episode="life", autoreset_mode="SameStep")
    envs.reset(seed=5)
    for step in range(60):
        envs.step(np.full(3, step % 44))
    twin = copy(envs)
    for step in range(400):
        actions = np.full(3, (7 * step) % 44)
        assert data_equivalence(envs.step(actions), twin.step(actions), exact=True)
    twin.close()
    envs.close()


def test_steps_are_limited_as_gymnasium_limits_those_of_a_single_environment():
    envs = gym.make_vec("tempest_gym:Tempest-v0", num_envs=3, max_episode_steps=100, episode="life")
    singles = [gym.make("tempest_gym:Tempest-v0", max_episode_steps=100, episode="life") for _ in range(3)]
    envs.reset(seed=5)
    for i, single in enumerate(singles):
        single.reset(seed=5 + i)
    ended, cut = [False] * 3, 0
    for step in range(450):
        _, _, terminations, truncations, _ = envs.step(np.full(3, step % 11))
        for i, single in enumerate(singles):
            if ended[i]:
                single.reset()
                ended[i] = False
                continue
            *_, terminated, truncated, _ = single.step(step % 11)
            assert (terminations[i], truncations[i]) == (terminated, truncated and not terminated)
            ended[i] = terminated or truncated
            cut += truncated
    assert cut >= 6
    with pytest.raises(ValueError, match="max_episode_steps must be from 1"):
        TempestVectorEnv(max_episode_steps=0)
