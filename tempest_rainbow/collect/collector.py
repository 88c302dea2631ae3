"""The collector: takes what environments return, chooses actions, and writes finished steps into the replay."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tempest_rainbow.collect.episodes import Episode, EpisodeStatistics
from tempest_rainbow.collect.exploration import ExpertAssignment, Exploration
from tempest_rainbow.collect.sources import Arrivals, Source
from tempest_rainbow.config.schedules import EpsilonSchedule, ExpertSchedule, by_state
from tempest_rainbow.policy import random_actions
from tempest_rainbow.replay.batch import ACTOR_EXPERT, ACTOR_POLICY, ACTOR_RANDOM
from tempest_rainbow.replay.steps import Steps

__all__ = ["Act", "Collector", "LocalCollector", "Sink"]

Act = Callable[[NDArray[np.float32]], NDArray[np.int64]]


class Sink(Protocol):
    """Where finished steps go: a replay, or a recorder that carries them to one."""

    def insert(self, steps: Steps) -> None:
        """Take steps."""

    def cut(self, environments: ArrayLike) -> None:
        """Note that the streams of these environments break here."""


class Collector(Protocol):
    """What plays: here, or on a cluster.

    The trainer calls `step` on a thread of its own (unless it is deterministic) and waits for it before it saves or
    ends, so it must return soon, with 0 if nothing has arrived.

    Attributes:
        statistics: of the episodes.
        seconds: time spent by part of the work, since it was last set to 0; any names, shown as ``time/NAME``.
        frames: collected so far; `step` adds to it what it returns.
    """

    statistics: EpisodeStatistics
    seconds: dict[str, float]
    frames: int

    def step(self, exploration: Exploration) -> tuple[int, list[Episode]]:
        """Store the steps that have arrived; return their number and the episodes that ended."""

    def agreement(self) -> float:
        """Share of the agent's greedy choices that equalled the teacher's since the last call, NaN without any."""

    def metrics(self) -> dict[str, float]:
        """Return metrics of the environments or the cluster by name."""

    def call(self, name: str, *arguments: Any) -> bool:
        """Call a method on the environments if they have it; return whether they do."""

    def drawable(self) -> tuple[Any, Callable[[int], NDArray[np.float32]]] | None:
        """Return the vector environment and what returns an environment's last observation, None if it cannot
        draw."""

    def get_state(self) -> dict[str, Any]:
        """Return what ``set_state`` needs."""

    def set_state(self, state: dict[str, Any]) -> str | None:
        """Continue from a state that ``get_state`` returned; return why games must restart, None if they need not.

        Where they must, the replay is cut (`Replay.cut`) and the statistics restart.
        """

    def close(self) -> None:
        """Close the environments."""


class LocalCollector:
    """Plays in environments of this process: once per ``step`` in each that has arrived.

    A step of an environment is stored when its outcome is known, that is one ``step`` after its action was
    chosen. A lost life ends the learner's episode while the game continues.
    """

    def __init__(
        self,
        source: Source,
        act: Act,
        replay: Sink,
        epsilon: EpsilonSchedule,
        expert: ExpertSchedule,
        *,
        life_ends: bool,
        life_price: float = 0.0,
        seed: int,
    ) -> None:
        """Collect from ``source`` into ``replay``.

        Args:
            source: the environments.
            act: gives greedy actions int64 ``(k,)`` for observations float32 ``(k, size)``.
            replay: where finished steps go.
            epsilon: shape of random actions, and factor during the descent.
            expert: for how long who acts is drawn, and factor during the descent.
            life_ends: a lost life is terminal for learning.
            life_price: subtracted from the stored reward at each lost life.
            seed: of who acts and of random actions.
        """
        self.source = source
        self.replay = replay
        self.statistics = EpisodeStatistics(source.count)
        self.seconds = {"environment": 0.0, "inference": 0.0, "insert": 0.0}
        self.frames = 0
        self.agreements = 0
        self.comparisons = 0
        self._act = act
        self._epsilon = epsilon
        self._expert = expert
        self._life_ends = life_ends
        self._life_price = life_price
        self._generator = np.random.default_rng(seed)
        self._assignment = ExpertAssignment(source.count)
        self._observations = np.zeros((source.count, source.observation_size), np.float32)
        self._actions = np.zeros(source.count, np.int64)
        self._actors = np.zeros(source.count, np.uint8)
        self._labels = np.full(source.count, -1, np.int64)

    def step(self, exploration: Exploration) -> tuple[int, list[Episode]]:
        """Take what has arrived, store it, and send actions; return frames collected and episodes ended."""
        started = time.perf_counter()
        arrivals = self.source.recv()
        received = time.perf_counter()
        if not len(arrivals.ids):
            self.seconds["environment"] += received - started
            return 0, []
        stored = self._store(arrivals)
        ended = self.statistics.add(arrivals, self._actors[arrivals.ids] == ACTOR_EXPERT)
        inserted = time.perf_counter()
        self._choose(arrivals, exploration)
        self.source.send(arrivals.ids, self._actions[arrivals.ids])
        chosen = time.perf_counter()
        self.seconds["environment"] += received - started
        self.seconds["insert"] += inserted - received
        self.seconds["inference"] += chosen - inserted
        self.frames += stored
        return stored, ended

    def metrics(self) -> dict[str, float]:
        """Return metrics of the environments by name."""
        return self.source.metrics()

    def call(self, name: str, *arguments: Any) -> bool:
        """Call a method on the environments if they have it; return whether they do."""
        return self.source.call(name, *arguments)

    def close(self) -> None:
        """End the environments."""
        self.source.close()

    def drawable(self) -> tuple[Any, Callable[[int], NDArray[np.float32]]] | None:
        """Return the vector environment and what returns an environment's last observation, None if it cannot
        draw."""
        envs = self.source.drawable()
        return None if envs is None else (envs, lambda index: self._observations[index].copy())

    def agreement(self) -> float:
        """Share of the agent's greedy choices that equalled the teacher's since the last call, NaN without
        any."""
        share = self.agreements / self.comparisons if self.comparisons else float("nan")
        self.agreements = self.comparisons = 0
        return share

    def _store(self, arrivals: Arrivals) -> int:
        rows = np.flatnonzero(~arrivals.first)
        if not len(rows):
            return 0
        ids = arrivals.ids[rows]
        terminated, rewards = arrivals.terminated[rows], arrivals.rewards[rows]
        if "life_lost" in arrivals.info:
            lost = arrivals.info["life_lost"][rows]
            rewards = rewards - self._life_price * lost.astype(np.float32)
            if self._life_ends:
                terminated = terminated | lost
        self.replay.insert(
            Steps(
                ids,
                self._observations[ids],
                self._actions[ids],
                rewards,
                terminated,
                arrivals.truncated[rows] & ~terminated,
                expert_actions=self._labels[ids],
                actors=self._actors[ids],
                final_observations=arrivals.observations[rows],
            )
        )
        return len(rows)

    def _choose(self, arrivals: Arrivals, exploration: Exploration) -> None:
        ids, count = arrivals.ids, len(arrivals.ids)
        labels = arrivals.info.get("expert_action", np.full(count, -1, np.int64))
        states = arrivals.info.get("game_state")
        generator = self._generator
        if self._expert.unit == "episode":
            if arrivals.first.any():
                self._assignment.start(ids[arrivals.first], exploration.expert_ratio, generator)
            by_expert = self._assignment.assigned[ids].copy()
            if exploration.expert_ratio in (0.0, 1.0):
                by_expert[:] = exploration.expert_ratio == 1.0
        else:
            by_expert = generator.random(count) < by_state(
                exploration.expert_ratio, self._expert.descent_factor, states, count
            )
        by_expert &= labels >= 0
        epsilon = by_state(exploration.epsilon, self._epsilon.descent_factor, states, count)
        by_chance = (generator.random(count) < epsilon) & ~by_expert

        actions = self._act(arrivals.observations)
        compared = labels >= 0
        self.agreements += int(np.count_nonzero((actions == labels) & compared))
        self.comparisons += int(np.count_nonzero(compared))
        chance = random_actions(
            generator,
            count,
            self.source.action_count,
            self._epsilon.fire_probability,
            self._epsilon.zap_probability,
        )
        actions = np.where(by_expert, labels, np.where(by_chance, chance, actions))
        actors = np.where(by_expert, ACTOR_EXPERT, np.where(by_chance, ACTOR_RANDOM, ACTOR_POLICY))

        self._observations[ids] = arrivals.observations
        self._actions[ids] = actions
        self._actors[ids] = actors
        self._labels[ids] = labels

    def get_state(self) -> dict[str, Any]:
        """Return what ``set_state`` needs; ``source`` is None where environments cannot be cloned."""
        return {
            "source": self.source.get_state(),
            "frames": self.frames,
            "generator": self._generator.bit_generator.state,
            "seats": self._assignment.get_state(),
            "statistics": self.statistics.get_state(),
            "observations": self._observations.copy(),
            "actions": self._actions.copy(),
            "actors": self._actors.copy(),
            "labels": self._labels.copy(),
        }

    def set_state(self, state: dict[str, Any]) -> str | None:
        """Continue from a state that ``get_state`` returned; return why episodes had to restart, else None."""
        self.frames = int(state["frames"])
        if "generator" in state:  # not where a cluster played
            self._generator.bit_generator.state = state["generator"]
        self.statistics.set_state(state["statistics"])
        obstacle = self._continue_games(state)
        if obstacle is not None:
            self.statistics.restart()
            self.replay.cut(np.arange(self.source.count))
            return obstacle
        self._assignment.set_state(state["seats"])
        self._observations = np.array(state["observations"], np.float32)
        self._actions = np.array(state["actions"], np.int64)
        self._actors = np.array(state["actors"], np.uint8)
        self._labels = np.array(state["labels"], np.int64)
        return None

    def _continue_games(self, state: dict[str, Any]) -> str | None:
        """Put the environments into their saved states; return why that is not possible."""
        if "actions" not in state:
            return "the games of a cluster cannot continue here"
        count = len(state["actions"])
        if state["source"] is None:
            return "these environments cannot be put into a saved state"
        if count != self.source.count:
            return f"{count} games were saved, {self.source.count} are played"
        try:
            self.source.set_state(state["source"])
        except ValueError as error:
            return f"the saved games cannot continue here ({error})"
        return None
