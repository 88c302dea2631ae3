"""The sources of steps, in the form of EnvPool's asynchronous interface.

``recv`` returns the environments that have something new, ``send`` takes their actions. Here is the source over one
vector environment. Those over single environments are in `single_sources`, the one over clients in `client_source`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from tempest_gym.server.arrivals import Arrivals, Truncation
from tempest_rainbow.checkpoint import can_be_saved

__all__ = ["INFO_KEYS", "Arrivals", "Source", "Truncation", "VectorSource", "check_spaces"]

INFO_KEYS: dict[str, tuple[type[np.generic], float]] = {
    "expert_action": (np.int64, -1),
    "game_state": (np.int64, 0),
    "life_lost": (np.bool_, 0),
    "score": (np.float64, np.nan),
    "level": (np.float64, np.nan),
}
"""The keys of ``info`` that the trainer reads: dtype, and the value where an environment does not give them."""


class Source(Protocol):
    """Environments that return observations and take actions, not necessarily all at once.

    Those whose games cannot be saved or drawn inherit these defaults.
    """

    count: int
    observation_size: int
    action_count: int

    def recv(self) -> Arrivals:
        """Return all environments that have arrived, none after a short wait; each then awaits its action."""

    def send(self, ids: NDArray[np.int64], actions: NDArray[np.int64]) -> None:
        """Give the environments ``ids`` their actions (ignored by those whose episode just ended)."""

    def get_state(self) -> dict[str, Any] | None:
        """Return the state of every environment, or None if they cannot be cloned."""
        return None

    def set_state(self, state: dict[str, Any]) -> None:
        """Put every environment into a state that ``get_state`` returned.

        Raises:
            ValueError: they cannot be cloned.
        """
        raise ValueError(f"the games of a {type(self).__name__} cannot be put into a saved state")

    def drawable(self) -> gym.vector.VectorEnv[Any, Any, Any] | None:
        """Return the vector environment if it can draw its games, else None."""
        return None

    def call(self, name: str, *arguments: Any) -> bool:
        """Call a method on the environments if they have it; return whether they do."""

    def metrics(self) -> dict[str, float]:
        """Return metrics of the environments by name."""
        return {"collect/clients": float(self.count)}

    def close(self) -> None:
        """Close the environments."""


def check_spaces(observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> tuple[int, int]:
    """Return observation size and action count of an environment that the trainer can learn.

    Raises:
        ValueError: the observations are not a Box, or the actions not a Discrete from 0.
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


class VectorSource(Source):
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
            never = np.zeros(self.count, bool)
            return self._arrivals((observations, np.zeros(self.count), never, never, info), ~never)
        first = self._ended
        arrivals = self._arrivals(self.envs.step(self._actions), first)
        self._ended = arrivals.terminated | arrivals.truncated
        return arrivals

    def send(self, ids: NDArray[np.int64], actions: NDArray[np.int64]) -> None:
        """Keep the actions for the next ``recv``."""
        self._actions[ids] = actions

    def get_state(self) -> dict[str, Any] | None:
        """Return clones of all environments, None if they have no ``clone_state`` or one that cannot be saved."""
        clone = self._method("clone_state")
        clones = None if clone is None else clone()
        if clones is None or not can_be_saved(clones):
            return None
        return {
            "envs": clones,
            "actions": self._actions.copy(),
            "ended": self._ended.copy(),
            "started": self._started,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Put the environments back into cloned states."""
        restore = self._method("restore_state")
        if restore is None:
            raise ValueError(f"{self.envs} has no restore_state")
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

    def drawable(self) -> gym.vector.VectorEnv[Any, Any, Any] | None:
        """Return the vector environment if it can draw its games, else None."""
        return None if self._method("drawing") is None else self.envs

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()

    def _method(self, name: str) -> Callable[..., Any] | None:
        return getattr(self.envs.unwrapped, name, None)

    def _arrivals(self, step: tuple[Any, ...], first: NDArray[np.bool_]) -> Arrivals:
        observations, rewards, terminated, truncated, info = step
        return Arrivals(
            ids=self._all,
            observations=np.asarray(observations, np.float32).reshape(self.count, self.observation_size),
            rewards=np.asarray(rewards, np.float32),
            terminated=np.asarray(terminated, bool),
            truncations=np.asarray(truncated, bool) * np.int8(Truncation.TIME_LIMIT),
            first=first,
            info=_vector_info(info, self.count),
        )
