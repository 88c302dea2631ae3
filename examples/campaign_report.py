"""The outcome of a campaign as JSON, a Markdown table and a picture; used by `campaign.py`."""

import json

from tempest_rainbow.monitor.svg_chart import Chart

COLOURS = {
    "ours": "#1f77b4",
    "sb3-dqn": "#d62728",
    "sb3-ppo": "#9467bd",
    "expert": "#2ca02c",
    "random": "#7f7f7f",
}


def table(judged):
    """Return the Markdown table of what `evaluate` said of each run."""
    lines = [
        "| player | minutes | mean (95%) | median | IQM (95%) | level mean (highest) |",
        "|---|---|---|---|---|---|",
    ]
    for row in judged:
        (low, high), (iqm_low, iqm_high) = row["ci95"]["mean"], row["ci95"]["iqm"]
        lines.append(
            f"| {row['policy']} | {row['minutes']:g} | {row['mean']:,.0f} ({low:,.0f}-{high:,.0f}) "
            f"| {row['median']:,.0f} | {row['iqm']:,.0f} ({iqm_low:,.0f}-{iqm_high:,.0f}) "
            f"| {row['level_mean']:.1f} ({row['level_max']}) |"
        )
    return "\n".join(lines) + "\n"


def verdicts(judged, minutes):
    """Return for each run of ours whether its interval, after all its time, lies above each other player's."""
    last = {row["policy"]: row for row in judged if row["minutes"] in (0.0, minutes)}
    others = [name for name in last if not name.startswith("ours")]
    return {
        name: {other: last[name]["ci95"]["mean"][0] > last[other]["ci95"]["mean"][1] for other in others}
        for name in last
        if name.startswith("ours")
    }


def _colour(name):
    return next(colour for start, colour in COLOURS.items() if name.startswith(start))


def picture(results):
    """Return an SVG: training curves, and a curve through each player's evaluations with 95% intervals."""
    minutes, judged = results["minutes"], results["judged"]
    scores = [row["ci95"]["mean"][1] for row in judged]
    scores += [score for points in results["curves"].values() for _, score in points]
    marks = sorted({0.0, *(row["minutes"] for row in judged)})
    chart = Chart(minutes, 1.05 * max([*scores, 1.0]), "minutes of training", marks, y_label="score (points)")
    for name, points in results["curves"].items():
        chart.line(points, _colour(name), 'opacity="0.35"')
    for name in {row["policy"]: None for row in judged if row["minutes"] > 0.0}:
        points = sorted((row["minutes"], row["mean"]) for row in judged if row["policy"] == name)
        chart.line(points, _colour(name), 'stroke-width="1.5"')
    for row in judged:
        mean, interval, colour = row["mean"], row["ci95"]["mean"], _colour(row["policy"])
        if row["minutes"] == 0.0:
            chart.line([(0, mean), (minutes, mean)], colour, 'stroke-dasharray="5 4"')
        else:
            chart.dot(row["minutes"], mean, colour)
            chart.line([(row["minutes"], score) for score in interval], colour, 'stroke-width="2"')
        if row["minutes"] in (0.0, minutes):
            chart.name(mean, row["policy"], colour)
    return chart.svg()


def write_report(folder, results):
    """Write ``results`` into the folder as ``results.json``, ``.md`` and ``.svg``; return the table."""
    results = {**results, "above": verdicts(results["judged"], results["minutes"])}
    said = table(results["judged"])
    (folder / "results.json").write_text(json.dumps(results, indent=1))
    (folder / "results.md").write_text(said)
    (folder / "results.svg").write_text(picture(results))
    return said
