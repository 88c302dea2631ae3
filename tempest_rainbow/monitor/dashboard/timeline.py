"""A run's history in bounded memory: recent rows complete, old ones thinned out by their age."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Point", "Timeline"]


@dataclass(frozen=True)
class Point:
    """Metrics at one time, or their means over a short span that ended then.

    Attributes:
        time: seconds since the epoch.
        frames: frames collected by then.
        values: metrics by name; a metric may be missing.
    """

    time: float
    frames: int
    values: Mapping[str, float]


class Timeline:
    """Points in the order of time, at most twice ``capacity`` of them.

    When there are more, points whose ages fall into the same of ``capacity`` bins, evenly wide in
    log(1 + age / ``knee``), become one point with their means; so a curve over the logarithm of age
    stays equally dense everywhere however long the run is.
    """

    def __init__(self, capacity: int = 400, knee: float = 60.0) -> None:
        """Start empty.

        Args:
            capacity: number of bins.
            knee: age in seconds below which the axis is about linear.
        """
        self._capacity = capacity
        self._knee = knee
        self._points: list[Point] = []

    @property
    def points(self) -> list[Point]:
        """The points, oldest first."""
        return list(self._points)

    def add(self, point: Point) -> None:
        """Append a point that is not older than the last one."""
        self._points.append(point)
        if len(self._points) > 2 * self._capacity:
            self._thin()

    def _thin(self) -> None:
        now = self._points[-1].time
        span = math.log1p((now - self._points[0].time) / self._knee)
        width = max(span, 1e-9) / self._capacity
        bins: dict[int, list[Point]] = {}
        for point in self._points:
            bins.setdefault(int(math.log1p((now - point.time) / self._knee) / width), []).append(point)
        self._points = [_mean(points) for points in bins.values()]


def _mean(points: list[Point]) -> Point:
    if len(points) == 1:
        return points[0]
    last = points[-1]
    names: Iterable[str] = dict.fromkeys(name for point in points for name in point.values)
    values = {}
    for name in names:
        known = [point.values[name] for point in points if name in point.values]
        values[name] = sum(known) / len(known)
    return Point(last.time, last.frames, values)
