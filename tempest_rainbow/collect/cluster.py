"""Collection on a Ray cluster: runners anywhere, hundreds of transitions a message, replay at the learner.

Ray places, transports and restarts. Decided here: how often weights are sent out, how many fragments may be
under way, and what a lost runner costs (its fragments under way, and the windows they would have
closed).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_rainbow.collect.collector import Exploration
from tempest_rainbow.collect.episodes import Episode, EpisodeStatistics
from tempest_rainbow.collect.fragments import Fragment
from tempest_rainbow.collect.runner import Runner, RunnerPlan
from tempest_rainbow.replay import Replay

__all__ = ["ClusterCollector", "ClusterConfig", "Weights"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClusterConfig:
    """Messages and weights of a collection on a Ray cluster."""

    fragment: int = 1024
    """Least number of transitions in a message."""
    in_flight: int = 2
    """Fragments that a runner may have under way: it plays the next while one travels."""
    weights_every: int = 50
    """Learner steps between weights sent out; what was played with older ones is the staleness shown."""


@dataclass(frozen=True)
class Weights:
    """What a runner needs to choose as the learner would.

    Attributes:
        step: learner step.
        tensors: the network's state by name.
        prior_weight: share of the imitated policy.
    """

    step: int
    tensors: Mapping[str, NDArray[Any]]
    prior_weight: float


class ClusterCollector:
    """Takes fragments from runners as they come and gives them the next task; same use as ``Collector``."""

    def __init__(
        self,
        config: ClusterConfig,
        address: str,
        runners: int,
        envs_per_runner: int,
        plan: Callable[[int], RunnerPlan],
        weights: Callable[[], Weights],
        learner_steps: Callable[[], int],
        replay: Replay,
    ) -> None:
        """Start the runners.

        Args:
            config: messages and weights.
            address: of a Ray cluster, ``auto`` for the one this machine belongs to, ``local`` to start one here.
            runners: processes with one core each.
            envs_per_runner: environments of each.
            plan: gives the plan of runner i.
            weights: gives the learner's present weights.
            learner_steps: gives the learner's present step.
            replay: rings for ``runners`` x ``envs_per_runner`` environments.

        Raises:
            ConnectionError: there is no cluster at the address.
        """
        import ray

        self._ray = ray
        self._started_ray = not ray.is_initialized()
        if self._started_ray:
            local = address == "local"
            ray.init(
                address=address,
                num_cpus=runners if local else None,
                include_dashboard=False if local else None,
                log_to_driver=False,
                logging_level=logging.WARNING,
            )
        self._config = config
        self._envs_per_runner = envs_per_runner
        self._weights = weights
        self._learner_steps = learner_steps
        self.replay = replay
        self.statistics = EpisodeStatistics(0)
        self.seconds = {"wait": 0.0, "insert": 0.0}
        self.frames = 0
        self.lost = 0
        self._agreements = self._comparisons = 0
        self._staleness = 0.0
        self._bytes = 0.0
        self._sent_step = -1
        self._sent: Any = None
        self._prior_weight = 0.0
        self._has_weights = [-1] * runners
        actor = ray.remote(Runner).options(
            num_cpus=1, max_restarts=-1, max_task_retries=0, scheduling_strategy="SPREAD"
        )
        self._actors = [actor.remote(plan(index)) for index in range(runners)]
        self._under_way: dict[Any, int] = {}
        self._not_before = [0.0] * runners

    def step(self, exploration: Exploration) -> tuple[int, list[Episode]]:
        """Store the fragments that have arrived, waiting for one; return frames and ended episodes."""
        started = time.perf_counter()
        self._ask(exploration)
        ready, _ = (
            self._ray.wait(list(self._under_way), num_returns=1, timeout=1.0) if self._under_way else ([], [])
        )
        if ready:
            more, _ = self._ray.wait(list(self._under_way), num_returns=len(self._under_way), timeout=0)
            ready = more or ready
        waited = time.perf_counter()
        frames, episodes = 0, []
        for reference in ready:
            index = self._under_way.pop(reference, None)
            if index is None:  # its runner was found lost a moment ago
                continue
            fragment = self._receive(reference, index)
            if fragment is not None:
                frames += len(fragment)
                episodes += fragment.episodes
                self._store(fragment, index)
        self.seconds["wait"] += waited - started
        self.seconds["insert"] += time.perf_counter() - waited
        return frames, episodes

    def agreement(self) -> float:
        """Share of the agent's choices that equalled the teacher's since the last call, NaN without any."""
        share = self._agreements / self._comparisons if self._comparisons else float("nan")
        self._agreements = self._comparisons = 0
        return share

    def metrics(self) -> dict[str, float]:
        """Return the cluster's figures by metric name."""
        return {
            "cluster/runners": float(len(set(self._under_way.values()))),
            "cluster/lost": float(self.lost),
            "cluster/staleness_steps": self._staleness,
            "cluster/bytes_per_transition": self._bytes,
        }

    def call(self, name: str, *arguments: Any) -> bool:
        """Call a method on every runner's environments, without waiting; return True."""
        for actor in self._actors:
            actor.call.remote(name, *arguments)
        return True

    def process_ids(self) -> list[int]:
        """Return the process id of every runner."""
        return [int(pid) for pid in self._ray.get([actor.process_id.remote() for actor in self._actors])]

    def get_state(self) -> dict[str, Any]:
        """Return the counters; games under way elsewhere are not part of a checkpoint."""
        return {"frames": self.frames, "lost": self.lost, "statistics": self.statistics.get_state()}

    def set_state(self, state: dict[str, Any]) -> bool:
        """Go on from a state that ``get_state`` gave; return False, as the games begin anew."""
        self.frames = int(state["frames"])
        self.lost = int(state.get("lost", 0))
        self.statistics.set_state(state["statistics"])
        self.replay.cut(np.arange(len(self._actors) * self._envs_per_runner))
        return False

    def close(self) -> None:
        """End the runners, and Ray if it was started here."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._under_way.clear()
        if self._started_ray:
            self._ray.shutdown()

    def _ask(self, exploration: Exploration) -> None:
        """Give every runner that has room its next task, with new weights when it is time for them."""
        if self._sent is None or self._learner_steps() - self._sent_step >= self._config.weights_every:
            weights = self._weights()
            self._sent = self._ray.put(dict(weights.tensors))
            self._sent_step, self._prior_weight = weights.step, weights.prior_weight
        now = time.monotonic()
        counts = np.bincount(list(self._under_way.values()), minlength=len(self._actors))
        for index, actor in enumerate(self._actors):
            if now < self._not_before[index]:
                continue
            for _ in range(self._config.in_flight - counts[index]):
                fresh = self._has_weights[index] != self._sent_step
                reference = actor.collect.remote(
                    self._sent if fresh else None,
                    self._sent_step,
                    self._prior_weight,
                    exploration,
                    self._config.fragment,
                )
                self._has_weights[index] = self._sent_step
                self._under_way[reference] = index

    def _receive(self, reference: Any, index: int) -> Fragment | None:
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except exceptions.RayTaskError:
            raise
        except exceptions.RayError as error:
            self._lose(index, error)
            return None

    def _lose(self, index: int, error: Exception) -> None:
        """Count a lost runner once for all its fragments; Ray restarts it on whatever node has room."""
        first = self._has_weights[index] != -1
        self._under_way = {reference: other for reference, other in self._under_way.items() if other != index}
        self._has_weights[index] = -1
        self._not_before[index] = time.monotonic() + 1.0
        start = index * self._envs_per_runner
        self.replay.cut(np.arange(start, start + self._envs_per_runner))
        if first:
            self.lost += 1
            _log.warning("runner %d is lost (%s); it is replaced", index, type(error).__name__)

    def _store(self, fragment: Fragment, index: int) -> None:
        fragment.insert_into(self.replay, index * self._envs_per_runner)
        self.frames += len(fragment)
        for episode in fragment.episodes:
            self.statistics.record(episode, self.frames)
        self._agreements += fragment.agreements
        self._comparisons += fragment.comparisons
        age = self._learner_steps() - fragment.weights_step
        self._staleness += 0.1 * (age - self._staleness)
        self._bytes = fragment.bytes_per_transition
