"""What the schedules and the person at the controls together say at this moment of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tempest_rainbow.collect.collector import Exploration
from tempest_rainbow.collect.episodes import Episode
from tempest_rainbow.config import TrainConfig
from tempest_rainbow.monitor.controls import Controls
from tempest_rainbow.schedules import EpsilonPulse, Standing

__all__ = ["Guidance"]


class Guidance:
    """Puts the controls' overrides over the schedules."""

    def __init__(self, config: TrainConfig, controls: Controls, progress: Callable[[], float]) -> None:
        """Follow ``config`` wherever ``controls`` do not say otherwise; ``progress`` tells the share of the run that
        is over, NaN for a run without an end."""
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
        """Return what ``set_state`` needs to go on."""
        return {"standing": self.standing.get_state(), "pulse": self.pulse.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``get_state`` gave."""
        self.standing.set_state(state["standing"])
        self.pulse.set_state(state["pulse"])
