"""What an agent observes, and the variants of an episode: alike in single and vector environments, on both machines."""

from contextlib import closing

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

from tempest_gym.actions import CONTROLS, encode_action
from tempest_gym.env import TempestEnv
from tempest_gym.server import ClientPool
from tempest_gym.settings import Settings
from tempest_gym.vector import TempestVectorEnv

KINDS = {
    "features": ((195,), np.float32),
    "ram": ((2048,), np.uint8),
    "rgb": ((40, 30, 3), np.uint8),
    "grayscale": ((40, 30), np.uint8),
}
SIZE = (40, 30)


def same_games(steps, threads=1, **settings):
    """Play one seed in a single environment and in row 1 of a vector of three, and compare every step."""
    single = TempestEnv(**settings)
    vector = TempestVectorEnv(3, threads=threads, autoreset_mode="Disabled", **settings)
    with closing(single), closing(vector):
        random = np.random.default_rng(5)
        observation, info = single.reset(seed=8)
        observations, _ = vector.reset(seed=7)
        ends = []
        for _ in range(steps):
            np.testing.assert_array_equal(observations[1], observation)
            actions = random.integers(44, size=3)
            observation, reward, terminated, truncated, info = single.step(actions[1])
            observations, rewards, terminations, truncations, infos = vector.step(actions)
            assert (reward, terminated, truncated) == (rewards[1], terminations[1], truncations[1])
            assert info["level"] == infos["level"][1]
            if (terminations | truncations).any():
                vector.reset(options={"reset_mask": terminations | truncations})
                observations = vector._observations.of_fleet(vector.fleet)
            if terminated or truncated:
                ends.append(info)
                observation, info = single.reset()
        return ends


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threads", [1, 2])
def test_single_and_vector_environments_observe_the_same(kind, threads):
    same_games(30, threads, obs_type=kind, screen_size=SIZE)


@pytest.mark.parametrize("kind", KINDS)
def test_every_observation_passes_gymnasiums_checker(kind):
    with closing(TempestEnv(obs_type=kind, screen_size=SIZE, render_mode="rgb_array")) as env:
        shape, dtype = KINDS[kind]
        assert (env.observation_space.shape, env.observation_space.dtype) == (shape, dtype)
        check_env(env)


@pytest.mark.parametrize("kind", ["ram", "rgb", "grayscale"])
def test_board_and_mame_give_the_same_observations(kind):
    envs = [TempestEnv(machine, obs_type=kind, screen_size=SIZE) for machine in ("board", "mame")]
    with closing(envs[0]), closing(envs[1]):
        for board, mame in zip(*(_some_observations(env) for env in envs), strict=True):
            np.testing.assert_array_equal(board, mame)


def _some_observations(env):
    yield env.reset(seed=3)[0]
    for action in (7, 22, 29, 40, 1):
        yield env.step(action)[0]


def test_the_teacher_and_rewards_do_not_depend_on_the_observation():
    def game(kind):
        with closing(TempestEnv(obs_type=kind, screen_size=SIZE)) as env:
            _, info = env.reset(seed=4)
            for _ in range(20):
                _, reward, _, _, info = env.step(info["expert_action"])
                yield reward, info

    assert list(game("features")) == list(game("grayscale"))


def test_ram_is_the_games_and_each_observation_is_new():
    with closing(TempestVectorEnv(2, obs_type="ram")) as env:
        first, infos = env.reset(seed=0)
        kept = first.copy()
        assert (first[:, 0x00] == infos["game_state"]).all()
        second = env.step(infos["expert_action"])[0]
        np.testing.assert_array_equal(first, kept)
        assert not np.shares_memory(first, second)


@pytest.mark.parametrize("size", [(84, 84), (160, 120), (320, 240)])
def test_lines_keep_their_brightness_in_small_pictures(size):
    """Drawn small, the tube's lines stay bright; the full picture made smaller loses them."""
    with closing(TempestEnv(obs_type="grayscale", screen_size=size)) as env:
        small = env.reset(seed=0)[0]
        full = env.picture().max(axis=-1)
    rows, columns = (np.arange(count) * full.shape[axis] // count for axis, count in enumerate(size))
    shrunk = np.add.reduceat(np.add.reduceat(full.astype(float), rows, 0), columns, 1)
    shrunk /= full.size / small.size
    assert small.mean() > 1.5 * shrunk.mean()
    lit = shrunk > 12
    assert (small[lit] > 60).mean() > 0.9


def test_render_draws_at_any_size():
    with closing(TempestEnv(render_mode="rgb_array")) as env:
        env.reset(seed=0)
        assert env.render().shape == (640, 480, 3)
        assert env.render((1280, 960)).shape == (1280, 960, 3)
        np.testing.assert_array_equal(env.render((640, 480)), env.render())


@pytest.mark.parametrize("size", [None, (320, 240), (1280, 960)])
@pytest.mark.parametrize("glow", [0.0, 1.0, 2.5])
def test_single_and_vector_environments_render_the_same_at_every_size(size, glow):
    single = TempestEnv(render_mode="rgb_array", glow=glow)
    vector = TempestVectorEnv(2, render_mode="rgb_array", glow=glow)
    with closing(single), closing(vector):
        single.reset(seed=1)
        vector.reset(seed=0)
        picture = single.render(size)
        assert picture.shape == (*(size or (640, 480)), 3)
        assert [each.shape for each in vector.render(size)] == [picture.shape] * 2
        np.testing.assert_array_equal(vector.render(size)[1], picture)


def test_a_glow_widens_lines_and_leaves_observations_alone():
    pictures, observations = [], []
    for glow in (0.0, 1.0, 3.0):
        with closing(TempestEnv(obs_type="grayscale", glow=glow)) as env:
            observations.append(env.reset(seed=0)[0])
            pictures.append(env.picture().astype(int))
    dark, usual, bright = pictures
    assert (dark <= usual).all()
    assert (usual <= bright).all()
    assert dark.mean() < usual.mean() < bright.mean()
    assert dark.max() == bright.max()
    np.testing.assert_array_equal(observations[0], observations[2])


def test_a_window_of_an_environment_gets_pictures_of_its_size(monkeypatch):
    import pygame

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr("tempest_gym.display.window.FRAMES_PER_SECOND", 0)  # As fast as it goes.
    with closing(TempestEnv(render_mode="human")) as env:
        env.reset(seed=0)
        pygame.display.set_mode((300, 500), pygame.RESIZABLE)
        shown = []
        monkeypatch.setattr(env._window, "draw", lambda picture: shown.append(picture.shape))
        env.step(0)
        assert set(shown) == {(400, 300, 3)}


def test_an_episode_of_a_level_ends_when_it_is_cleared_or_a_life_lost():
    ends = []
    with closing(TempestEnv(episode="level", start_level=[1, 3])) as env:
        env.reset(seed=2)
        for _ in range(6):
            _, info = env.reset()
            start, lives = info["level"], info["lives"]
            assert (start in (1, 3), lives) == (True, 3)
            terminated = truncated = False
            while not (terminated or truncated):
                _, _, terminated, truncated, info = env.step(info["expert_action"])
            assert terminated
            assert (info["level"] == start + 1) != info["life_lost"]
            ends.append(info["life_lost"])
    assert not all(ends)


@pytest.mark.parametrize(
    "settings",
    [
        {"episode": "level", "start_level": (1, 9), "frame_skip": 4},
        {"repeat_action_probability": 0.25, "episode": "life"},
    ],
)
def test_single_and_vector_environments_play_variants_alike(settings):
    assert same_games(600, **settings)


def test_actions_repeat_with_the_given_probability(monkeypatch):
    with closing(TempestEnv(repeat_action_probability=0.25)) as env:
        env.reset(seed=0)
        played = []
        advance = env._advance
        monkeypatch.setattr(
            env,
            "_advance",
            lambda *arguments: played.append(arguments[:3]) or advance(*arguments),
        )
        wanted = [step % 44 for step in range(400)]
        state = env.clone_state()
        for action in wanted:
            if env.step(action)[2]:
                env.reset()
        first, played[:] = played.copy(), []
        env.restore_state(state)
        for action in wanted:
            if env.step(action)[2]:
                env.reset()
    assert played == first
    repeats = np.mean([CONTROLS[action] != each for action, each in zip(wanted, played, strict=False)])
    assert 0.15 < repeats < 0.35


def test_every_action_has_a_meaning():
    with closing(TempestEnv()) as env:
        meanings = env.get_action_meanings()
    assert len(set(meanings)) == 44
    assert meanings[0] == "NOOP"
    assert meanings[encode_action(True, True, -3)] == "FIRE ZAP TURN -3"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"obs_type": "pixels"}, "obs_type must be one of"),
        ({"screen_size": 84}, "screen_size must be a height and a width"),
        ({"screen_size": (84, 0)}, "screen_size must be from 8 to 4096, got 0"),
        ({"start_level": []}, "at least one level"),
        ({"start_level": [1, 99]}, "start_level must be from 1 to 81, got 99"),
        ({"repeat_action_probability": 1.0}, "repeat_action_probability must be from 0 to below 1"),
    ],
)
def test_an_error_names_what_was_expected(settings, expected):
    with pytest.raises(ValueError, match=expected):
        Settings(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"obs_type": "ram"},
        {"episode": "level"},
        {"start_level": (1, 2)},
        {"repeat_action_probability": 0.25},
        {"lives": 5},
    ],
)
def test_a_pool_of_clients_refuses_settings_that_clients_cannot_play(settings):
    with pytest.raises(ValueError, match="clients"):
        ClientPool(port=0, settings=Settings(**settings))


@pytest.mark.parametrize("kind", ["features", "ram"])
def test_without_a_teacher_the_same_game_is_played_and_only_the_teacher_is_missing(kind):
    taught = TempestEnv(obs_type=kind, subjective_scale=0.0)
    alone = TempestEnv(obs_type=kind, teacher=False)
    with closing(taught), closing(alone):
        random = np.random.default_rng(1)
        pair = [env.reset(seed=6) for env in (taught, alone)]
        for _ in range(600):
            assert pair[0][0].tobytes() == pair[1][0].tobytes()
            assert pair[0][1:-1] == pair[1][1:-1]
            missing = {"expert_action", "expert_target", "subjective_reward"}
            assert pair[1][-1] == {key: value for key, value in pair[0][-1].items() if key not in missing}
            action = random.integers(44)
            pair = [env.reset() if pair[0][2:3] == (True,) else env.step(action) for env in (taught, alone)]


@pytest.mark.parametrize("kind", ["features", "grayscale"])
def test_single_and_vector_environments_without_a_teacher_are_alike(kind):
    same_games(300, obs_type=kind, screen_size=SIZE, teacher=False)


def test_board_and_mame_without_a_teacher_are_alike():
    envs = [TempestEnv(machine, obs_type="ram", teacher=False) for machine in ("board", "mame")]
    with closing(envs[0]), closing(envs[1]):
        assert data_equivalence(*(env.reset(seed=2) for env in envs), exact=True)
        for action in np.random.default_rng(2).integers(44, size=200):
            assert data_equivalence(*(env.step(action) for env in envs), exact=True)


def test_a_state_of_a_game_without_features_continues_with_features():
    with closing(TempestEnv(obs_type="ram", teacher=False)) as ram, closing(TempestEnv()) as env:
        ram.reset(seed=3)
        env.reset(seed=3)
        for action in np.random.default_rng(3).integers(44, size=50):
            ram.step(action)
            env.step(action)
        expected = [env.step(action)[0] for action in range(44)]
        env.restore_state(ram.clone_state())
        np.testing.assert_array_equal([env.step(action)[0] for action in range(44)], expected)
