"""The metrics of a run: collected from its parts and made into rows."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tempest_rainbow.collect.collector import Collector
from tempest_rainbow.config.settings import TrainConfig
from tempest_rainbow.learner.learner import Learner, StepResult
from tempest_rainbow.monitor.metrics import Row, RunningMean, sum_of_drops
from tempest_rainbow.replay.replay import Replay
from tempest_rainbow.training.clock import Ending
from tempest_rainbow.training.steered_schedules import SteeredSchedules

__all__ = ["RunMetrics"]


class RunMetrics:
    """Remembers what happened since the last row.

    Attributes:
        seen: observations float32 ``(k, size)`` that were acted on last.
        viewers: returns the number of open dashboard pages, None without a dashboard.
    """

    def __init__(
        self,
        config: TrainConfig,
        ending: Ending,
        schedules: SteeredSchedules,
        collector: Collector,
        learner: Learner,
        replay: Replay,
    ) -> None:
        """Read the given parts of a run."""
        self._batch_size = config.batch_size
        self._beta = config.beta
        self._ending = ending
        self._schedules = schedules
        self._collector = collector
        self._learner = learner
        self._replay = replay
        self.viewers: Callable[[], int] | None = None
        self.seen = np.zeros((0, learner.network.observation_size), np.float32)
        self._q_values = np.zeros((0, learner.network.action_count), np.float32)
        self._means = RunningMean()
        self._learned: dict[str, float] = {}
        self._priorities = np.zeros(0, np.float32)
        self._act_seconds, self._act_calls = 0.0, 0
        self._learning = {"sample": 0.0, "learn": 0.0, "wait": 0.0}
        self._last = (0.0, 0, 0)

    def start(self, seconds: float, frames: int) -> None:
        """Measure speeds from here on."""
        self._last = (seconds, frames, self._learner.steps)

    def acted(self, observations: NDArray[np.float32], q_values: NDArray[np.float32], seconds: float) -> None:
        """Note a choice of actions and the time it took."""
        self.seen, self._q_values = observations, q_values
        self._act_seconds += seconds
        self._act_calls += 1

    def learned(self, result: StepResult) -> None:
        """Note a learner step."""
        if result.metrics:
            self._means.add({f"learner/{name}": value for name, value in result.metrics.items()})
            self._priorities = result.priorities

    def spent(self, what: str, seconds: float) -> None:
        """Note time of the learning thread: ``sample``, ``learn`` or ``wait``."""
        self._learning[what] += seconds

    def row(self, seconds: float, frames: int, *, headline: bool) -> Row:
        """Return the row of this moment and start collecting for the next."""
        steps, schedules = self._learner.steps, self._schedules
        past_seconds, past_frames, past_steps = self._last
        self._last = (seconds, frames, steps)
        span, collected = max(seconds - past_seconds, 1e-9), frames - past_frames
        exploration = schedules.exploration(frames)
        values: dict[str, float] = {
            "speed/frames_per_second": collected / span,
            "speed/learner_steps_per_second": (steps - past_steps) / span,
            "speed/samples_per_insert": (steps - past_steps) * self._batch_size / max(collected, 1),
            "progress/frames": frames,
            "progress/learner_steps": steps,
            "progress/seconds_left": self._ending.seconds_left(frames, seconds, collected / span),
            "schedule/epsilon": exploration.epsilon,
            "schedule/expert_ratio": exploration.expert_ratio,
            "schedule/imitation_weight": schedules.imitation_weight(frames),
            "schedule/learning_rate": schedules.learning_rate(steps),
            "schedule/beta": self._beta.value(frames),
            "schedule/prior_weight": schedules.prior_weight(frames),
            "schedule/standing": schedules.standing.ratio,
            "collect/agreement": self._collector.agreement(),
            "replay/size": len(self._replay),
        }
        if self._act_calls:
            values["time/inference_ms"] = 1000 * self._act_seconds / self._act_calls
            self._act_seconds, self._act_calls = 0.0, 0
        if self.viewers is not None:
            values["collect/viewers"] = self.viewers()
        values.update({f"replay/{name}": value for name, value in self._replay.statistics().items()})
        for clock in (self._collector.seconds, self._learning):
            for name in clock:
                values[f"time/{name}"] = clock[name] / span
                clock[name] = 0.0
        q_values = self._q_values
        if q_values.size:
            values["learner/q_min"], values["learner/q_max"] = float(q_values.min()), float(q_values.max())
            values["learner/q_mean"] = float(q_values.mean())
        who = self._collector.metrics()
        values.update(who | sum_of_drops(who))
        values.update(self._collector.statistics.metrics())
        self._learned = self._means.take() or self._learned
        values.update(self._learned)
        known = {name: float(value) for name, value in values.items() if not math.isnan(value)}
        histograms = {"replay/priorities": self._priorities, "learner/q_values": q_values}
        return Row(frames, seconds, known, histograms, headline)
