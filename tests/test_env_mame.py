"""The environment on real MAME: the same rules, and step by step the same life as on the board."""

import re

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from stable_baselines3.common.env_checker import check_env as check_env_by_sb3
from test_env import actions, rollout

from tempest_gym.commands.verify import matching_model
from tempest_gym.env import TempestEnv
from tempest_gym.machines.mame_process import find_mame, mame_version

MAGIC_AND_SHA1 = 28
"""Bytes of a state of MAME before the version of its MAME."""


@pytest.fixture(scope="module")
def env():
    env = TempestEnv("mame", render_mode="rgb_array")
    yield env
    env.close()


def without_version(result):
    return (*result[:-1], {key: value for key, value in result[-1].items() if key != "mame_version"})


def test_the_checker_of_gymnasium_passes(recwarn):
    env = gym.make("tempest_gym:Tempest-v0", machine="mame", render_mode="rgb_array")
    check_env(env.unwrapped)
    env.close()
    assert [str(warning.message) for warning in recwarn] == []


def test_the_checker_of_stable_baselines_passes(env, recwarn):
    check_env_by_sb3(env, warn=True)
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize(("start_level", "episode"), [(1, "game"), (33, "life")])
def test_it_plays_the_same_game_as_the_board(start_level, episode):
    mame = TempestEnv("mame", start_level=start_level, episode=episode, frame_skip=2)
    model = matching_model(mame.machine, mame.rom)
    envs = mame, TempestEnv(start_level=start_level, episode=episode, frame_skip=2, board_model=model)
    starts = [without_version(env.reset(seed=17)) for env in envs]
    assert data_equivalence(*starts, exact=True)
    for action in actions(17, 700):
        results = [without_version(env.step(action)) for env in envs]
        assert data_equivalence(*results, exact=True)
        if results[0][2]:
            starts = [without_version(env.reset()) for env in envs]
            assert data_equivalence(*starts, exact=True)
    for env in envs:
        env.close()


def test_a_restored_state_continues_bit_for_bit(env):
    env.reset(seed=5)
    rollout(env, actions(5, 100))
    state = env.clone_state()
    future = rollout(env, actions(6, 500))
    env.restore_state(state)
    assert data_equivalence(future, rollout(env, actions(6, 500)), exact=True)


def test_a_state_of_the_other_machine_is_refused(env):
    board = TempestEnv()
    board.reset(seed=0)
    with pytest.raises(ValueError, match=r"board.*mame"):
        env.restore_state(board.clone_state())


def test_a_state_names_the_version_of_its_mame(env):
    _, info = env.reset(seed=5)
    state = env.clone_state()
    assert info["mame_version"] == int(re.match(r"0\.(\d+)", mame_version(find_mame()))[1])
    header, rest = state.split(b"\n", 1)
    place = MAGIC_AND_SHA1
    assert int.from_bytes(rest[place : place + 4], "big") == info["mame_version"]
    other = rest[:place] + (289_000).to_bytes(4, "big") + rest[place + 4 :]
    with pytest.raises(ValueError, match=rf"saved by MAME 0\.289000, this is MAME 0\.{info['mame_version']}"):
        env.restore_state(header + b"\n" + other)


def test_mames_own_random_numbers_are_left_alone_on_request():
    """Not the seed's numbers: the same seed and actions part from the board's life."""
    envs = [TempestEnv("mame", randomness="mame"), TempestEnv("board")]
    for env in envs:
        env.reset(seed=3)
    parted = False
    for action in actions(3, 300):
        observations = [env.step(action)[0] for env in envs]
        parted = parted or not np.array_equal(*observations)
    assert parted
    envs[0].close()


def test_two_of_them_run_side_by_side():
    envs = gym.make_vec("tempest_gym:Tempest-v0", num_envs=2, vectorization_mode="async", machine="mame")
    native = gym.make_vec("tempest_gym:Tempest-v0", num_envs=2)
    observations = [each.reset(seed=8)[0] for each in (envs, native)]
    np.testing.assert_array_equal(*observations)
    for chosen in actions(8, 60).reshape(-1, 2):
        observations = [each.step(chosen)[0] for each in (envs, native)]
        np.testing.assert_array_equal(*observations)
    envs.close()


def test_the_picture_is_the_games(env):
    env.reset(seed=0)
    rollout(env, actions(0, 40))
    picture = env.render()
    assert picture.shape == (640, 480, 3)
    assert 0.002 < (picture.max(axis=2) > 80).mean() < 0.5
