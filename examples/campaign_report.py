"""The outcome of a campaign as JSON, a Markdown table and a picture; used by `campaign.py`."""

import json
from xml.sax.saxutils import escape

COLOURS = {
    "ours": "#1f77b4",
    "sb3-dqn": "#d62728",
    "sb3-ppo": "#9467bd",
    "expert": "#2ca02c",
    "random": "#7f7f7f",
}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 70, 130, 20, 50


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


def _step(highest):
    """Return a round number that goes four to eight times into ``highest``."""
    step = 1.0
    while highest / step > 8:
        step *= 2.5 if str(step).startswith("2") else 2
    return step


def picture(results):
    """Return an SVG: training curves of ours, and every judged run as points with 95% intervals."""
    minutes, judged = results["minutes"], results["judged"]
    scores = [row["ci95"]["mean"][1] for row in judged] + [
        y for c in results["curves"].values() for _, y in c
    ]
    highest = 1.05 * max([*scores, 1.0])

    def at(x, y):
        across = LEFT + (WIDTH - LEFT - RIGHT) * x / minutes
        return f"{across:.1f}", f"{HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / highest:.1f}"

    def line(points, colour, more=""):
        path = " ".join(",".join(at(x, y)) for x, y in points)
        return f'<polyline points="{path}" fill="none" stroke="{colour}" {more}/>'

    def text(x, y, words, more=""):
        return f'<text x="{x}" y="{y}" {more}>{escape(words)}</text>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    ]
    tick, step = 0.0, _step(highest)
    while tick < highest:
        parts.append(line([(0, tick), (minutes, tick)], "#dddddd"))
        parts.append(text(LEFT - 8, at(0, tick)[1], f"{tick:,.0f}", 'text-anchor="end" dy="4"'))
        tick += step
    for mark in sorted({0.0, *(row["minutes"] for row in judged)}):
        parts.append(text(at(mark, 0)[0], HEIGHT - BOTTOM + 18, f"{mark:g}", 'text-anchor="middle"'))
    parts.append(text(at(minutes / 2, 0)[0], HEIGHT - 12, "minutes of training", 'text-anchor="middle"'))
    for name, points in results["curves"].items():
        parts.append(line(points, _colour(name), 'opacity="0.35"'))
    named = []
    for row in judged:
        name, mean, (low, high) = row["policy"], row["mean"], row["ci95"]["mean"]
        colour = _colour(name)
        if row["minutes"] == 0.0:
            parts.append(line([(0, mean), (minutes, mean)], colour, 'stroke-dasharray="5 4"'))
        else:
            x, y = at(row["minutes"], mean)
            parts.append(f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>')
            parts.append(line([(row["minutes"], low), (row["minutes"], high)], colour, 'stroke-width="2"'))
        if row["minutes"] in (0.0, minutes):
            named.append((float(at(minutes, mean)[1]), name, colour))
    below = -1e9
    for height, name, colour in sorted(named):
        below = max(height, below + 14)
        parts.append(text(WIDTH - RIGHT + 12, f"{below:.1f}", name, f'fill="{colour}" dy="4"'))
    return "\n".join([*parts, "</svg>"]) + "\n"


def write_report(folder, results):
    """Write ``results`` into the folder as ``results.json``, ``.md`` and ``.svg``; return the table."""
    results = {**results, "above": verdicts(results["judged"], results["minutes"])}
    said = table(results["judged"])
    (folder / "results.json").write_text(json.dumps(results, indent=1))
    (folder / "results.md").write_text(said)
    (folder / "results.svg").write_text(picture(results))
    return said
