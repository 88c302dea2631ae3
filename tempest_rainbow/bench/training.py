"""Where the time of a default training run goes; used by `bench`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tempest_rainbow.monitor.controls import Controls
from tempest_rainbow.monitor.metrics import Metrics, Row
from tempest_rainbow.presets import preset
from tempest_rainbow.training.trainer import Trainer

__all__ = ["measure_training"]

_PARTS = ("environment", "inference", "insert", "sample", "learn", "wait")


_FEWEST_ROWS = 8


class _Rows:
    """Keeps the rows of a run in which something was learnt, and ends the run after some seconds of them."""

    def __init__(self, controls: Controls, seconds: float) -> None:
        self.kept: list[Row] = []
        self._controls, self._seconds = controls, seconds

    def row(self, row: Row) -> None:
        """Keep a row."""
        if row.values["speed/learner_steps_per_second"] > 0:
            self.kept.append(row)
        if len(self.kept) >= _FEWEST_ROWS and row.seconds - self.kept[0].seconds >= self._seconds:
            self._controls.request("quit", "bench")

    def event(self, frames: int, text: str) -> None:
        """Do nothing."""

    def evaluation(self, frames: int, result: Mapping[str, Any]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def measure_training(seconds: float = 30.0) -> dict[str, Any]:
    """Train with the default preset and return its speed and where its time goes.

    Args:
        seconds: least time from the first learning to the end.

    Returns:
        ``training_frames_per_second``, ``training_steps_per_second``, and ``share``: of the wall time, by the
        thread that collects (``environment``, ``inference``, ``insert``) and the one that learns (``sample``,
        ``learn``, ``wait``). The two run side by side, so each adds up to at most 1.
    """
    base = preset("default")
    config = replace(
        base,
        minutes=None,
        learn_start=4_096,
        evaluation=replace(base.evaluation, every_minutes=0.0, at_end=False),
        checkpoint=replace(base.checkpoint, every_minutes=0.0),
        monitor=replace(base.monitor, curve_seconds=1.0),
    )
    controls, metrics = Controls(), Metrics()
    rows = _Rows(controls, seconds)
    metrics.subscribe(rows)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, Path(folder), controls=controls, metrics=metrics)
        try:
            trainer.run()
        finally:
            trainer.close()
            metrics.close()
    # The first half of the rows is the start: compiling, choosing a precision, filling caches.
    steady = rows.kept[len(rows.kept) // 2 :]

    def mean(name: str) -> float:
        return float(np.mean([row.values[name] for row in steady]))

    return {
        "training_frames_per_second": mean("speed/frames_per_second"),
        "training_steps_per_second": mean("speed/learner_steps_per_second"),
        "share": {part: mean(f"time/{part}") for part in _PARTS},
    }
