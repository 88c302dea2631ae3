"""Draws one curve of a run, over frames, with its evaluations as points, as SVG.

    pip install ".[rainbow]"
    python examples/plot_run.py runs/CartPole-v1-... episodes/agent_reward --output curve.svg

Any name of the README's table of curves will do; every run folder's `history.jsonl` holds them all.
"""

import argparse
import json
import sys
from pathlib import Path

from chart import Chart, round_step

CURVE, POINTS = "#1f77b4", "#d62728"


def read(run, metric):
    """Return (frames, value) of a metric, (frames, mean, low, high) of the evaluations, and all metrics' names."""
    curve, judged, names = [], [], set()
    for line in (run / "history.jsonl").read_text().splitlines():
        row = json.loads(line)
        values = row.get("values", {})
        names.update(values)
        if metric in values:
            curve.append((row["frames"], values[metric]))
        if row.get("kind") == "evaluation":
            judged.append((row["frames"], row["result"]["mean"], *row["result"]["ci95"]["mean"]))
    return curve, judged, names


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("metric", nargs="?", default="episodes/agent_score")
    parser.add_argument("--output", type=Path, default=Path("curve.svg"))
    options = parser.parse_args()
    curve, judged, names = read(options.run, options.metric)
    if not curve:
        sys.exit(
            f"{options.run / 'history.jsonl'} holds no {options.metric}; it holds {', '.join(sorted(names))}"
        )
    end = max(frames for frames, *_ in [*curve, *judged])
    highest = max(max(values) for _, *values in [*curve, *judged])
    step = round_step(end)
    chart = Chart(end, 1.05 * highest, "frames", [step * tick for tick in range(int(end / step) + 1)])
    chart.line(curve, CURVE)
    chart.name(curve[-1][1], options.metric.partition("/")[2], CURVE)
    for frames, mean, low, high in judged:
        chart.dot(frames, mean, POINTS)
        chart.line([(frames, low), (frames, high)], POINTS, 'stroke-width="2"')
    if judged:
        chart.name(judged[-1][1], "greedy, 95%", POINTS)
    options.output.write_text(chart.svg())
    print(f"{options.output} written")


if __name__ == "__main__":
    main()
