"""The report of a track: a table and plots over the runs of every player.

The statistics are those of Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical
Precipice": a run is one sample, whatever number of games measured it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, trim_mean

from tempest_gym.files import read_json, write_bytes
from tempest_rainbow.benchmark.tracks import SQUALL_SHA1, TRACKS, Track

__all__ = ["interval", "iqm", "read_results", "table", "write_report"]

_RESAMPLES = 5_000

Scores = NDArray[np.float64]


def iqm(scores: Scores, axis: int | None = None) -> Any:
    """Return the interquartile mean of normalised scores, shape ``(runs, tasks)``, over all of them or an axis."""
    return trim_mean(scores, 0.25, axis=axis)


def interval(
    scores: Scores, statistic: Callable[..., Any], resamples: int = _RESAMPLES
) -> tuple[Any, Any] | None:
    """Return the 95% percentile interval of ``statistic`` over runs, or None for a single run.

    Runs are drawn with replacement for each task apart (stratified bootstrap).

    Args:
        scores: float64, shape ``(runs, tasks)``.
        statistic: called as ``statistic(values, axis=-1)``; the last axis of ``values`` holds runs x tasks numbers.
        resamples: draws.
    """
    if len(scores) < 2:
        return None

    def together(*tasks: Scores, axis: int) -> Any:
        return statistic(np.concatenate(tasks, axis=axis), axis=axis)

    found = bootstrap(
        tuple(scores.T), together, n_resamples=resamples, method="percentile", vectorized=True, rng=0
    ).confidence_interval
    return found.low, found.high


def read_results(folder: Path, name: str) -> dict[str, list[dict[str, Any]]]:
    """Return the results of a track by player, in the order of the seeds.

    Raises:
        ValueError: a file is not a result of this track as it is now, or a training took more than the track allows.
    """
    players: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((folder / name).glob("*.json")):
        result = read_json(path)
        try:
            _check(result, name)
            players.setdefault(result["player"], []).append(result)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} cannot be used in track {name}: {error!r}") from error
    if not players:
        raise ValueError(f"{folder / name} holds no results")
    for runs in players.values():
        runs.sort(key=lambda run: run["seed"])
    return players


def _check(result: dict[str, Any], name: str) -> None:
    track = TRACKS[name]
    if result["track"] != name or set(result["tasks"]) != {str(task.start_level) for task in track.tasks}:
        raise ValueError(f"it is of track {result['track']!r} with tasks {sorted(result['tasks'])}")
    if result["game"] != SQUALL_SHA1:
        raise ValueError(f"its game is {result['game']}, expected {SQUALL_SHA1}")
    settings, expected = dict(result["settings"]), json.loads(json.dumps(asdict(track)))
    differing = [
        f"{key} {settings.get(key)}, expected {value}"
        for key, value in expected.items()
        if key != "summary" and settings.get(key) != value
    ]
    if differing:
        raise ValueError(f"its settings are {', '.join(differing)}")
    track.check_time(result.get("processor_minutes"))


def matrix(track: Track, runs: list[dict[str, Any]]) -> Scores:
    """Return the normalised results of a player, shape ``(runs, tasks)``."""
    return np.array(
        [
            [task.normalised(run["tasks"][str(task.start_level)]["result"]) for task in track.tasks]
            for run in runs
        ]
    )


def _row(track: Track, player: str, runs: list[dict[str, Any]]) -> str:
    scores = matrix(track, runs)
    bounds = interval(scores, iqm)
    spread = "" if bounds is None else f" ({bounds[0]:.2f}-{bounds[1]:.2f})"
    results = [float(np.mean([task["result"] for task in run["tasks"].values()])) for run in runs]
    shown = ", ".join(f"{result:,.0f}" if track.measure == "score" else f"{result:.2f}" for result in results)
    tasks = [task for run in runs for task in run["tasks"].values()]
    deaths = [task["deaths_per_level"] for task in tasks if task.get("deaths_per_level") is not None]
    games = sum(len(task["scores"]) for task in tasks)
    cut = sum(task["truncated"] for task in tasks) / games
    minutes = [run["processor_minutes"] for run in runs if run.get("processor_minutes") is not None]
    count = str(len(runs)) if len(runs) >= track.runs else f"{len(runs)} of {track.runs}"
    return (
        f"| {player} | {count if runs[0]['train'] else 'reference'} | {iqm(scores):.2f}{spread} | {shown} "
        f"| {f'{np.mean(deaths):.2f}' if deaths else '-'} | {cut:.0%} "
        f"| {f'{np.mean(minutes):.1f}' if minutes else '-'} |"
    )


def table(name: str, players: dict[str, list[dict[str, Any]]]) -> str:
    """Return the Markdown table of a track, the best player first."""
    track = TRACKS[name]
    order = sorted(players, key=lambda player: -iqm(matrix(track, players[player])))
    what = "mean score" if track.measure == "score" else "share of levels cleared"
    lines = [
        f"| player | runs | IQM (95%) | {what} of each run | deaths per level | truncated | processor minutes |",
        "|---|---|---|---|---|---|---|",
        *(_row(track, player, players[player]) for player in order),
    ]
    return "\n".join(lines) + "\n"


def write_report(folder: Path, name: str) -> str:
    """Write ``FOLDER/TRACK/report.md`` and ``report.svg`` and return the table."""
    players = read_results(folder, name)
    text = table(name, players)
    write_bytes(folder / name / "report.md", text.encode())
    _draw(TRACKS[name], players, folder / name / "report.svg")
    return text


def _draw(track: Track, players: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Draw interquartile means, performance profiles and training curves side by side."""
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tempest", "font.size": 9}):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(13, 4), layout="constrained")
        bars, profiles, curves = figure.subplots(1, 3)
        names = sorted(players, key=lambda player: iqm(matrix(track, players[player])))
        highest = max(matrix(track, runs).max() for runs in players.values())
        marks = np.linspace(0.0, max(1.05 * highest, 0.1), 61)
        unit = "score (0: random, 1: teacher)" if track.measure == "score" else "share of levels cleared"
        for place, name in enumerate(names):
            scores, colour = matrix(track, players[name]), f"C{place % 10}"
            bars.plot(iqm(scores), place, "o", color=colour)
            if (bounds := interval(scores, iqm)) is not None:
                bars.plot(bounds, [place, place], color=colour, linewidth=5, alpha=0.4)

            def above(values: Scores, axis: int = -1) -> Scores:
                return np.mean(np.expand_dims(values, 0) > marks.reshape(-1, *[1] * values.ndim), axis=axis)

            profiles.step(marks, above(scores.ravel()), color=colour)
            if (bounds := interval(scores, above, 500)) is not None:
                profiles.fill_between(marks, *bounds, color=colour, alpha=0.15, step="pre")
            for run in players[name]:
                points = np.array(run["curve"]).reshape(-1, 3)
                curves.plot(points[:, 0], points[:, 2], color=colour, linewidth=1)
        bars.set(yticks=range(len(names)), yticklabels=names, xlabel=f"interquartile mean, {unit}")
        profiles.set(xlabel=unit, ylabel="share of runs above", ylim=(-0.02, 1.02))
        for place, label in enumerate(bars.get_yticklabels()):
            label.set_color(f"C{place % 10}")
        curves.set(xlabel="minutes of training", ylabel="score of training games")
        for axes in (bars, profiles, curves):
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, metadata={"Date": None})
