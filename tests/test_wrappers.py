"""What others put around an environment works around ours: Gymnasium's wrappers, Minari, Stable-Baselines3."""

import sys
import types

import gymnasium as gym
import minari
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.spaces import Box, Discrete
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector as vector_wrappers

STEPS = 40

UNIT = Box(0.0, 1.0, (195,), np.float32)


def steered(env):
    """Choose the joint action by a real number: for wrappers of continuous actions."""
    return wrappers.TransformAction(env, lambda x: int(np.floor(x[0])), Box(0.0, 43.5, (1,), np.float32))


def pictured(env):
    return wrappers.AddRenderObservation(env, render_only=True)


SINGLE = {
    "DelayObservation": lambda env: wrappers.DelayObservation(env, 2),
    "DtypeObservation": lambda env: wrappers.DtypeObservation(env, np.float64),
    "DiscretizeObservation": lambda env: wrappers.DiscretizeObservation(env, 10, multidiscrete=True),
    "FilterObservation": lambda env: wrappers.FilterObservation(
        wrappers.AddRenderObservation(env, render_only=False, obs_key="state", render_key="pixels"), ["state"]
    ),
    "FlattenObservation": wrappers.FlattenObservation,
    "FrameStackObservation": lambda env: wrappers.FrameStackObservation(env, 4),
    "GrayscaleObservation": lambda env: wrappers.GrayscaleObservation(pictured(env)),
    "TransformObservation": lambda env: wrappers.TransformObservation(env, lambda x: (x + 1) / 2, UNIT),
    "MaxAndSkipObservation": lambda env: wrappers.MaxAndSkipObservation(env, 4),
    "NormalizeObservation": wrappers.NormalizeObservation,
    "AddRenderObservation": pictured,
    "ReshapeObservation": lambda env: wrappers.ReshapeObservation(env, (13, 15)),
    "RescaleObservation": lambda env: wrappers.RescaleObservation(env, np.float32(0), np.float32(1)),
    "TimeAwareObservation": wrappers.TimeAwareObservation,
    "ClipAction": lambda env: wrappers.ClipAction(steered(env)),
    "DiscretizeAction": lambda env: wrappers.DiscretizeAction(steered(env), 44),
    "TransformAction": lambda env: wrappers.TransformAction(env, lambda a: 43 - a, Discrete(44)),
    "RescaleAction": lambda env: wrappers.RescaleAction(steered(env), np.float32(0), np.float32(1)),
    "StickyAction": lambda env: wrappers.StickyAction(env, 0.25),
    "RepeatAction": lambda env: wrappers.RepeatAction(env, 4),
    "ClipReward": lambda env: wrappers.ClipReward(env, -1, 1),
    "TransformReward": lambda env: wrappers.TransformReward(env, np.sign),
    "NormalizeReward": wrappers.NormalizeReward,
    "TimeLimit": lambda env: wrappers.TimeLimit(env, 15),
    "Autoreset": wrappers.Autoreset,
    "PassiveEnvChecker": wrappers.PassiveEnvChecker,
    "OrderEnforcing": wrappers.OrderEnforcing,
    "RecordEpisodeStatistics": wrappers.RecordEpisodeStatistics,
    "AddWhiteNoise": lambda env: wrappers.AddWhiteNoise(env, 0.1, is_noise_grayscale=True),
    "ObstructView": lambda env: wrappers.ObstructView(env, 0.1, 8),
    "RenderCollection": wrappers.RenderCollection,
    "HumanRendering": wrappers.HumanRendering,
    "NumpyToTorch": lambda env: wrappers.NumpyToTorch(env),
    "ResizeObservation": lambda env: wrappers.ResizeObservation(pictured(env), (84, 84)),
}
ELSEWHERE = {
    "vector": "the package of the other half",
    "RecordVideo": "its own test",
    "AtariPreprocessing": "for environments of ale-py alone",
    "ArrayConversion": "takes any pair of array libraries; NumpyToTorch is one of them",
    "JaxToNumpy": "for environments written in JAX",
    "JaxToTorch": "for environments written in JAX",
}

VECTOR = {
    "VectorizeTransformObservation": lambda envs: vector_wrappers.VectorizeTransformObservation(
        envs, wrappers.FlattenObservation
    ),
    "VectorizeTransformAction": lambda envs: vector_wrappers.VectorizeTransformAction(
        envs, wrappers.TransformAction, func=lambda a: 43 - a, action_space=Discrete(44)
    ),
    "VectorizeTransformReward": lambda envs: vector_wrappers.VectorizeTransformReward(
        envs, wrappers.TransformReward, func=np.sign
    ),
    "DictInfoToList": vector_wrappers.DictInfoToList,
    "TransformObservation": lambda envs: vector_wrappers.TransformObservation(
        envs, lambda x: (x + 1) / 2, single_observation_space=UNIT
    ),
    "FlattenObservation": vector_wrappers.FlattenObservation,
    "GrayscaleObservation": vector_wrappers.GrayscaleObservation,
    "ResizeObservation": lambda envs: vector_wrappers.ResizeObservation(envs, (30, 40)),
    "ReshapeObservation": lambda envs: vector_wrappers.ReshapeObservation(envs, (13, 15)),
    "RescaleObservation": lambda envs: vector_wrappers.RescaleObservation(envs, np.float32(0), np.float32(1)),
    "DtypeObservation": lambda envs: vector_wrappers.DtypeObservation(envs, np.float64),
    "NormalizeObservation": vector_wrappers.NormalizeObservation,
    "TransformAction": lambda envs: vector_wrappers.TransformAction(envs, lambda a: 43 - a),
    "TransformReward": lambda envs: vector_wrappers.TransformReward(envs, np.sign),
    "ClipReward": lambda envs: vector_wrappers.ClipReward(envs, -1, 1),
    "NormalizeReward": vector_wrappers.NormalizeReward,
    "RecordEpisodeStatistics": vector_wrappers.RecordEpisodeStatistics,
    "HumanRendering": vector_wrappers.HumanRendering,
    "NumpyToTorch": lambda envs: vector_wrappers.NumpyToTorch(envs),
}
OF_PICTURES = {"GrayscaleObservation", "ResizeObservation"}
VECTOR_ELSEWHERE = {
    "FilterObservation": "for observations that are dictionaries",
    "ClipAction": "for continuous actions",
    "RescaleAction": "for continuous actions",
    "RecordVideo": "its own test",
    "ArrayConversion": "takes any pair of array libraries; NumpyToTorch is one of them",
    "JaxToNumpy": "for environments written in JAX",
    "JaxToTorch": "for environments written in JAX",
}


def test_every_wrapper_of_gymnasium_is_tried_or_named():
    assert {*SINGLE, *ELSEWHERE} >= set(wrappers.__all__)
    assert {*VECTOR, *VECTOR_ELSEWHERE} >= set(vector_wrappers.__all__)


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_a_wrapper_around_one_environment(name, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = gym.make("tempest_gym:Tempest-v0", render_mode="rgb_array", max_episode_steps=1000, episode="life")
    env = SINGLE[name](env)
    observation, _ = env.reset(seed=3, options={"start_level": 9})
    env.action_space.seed(3)
    for _ in range(STEPS):
        if name not in ("DiscretizeObservation", "NumpyToTorch"):
            assert env.observation_space.contains(observation)
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert np.isfinite(float(reward))
        assert "expert_action" in info
        if terminated or truncated:
            observation, _ = env.reset()
    if name == "RenderCollection":
        assert len(env.render()) > 1
    env.close()


@pytest.mark.parametrize("name", VECTOR)
@pytest.mark.parametrize("autoreset_mode", AutoresetMode)
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_a_wrapper_around_a_vector_environment(name, autoreset_mode, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    envs = gym.make_vec(
        "tempest_gym:Tempest-v0",
        num_envs=3,
        max_episode_steps=12,
        render_mode="rgb_array",
        autoreset_mode=autoreset_mode,
        obs_type="rgb" if name in OF_PICTURES else "features",
        screen_size=(84, 84),
    )
    same_step = autoreset_mode == AutoresetMode.SAME_STEP and name.endswith("Observation")
    if same_step or (name == "NormalizeObservation" and autoreset_mode == AutoresetMode.DISABLED):
        with pytest.raises(ValueError, match="autoreset_mode"):  # The wrapper refuses this mode itself.
            VECTOR[name](envs)
        return
    if name == "NumpyToTorch" and autoreset_mode == AutoresetMode.SAME_STEP:
        return  # It cannot convert the final observations, which Gymnasium keeps in arrays of objects.
    envs = VECTOR[name](envs)
    envs.reset(seed=3, options={"start_level": 9})
    envs.action_space.seed(3)
    for _ in range(STEPS):
        _, rewards, terminations, truncations, infos = envs.step(envs.action_space.sample())
        assert np.isfinite(np.asarray(rewards)).all()
        ended = np.asarray(terminations) | np.asarray(truncations)
        if name == "DictInfoToList":
            assert all("expert_action" in info for info in infos)
        else:
            assert infos["expert_action"].shape == (3,)
        if autoreset_mode == AutoresetMode.DISABLED and ended.any():
            envs.reset(options={"reset_mask": ended})
    envs.close()


def test_a_minari_collector_records_infos_and_its_data_set_plays_back(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env = minari.DataCollector(gym.make("tempest_gym:Tempest-v0"), record_infos=True)
    rewards = []
    for seed in (1, 2):
        _, info = env.reset(seed=seed, options={"start_level": 9})
        total = 0.0
        for _ in range(STEPS):
            _, reward, _, _, info = env.step(info["expert_action"])
            total += reward
        rewards.append(total)
    names = {"algorithm_name": "expert", "author": "test", "author_email": "test@example.com"}
    dataset = env.create_dataset(dataset_id="tempest/test-v0", code_permalink="https://example.com", **names)
    episodes = list(dataset.iterate_episodes())
    assert [episode.rewards.sum() for episode in episodes] == pytest.approx(rewards)
    for episode in episodes:
        np.testing.assert_array_equal(episode.infos["expert_action"][:-1], episode.actions)
        assert set(episode.infos["seed"]) <= {1, 2}
    again = dataset.recover_environment()
    observation, _ = again.reset(seed=1, options={"start_level": 9})
    for action, expected in zip(episodes[0].actions, episodes[0].observations, strict=False):
        np.testing.assert_array_equal(observation, expected)
        observation, *_ = again.step(action)


@pytest.fixture
def films(monkeypatch):
    """The pictures and the rate of each recorded film, by a stand-in for moviepy, which writes the file."""
    films = []

    class Clip:
        def __init__(self, pictures, fps):
            films.append((list(pictures), fps))

        def write_videofile(self, *_, **__):
            pass

    names = ("moviepy", "moviepy.video", "moviepy.video.io", "moviepy.video.io.ImageSequenceClip")
    for name in names:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules[names[-1]].ImageSequenceClip = Clip
    return films


@pytest.mark.parametrize("frame_skip", [1, 4])
def test_a_film_plays_at_the_speed_of_the_game(tmp_path, films, frame_skip):
    env = gym.make("tempest_gym:Tempest-v0", render_mode="rgb_array", frame_skip=frame_skip)
    env = wrappers.RecordVideo(env, str(tmp_path), video_length=56 // frame_skip, disable_logger=True)
    env.reset(seed=0)
    for _ in range(80 // frame_skip):
        env.step(0)
    env.close()
    ((pictures, rate),) = films
    assert len(pictures) == 56 // frame_skip + 1
    assert rate == pytest.approx(27.34 / frame_skip, rel=0.03)


@pytest.mark.parametrize("autoreset_mode", AutoresetMode)
def test_a_film_of_a_vector_environment_shows_its_games_side_by_side(tmp_path, films, autoreset_mode):
    options = {"render_mode": "rgb_array", "max_episode_steps": 10, "autoreset_mode": autoreset_mode}
    envs = gym.make_vec("tempest_gym:Tempest-v0", num_envs=4, **options)
    envs = vector_wrappers.RecordVideo(envs, str(tmp_path), episode_trigger=lambda number: number == 0)
    envs.reset(seed=0)
    height, width, _ = envs.unwrapped.render()[0].shape
    for _ in range(25):
        _, _, terminations, truncations, _ = envs.step(np.zeros(4, int))
        if autoreset_mode == AutoresetMode.DISABLED and (terminations | truncations).any():
            envs.reset(options={"reset_mask": terminations | truncations})
    envs.close()
    ((pictures, rate),) = films
    # The first episode has eleven pictures; a reset within the last step takes the place of the last one.
    assert len(pictures) == (10 if autoreset_mode == AutoresetMode.SAME_STEP else 11)
    assert pictures[0].shape == (2 * height, 2 * width, 3)
    assert rate == pytest.approx(27.34, rel=0.03)


def test_recorded_statistics_are_the_sums_of_the_rewards():
    """Around one environment, the native vector environment, and Gymnasium's own vector of ours."""
    arguments = {"max_episode_steps": 30, "episode": "life"}
    actions = np.random.default_rng(1).integers(44, size=30)
    found = []
    env = wrappers.RecordEpisodeStatistics(gym.make("tempest_gym:Tempest-v0", **arguments))
    env.reset(seed=5)
    rewards = []
    for action in actions:
        _, reward, *_, info = env.step(action)
        rewards.append(reward)
    found.append((info["episode"]["r"], info["episode"]["l"]))
    for mode in ("vector_entry_point", "sync"):
        envs = gym.make_vec("tempest_gym:Tempest-v0", 2, vectorization_mode=mode, **arguments)
        envs = vector_wrappers.RecordEpisodeStatistics(envs)
        envs.reset(seed=5)
        for action in actions:
            *_, infos = envs.step([action, action])
        found.append((infos["episode"]["r"][0], infos["episode"]["l"][0]))
    assert found == [(pytest.approx(sum(rewards), abs=1e-3), 30)] * 3


def test_normalised_rewards_of_one_environment_and_of_a_vector_of_one_are_equal():
    actions = np.random.default_rng(1).integers(44, size=200)
    env = wrappers.NormalizeReward(gym.make("tempest_gym:Tempest-v0"))
    envs = vector_wrappers.NormalizeReward(gym.make_vec("tempest_gym:Tempest-v0", 1))
    env.reset(seed=5)
    envs.reset(seed=5)
    single = [env.step(action)[1] for action in actions]
    assert np.std(single) > 0.0
    assert single == pytest.approx([envs.step([action])[1][0] for action in actions], rel=1e-5)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_stacked_frames_of_gymnasiums_vectors_of_ours_are_the_last_observations(mode):
    """`FrameStackObservation` has no vector form in Gymnasium; this is the one that its users have."""
    make = {"vectorization_mode": mode, "wrappers": [lambda env: wrappers.FrameStackObservation(env, 4)]}
    stacked = gym.make_vec("tempest_gym:Tempest-v0", 2, **make)
    native = gym.make_vec("tempest_gym:Tempest-v0", 2)
    assert stacked.single_observation_space.shape == (4, 195)
    seen = [native.reset(seed=3)[0]] * 4
    np.testing.assert_array_equal(stacked.reset(seed=3)[0][:, -1], seen[-1])
    for action in range(10):
        seen = [*seen[1:], native.step([action, 43 - action])[0]]
        np.testing.assert_array_equal(stacked.step([action, 43 - action])[0], np.stack(seen, 1))
    stacked.close()


@pytest.mark.parametrize("stacked", [False, True])
def test_wrappers_of_stable_baselines(stacked):
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize

    envs = make_vec_env("tempest_gym:Tempest-v0", n_envs=2, seed=3, env_kwargs={"episode": "life"})
    envs = VecNormalize(VecFrameStack(envs, 4) if stacked else envs)
    assert envs.reset().shape == (2, 780 if stacked else 195)
    for _ in range(STEPS):
        observations, rewards, _, infos = envs.step(np.array([3, 40]))
        assert np.isfinite(observations).all()
        assert np.isfinite(rewards).all()
        assert infos[0]["seed"] >= 0
    envs.close()


@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_the_error_for_an_unknown_keyword_is_the_one_that_libraries_look_for(make):
    """torchrl offers every environment ``frameskip`` and takes it back if the error has Python's own wording."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'"):
        make("tempest_gym:Tempest-v0", frameskip=1)


def test_a_pickled_spec_makes_the_same_environment():
    """As collectors in other processes do."""
    env = gym.make("tempest_gym:Tempest-v0", start_level=9, frame_skip=2)
    twin = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert data_equivalence(env.reset(seed=4), twin.reset(seed=4), exact=True)
    assert data_equivalence(env.step(3), twin.step(3), exact=True)
