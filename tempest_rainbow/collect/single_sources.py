"""Sources over single environments: stepped one after the other, or each in its own thread."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from tempest_rainbow.checkpoint import can_be_saved
from tempest_rainbow.collect.sources import INFO_KEYS, Arrivals, Source, Truncation, check_spaces

__all__ = ["SerialSource", "ThreadedSource"]

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
"""Seconds after which ``recv`` returns with nothing, so that a run whose environments all failed can still
be stopped."""

_FAILURES = (RuntimeError, OSError)
"""What an environment raises when its machine or process has failed; other errors are bugs and end the run."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_STEADY_STEPS = 100
"""Steps after which a restarted environment counts as healthy."""

_ELAPSED = "_elapsed_steps"
"""Where `gymnasium.wrappers.TimeLimit` counts."""

_Env = gym.Env[Any, Any]
_Result = tuple[Any, ...]


def _gather(arrived: Iterable[tuple[int, _Result]], size: int) -> Arrivals:
    """Put what ``reset`` (2 values) or ``step`` (5 values) of several environments returned into arrays.

    The ``truncated`` of a result may be a `Truncation`; True is the time limit.
    """
    ids, observations, infos = [], [], []
    steps: list[tuple[float, bool, int, bool]] = []
    for index, result in arrived:
        first = len(result) == 2
        observation, reward, terminated, truncated, info = (
            (result[0], 0.0, False, False, result[1]) if first else result
        )
        ids.append(index)
        observations.append(np.asarray(observation, np.float32).reshape(size))
        steps.append((reward, terminated, int(truncated), first))
        infos.append(info)
    rewards, terminations, truncations, firsts = zip(*steps, strict=True) if steps else ((), (), (), ())
    return Arrivals(
        ids=np.array(ids, np.int64),
        observations=np.array(observations, np.float32).reshape(len(ids), size),
        rewards=np.array(rewards, np.float32),
        terminated=np.array(terminations, bool),
        truncations=np.array(truncations, np.int8),
        first=np.array(firsts, bool),
        info={
            key: np.array([info.get(key, missing) for info in infos], dtype)
            for key, (dtype, missing) in INFO_KEYS.items()
            if any(key in info for info in infos)
        },
    )


def _call(envs: Sequence[_Env], name: str, arguments: tuple[Any, ...]) -> bool:
    having = [env for env in envs if env.has_wrapper_attr(name)]
    for env in having:
        env.get_wrapper_attr(name)(*arguments)
    return bool(having)


class SerialSource(Source):
    """Single environments stepped one after the other, all arriving together."""

    def __init__(self, makers: Sequence[Callable[[], _Env]], seed: int) -> None:
        """Make the environments; environment i is seeded with ``seed`` + i.

        Raises:
            ValueError: the spaces are not Box and Discrete.
        """
        with contextlib.ExitStack() as undo:
            self._envs: list[_Env] = []
            for maker in makers:
                self._envs.append(maker())
                undo.callback(self._envs[-1].close)
            self.observation_size, self.action_count = check_spaces(
                self._envs[0].observation_space, self._envs[0].action_space
            )
            undo.pop_all()
        self.count = len(self._envs)
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
        arrivals = _gather(results, self.observation_size)
        self._over = arrivals.terminated | arrivals.truncated
        return arrivals

    def send(self, ids: NDArray[np.int64], actions: NDArray[np.int64]) -> None:
        """Keep the actions for the next ``recv``."""
        self._actions[ids] = actions

    def get_state(self) -> dict[str, Any] | None:
        """Return clones of all environments, None if they have no ``clone_state`` or one that cannot be saved."""
        if not all(env.has_wrapper_attr("clone_state") for env in self._envs):
            return None
        if None not in self._seeds:
            return {"fresh": True}
        clones = [env.get_wrapper_attr("clone_state")() for env in self._envs]
        if not can_be_saved(clones):
            return None
        return {
            "fresh": False,
            "envs": clones,
            "elapsed": [
                env.get_wrapper_attr(_ELAPSED) if env.has_wrapper_attr(_ELAPSED) else None
                for env in self._envs
            ],
            "actions": self._actions.copy(),
            "over": self._over.copy(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Put the environments back into cloned states."""
        if state["fresh"]:
            return
        elapsed = state.get("elapsed", [None] * self.count)
        for env, clone, steps in zip(self._envs, state["envs"], elapsed, strict=True):
            env.reset()  # wrappers require one before the first step
            env.get_wrapper_attr("restore_state")(clone)
            if steps is not None:
                env.set_wrapper_attr(_ELAPSED, steps)
        self._seeds = [None] * self.count
        self._actions = np.array(state["actions"], np.int64)
        self._over = np.array(state["over"], bool)

    def call(self, name: str, *arguments: Any) -> bool:
        """Call a method on every environment that has it; return whether any does."""
        return _call(self._envs, name, arguments)

    def close(self) -> None:
        """Close the environments."""
        for env in self._envs:
            env.close()


class ThreadedSource(Source):
    """Single environments, each stepped in its own thread: for those that wait a lot, such as MAME.

    The fast ones never wait for the slow ones: ``recv`` returns those that have arrived. One that fails is truncated
    where it was and starts its next episode at once; if that fails too, after 1, 2, 4 ... 60 seconds.
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
        self._closing = threading.Event()
        self._pool = ThreadPoolExecutor(len(makers), thread_name_prefix="env")
        with contextlib.ExitStack() as undo:
            undo.callback(self._pool.shutdown)
            making = [self._pool.submit(maker) for maker in makers]
            wait(making)
            for future in making:
                if future.exception() is None:
                    undo.callback(future.result().close)
            self._envs = [future.result() for future in making]
            self.observation_size, self.action_count = check_spaces(
                self._envs[0].observation_space, self._envs[0].action_space
            )
            undo.pop_all()
        self.count = len(self._envs)
        self._together = together
        self._over = np.zeros(self.count, bool)
        self._last: list[_Result] = [()] * self.count
        self._steps = [0] * self.count
        self._failures = [0] * self.count
        self._lost = [0] * self.count
        self._waiting: dict[Future[_Result | None], int] = {
            self._pool.submit(self._begin, index, seed + index): index for index in range(self.count)
        }

    def recv(self) -> Arrivals:
        """Return the environments that have arrived (all if ``together``), perhaps none after a short wait."""
        done, late = wait(self._waiting, _POLL_SECONDS, ALL_COMPLETED if self._together else FIRST_COMPLETED)
        arrived: dict[int, _Result] = {}
        if not (self._together and late):
            for future in done:
                index = self._waiting.pop(future)
                arrived[index] = self._last[index] = future.result() or self._cut_off(index)
        arrivals = _gather(sorted(arrived.items()), self.observation_size)
        self._over[arrivals.ids] = arrivals.terminated | arrivals.truncated
        return arrivals

    def send(self, ids: NDArray[np.int64], actions: NDArray[np.int64]) -> None:
        """Start the next step of the environments ``ids`` (a reset where the episode is over)."""
        for index, action in zip(ids.tolist(), actions.tolist(), strict=True):
            work = (self._begin, index) if self._over[index] else (self._step, index, action)
            self._waiting[self._pool.submit(*work)] = index

    def call(self, name: str, *arguments: Any) -> bool:
        """Call a method on every environment that has it; return whether any does."""
        return _call(self._envs, name, arguments)

    def metrics(self) -> dict[str, float]:
        """Return how many environments play, and how often one failed."""
        pairs = zip(self._failures, self._steps, strict=True)
        failed = sum(1 for failures, steps in pairs if failures > 1 and not steps)
        return {
            "collect/clients": float(self.count - failed),
            "collect/dropped_failed": float(sum(self._lost)),
        }

    def close(self) -> None:
        """Wait for the steps under way and close the environments."""
        self._closing.set()
        wait(self._waiting)
        for closing in [self._pool.submit(env.close) for env in self._envs]:
            closing.result()
        self._pool.shutdown(wait=True)

    # In the environment's thread.

    def _step(self, index: int, action: int) -> _Result | None:
        """Step an environment; None: it has failed."""
        try:
            result = self._envs[index].step(action)
        except _FAILURES as error:
            self._note_failure(index, error)
            return None
        self._steps[index] += 1
        if self._steps[index] == _STEADY_STEPS:
            self._failures[index] = 0
        return result

    def _begin(self, index: int, seed: int | None = None) -> _Result | None:
        """Start an episode, retrying until it works; None: the source was closed meanwhile."""
        while True:
            failures = self._failures[index]
            pause = min(_SHORTEST_PAUSE * 2 ** min(failures - 2, 10), _LONGEST_PAUSE) if failures > 1 else 0.0
            if self._closing.wait(pause):
                return None
            try:
                return self._envs[index].reset(seed=seed)
            except _FAILURES as error:
                self._note_failure(index, error)

    def _note_failure(self, index: int, error: Exception) -> None:
        self._steps[index] = 0
        self._failures[index] += 1
        self._lost[index] += 1
        _log.warning("environment %d failed and is restarted: %s", index, error)

    def _cut_off(self, index: int) -> _Result:
        """Return the truncation of an episode whose environment failed, where it was last seen."""
        last = self._last[index]
        kept = {"expert_action", "game_state", "score", "level"}
        info = {key: value for key, value in (last[-1] if last else {}).items() if key in kept}
        observation = last[0] if last else np.zeros(self.observation_size, np.float32)
        return observation, 0.0, False, Truncation.FAULT, info
