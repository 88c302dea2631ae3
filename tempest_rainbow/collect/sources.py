"""Where frames come from, in the shape of EnvPool's asynchronous interface.

``recv`` gives the environments that have something new, ``send`` gives them their actions. Here is the
source over one vector environment; sources over single environments are in ``singles``, and a pool
of remote clients fits the same protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

__all__ = ["INFO_KEYS", "Arrivals", "Source", "VectorSource", "check_spaces"]

INFO_KEYS: dict[str, tuple[type[np.generic], float]] = {
    "expert_action": (np.int64, -1),
    "game_state": (np.int64, 0),
    "life_lost": (np.bool_, 0),
    "score": (np.float64, np.nan),
    "level": (np.float64, np.nan),
    "objective_reward": (np.float64, 0.0),
    "subjective_reward": (np.float64, 0.0),
}
"""The keys of ``info`` that the trainer understands: dtype, and the value where an environment does not
give them."""


@dataclass(frozen=True)
class Arrivals:
    """What k environments have to say.

    Attributes:
        ids: int64 ``(k,)``, distinct.
        observations: float32 ``(k, size)``; after an end the final observation.
        rewards: float32 ``(k,)``, of the step that led here.
        terminated: bool ``(k,)``, that step ended the episode.
        truncated: bool ``(k,)``, that step met the time limit.
        first: bool ``(k,)``, the observation begins an episode; rewards and ends then mean nothing.
        info: arrays ``(k,)`` for the keys of ``INFO_KEYS`` that the environment gives.
    """

    ids: NDArray[np.int64]
    observations: NDArray[np.float32]
    rewards: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    first: NDArray[np.bool_]
    info: Mapping[str, NDArray[Any]]


class Source(Protocol):
    """Environments that give observations and take actions, not necessarily all at once."""

    count: int
    observation_size: int
    action_count: int

    def recv(self) -> Arrivals:
        """Return all that have arrived, after a while of waiting maybe none; each then awaits its action."""

    def send(self, ids: NDArray[np.int64], actions: NDArray[np.int64]) -> None:
        """Give the environments ``ids`` their actions (ignored by those whose episode just ended)."""

    def get_state(self) -> dict[str, Any] | None:
        """Return the state of every environment, or None if they cannot be cloned."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Put every environment into a state that ``get_state`` gave."""

    def call(self, name: str, *arguments: Any) -> bool:
        """Call a method on the environments if they have it; return whether they do."""

    def metrics(self) -> dict[str, float]:
        """Return figures about the environments by metric name."""

    def close(self) -> None:
        """End the environments."""


def check_spaces(observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> tuple[int, int]:
    """Return observation size and action count of an environment that the trainer can learn.

    Raises:
        ValueError: observations are no Box, or actions no Discrete from 0.
    """
    if not isinstance(observation_space, gym.spaces.Box):
        raise ValueError(f"the trainer needs Box observations, got {observation_space}")
    if not isinstance(action_space, gym.spaces.Discrete) or action_space.start != 0:
        raise ValueError(f"the trainer needs Discrete actions counted from 0, got {action_space}")
    return int(np.prod(observation_space.shape)), int(action_space.n)


def _vector_info(info: Mapping[str, Any], count: int) -> dict[str, NDArray[Any]]:
    picked = {}
    for key, (dtype, fill) in INFO_KEYS.items():
        if key not in info:
            continue
        values = np.array(info[key], dtype=dtype)
        mask = info.get(f"_{key}")
        if mask is not None:
            values[~np.asarray(mask)] = fill
        picked[key] = values.reshape(count)
    return picked


class VectorSource:
    """A Gymnasium vector environment with autoreset in the next step: all environments arrive together."""

    def __init__(self, envs: gym.vector.VectorEnv[Any, Any, Any], seed: int) -> None:
        """Take over ``envs`` and seed them with ``seed``, ``seed`` + 1, ...

        Raises:
            ValueError: the spaces are not Box and Discrete, or the autoreset mode is another.
        """
        mode = envs.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        if AutoresetMode(mode) is not AutoresetMode.NEXT_STEP:
            raise ValueError(f"the trainer needs autoreset mode NextStep, got {mode}")
        self.envs = envs
        self.count = envs.num_envs
        self.observation_size, self.action_count = check_spaces(
            envs.single_observation_space, envs.single_action_space
        )
        self._seed = seed
        self._started = False
        self._actions = np.zeros(self.count, np.int64)
        self._ended = np.zeros(self.count, bool)
        self._all = np.arange(self.count)

    def recv(self) -> Arrivals:
        """Step all environments with the actions sent (reset them at first)."""
        if not self._started:
            self._started = True
            observations, info = self.envs.reset(seed=self._seed)
            nothing = np.zeros(self.count, bool)
            return self._arrivals(
                observations, np.zeros(self.count), nothing, nothing, np.ones(self.count, bool), info
            )
        observations, rewards, terminated, truncated, info = self.envs.step(self._actions)
        first = self._ended
        terminated, truncated = np.asarray(terminated, bool), np.asarray(truncated, bool)
        self._ended = terminated | truncated
        return self._arrivals(observations, rewards, terminated, truncated, first, info)

    def send(self, ids: NDArray[np.int64], actions: NDArray[np.int64]) -> None:
        """Keep the actions for the next ``recv``."""
        self._actions[ids] = actions

    def get_state(self) -> dict[str, Any] | None:
        """Return clones of all environments, None if they offer no ``clone_state``."""
        clone = self._method("clone_state")
        if clone is None:
            return None
        return {
            "envs": clone(),
            "actions": self._actions.copy(),
            "ended": self._ended.copy(),
            "started": self._started,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Put the environments back into cloned states."""
        restore = self._method("restore_state")
        if restore is None:
            raise ValueError(f"{self.envs} offers no restore_state")
        if not self._started:
            self.envs.reset(seed=self._seed)
        restore(state["envs"])
        self._actions = np.array(state["actions"], np.int64)
        self._ended = np.array(state["ended"], bool)
        self._started = bool(state["started"])

    def call(self, name: str, *arguments: Any) -> bool:
        """Call a method on the vector environment if it has it; return whether it does."""
        method = self._method(name)
        if method is None:
            return False
        method(*arguments)
        return True

    def metrics(self) -> dict[str, float]:
        """Return how many environments play."""
        return {"collect/clients": float(self.count)}

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()

    def _method(self, name: str) -> Callable[..., Any] | None:
        return getattr(self.envs.unwrapped, name, None)

    def _arrivals(
        self,
        observations: NDArray[Any],
        rewards: NDArray[Any],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        first: NDArray[np.bool_],
        info: Mapping[str, Any],
    ) -> Arrivals:
        return Arrivals(
            ids=self._all,
            observations=np.asarray(observations, np.float32).reshape(self.count, self.observation_size),
            rewards=np.asarray(rewards, np.float32),
            terminated=terminated,
            truncated=truncated,
            first=first,
            info=_vector_info(info, self.count),
        )
