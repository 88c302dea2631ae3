"""Evaluates the weights of a run now and then, and remembers the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tempest_rainbow.checkpoint import Checkpoints
from tempest_rainbow.collect.environments import make_vector
from tempest_rainbow.config import TrainConfig
from tempest_rainbow.evaluate import evaluate
from tempest_rainbow.film import Film
from tempest_rainbow.learner import Learner
from tempest_rainbow.monitor.metrics import Metrics
from tempest_rainbow.policy import NetworkPolicy

__all__ = ["Judge"]


class Judge:
    """Plays greedy games with the weights of a learner.

    Attributes:
        last: the last whole evaluation, None before the first.
        steps: learner steps at which that was, -1 before the first.
    """

    def __init__(
        self, config: TrainConfig, checkpoints: Checkpoints, metrics: Metrics, stop: Callable[[], bool]
    ) -> None:
        """Judge as ``config`` says, tell ``metrics``, and give up when ``stop`` says so."""
        self._config = config
        self._checkpoints = checkpoints
        self._metrics = metrics
        self._stop = stop
        self.last: dict[str, Any] | None = None
        self.steps = -1

    @property
    def score(self) -> float:
        """Mean score of the last evaluation, NaN before the first."""
        return self.last["mean"] if self.last else math.nan

    def evaluate(
        self, learner: Learner, card: Mapping[str, Any], frames: int, checkpoint: Path | None
    ) -> None:
        """Evaluate, and remember the checkpoint that holds these weights, if any, if they are the best so far.

        Args:
            learner: whose weights play.
            card: describes them, as it is stored beside them.
            frames: frames collected so far.
            checkpoint: holds the weights; None where they could not be saved.
        """
        settings = self._config.evaluation
        policy = NetworkPolicy("agent", learner.network, card, str(learner.device))
        film = Film()
        self._metrics.event(frames, f"evaluating: {settings.games} games")
        try:
            result = evaluate(
                partial(make_vector, self._config.task),
                policy,
                settings.games,
                settings.seed,
                envs=settings.envs,
                stop=self._stop,
                watch=film.take,
            )
        except RuntimeError as error:
            self._metrics.event(frames, str(error))
            return
        finally:
            learner.network.train()
        if result["games"] < settings.games:
            return
        self.last, self.steps = result, learner.steps
        result["film"] = self._save_film(film, frames)
        self._metrics.evaluation(frames, result)
        if checkpoint is not None and result["mean"] > self._checkpoints.best_mean():
            try:
                self._checkpoints.mark_best(checkpoint, result)
            except OSError as error:
                self._metrics.event(frames, f"{checkpoint} could not be marked as the best ({error})")

    def _save_film(self, film: Film, frames: int) -> str | None:
        """Write the film of an evaluation game and return its place in the run's folder, None if there is none."""
        path = Path("evaluations") / f"{frames:010d}.gif"
        try:
            return str(path) if film.save(self._checkpoints.folder.parent / path) else None
        except OSError as error:
            self._metrics.event(frames, f"the film of the evaluation could not be written: {error}")
            return None
