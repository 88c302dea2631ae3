"""Collection on a Ray cluster: runners anywhere, hundreds of transitions a message, replay at the learner.

Ray places, transports and restarts. Decided here: how often weights are sent out, how many fragments may be
under way, in which order they are stored, and what a lost runner costs (its fragments under way, and the
windows they would have closed).
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_rainbow.collect.episodes import Episode, EpisodeStatistics
from tempest_rainbow.collect.exploration import Exploration
from tempest_rainbow.collect.fragments import Fragment
from tempest_rainbow.collect.runner import Runner, RunnerPlan, Session
from tempest_rainbow.config.settings import ClusterConfig
from tempest_rainbow.replay.replay import Replay

__all__ = ["ClusterCollector", "Weights", "start_ray"]

_log = logging.getLogger(__name__)

_FRAGMENTS_AT_ONCE = 8
"""Most fragments stored in one step, so that the learner does not wait long."""

_CONNECT_SECONDS = 10.0
"""Seconds within which a cluster must accept a connection."""

_LONGEST_PAUSE = 60.0
"""Longest pause before a runner that failed repeatedly is replaced."""


@dataclass(frozen=True)
class Weights:
    """What a runner needs to choose actions as the learner would.

    Attributes:
        step: learner step.
        tensors: the network's state by name.
        prior_weight: share of the imitated policy.
    """

    step: int
    tensors: Mapping[str, NDArray[Any]]
    prior_weight: float


@dataclass
class _Place:
    """A runner as the learner knows it.

    Attributes:
        actor: its handle, None until it is made (again).
        greeting: reference of the session that it is asked for, None while one is known.
        session: its present session, None while it is lost.
        under_way: references of the fragments it was asked for, oldest first.
        weights_step: learner step of the weights sent to it, -1 for none.
        playing: it has delivered in this session.
        failures: its own errors since it last delivered.
        not_before: time before which it is not made again.
        turn: number of the fragment it delivered last; the runner with the lowest is served first.
        since: time since which its oldest fragment is awaited.
    """

    actor: Any = None
    greeting: Any = None
    session: Session | None = None
    under_way: deque[Any] = field(default_factory=deque)
    weights_step: int = -1
    playing: bool = False
    failures: int = 0
    not_before: float = 0.0
    turn: int = 0
    since: float = 0.0

    @property
    def awaited(self) -> Any:
        """The reference expected next, None if nothing is expected."""
        return self.under_way[0] if self.under_way else self.greeting


class ClusterCollector:
    """A `Collector` that takes fragments from runners as they arrive and sends them the next task.

    A runner first reports its session, which changes when Ray restarts it. Every task names the session it is
    meant for. A runner that was restarted in the meantime returns None and is treated as lost: its streams break,
    and it is sent weights and settings again.
    """

    def __init__(
        self,
        config: ClusterConfig,
        address: str,
        runners: int,
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
            plan: gives the plan of runner i.
            weights: gives the learner's present weights.
            learner_steps: gives the learner's present step.
            replay: rings for ``runners`` x ``envs_per_runner`` environments.

        Raises:
            ConnectionError: no cluster answers at the address, or it refuses the connection.
            ValueError: a setting is out of range.
        """
        import ray

        for name in ("fragment", "in_flight", "weights_every"):
            if getattr(config, name) < 1:
                raise ValueError(
                    f"--cluster.{name.replace('_', '-')} must be at least 1, got {getattr(config, name)}"
                )
        if config.patience <= 0:
            raise ValueError(f"--cluster.patience must be above 0 seconds, got {config.patience}")
        self._ray = ray
        self._started_ray = not ray.is_initialized()
        if self._started_ray:
            start_ray(address, runners)
        self.config = config
        self._envs_per_runner = replay.environment_count // runners
        self._plan = plan
        self._weights = weights
        self._learner_steps = learner_steps
        self.replay = replay
        self.statistics = EpisodeStatistics(0)
        self.seconds = {"fetch": 0.0, "insert": 0.0}
        self.frames = 0
        self.lost = 0
        self._agreements = self._comparisons = 0
        self._staleness = 0.0
        self._bytes = 0.0
        self._sent_step = self._sent_at = -1
        self._sent: Any = None
        self._prior_weight = 0.0
        self._calls: dict[str, tuple[Any, ...]] = {}
        self._delivered = 0
        self._actor = ray.remote(Runner).options(
            num_cpus=1, max_restarts=-1, max_task_retries=0, scheduling_strategy="SPREAD"
        )
        room = int(ray.available_resources().get("CPU", 0))
        if room < runners:
            _log.warning(
                "the cluster has %d free cores for %d runners; the others start when cores are free",
                room,
                runners,
            )
        self._places = [_Place() for _ in range(runners)]
        for index in range(runners):
            self._make(index)

    def step(self, exploration: Exploration) -> tuple[int, list[Episode]]:
        """Store fragments that have arrived, waiting for one; return frames and ended episodes.

        Raises:
            RuntimeError: a runner failed before any had delivered, so that the settings must be wrong.
        """
        started = time.perf_counter()
        self._ask(exploration)
        ready = self._wait()
        self._kill_hanging(ready)
        waited = time.perf_counter()
        frames, episodes = 0, []
        for index in ready:
            fragment = self._receive(index)
            if fragment is not None:
                frames += len(fragment)
                episodes += fragment.episodes
                self._store(fragment, index)
        self.seconds["fetch"] += waited - started
        self.seconds["insert"] += time.perf_counter() - waited
        return frames, episodes

    def agreement(self) -> float:
        """Share of the agent's choices that equalled the teacher's since the last call, NaN without any."""
        share = self._agreements / self._comparisons if self._comparisons else float("nan")
        self._agreements = self._comparisons = 0
        return share

    def metrics(self) -> dict[str, float]:
        """Return the cluster's metrics by name."""
        return {
            "cluster/runners": float(sum(place.playing for place in self._places)),
            "cluster/lost": float(self.lost),
            "cluster/staleness_steps": self._staleness,
            "cluster/bytes_per_transition": self._bytes,
        }

    def call(self, name: str, *arguments: Any) -> bool:
        """Call a method on every runner's environments, without waiting, and on those of later runners;
        return True."""
        self._calls[name] = arguments
        for place in self._places:
            if place.session is not None:
                place.actor.call.remote(name, *arguments)
        return True

    def sessions(self) -> list[Session | None]:
        """Return the session of each runner, None for those that are lost at present."""
        return [place.session for place in self._places]

    def drawable(self) -> None:
        """Games elsewhere cannot be drawn."""

    def get_state(self) -> dict[str, Any]:
        """Return the counters; games under way elsewhere are not part of a checkpoint."""
        return {"frames": self.frames, "lost": self.lost, "statistics": self.statistics.get_state()}

    def set_state(self, state: dict[str, Any]) -> str:
        """Continue from a state that ``get_state`` returned; return why the games must restart."""
        self.frames = int(state["frames"])
        self.lost = int(state.get("lost", 0))
        self.statistics.set_state(state["statistics"])
        self.replay.cut(np.arange(len(self._places) * self._envs_per_runner))
        return "the environments of a cluster cannot be put into a saved state"

    def close(self) -> None:
        """End the runners, and Ray if it was started here."""
        for place in self._places:
            self._end(place)
        if self._started_ray:
            self._ray.shutdown()

    def _make(self, index: int) -> None:
        """Make a runner and ask for its session."""
        place = self._places[index]
        place.actor = self._actor.remote(self._plan(index))
        self._greet(place)

    def _greet(self, place: _Place) -> None:
        """Ask for the session; Ray repeats the question until the runner is back."""
        place.greeting = place.actor.hello.options(max_task_retries=-1).remote()

    def _end(self, place: _Place) -> None:
        if place.actor is not None:
            self._ray.kill(place.actor)
        place.actor = place.greeting = place.session = None
        place.under_way.clear()

    def _ask(self, exploration: Exploration) -> None:
        """Give every runner with room its next task, with new weights when it is time for them."""
        steps = self._learner_steps()
        if self._sent is None or steps - self._sent_at >= self.config.weights_every:
            weights = self._weights()
            if self._sent is None or weights.step != self._sent_step:
                self._sent = self._ray.put(dict(weights.tensors))
            self._sent_step, self._prior_weight, self._sent_at = weights.step, weights.prior_weight, steps
        for index, place in enumerate(self._places):
            if place.actor is None and time.monotonic() >= place.not_before:
                self._make(index)
            if place.session is None:
                continue
            while len(place.under_way) < self.config.in_flight:
                reference = place.actor.collect.remote(
                    place.session,
                    self._sent if place.weights_step != self._sent_step else None,
                    self._sent_step,
                    self._prior_weight,
                    exploration,
                    self.config.fragment,
                )
                place.weights_step = self._sent_step
                if not place.under_way:
                    place.since = time.monotonic()
                place.under_way.append(reference)

    def _wait(self) -> list[int]:
        """Return runners from which something has arrived, after at most a second; those served longest ago first.

        Only the oldest fragment of each counts: a later one may arrive earlier, but streams have to be stored
            in order.
        """
        order = sorted(range(len(self._places)), key=lambda index: self._places[index].turn)
        awaited = {self._places[index].awaited: index for index in order}
        awaited.pop(None, None)
        if not awaited:
            time.sleep(0.1)
            return []
        ready, _ = self._ray.wait(list(awaited), num_returns=1, timeout=1.0)
        if ready:
            most = min(len(awaited), _FRAGMENTS_AT_ONCE)
            ready = self._ray.wait(list(awaited), num_returns=most, timeout=0)[0] or ready
        return [awaited[reference] for reference in ready]

    def _kill_hanging(self, ready: list[int]) -> None:
        """Kill runners that have been silent for too long; they are then handled as any lost one."""
        before = time.monotonic() - self.config.patience
        for index, place in enumerate(self._places):
            if not place.under_way or place.since > before or index in ready:
                continue
            if not self._ray.wait([place.awaited], timeout=0)[0]:
                _log.warning(
                    "runner %d (%s) delivered nothing for %g s and is killed",
                    index,
                    place.session,
                    self.config.patience,
                )
                self._ray.kill(place.actor, no_restart=False)
                place.since = time.monotonic()

    def _receive(self, index: int) -> Fragment | None:
        """Take what has arrived from a runner: a fragment, its session, or an error if it is lost."""
        place = self._places[index]
        greeted = not place.under_way
        try:
            answer = self._ray.get(place.awaited)
        except self._ray.exceptions.RayError as error:
            self._lose(index, error)
            return None
        if greeted:
            place.greeting, place.session = None, answer
            for name, arguments in self._calls.items():
                place.actor.call.remote(name, *arguments)
            return None
        place.under_way.popleft()
        if answer is None:
            self._lose(index, None)
            return None
        place.playing, place.failures = True, 0
        self._delivered += 1
        place.turn = self._delivered
        place.since = time.monotonic()
        fragment: Fragment = answer
        return fragment

    def _lose(self, index: int, error: Exception | None) -> None:
        """Count a lost runner once for all its fragments, and replace it.

        Ray restarts those whose process or node died. One that failed by an error of its own, or that Ray
        no longer restarts, is created again here.
        """
        exceptions, place = self._ray.exceptions, self._places[index]
        own = isinstance(error, exceptions.RayTaskError) or getattr(error, "actor_init_failed", False)
        if own and not self._delivered:
            raise RuntimeError(f"runner {index} cannot play: {error}") from error
        if place.session is not None:
            self.lost += 1
            why = "it was restarted" if error is None else type(error).__name__
            _log.warning("runner %d (%s) is lost (%s); it is replaced", index, place.session, why)
            start = index * self._envs_per_runner
            self.replay.cut(np.arange(start, start + self._envs_per_runner))
        place.under_way.clear()
        place.session, place.weights_step, place.playing = None, -1, False
        if own or isinstance(error, exceptions.ActorDiedError):
            self._end(place)
            place.not_before = time.monotonic() + min(2.0**place.failures, _LONGEST_PAUSE)
            place.failures += 1
            _log.warning("runner %d is created again: %s", index, error)
        else:
            self._greet(place)

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


def start_ray(address: str, runners: int) -> None:
    """Join the cluster at ``address``, or start one with a core for each runner.

    Raises:
        ConnectionError: there is no cluster at the address, or it refuses the connection.
    """
    import ray

    local = address == "local"
    if local:  # Ray gives its workers the lowest priority (niceness 15), but here they do the main work.
        os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        host, _, port = address.rpartition(":")
        if host and port.isdecimal() and "//" not in host:  # Ray itself would retry for minutes.
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
        ray.init(
            address=address,
            num_cpus=runners if local else None,
            include_dashboard=False if local else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except OSError as error:
        raise ConnectionError(f"no Ray cluster answers at {address}: {error}") from error
    except ray.exceptions.RayError as error:
        raise ConnectionError(f"the Ray cluster {address} refuses the connection: {error}") from error
