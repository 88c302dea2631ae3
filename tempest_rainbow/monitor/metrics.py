"""The hub through which a run reports to its monitors: metrics, histograms, evaluations, events."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Metrics", "Monitor", "Row", "drop_reasons", "sum_of_drops"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """The state of a run at one moment.

    Attributes:
        frames: frames collected so far, the x axis of every curve.
        seconds: seconds of this run so far, resumed parts included.
        values: metrics by name (``group/name``).
        histograms: raw values by name, for monitors that draw distributions.
        headline: to be shown as a row; other rows are points of curves only.
        film: path within the run's folder of a film of a game, in one row at the start of a run.
    """

    frames: int
    seconds: float
    values: Mapping[str, float]
    histograms: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    headline: bool = True
    film: str | None = None


_DROPPED = "collect/dropped"


def sum_of_drops(values: Mapping[str, float]) -> dict[str, float]:
    """Return how many clients or cluster runners are connected and were lost, over all reasons, by metric name.

    Args:
        values: the collector's metrics, with ``collect/dropped_<reason>`` or the names of ``cluster/``.
    """
    lost = sum(value for name, value in values.items() if name.startswith(f"{_DROPPED}_"))
    totals = {_DROPPED: lost + values.get("cluster/lost", 0.0)}
    if "cluster/runners" in values:
        totals["collect/clients"] = values["cluster/runners"]
    return totals


def drop_reasons(values: Mapping[str, float]) -> str:
    """Return why clients were dropped, the most frequent reason first, such as ``left 2, silent 1``; "" if none
    was."""
    reasons = {
        name.removeprefix(f"{_DROPPED}_"): value
        for name, value in values.items()
        if name.startswith(f"{_DROPPED}_") and value > 0
    }
    return ", ".join(
        f"{name} {reasons[name]:.0f}" for name in sorted(reasons, key=lambda name: (-reasons[name], name))
    )


class Monitor(Protocol):
    """Something that shows or records a run. Methods are called one at a time, from the trainer's threads; they
    should be quick."""

    def row(self, row: Row) -> None:
        """Take a row of metrics."""

    def event(self, frames: int, text: str) -> None:
        """Take a sentence about something that happened: a save, a steering action, a problem."""

    def evaluation(self, frames: int, result: Mapping[str, Any]) -> None:
        """Take the result of an evaluation (the keys of ``tempest-rainbow evaluate --json``)."""

    def close(self) -> None:
        """The run is over."""


class Metrics:
    """Passes rows, events and evaluations to every subscribed monitor.

    A monitor that raises is reported once and dropped: monitoring must never end a run.
    """

    def __init__(self) -> None:
        """Start without monitors."""
        self._lock = threading.RLock()
        self._monitors: list[Monitor] = []
        self._readers: list[Monitor] = []
        self._latest: Row | None = None

    @property
    def latest(self) -> Row | None:
        """The last row published, None before the first."""
        return self._latest

    def subscribe(self, monitor: Monitor, *, headlines_only: bool = False) -> None:
        """Add a monitor; with ``headlines_only`` it gets no rows in between."""
        with self._lock:
            self._monitors.append(monitor)
            if headlines_only:
                self._readers.append(monitor)

    def publish(self, row: Row) -> None:
        """Publish a row of metrics."""
        self._latest = row
        self._each(lambda monitor: monitor.row(row) if row.headline or monitor not in self._readers else None)

    def event(self, frames: int, text: str) -> None:
        """Publish a sentence about an event."""
        self._each(lambda monitor: monitor.event(frames, text))

    def evaluation(self, frames: int, result: Mapping[str, Any]) -> None:
        """Publish the result of an evaluation."""
        self._each(lambda monitor: monitor.evaluation(frames, result))

    def close(self) -> None:
        """Close all monitors and forget them."""
        self._each(lambda monitor: monitor.close())
        with self._lock:
            self._monitors = []

    def _each(self, call: Callable[[Monitor], None]) -> None:
        with self._lock:
            for monitor in list(self._monitors):
                try:
                    call(monitor)
                except Exception:
                    _log.exception("the monitor %s failed and is switched off", type(monitor).__name__)
                    self._monitors.remove(monitor)


class RunningMean:
    """Mean of what was added since the last ``take``."""

    def __init__(self) -> None:
        """Start empty."""
        self._sum: dict[str, float] = {}
        self._count: dict[str, int] = {}

    def add(self, values: Mapping[str, float]) -> None:
        """Add one value to each name's mean."""
        for name, value in values.items():
            self._sum[name] = self._sum.get(name, 0.0) + float(value)
            self._count[name] = self._count.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """Return the means and start over."""
        means = {name: total / self._count[name] for name, total in self._sum.items()}
        self._sum, self._count = {}, {}
        return {name: value for name, value in means.items() if not np.isnan(value)}
