"""Plain log lines: a row of the metrics that matter, with rate and time to go."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from tempest_rainbow.monitor.metrics import Row, drop_reasons

__all__ = ["COLUMNS", "Console", "duration", "format_count"]

_log = logging.getLogger(__name__)

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("score", "episodes/agent_score", "{:.0f}"),
    ("mixed", "episodes/mixed_score", "{:.0f}"),
    ("expert", "episodes/expert_score", "{:.0f}"),
    ("level", "episodes/agent_level", "{:.1f}"),
    ("length", "episodes/agent_length", "{:.0f}"),
    ("eps", "schedule/epsilon", "{:.3f}"),
    ("demo", "schedule/expert_ratio", "{:.2f}"),
    ("imit", "schedule/imitation_weight", "{:.2f}"),
    ("agree", "collect/agreement", "{:.2f}"),
    ("loss", "learner/loss", "{:.3f}"),
    ("grad", "learner/gradient_norm", "{:.2f}"),
    ("q", "learner/q", "{:.2f}"),
    ("lr", "schedule/learning_rate", "{:.1e}"),
    ("clients", "collect/clients", "{:.0f}"),
    ("dropped", "collect/dropped", "{:.0f}"),
    ("stale", "cluster/staleness_steps", "{:.0f}"),
)
"""What a line shows: label, metric, format; metrics that a run does not have are left out."""


def format_count(value: float) -> str:
    """Return a count in three or four characters and a unit: 950, 12.3K, 4.56M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.0f}"


def duration(seconds: float) -> str:
    """Return seconds as h:mm:ss."""
    whole = max(round(seconds), 0)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


class Console:
    """Writes rows, events and evaluations to a log, by default the package's."""

    def __init__(self, log: logging.Logger = _log) -> None:
        """Write to ``log``."""
        self._log = log

    def row(self, row: Row) -> None:
        """Write a row of metrics as one line."""
        values = row.values
        parts = [f"{duration(row.seconds)}", f"{format_count(row.frames)} frames"]
        parts.append(f"{values.get('speed/frames_per_second', 0.0):.0f}/s")
        parts.append(f"{values.get('speed/learner_steps_per_second', 0.0):.1f} steps/s")
        remaining = values.get("progress/seconds_left", math.nan)
        if not math.isnan(remaining):
            parts.append(f"ETA {duration(remaining)}")
        parts.extend(
            f"{label} {form.format(values[name])}"
            for label, name, form in COLUMNS
            if name in values and not math.isnan(values[name])
        )
        reasons = drop_reasons(values)
        self._log.info("%s", " | ".join(parts) + (f" ({reasons})" if reasons else ""))

    def event(self, frames: int, text: str) -> None:
        """Write what happened as one line."""
        self._log.info("[%s frames] %s", format_count(frames), text)

    def evaluation(self, frames: int, result: Mapping[str, Any]) -> None:
        """Write an evaluation as one line."""
        low, high = result["ci95"]["mean"]
        level = (
            ""
            if result["level_mean"] is None
            else f", level {result['level_mean']:.1f} (max {result['level_max']})"
        )
        self._log.info(
            "[%s frames] evaluation over %d games: mean %.0f (95%% %.0f to %.0f), median %.0f, IQM %.0f%s",
            format_count(frames),
            result["games"],
            result["mean"],
            low,
            high,
            result["median"],
            result["iqm"],
            level,
        )

    def close(self) -> None:
        """Nothing is held open."""
