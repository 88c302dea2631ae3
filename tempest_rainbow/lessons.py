"""The learner's way through a run: draws batches, learns from them, and hands priorities back."""

from __future__ import annotations

import time
from collections.abc import Callable

from tempest_rainbow.ahead import BatchesAhead, Drawn
from tempest_rainbow.batch import ACTOR_EXPERT
from tempest_rainbow.config import TrainConfig
from tempest_rainbow.gauges import Gauges
from tempest_rainbow.guidance import Guidance
from tempest_rainbow.learner import Learner
from tempest_rainbow.replay import Replay

__all__ = ["Lessons"]

_METRICS_EVERY = 10
"""Learner steps between those whose metrics are computed."""


class Lessons:
    """One learner step after the other, each on a batch that was drawn beside the step before it.

    With ``deterministic`` settings each is drawn in its turn.
    """

    def __init__(
        self,
        config: TrainConfig,
        learner: Learner,
        replay: Replay,
        guidance: Guidance,
        gauges: Gauges,
        frames: Callable[[], int],
    ) -> None:
        """Let ``learner`` learn from ``replay`` as ``guidance`` says at the moment that ``frames`` tells."""
        self._config = config
        self._learner = learner
        self._replay = replay
        self._guidance = guidance
        self._gauges = gauges
        self._frames = frames
        self._ahead = BatchesAhead(self._draw)

    def learn(self) -> int:
        """Make a step and return the samples it took.

        Raises:
            NotFiniteError: the gradient is not finite.
        """
        started = time.perf_counter()
        drawn = self._ahead.take()
        batch, ready = drawn.batch, time.perf_counter()
        if not self._config.deterministic:
            self._ahead.begin()
        frames, steps = self._frames(), self._learner.steps
        result = self._learner.step(
            batch,
            learning_rate=self._guidance.learning_rate(steps),
            imitation_weight=self._guidance.imitation_weight(frames),
            metrics=steps % _METRICS_EVERY == 0,
            prior_weight=self._guidance.prior_weight(frames),
            goal=drawn.goal,
            before_update=self._ahead.wait,
        )
        self._replay.update_priorities(batch.indices, batch.stamps, result.priorities)
        self._gauges.learned(result)
        self._gauges.spent("sample", ready - started)
        self._gauges.spent("learn", time.perf_counter() - ready)
        return len(batch)

    def clear(self) -> None:
        """Forget every transition, those drawn included."""
        self._ahead.drop()
        self._replay.clear()

    def close(self) -> None:
        """End the thread that draws."""
        self._ahead.close()

    def _draw(self) -> Drawn:
        """Draw a batch, see `BatchesAhead`."""
        frames = self._frames()
        batch = self._replay.sample(self._config.batch_size, beta=self._config.beta.value(frames))
        if self._config.imitation_by_expert_only:
            batch.imitation_weights *= batch.actors == ACTOR_EXPERT
        if self._config.deterministic:
            return Drawn(batch, None)
        return Drawn(batch, self._learner.goal(batch, self._guidance.prior_weight(frames)))
