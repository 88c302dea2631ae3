"""The schedules of a run, with the controls' overrides."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from tempest_rainbow.collect.episodes import Episode
from tempest_rainbow.collect.exploration import Exploration
from tempest_rainbow.config.schedules import EpsilonSchedule
from tempest_rainbow.config.settings import TrainConfig
from tempest_rainbow.monitor.controls import Controls

__all__ = ["EpsilonPulse", "Standing", "SteeredSchedules"]


class SteeredSchedules:
    """Puts the controls' overrides over the schedules."""

    def __init__(self, config: TrainConfig, controls: Controls, progress: Callable[[], float]) -> None:
        """Follow ``config`` except where ``controls`` override it; ``progress`` returns the share of the run that is
        over, NaN for a run without an end."""
        self._config = config
        self._controls = controls
        self._progress = progress
        self.standing = Standing()
        self.pulse = EpsilonPulse(config.epsilon)

    def exploration(self, frames: int) -> Exploration:
        """Return who acts now."""
        controls, config = self._controls, self._config
        epsilon = controls["epsilon"]
        if epsilon is None:
            epsilon = config.epsilon.value(frames)
        if self.pulse.active(frames):
            epsilon = max(epsilon, config.epsilon.pulse_value)
        if controls["greedy"]:
            epsilon = 0.0
        ratio = controls["expert_ratio"]
        if ratio is None:
            ratio = config.expert.value(frames)
        if controls["expert_mode"]:
            ratio = 1.0
        if controls["expert_off"]:
            ratio = 0.0
        return Exploration(epsilon=epsilon, expert_ratio=ratio)

    def learning_rate(self, steps: int) -> float:
        """Return the learning rate of learner step ``steps``."""
        peak = self._config.learner.learning_rate
        rate = self._config.learning_rate.value(steps, peak, self._progress())
        return rate * float(self._controls["learning_rate_factor"])

    def imitation_weight(self, frames: int) -> float:
        """Return the weight of the imitation loss."""
        weight = self._controls["imitation_weight"]
        return self._config.imitation.value(frames, self.standing.ratio) if weight is None else weight

    def prior_weight(self, frames: int) -> float:
        """Return how far the imitated policy guides the choice of actions."""
        if not self._config.network.policy_head or self._config.learner.imitation != "policy":
            return 0.0
        return self._config.imitation.prior_weight(frames, self.standing.ratio)

    def samples_per_insert(self) -> float:
        """Return the samples learned per frame collected."""
        wanted = self._controls["samples_per_insert"]
        return self._config.samples_per_insert if wanted is None else wanted

    def finished(self, episodes: list[Episode]) -> None:
        """Compare student and teacher by the episodes that one of them played alone."""
        for episode in episodes:
            if episode.expert_share in (0.0, 1.0):
                self.standing.add(episode.score, by_expert=episode.expert_share == 1.0)

    def get_state(self) -> dict[str, Any]:
        """Return what ``set_state`` needs."""
        return {"standing": self.standing.get_state(), "pulse": self.pulse.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state that ``get_state`` returned."""
        self.standing.set_state(state["standing"])
        self.pulse.set_state(state["pulse"])


class EpsilonPulse:
    """A period of raised epsilon, started by hand or, late in training, automatically."""

    def __init__(self, schedule: EpsilonSchedule) -> None:
        """Start without a pulse."""
        self._schedule = schedule
        self._until = -1
        self._next = schedule.frames + schedule.pulse_every

    def start(self, frames: int) -> None:
        """Start a pulse now; one under way restarts."""
        self._until = frames + self._schedule.pulse_frames

    def active(self, frames: int) -> bool:
        """Whether a pulse is under way at ``frames``; starts the automatic one when it is due."""
        if self._schedule.pulse_every > 0 and frames >= self._next:
            self.start(frames)
            self._next = frames + self._schedule.pulse_every
        return frames < self._until

    def get_state(self) -> dict[str, int]:
        """Return what ``set_state`` needs."""
        return {"until": self._until, "next": self._next}

    def set_state(self, state: dict[str, int]) -> None:
        """Continue from a state that ``get_state`` returned."""
        self._until, self._next = int(state["until"]), int(state["next"])


class Standing:
    """The student's success relative to the teacher: mean return of the last episodes that each played alone
    (QDagger's ratio).

    Args:
        window: how many episodes of each are averaged.
        least: episodes of each that must be known before the ratio counts; until then it is 0.
    """

    def __init__(self, window: int = 100, least: int = 10) -> None:
        """Start without episodes."""
        self._least = least
        self._student: deque[float] = deque(maxlen=window)
        self._teacher: deque[float] = deque(maxlen=window)

    def add(self, score: float, *, by_expert: bool) -> None:
        """Count a finished episode; ``score`` is its return (or any measure that is 0 for nothing gained)."""
        (self._teacher if by_expert else self._student).append(float(score))

    @property
    def student(self) -> float:
        """The student's mean, NaN without episodes."""
        return float(np.mean(self._student)) if self._student else math.nan

    @property
    def teacher(self) -> float:
        """The teacher's mean, NaN without episodes."""
        return float(np.mean(self._teacher)) if self._teacher else math.nan

    @property
    def ratio(self) -> float:
        """The student's mean over the teacher's, at least 0; 0 while either is unknown or the teacher earns
        nothing."""
        if min(len(self._student), len(self._teacher)) < self._least or self.teacher <= 0:
            return 0.0
        return max(self.student / self.teacher, 0.0)

    def get_state(self) -> dict[str, Any]:
        """Return what ``set_state`` needs."""
        return {"student": list(self._student), "teacher": list(self._teacher)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state that ``get_state`` returned."""
        self._student = deque(state["student"], maxlen=self._student.maxlen)
        self._teacher = deque(state["teacher"], maxlen=self._student.maxlen)
