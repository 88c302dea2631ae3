"""Evaluates a run's weights at intervals, and marks the best checkpoint."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_gym.extras import missing_extra
from tempest_rainbow.checkpoint import Checkpoints
from tempest_rainbow.collect.environments import make_vector
from tempest_rainbow.config.settings import TrainConfig
from tempest_rainbow.evaluate import evaluate
from tempest_rainbow.learner.learner import Learner
from tempest_rainbow.monitor.metrics import Metrics
from tempest_rainbow.policy import NetworkPolicy

__all__ = ["Evaluator", "Film"]

_log = logging.getLogger(__name__)


class Evaluator:
    """Plays greedy games with the weights of a learner.

    Attributes:
        last: the last whole evaluation, None before the first.
        steps: learner steps at which that was, -1 before the first.
    """

    def __init__(
        self, config: TrainConfig, checkpoints: Checkpoints, metrics: Metrics, stop: Callable[[], bool]
    ) -> None:
        """Evaluate as ``config`` says, report to ``metrics``, and stop early as soon as ``stop`` returns True."""
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
        result["film"] = self.save_film(film, frames)
        self._metrics.evaluation(frames, result)
        if checkpoint is not None and result["mean"] > self._checkpoints.best_mean():
            try:
                self._checkpoints.mark_best(checkpoint, result)
            except OSError as error:
                self._metrics.event(frames, f"{checkpoint} could not be marked as the best ({error})")

    def save_film(self, film: Film, frames: int) -> str | None:
        """Write the film of a game and return its path within the run's folder, None without pictures."""
        path = Path("evaluations") / f"{frames:010d}.gif"
        try:
            return str(path) if film.save(self._checkpoints.folder.parent / path) else None
        except OSError as error:
            self._metrics.event(frames, f"the film of a game could not be written: {error}")
            return None


_MOST = 64
"""Most pictures of a film."""

_FIRST_SPACING = 8
"""Steps between two pictures of a short film."""

_SHOWN_MS = 150
"""Milliseconds for which each picture is shown."""

_COLOURS = 32


class Film:
    """Pictures of environment 0 of a vector environment that has ``picture``; others leave it empty."""

    def __init__(self) -> None:
        """Start without pictures."""
        self.pictures: list[NDArray[np.uint8]] = []
        self._spacing = _FIRST_SPACING
        self._steps = 0

    def take(self, envs: Any) -> None:
        """Take a picture at intervals of steps; when the film grows too long, every other one is dropped."""
        if self._steps % self._spacing == 0 and hasattr(envs.unwrapped, "picture"):
            self.pictures.append(_half(envs.unwrapped.picture(0)))
            if len(self.pictures) > _MOST:
                self.pictures = self.pictures[::2]
                self._spacing *= 2
        self._steps += 1

    def save(self, path: Path) -> bool:
        """Write an animated GIF and return whether there was something to write."""
        if not self.pictures:
            return False
        try:
            from PIL import Image  # an extra; a run does not need it
        except ModuleNotFoundError:
            _log.info("%s", missing_extra("the film of an evaluation", "video"))
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = [Image.fromarray(picture).quantize(_COLOURS) for picture in self.pictures]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=_SHOWN_MS, loop=0)
        return True


def _half(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture of half the size; the brightest of four pixels stays, so that thin lines do."""
    height, width, _ = picture.shape
    even = picture[: height // 2 * 2, : width // 2 * 2]
    rows = np.maximum(even[::2], even[1::2])
    halved: NDArray[np.uint8] = np.maximum(rows[:, ::2], rows[:, 1::2])
    return halved
