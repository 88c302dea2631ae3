"""The dashboard's history: bounded, in order, dense where it is recent, and true on average."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tempest_rainbow.monitor.dashboard.timeline import Point, Timeline


def filled(count: int, capacity: int, step: float = 5.0) -> Timeline:
    timeline = Timeline(capacity=capacity)
    for index in range(count):
        timeline.add(Point(1e9 + index * step, index * 100, {"x": float(index)}))
    return timeline


def test_few_points_are_kept_as_they_came() -> None:
    points = filled(20, capacity=10).points
    assert [point.values["x"] for point in points] == list(range(20))


@given(st.integers(1, 3000), st.integers(2, 50))
@settings(max_examples=50, deadline=None)
def test_memory_is_bounded_and_time_never_runs_back(count: int, capacity: int) -> None:
    points = filled(count, capacity).points
    assert len(points) <= 2 * capacity
    times = [point.time for point in points]
    assert times == sorted(times)
    assert points[-1].frames == (count - 1) * 100


def test_a_day_stays_dense_at_both_ends_of_the_logarithmic_axis() -> None:
    points = filled(17_280, capacity=400).points
    now = points[-1].time
    places = [math.log1p((now - point.time) / 60.0) for point in points]
    gaps = [a - b for a, b in itertools.pairwise(places)]
    assert max(gaps[: len(gaps) // 2]) < 0.1 * places[0]
    recent = [point for point in points if now - point.time < 60]
    assert len(recent) == 12


def test_thinning_keeps_the_mean_of_what_it_joins() -> None:
    timeline = Timeline(capacity=2, knee=1e9)
    for value in (1.0, 3.0, 5.0, 7.0, 9.0):
        timeline.add(Point(value, int(value), {"x": value} if value != 3.0 else {"y": 8.0}))
    first, *joined = timeline.points
    assert first.values == {"x": 1.0}
    assert [point.time for point in joined] == [5.0, 9.0]
    assert joined[0].values == {"x": pytest.approx(5.0), "y": 8.0}
    assert joined[1].values == {"x": pytest.approx(8.0)}
