"""Plain log lines: the metrics that matter, with rate and time left."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from tempest_rainbow.monitor.metric_list import COLUMNS, duration, find, format_count, label
from tempest_rainbow.monitor.metrics import Row, drop_reasons

__all__ = ["Console", "cells", "evaluation_text"]

_log = logging.getLogger(__name__)


def cells(row: Row, *, verbose: bool = False) -> list[tuple[str, str]]:
    """Return label and text of every column that the row has a value for, the most important first.

    Args:
        row: the metrics.
        verbose: all metrics, not the main ones only.
    """
    names = [*COLUMNS, *(sorted(row.values.keys() - set(COLUMNS)) if verbose else ())]
    known = [name for name in names if not math.isnan(row.values.get(name, math.nan))]
    return [(label(name), find(name).text(row.values[name])) for name in known]


def evaluation_text(result: Mapping[str, Any]) -> str:
    """Return the result of an evaluation as a clause."""
    low, high = result["ci95"]["mean"]
    text = (
        f"evaluation over {result['games']} games: mean {result['mean']:,.0f} (95% {low:,.0f} to {high:,.0f})"
    )
    text += f", median {result['median']:,.0f}, IQM {result['iqm']:,.0f}"
    if result["level_mean"] is not None:
        text += f", level {result['level_mean']:.1f} (max {result['level_max']})"
    return text


class Console:
    """Writes rows, events and evaluations to a log, by default the package's.

    Attributes:
        verbose: rows show every metric.
    """

    def __init__(self, log: logging.Logger = _log) -> None:
        """Write to ``log``."""
        self._log = log
        self.verbose = False

    def row(self, row: Row) -> None:
        """Write a row of metrics as one line."""
        parts = [duration(row.seconds), *(" ".join(cell) for cell in cells(row, verbose=self.verbose))]
        reasons = drop_reasons(row.values)
        self._log.info("%s", " | ".join(parts) + (f" ({reasons})" if reasons else ""))

    def event(self, frames: int, text: str) -> None:
        """Write what happened as one line."""
        self._log.info("[%s frames] %s", format_count(frames), text)

    def evaluation(self, frames: int, result: Mapping[str, Any]) -> None:
        """Write an evaluation as one line."""
        self.event(frames, evaluation_text(result))

    def close(self) -> None:
        """Nothing is held open."""
