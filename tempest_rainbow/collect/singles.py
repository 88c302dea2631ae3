"""Sources over single environments: stepped one after the other, or each in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from tempest_rainbow.collect.sources import INFO_KEYS, Arrivals, check_spaces

__all__ = ["SerialSource", "ThreadedSource"]

_Env = gym.Env[Any, Any]
_Result = tuple[Any, ...]


def _gather(arrived: Iterable[tuple[int, _Result]]) -> Arrivals:
    """Put what ``reset`` (2 values) or ``step`` (5 values) of several environments returned into arrays."""
    ids, observations, rewards, terminated, truncated, first, infos = [], [], [], [], [], [], []
    for index, result in arrived:
        begins = len(result) == 2
        observation, reward, ended, cut, info = (
            (result[0], 0.0, False, False, result[1]) if begins else result
        )
        ids.append(index)
        observations.append(np.asarray(observation, np.float32).reshape(-1))
        rewards.append(reward)
        terminated.append(ended)
        truncated.append(cut)
        first.append(begins)
        infos.append(info)
    return Arrivals(
        ids=np.array(ids, np.int64),
        observations=np.stack(observations),
        rewards=np.array(rewards, np.float32),
        terminated=np.array(terminated, bool),
        truncated=np.array(truncated, bool),
        first=np.array(first, bool),
        info={
            key: np.array([info.get(key, fill) for info in infos], dtype)
            for key, (dtype, fill) in INFO_KEYS.items()
            if any(key in info for info in infos)
        },
    )


def _call(envs: Sequence[_Env], name: str, arguments: tuple[Any, ...]) -> bool:
    having = [env for env in envs if env.has_wrapper_attr(name)]
    for env in having:
        env.get_wrapper_attr(name)(*arguments)
    return bool(having)


class SerialSource:
    """Single environments stepped one after the other, all arriving together."""

    def __init__(self, makers: Sequence[Callable[[], _Env]], seed: int) -> None:
        """Make the environments; environment i is seeded with ``seed`` + i.

        Raises:
            ValueError: the spaces are not Box and Discrete.
        """
        self._envs = [maker() for maker in makers]
        self.count = len(self._envs)
        self.observation_size, self.action_count = check_spaces(
            self._envs[0].observation_space, self._envs[0].action_space
        )
        self._seeds: list[int | None] = [seed + index for index in range(self.count)]
        self._actions = np.zeros(self.count, np.int64)
        self._over = np.ones(self.count, bool)

    def recv(self) -> Arrivals:
        """Step every environment, or reset it where its episode is over."""
        results: list[tuple[int, _Result]] = []
        for index, env in enumerate(self._envs):
            if self._over[index]:
                results.append((index, env.reset(seed=self._seeds[index])))
                self._seeds[index] = None
            else:
                results.append((index, env.step(int(self._actions[index]))))
        arrivals = _gather(results)
        self._over = arrivals.terminated | arrivals.truncated
        return arrivals

    def send(self, ids: NDArray[np.int64], actions: NDArray[np.int64]) -> None:
        """Keep the actions for the next ``recv``."""
        self._actions[ids] = actions

    def get_state(self) -> dict[str, Any] | None:
        """Return clones of all environments, None if they offer no ``clone_state``."""
        if not all(env.has_wrapper_attr("clone_state") for env in self._envs):
            return None
        if None not in self._seeds:
            return {"fresh": True}
        return {
            "fresh": False,
            "envs": [env.get_wrapper_attr("clone_state")() for env in self._envs],
            "actions": self._actions.copy(),
            "over": self._over.copy(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Put the environments back into cloned states."""
        if state["fresh"]:
            return
        for env, clone in zip(self._envs, state["envs"], strict=True):
            env.reset()  # wrappers want one before the first step
            env.get_wrapper_attr("restore_state")(clone)
        self._seeds = [None] * self.count
        self._actions = np.array(state["actions"], np.int64)
        self._over = np.array(state["over"], bool)

    def call(self, name: str, *arguments: Any) -> bool:
        """Call a method on every environment that has it; return whether any does."""
        return _call(self._envs, name, arguments)

    def metrics(self) -> dict[str, float]:
        """Return how many environments play."""
        return {"collect/clients": float(self.count)}

    def close(self) -> None:
        """Close the environments."""
        for env in self._envs:
            env.close()


class ThreadedSource:
    """Single environments, each stepped in a thread of its own: for those that wait much, such as MAME.

    The fast ones never wait for the slow ones: ``recv`` returns whoever is there.
    """

    def __init__(self, makers: Sequence[Callable[[], _Env]], seed: int, *, together: bool) -> None:
        """Make the environments; environment i is seeded with ``seed`` + i.

        Args:
            makers: one function per environment.
            seed: of the first environment.
            together: ``recv`` waits for all environments, so that runs are reproducible.

        Raises:
            ValueError: the spaces are not Box and Discrete.
        """
        self._pool = ThreadPoolExecutor(len(makers), thread_name_prefix="env")
        try:
            self._envs = [future.result() for future in [self._pool.submit(maker) for maker in makers]]
        except BaseException:
            self._pool.shutdown(wait=True)
            raise
        self.count = len(self._envs)
        self.observation_size, self.action_count = check_spaces(
            self._envs[0].observation_space, self._envs[0].action_space
        )
        self._together = together
        self._over = np.zeros(self.count, bool)
        self._waiting: dict[Future[Any], int] = {
            self._pool.submit(env.reset, seed=seed + index): index for index, env in enumerate(self._envs)
        }

    def recv(self) -> Arrivals:
        """Return the environments that are there (all of them if ``together``)."""
        done, _ = wait(self._waiting, return_when="ALL_COMPLETED" if self._together else FIRST_COMPLETED)
        arrived = {self._waiting.pop(future): future.result() for future in done}
        arrivals = _gather(sorted(arrived.items()))
        self._over[arrivals.ids] = arrivals.terminated | arrivals.truncated
        return arrivals

    def send(self, ids: NDArray[np.int64], actions: NDArray[np.int64]) -> None:
        """Start the next step of the environments ``ids`` (a reset where the episode is over)."""
        for index, action in zip(ids.tolist(), actions.tolist(), strict=True):
            env = self._envs[index]
            future = (
                self._pool.submit(env.reset) if self._over[index] else self._pool.submit(env.step, action)
            )
            self._waiting[future] = index

    def get_state(self) -> dict[str, Any] | None:
        """Steps are under way at any time, so there is no common state to return."""
        return None

    def set_state(self, state: dict[str, Any]) -> None:
        """There is no state to restore.

        Raises:
            ValueError: always.
        """
        raise ValueError("environments stepped in threads cannot be put into a saved state")

    def call(self, name: str, *arguments: Any) -> bool:
        """Call a method on every environment that has it; return whether any does."""
        return _call(self._envs, name, arguments)

    def metrics(self) -> dict[str, float]:
        """Return how many environments play."""
        return {"collect/clients": float(self.count)}

    def close(self) -> None:
        """Wait for the steps under way and close the environments."""
        wait(self._waiting)
        for closing in [self._pool.submit(env.close) for env in self._envs]:
            closing.result()
        self._pool.shutdown(wait=True)
