"""The learner's loop: draws a batch, learns from it, and returns the new priorities to the replay."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from torch import Tensor

from tempest_rainbow.config.settings import TrainConfig
from tempest_rainbow.learner.learner import Learner
from tempest_rainbow.replay.batch import ACTOR_EXPERT, Batch
from tempest_rainbow.replay.replay import Replay
from tempest_rainbow.training.run_metrics import RunMetrics
from tempest_rainbow.training.steered_schedules import SteeredSchedules

__all__ = ["Drawn", "LearnerLoop", "Prefetch"]

_METRICS_EVERY = 10
"""Learner steps between those whose metrics are computed."""


class LearnerLoop:
    """Makes learner steps, each on a batch that was drawn during the step before.

    With ``deterministic`` settings each is drawn just before its step.
    """

    def __init__(
        self,
        config: TrainConfig,
        learner: Learner,
        replay: Replay,
        schedules: SteeredSchedules,
        run_metrics: RunMetrics,
        frames: Callable[[], int],
    ) -> None:
        """Learn from ``replay`` with the values of ``schedules`` at ``frames()``."""
        self._config = config
        self._learner = learner
        self._replay = replay
        self._schedules = schedules
        self._run_metrics = run_metrics
        self._frames = frames
        self._prefetch = Prefetch(self._draw)

    def learn(self) -> int:
        """Make a step and return the number of samples it used.

        Raises:
            NotFiniteError: the gradient is not finite.
        """
        started = time.perf_counter()
        drawn = self._prefetch.take()
        batch, ready = drawn.batch, time.perf_counter()
        if not self._config.deterministic:
            self._prefetch.start()
        frames, steps = self._frames(), self._learner.steps
        result = self._learner.step(
            batch,
            learning_rate=self._schedules.learning_rate(steps),
            imitation_weight=self._schedules.imitation_weight(frames),
            metrics=steps % _METRICS_EVERY == 0,
            prior_weight=self._schedules.prior_weight(frames),
            target=drawn.target,
            before_update=self._prefetch.wait,
        )
        self._replay.update_priorities(batch.indices, batch.stamps, result.priorities)
        self._run_metrics.learned(result)
        self._run_metrics.spent("sample", ready - started)
        self._run_metrics.spent("learn", time.perf_counter() - ready)
        return len(batch)

    def clear(self) -> None:
        """Discard every transition, the prefetched batch included."""
        self._prefetch.drop()
        self._replay.clear()

    def close(self) -> None:
        """End the thread that draws."""
        self._prefetch.close()

    def _draw(self) -> Drawn:
        """Draw a batch, see `Prefetch`."""
        frames = self._frames()
        batch = self._replay.sample(self._config.batch_size, beta=self._config.beta.value(frames))
        if self._config.imitation_by_expert_only:
            batch.imitation_weights *= batch.actors == ACTOR_EXPERT
        if self._config.deterministic:
            return Drawn(batch, None)
        return Drawn(batch, self._learner.target_distribution(batch, self._schedules.prior_weight(frames)))


@dataclass(frozen=True)
class Drawn:
    """A batch to learn from.

    Attributes:
        batch: the transitions.
        target: what `Learner.target_distribution` returned for it.
    """

    batch: Batch
    target: Tensor | None


class Prefetch:
    """Draws the next batch in another thread while the learner works on the present one.

    A prefetched batch was drawn before the present step changed weights and priorities: both are one step old.
    All methods are called by the thread that learns.
    """

    def __init__(self, draw: Callable[[], Drawn]) -> None:
        """Draw by ``draw``, which is called in another thread after `start` and in this one otherwise."""
        self._draw = draw
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="draw")
        self._next: Future[Drawn] | None = None

    def take(self) -> Drawn:
        """Return the prefetched batch, or draw one now."""
        following, self._next = self._next, None
        return self._draw() if following is None else following.result()

    def start(self) -> None:
        """Start to draw the next batch."""
        self._next = self._thread.submit(self._draw)

    def wait(self) -> None:
        """Return when the batch started is ready, so that weights may change; `take` raises its error."""
        if self._next is not None:
            self._next.exception()

    def drop(self) -> None:
        """Discard the prefetched batch."""
        self.wait()
        self._next = None

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()
        self._next = None
