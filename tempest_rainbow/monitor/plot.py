"""Draws one metric of several runs over frames, with evaluations and their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tempest_rainbow.monitor.compare import RunCurves, read_run
from tempest_rainbow.monitor.metric_list import find
from tempest_rainbow.monitor.svg_chart import Chart, round_step

__all__ = ["plot", "plot_runs"]

_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2")
_MOST_POINTS = 500


def plot_runs(runs: Sequence[RunCurves], metric: str) -> str:
    """Return an SVG with a curve of ``metric`` per run.

    Evaluations are points with their 95% intervals where the metric is a score.

    Raises:
        ValueError: a run does not have this metric.
    """
    for run in runs:
        if metric not in run.curves:
            raise ValueError(
                f"{run.name} has no {metric}; it has {', '.join(sorted(run.curves)) or 'no curves'}"
            )
    listed = find(metric)
    scores = listed.unit == "points"
    evaluations = [run.evaluations if scores else [] for run in runs]
    curves = [run.curves[metric] for run in runs]
    frames = [point[0] for curve in curves for point in curve]
    frames += [point[0] for points in evaluations for point in points]
    heights = [value for curve in curves for _, value in curve]
    heights += [value for points in evaluations for point in points for value in point[1:]]
    low, high = min(0.0, *heights), max(heights)
    margin = 0.05 * (high - low) or 1.0
    end = max(frames) or 1
    step = round_step(end)
    chart = Chart(
        end,
        high + margin,
        "frames",
        [step * tick for tick in range(int(end / step) + 1)],
        y_start=low - margin if low < 0 else 0.0,
        y_label=listed.title,
        title=listed.label + (", points: evaluations with 95% intervals" if any(evaluations) else ""),
    )
    for index, (run, curve, points) in enumerate(zip(runs, curves, evaluations, strict=True)):
        colour = _COLOURS[index % len(_COLOURS)]
        each = max(len(curve) // _MOST_POINTS, 1)
        chart.line([*curve[:-1:each], curve[-1]], colour, 'stroke-width="1.5"')
        chart.name(curve[-1][1], run.name, colour)
        for at, mean, lower, upper in points:
            chart.dot(at, mean, colour)
            chart.line([(at, lower), (at, upper)], colour, 'stroke-width="2"')
    return chart.svg()


def plot(folders: Sequence[Path], metric: str, output: Path) -> None:
    """Write the SVG of :func:`plot_runs` for run folders.

    Raises:
        OSError: a folder has no history.
        ValueError: a run does not have this metric.
    """
    output.write_text(plot_runs([read_run(folder) for folder in folders], metric), encoding="utf-8")
