"""A Gymnasium vector environment as Stable-Baselines3's VecEnv: the native boards under its algorithms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

__all__ = ["GymnasiumVecEnv"]


class GymnasiumVecEnv(VecEnv):
    """Wraps a vector environment with autoreset in the same step, which is what Stable-Baselines3 expects.

    Example:
        >>> import gymnasium as gym
        >>> from stable_baselines3 import PPO
        >>> envs = gym.make_vec("tempest_gym:Tempest-v0", num_envs=4, autoreset_mode="SameStep")
        >>> model = PPO("MlpPolicy", GymnasiumVecEnv(envs))
    """

    def __init__(self, envs: gym.vector.VectorEnv[Any, Any, Any], seed: int = 0) -> None:
        """Wrap ``envs``; environment i is seeded with ``seed`` + i.

        Raises:
            ValueError: the autoreset mode is another.
        """
        mode = AutoresetMode(envs.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        if mode is not AutoresetMode.SAME_STEP:
            raise ValueError(f"make the environments with autoreset_mode='SameStep', got {mode.value}")
        self.envs = envs
        self._first_seed: int | None = seed
        self._actions: NDArray[np.int64] = np.zeros(envs.num_envs, np.int64)
        self._rewards = np.zeros(envs.num_envs)
        self._lengths = np.zeros(envs.num_envs, np.int64)
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> NDArray[np.float32]:
        """Start an episode in every environment."""
        observations, _ = self.envs.reset(seed=self._first_seed)
        self._first_seed = None
        self._rewards[:], self._lengths[:] = 0.0, 0
        return observations

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Keep the actions for ``step_wait``."""
        self._actions = actions

    def step_wait(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Step; where an episode ended, its info has last observation, reward and length as of ``Monitor``."""
        observations, rewards, terminated, truncated, info = self.envs.step(self._actions)
        self._rewards += rewards
        self._lengths += 1
        ended = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for index in np.flatnonzero(ended):
            infos[index] = {
                "terminal_observation": info["final_obs"][index],
                "TimeLimit.truncated": bool(truncated[index] and not terminated[index]),
                "episode": {"r": float(self._rewards[index]), "l": int(self._lengths[index]), "t": 0.0},
            }
            self._rewards[index], self._lengths[index] = 0.0, 0
        return observations, rewards.astype(np.float32), ended, infos

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the vector environment once per environment."""
        return [getattr(self.envs, attr_name)] * len(self._chosen(indices))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the vector environment."""
        setattr(self.envs, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the vector environment once; all indices share its result."""
        result = getattr(self.envs, method_name)(*method_args, **method_kwargs)
        return [result] * len(self._chosen(indices))

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """Single environments are not wrapped here."""
        return [False] * len(self._chosen(indices))

    def _chosen(self, indices: VecEnvIndices) -> Sequence[int]:
        return list(self._get_indices(indices))
