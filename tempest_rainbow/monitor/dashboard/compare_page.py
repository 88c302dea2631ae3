"""The dashboard's page that compares a run with the other runs of the same parent folder."""

from __future__ import annotations

from pathlib import Path

from nicegui import run, ui

from tempest_rainbow.monitor.compare import RunCurves, differing_settings, find_runs, read_run
from tempest_rainbow.monitor.metric_list import find

__all__ = ["build_compare_page"]

_METRICS = (
    "episodes/agent_score",
    "evaluation/mean",
    "episodes/agent_level",
    "episodes/agent_deaths_per_level",
    "learner/loss",
    "speed/frames_per_second",
)
_MOST_RUNS = 20
_FIRST_RUNS = 4
_MOST_POINTS = 500


def build_compare_page(folder: Path) -> None:
    """Lay out the page; the newest runs are chosen at first.

    Args:
        folder: of the run that the dashboard belongs to; its siblings are offered.
    """
    ui.dark_mode(value=None)
    names = [path.name for path in find_runs(folder.parent)][:_MOST_RUNS]
    if folder.name in names:
        names = [folder.name, *(name for name in names if name != folder.name)]

    async def show() -> None:
        runs = [await run.io_bound(read_run, folder.parent / name) for name in choice.value or []]
        known = [each for each in runs if each is not None]  # None while the server closes
        body.clear()
        with body:
            _draw(known)

    with ui.header().classes("items-center justify-between py-1"):
        ui.label("Compare runs").classes("text-lg font-bold")
        ui.button("Back to the run", icon="arrow_back").props("flat color=white").on(
            "click", js_handler="() => { location.href = '/'; }"
        )
    choice = ui.select(names, multiple=True, value=names[:_FIRST_RUNS], label="Runs", on_change=show)
    choice.classes("w-full").props("use-chips data-testid=runs")
    body = ui.column().classes("w-full gap-3")
    ui.timer(0.1, show, once=True)


def _draw(runs: list[RunCurves]) -> None:
    with ui.grid().classes("w-full grid-cols-1 lg:grid-cols-2 gap-2"):
        for name in _METRICS:
            shown = [each for each in runs if name in each.curves]
            if shown:
                with ui.card().classes("w-full p-2 gap-0").props(f'data-testid="compare-{name}"'):
                    ui.echart(_chart(name, shown)).classes("w-full h-64")
    different = differing_settings(runs)
    ui.label("Settings that differ" if different else "All settings are equal.").classes("text-sm font-bold")
    if different:
        columns = [{"name": "name", "label": "setting", "field": "name", "align": "left"}]
        columns += [
            {"name": each.name, "label": each.name, "field": each.name, "align": "left"} for each in runs
        ]
        rows = [
            {"name": name, **dict(zip((each.name for each in runs), values, strict=True))}
            for name, values in different
        ]
        ui.table(columns=columns, rows=rows, row_key="name").classes("w-full").props(
            "dense flat data-testid=differences"
        )


def _chart(name: str, runs: list[RunCurves]) -> dict[str, object]:
    series = []
    for each in runs:
        points = each.curves[name]
        step = max(len(points) // _MOST_POINTS, 1)
        thinned = [list(point) for point in [*points[:-1:step], points[-1]]]
        series.append(
            {
                "name": each.name,
                "type": "line",
                "data": thinned,
                "showSymbol": len(points) < 30,
                "symbolSize": 5,
            }
        )
    axis = {"nameLocation": "middle", "nameGap": 26, "splitLine": {"lineStyle": {"opacity": 0.2}}}
    return {
        "title": {"text": find(name).title, "textStyle": {"fontSize": 13, "color": "#888"}},
        "legend": {"top": 20, "type": "scroll", "textStyle": {"fontSize": 10, "color": "#888"}},
        "tooltip": {"trigger": "axis"},
        "grid": {"left": 60, "right": 16, "top": 48, "bottom": 40},
        "xAxis": {"type": "value", "name": "frames", **axis},
        "yAxis": {"type": "value", "scale": True, "splitLine": {"lineStyle": {"opacity": 0.2}}},
        "series": series,
        "animation": False,
    }
