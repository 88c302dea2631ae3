"""One browser's page of the dashboard: gauges, cards, charts, the live game, controls.

The page is laid out here; what moves is drawn by ``dashboard.js`` from the rows that are sent to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import app, ui

from tempest_rainbow.monitor.dashboard.charts import CARDS, CHARTS, GAUGES

if TYPE_CHECKING:
    from tempest_rainbow.monitor.dashboard.state import Board

__all__ = ["Page", "build_page"]

_SCRIPT = "/tempest/dashboard.js"
app.add_static_file(local_file=Path(__file__).with_name("dashboard.js"), url_path=_SCRIPT)


_SLIDERS = (
    ("epsilon", "Epsilon", 0.01, "schedule/epsilon"),
    ("expert_ratio", "Expert ratio", 0.01, "schedule/expert_ratio"),
    ("imitation_weight", "Imitation weight", 0.01, "schedule/imitation_weight"),
    ("samples_per_insert", "Samples per insert", 0.5, "speed/samples_per_insert"),
    ("start_level", "Start level", 1, None),
)
_SLIDER_ENDS = {"imitation_weight": 4.0, "samples_per_insert": 64.0}
_SWITCHES = (
    ("training", "Training"),
    ("greedy", "Greedy"),
    ("expert_off", "Expert override"),
    ("expert_mode", "Expert mode"),
    ("auto_curriculum", "Auto-curriculum"),
    ("verbose", "Verbose log"),
)
_BUTTONS = (
    ("save", "Save", "save", None),
    ("pulse", "Epsilon pulse", "bolt", None),
    ("evaluate", "Evaluate", "grading", None),
    ("report", "Row now", "table_rows", None),
    ("flush_replay", "Flush replay", "delete_sweep", "Empty the whole replay?"),
    ("quit", "Save and quit", "stop", "Save and end the run?"),
)
_REPORTS = {"attention": ("Attention", "grid_on"), "replay": ("Replay statistics", "storage")}
"""Title and icon of the buttons that show a report of the trainer."""


class Page:
    """The elements of one open page that the server changes."""

    def __init__(self, board: Board) -> None:
        """Belong to ``board``."""
        self.board = board
        self.client = ui.context.client
        self.begun = False
        self.watching = False
        self.sliders: dict[str, ui.slider] = {}
        self.labels: dict[str, ui.label] = {}
        self.switches: dict[str, ui.switch] = {}

    def show_report(self, text: str) -> None:
        """Show a text that this page has asked for."""
        with self.client, ui.dialog() as dialog, ui.card().classes("max-w-none"):
            ui.label(text).classes("font-mono text-xs whitespace-pre").props("data-testid=report")
            dialog.on("hide", dialog.delete)
        dialog.open()

    def follow_schedules(self, row: dict[str, Any]) -> None:
        """Let the sliders that nobody has set show what the schedules say."""
        for name, _, _, metric in _SLIDERS:
            value = row["values"].get(metric)
            if value is not None and self.board.values[name] is None:
                self.sliders[name].set_value(round(value, 3))

    def show_settings(self, values: dict[str, Any]) -> None:
        """Bring every control to the present settings, whoever changed them."""
        for name, slider in self.sliders.items():
            value = values[name]
            self.labels[name].set_text("as scheduled" if value is None else f"{value:g}")
            if value is not None:
                slider.set_value(value)
        for name, switch in self.switches.items():
            switch.set_value(bool(values[name]))
        self.labels["learning_rate_factor"].set_text(f"rate x {values['learning_rate_factor']:g}")


def build_page(board: Board) -> None:
    """Lay out the page for a browser that has just come."""
    page = Page(board)
    dark = ui.dark_mode(value=None)
    ui.add_body_html(f'<script src="{_SCRIPT}"></script>')
    with ui.header().classes("items-center justify-between py-1"):
        ui.label(board.title).classes("text-lg font-bold")
        with ui.row().classes("items-center"):
            ui.label().props("id=status data-testid=status").classes("text-sm")
            ui.button(icon="dark_mode", on_click=lambda: dark.set_value(not dark.value)).props(
                "flat round color=white"
            )
    with ui.column().classes("w-full gap-3"):
        gauges = _gauges()
        _cards()
        charts = _charts()
        large = _large()
        with ui.grid().classes("w-full grid-cols-1 lg:grid-cols-2 gap-3"):
            with ui.column().classes("w-full gap-3"):
                _controls(page)
                _events()
            if board.live:
                _live(page)
    layout = {
        "gauges": {
            key: [element, metric, end] for (key, _, metric, end), element in zip(GAUGES, gauges, strict=True)
        },
        "charts": {
            chart.key: [element, chart.title, chart.series]
            for chart, element in zip(CHARTS, charts, strict=True)
        },
        "large": large,
        "cards": [[metric, form] for _, metric, form in CARDS],
    }

    def begin() -> None:
        page.begun = True
        board.pages[page.client.id] = page
        page.show_settings(board.values)
        if board.latest is not None:
            page.follow_schedules(board.latest)
        page.client.run_javascript(f"tempest.begin({json.dumps(layout)}, {json.dumps(board.opening())})")
        board.count_viewers()

    def resume() -> None:
        """Go on with a browser that had lost its connection, and what it missed."""
        if page.begun:
            begin()

    def end() -> None:
        if board.pages.pop(page.client.id, None) is not None:
            board.count_viewers()

    ui.on("tempest_ready", begin)
    page.client.on_connect(resume)
    page.client.on_disconnect(end)


def _gauges() -> list[int]:
    elements = []
    with ui.grid().classes("w-full grid-cols-2 md:grid-cols-4 gap-3"):
        for key, title, _, end in GAUGES:
            with ui.card().classes("items-center p-2"):
                chart = ui.echart(
                    {
                        "series": [
                            {
                                "type": "gauge",
                                "min": 0,
                                "max": 1 if end is None else end,
                                "radius": "100%",
                                "center": ["50%", "58%"],
                                "splitNumber": 2,
                                "progress": {"show": True, "width": 10},
                                "axisLine": {"lineStyle": {"width": 10, "color": [[1, "#8884"]]}},
                                "axisTick": {"show": False},
                                "splitLine": {"length": 8},
                                "axisLabel": {"distance": 12, "fontSize": 9, "color": "#888"},
                                "pointer": {"width": 3},
                                "detail": {"fontSize": 16, "color": "#888", "offsetCenter": [0, "70%"]},
                                "data": [{"value": 0}],
                            }
                        ]
                    }
                ).classes("w-full h-36")
                chart.props(f"data-testid=gauge-{key}")
                ui.label(title).classes("text-sm")
                elements.append(chart.id)
    return elements


def _cards() -> None:
    with ui.grid().classes("w-full grid-cols-2 sm:grid-cols-4 lg:grid-cols-6 gap-2"):
        for index, (title, _, _) in enumerate(CARDS):
            with ui.card().classes("p-2 gap-0"):
                ui.label(title).classes("text-xs opacity-70")
                ui.label("-").props(f"id=card{index} data-testid=card-{index}").classes("text-lg font-mono")


def _charts() -> list[int]:
    elements = []
    with ui.grid().classes("w-full grid-cols-1 sm:grid-cols-2 lg:grid-cols-4 gap-2"):
        for chart in CHARTS:
            card = ui.card().classes("p-2 gap-0 cursor-pointer").props(f"data-testid=chart-{chart.key}")
            card.on("click", js_handler=f"() => tempest.enlarge({json.dumps(chart.key)})")
            with card:
                ui.label(chart.title).classes("text-xs opacity-70")
                element = ui.echart({"series": []}).classes("w-full h-28")
                elements.append(element.id)
    return elements


def _large() -> int:
    """Lay out the view that fills the window with one chart; the browser opens and closes it by itself."""
    view = ui.element("dialog").props("id=large-view").classes("w-full h-full max-w-none max-h-none p-0")
    with view, ui.card().classes("w-full h-full p-2"):
        with ui.row().classes("w-full justify-between items-center"):
            ui.label().props("id=large-title").classes("text-lg")
            ui.toggle({"age": "by age", "frames": "by frames"}, value="age").on_value_change(
                lambda change: change.client.run_javascript(f"tempest.axis({json.dumps(change.value)})")
            )
            close = ui.button(icon="close").props("flat round data-testid=large-close")
            close.on("click", js_handler="() => document.getElementById('large-view').close()")
        chart = ui.echart({"series": []}).classes("w-full grow").props("data-testid=large")
    return chart.id


def _controls(page: Page) -> None:
    board = page.board
    with ui.card().classes("w-full gap-1"):
        ui.label("Controls").classes("text-sm font-bold")
        for name, title, step, _ in _SLIDERS:
            setting = board.settings[name]
            with ui.row().classes("w-full items-center no-wrap"):
                ui.label(title).classes("w-36 shrink-0 whitespace-nowrap text-sm")
                slider = ui.slider(
                    min=setting["low"],
                    max=_SLIDER_ENDS.get(name, setting["high"]),
                    step=step,
                    value=setting["low"],
                )
                slider.classes("grow").props(f"label data-testid=slider-{name}")
                slider.on(
                    "change", lambda event, name=name: board.command({"set": name, "value": event.args})
                )
                page.sliders[name] = slider
                page.labels[name] = (
                    ui.label()
                    .classes("w-20 shrink-0 whitespace-nowrap text-xs")
                    .props(f"data-testid=value-{name}")
                )
                reset = ui.button(icon="restart_alt").props(
                    f'flat round dense title="as scheduled" data-testid=reset-{name}'
                )
                reset.on_click(lambda name=name: board.command({"set": name, "value": None}))
        with ui.row().classes("items-center"):
            ui.label("Learning rate").classes("w-36 text-sm")
            for text, factor in (("halve", 0.5), ("double", 2.0)):
                ui.button(
                    text,
                    on_click=lambda factor=factor: board.command(
                        {
                            "set": "learning_rate_factor",
                            "value": board.values["learning_rate_factor"] * factor,
                        }
                    ),
                ).props(f"dense outline data-testid=rate-{text}")
            page.labels["learning_rate_factor"] = ui.label().classes("text-xs")
        with ui.row():
            for name, title in _SWITCHES:
                switch = ui.switch(title).props(
                    f'data-testid=switch-{name} title="{board.settings[name]["text"]}"'
                )
                switch.on(
                    "update:model-value",
                    lambda event, name=name: board.command({"set": name, "value": _truth(event.args)}),
                )
                page.switches[name] = switch
        with ui.row():
            for name, title, icon, question in _BUTTONS:
                button = ui.button(title, icon=icon).props(f"dense data-testid=button-{name}")
                button.on_click(lambda name=name, question=question: _request(board, name, question))
            for name in board.reports:
                title, icon = _REPORTS[name]
                asked = {"report": name, "page": page.client.id}
                ui.button(title, icon=icon, on_click=lambda asked=asked: board.command(asked)).props(
                    f"dense outline data-testid=report-{name}"
                )


def _truth(arguments: Any) -> bool:
    return bool(arguments[0] if isinstance(arguments, (list, tuple)) else arguments)


async def _request(board: Board, name: str, question: str | None) -> None:
    if question is not None:
        with ui.dialog() as dialog, ui.card():
            ui.label(question)
            with ui.row():
                ui.button("Yes", on_click=lambda: dialog.submit(True)).props("data-testid=yes")
                ui.button("No", on_click=lambda: dialog.submit(False)).props("outline")
        if not await dialog:
            return
    board.command({"request": name})


def _live(page: Page) -> None:
    def watch(change: Any) -> None:
        page.watching = bool(change.value)
        page.board.count_viewers()

    with ui.card().classes("w-full items-center"):
        ui.switch("Watch a game", on_change=watch).props("data-testid=watch")
        ui.html(
            '<div style="position:relative"><img id="live" alt="" style="max-height:480px;background:#000">'
            '<svg id="overlay" style="position:absolute;inset:0;width:100%;height:100%" viewBox="0 0 1 1" '
            'preserveAspectRatio="none"></svg></div>',
            sanitize=False,
        )


def _events() -> None:
    with ui.card().classes("w-full"):
        ui.label("Events").classes("text-sm font-bold")
        ui.html(
            '<div id="events" data-testid="events" style="height:14em;overflow:auto;font-size:0.8em"></div>',
            sanitize=False,
        ).classes("w-full")
