"""TensorBoard: a curve of every metric, events as text, games as films, settings as hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tempest_rainbow.monitor.metric_list import evaluation_values, label
from tempest_rainbow.monitor.metrics import Row

__all__ = ["FIRST", "TensorBoard", "flatten"]

_SCORE = "evaluation/mean"
"""The curve whose last value stands beside the hyperparameters."""

FIRST = "0 main"
_MAIN = ("episodes/agent_score", _SCORE, "episodes/agent_level", "episodes/agent_deaths_per_level")
"""Curves that are written a second time, numbered and by their labels, in the group ``FIRST``: the tabs *Time series*
and *Scalars* sort by name."""

_LAYOUT = {
    "1 How good": {
        "score": ["Multiline", ["episodes/agent_score", "episodes/expert_score", "evaluation/mean$"]],
        "evaluation": ["Margin", ["evaluation/mean", "evaluation/mean_low", "evaluation/mean_high"]],
        "level": ["Multiline", ["episodes/agent_level", "episodes/expert_level", "evaluation/level_mean"]],
        "deaths/level": ["Multiline", ["episodes/agent_deaths_per_level"]],
    },
    "2 How fast": {
        "frames/s": ["Multiline", ["speed/frames_per_second"]],
        "steps/s": ["Multiline", ["speed/learner_steps_per_second"]],
    },
    "3 Learning": {
        "loss": ["Multiline", ["learner/loss", "learner/value_loss", "learner/imitation_loss"]],
        "Q": ["Multiline", ["learner/q$", "learner/q_min", "learner/q_max"]],
        "agreement": ["Multiline", ["collect/agreement", "learner/agreement"]],
        "schedules": [
            "Multiline",
            ["schedule/epsilon", "schedule/expert_ratio", "schedule/imitation_weight"],
        ],
    },
}
"""The charts of the tab *Custom scalars*, score and evaluation first."""


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested mapping as one level with dotted names; values of other types than number, string and bool
    become text."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return flat


class TensorBoard:
    """Writes into a folder that ``tensorboard --logdir`` shows; the x axis is frames collected."""

    def __init__(
        self, run: Path, settings: Mapping[str, Any], *, histograms: bool, purge_step: int | None = None
    ) -> None:
        """Open a file in a run's folder, whose name TensorBoard shows.

        Args:
            run: the run's folder; a resumed run adds to what is there, one of version 0.1 in its folder
                ``tensorboard``.
            settings: the resolved configuration, nested.
            histograms: write distributions as well.
            purge_step: frames from which on earlier points are no longer shown; None: all are.
        """
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and not every run needs it
        from torch.utils.tensorboard.summary import hparams

        self._run = run
        old = run / "tensorboard"
        self._writer = SummaryWriter(str(old if old.is_dir() else run), purge_step=purge_step, flush_secs=10)
        self._histograms = histograms
        flat = flatten(settings)
        text = "\n".join(f"    {name} = {value}" for name, value in flat.items())
        self._writer.add_text("configuration", text)
        self._writer.add_custom_scalars(_LAYOUT)
        # Written at once, so that a run that is killed has them too; the score is taken from its curve.
        experiment, start, self._session_end = hparams(flat, {_SCORE: math.nan})
        for summary in (experiment, start):
            self._add(summary, 0)

    def row(self, row: Row) -> None:
        """Write a point of every curve, and the film if the row has one."""
        for name, value in row.values.items():
            self._point(name, value, row.frames)
        if self._histograms:
            for name, values in row.histograms.items():
                if values.size:
                    self._writer.add_histogram(name, values, row.frames)
        if row.film:
            self._film(row.film, row.frames)

    def event(self, frames: int, text: str) -> None:
        """Write what happened into the text page, so that the curves explain themselves."""
        self._writer.add_text("events", text, frames)

    def evaluation(self, frames: int, result: Mapping[str, Any]) -> None:
        """Write the evaluation's curves and its film."""
        for name, value in evaluation_values(result).items():
            self._point(name, value, frames)
        for name, (low, high) in result["ci95"].items():
            self._point(f"evaluation/{name}_low", low, frames)
            self._point(f"evaluation/{name}_high", high, frames)
        if result.get("film"):
            self._film(result["film"], frames)
        self._writer.flush()

    def close(self) -> None:
        """Close the files."""
        self._add(self._session_end, 0)
        self._writer.close()

    def _point(self, name: str, value: float, frames: int) -> None:
        self._writer.add_scalar(name, value, frames)
        if name in _MAIN:
            self._writer.add_scalar(f"{FIRST}/{_MAIN.index(name) + 1} {label(name)}", value, frames)

    def _film(self, path: str, frames: int) -> None:
        """Write an animated GIF as it is: TensorBoard shows it among the images."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        gif = (self._run / path).read_bytes()
        width, height = (int.from_bytes(gif[at : at + 2], "little") for at in (6, 8))
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=gif)
        self._add(Summary(value=[Summary.Value(tag="game", image=image)]), frames)

    def _add(self, summary: Any, frames: int) -> None:
        writer = self._writer.file_writer
        assert writer is not None, "the text of the configuration opened it"
        writer.add_summary(summary, frames)
