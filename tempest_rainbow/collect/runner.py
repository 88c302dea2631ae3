"""One env runner of a cluster: its own environments and its own copy of the network, on one core."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tempest_rainbow.collect.collector import LocalCollector
from tempest_rainbow.collect.environments import make_source
from tempest_rainbow.collect.episodes import Episode
from tempest_rainbow.collect.exploration import Exploration
from tempest_rainbow.collect.fragments import Fragment, FragmentRecorder
from tempest_rainbow.config.schedules import EpsilonSchedule, ExpertSchedule
from tempest_rainbow.config.settings import Task
from tempest_rainbow.policy import NetworkPolicy, build_network

__all__ = ["Runner", "RunnerPlan", "Session"]


@dataclass(frozen=True)
class Session:
    """One run of a runner's process; a restarted runner has another.

    Attributes:
        machine: name of its computer.
        process: its process id there.
        key: drawn when it starts, because process ids repeat.
    """

    machine: str
    process: int
    key: int

    def __str__(self) -> str:
        """Return where it is, for a person."""
        return f"process {self.process} on {self.machine}"


@dataclass(frozen=True)
class RunnerPlan:
    """What a runner is to play.

    Attributes:
        task: the environment.
        environments: how many of them.
        seed: of the first environment, and of exploration.
        card: description of the network (``policy.network_card``).
        epsilon: shape of random actions.
        expert: for how long who acts is drawn.
        life_ends: a lost life is terminal for learning.
        life_price: subtracted from the reward at each lost life.
    """

    task: Task
    environments: int
    seed: int
    card: Mapping[str, Any]
    epsilon: EpsilonSchedule
    expert: ExpertSchedule
    life_ends: bool
    life_price: float = 0.0


class Runner:
    """Plays with the weights it is given and returns fragments."""

    def __init__(self, plan: RunnerPlan, *, exact: bool = False) -> None:
        """Make the environments.

        Args:
            plan: what to play.
            exact: play the games of ``plan.seed``; otherwise a random number is added to the seed, because a
                runner that replaces a lost one gets the same plan but must not repeat its games.
        """
        torch.set_num_threads(1)
        chance = os.urandom(8)
        self._session = Session(socket.gethostname(), os.getpid(), int.from_bytes(chance, "little"))
        seed = plan.seed if exact else (plan.seed + int.from_bytes(chance[:3], "little")) % 2**31
        self._source = make_source(plan.task, plan.environments, seed, deterministic=False)
        self._policy = NetworkPolicy("runner", build_network(plan.card), plan.card)
        self._recorder = FragmentRecorder(self._source.observation_size)
        self._collector = LocalCollector(
            self._source,
            self._act,
            self._recorder,
            plan.epsilon,
            plan.expert,
            life_ends=plan.life_ends,
            life_price=plan.life_price,
            seed=seed,
        )
        self._weights_step = -1

    def hello(self) -> Session:
        """Return which session this is."""
        return self._session

    def collect(
        self,
        session: Session,
        weights: Mapping[str, NDArray[Any]] | None,
        weights_step: int,
        prior_weight: float,
        exploration: Exploration,
        transitions: int,
    ) -> Fragment | None:
        """Play until at least ``transitions`` steps are recorded; return None if another session was meant.

        Args:
            session: who is asked.
            weights: of the network by name, None to keep the present ones.
            weights_step: learner step of ``weights``.
            prior_weight: share of the imitated policy in the choice of actions.
            exploration: who acts.
            transitions: least length of the fragment.
        """
        if session != self._session:
            return None
        if weights is not None:
            tensors = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
            self._policy.network.load_state_dict(tensors)
            self._weights_step = weights_step
        self._policy.card["prior_weight"] = prior_weight
        episodes: list[Episode] = []
        while len(self._recorder) < transitions:
            episodes += self._collector.step(exploration)[1]
        collector = self._collector
        fragment = self._recorder.take(
            episodes=episodes,
            agreements=collector.agreements,
            comparisons=collector.comparisons,
            weights_step=self._weights_step,
        )
        collector.agreements = collector.comparisons = 0
        return fragment

    def call(self, name: str, *arguments: Any) -> bool:
        """Call a method on the environments if they have it; return whether they do."""
        return self._source.call(name, *arguments)

    def _act(self, observations: NDArray[np.float32]) -> NDArray[np.int64]:
        return self._policy.act(observations, {})
