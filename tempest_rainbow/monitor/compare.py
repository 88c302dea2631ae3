"""Curves and settings of several run folders, side by side."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tempest_rainbow.monitor.history import read_history
from tempest_rainbow.monitor.metric_list import evaluation_values
from tempest_rainbow.monitor.tensorboard import flatten

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["RunCurves", "differing_settings", "find_runs", "read_run"]


@dataclass
class RunCurves:
    """What a run folder holds.

    Attributes:
        name: of the folder.
        curves: frames and value of each point, by metric.
        evaluations: frames, mean, and both ends of its 95% interval.
        settings: of ``config.toml``, with dotted names.
    """

    name: str
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    evaluations: list[tuple[int, float, float, float]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)


def find_runs(folder: Path) -> list[Path]:
    """Return the run folders within ``folder``, the newest first."""
    histories = [path for path in folder.glob("*/history.jsonl") if path.is_file()]
    return [path.parent for path in sorted(histories, key=lambda path: -path.stat().st_mtime)]


def read_run(folder: Path) -> RunCurves:
    """Read the curves and settings of a run folder.

    Raises:
        OSError: it has no history that can be read.
    """
    run = RunCurves(folder.resolve().name)
    for line in read_history(folder / "history.jsonl"):
        values = line.get("values", {})
        if line["kind"] == "evaluation":
            result = line["result"]
            run.evaluations.append((line["frames"], result["mean"], *result["ci95"]["mean"]))
            values = evaluation_values(result)
        for name, value in values.items():
            if value is not None:
                run.curves.setdefault(name, []).append((line["frames"], value))
    settings = folder / "config.toml"
    if settings.exists():
        run.settings = flatten(tomllib.loads(settings.read_text(encoding="utf-8")))
    return run


def differing_settings(runs: Sequence[RunCurves]) -> list[tuple[str, list[str]]]:
    """Return the settings that are not equal in all runs, each with its value in every run (``-``: not given)."""
    names = sorted({name for run in runs for name in run.settings} - {"run"})
    table = [(name, [str(run.settings.get(name, "-")) for run in runs]) for name in names]
    return [(name, values) for name, values in table if len(set(values)) > 1]
