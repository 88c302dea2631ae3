"""Ways of other libraries to an environment; `tests/libraries.sh` installs them and runs these tests."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest

pytestmark = pytest.mark.libraries
ID = "tempest_gym:Tempest-v0"


def test_torchrl_wraps_it_and_its_checker_passes():
    from torchrl.envs import GymEnv
    from torchrl.envs.utils import check_env_specs

    env = GymEnv(ID)
    check_env_specs(env)
    assert env.rollout(10)["observation"].shape == (10, 195)


def test_torchrl_registers_the_infos_of_a_vector_environment():
    from torchrl.envs import GymWrapper

    env = GymWrapper(gym.make_vec(ID, num_envs=3, autoreset_mode="Disabled")).auto_register_info_dict()
    steps = env.rollout(10)
    assert steps["expert_action"].shape[:2] == (3, 10)
    assert set(gym.make(ID).reset()[1]) <= set(steps.keys())


@pytest.mark.parametrize("name", ["DummyVectorEnv", "SubprocVectorEnv"])
def test_tianshou_steps_it(name):
    import tianshou.env

    envs = getattr(tianshou.env, name)([partial(gym.make, ID)] * 2)
    observations, _ = envs.reset(seed=0)
    assert observations.shape == (2, 195)
    observations, _, _, _, infos = envs.step(np.array([1, 2]))
    assert observations.shape == (2, 195)
    assert all("expert_action" in info for info in infos)
    envs.close()


def test_rllib_samples_it_by_name():
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

    runner = SingleAgentEnvRunner(config=PPOConfig().environment(ID).env_runners(num_envs_per_env_runner=2))
    episodes = runner.sample(num_timesteps=20, random_actions=True)
    assert sum(len(episode) for episode in episodes) >= 20
    assert episodes[0].get_observations().shape[1:] == (195,)
    runner.stop()
