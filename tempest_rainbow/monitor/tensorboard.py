"""TensorBoard curves of every metric, with events as text and the configuration as hyper-parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tempest_rainbow.monitor.metrics import Row

__all__ = ["TensorBoard", "flatten"]


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested mapping as one level with dotted names; what is no number, string or bool becomes
    text."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return flat


class TensorBoard:
    """Writes into a folder that ``tensorboard --logdir`` shows; the x axis is frames collected."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, histograms: bool) -> None:
        """Open the folder.

        Args:
            folder: made if missing; a resumed run adds to it.
            settings: the resolved configuration, nested.
            histograms: write distributions as well.
        """
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and not wanted by every run

        self._writer = SummaryWriter(str(folder), flush_secs=10)
        self._settings = flatten(settings)
        self._histograms = histograms
        self._score: float | None = None
        text = "\n".join(f"    {name} = {value}" for name, value in self._settings.items())
        self._writer.add_text("configuration", text)

    def row(self, row: Row) -> None:
        """Write a point of every curve."""
        for name, value in row.values.items():
            self._writer.add_scalar(name, value, row.frames)
        if self._histograms:
            for name, values in row.histograms.items():
                if values.size:
                    self._writer.add_histogram(name, values, row.frames)

    def event(self, frames: int, text: str) -> None:
        """Write what happened into the text page, so that the curves explain themselves."""
        self._writer.add_text("events", text, frames)

    def evaluation(self, frames: int, result: Mapping[str, Any]) -> None:
        """Write the evaluation's curves."""
        for name in ("mean", "median", "iqm", "level_mean", "level_max", "reward_mean"):
            if result.get(name) is not None:
                self._writer.add_scalar(f"evaluation/{name}", result[name], frames)
        for name, (low, high) in result["ci95"].items():
            self._writer.add_scalar(f"evaluation/{name}_low", low, frames)
            self._writer.add_scalar(f"evaluation/{name}_high", high, frames)
        self._score = float(result["mean"])

    def close(self) -> None:
        """Write the hyper-parameters with the last evaluation's score and close the files."""
        if self._score is not None:
            self._writer.add_hparams(self._settings, {"hparam/evaluation_mean": self._score}, run_name=".")
        self._writer.close()
