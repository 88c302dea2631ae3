"""One browser's page of the dashboard: metrics, the live game, charts, controls.

The page is laid out here; ``dashboard.js`` draws what changes from the rows that it is sent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import app, ui

from tempest_rainbow.monitor.dashboard.charts import CARDS, CHARTS
from tempest_rainbow.monitor.metric_list import find

if TYPE_CHECKING:
    from tempest_rainbow.monitor.dashboard.view import RunView

__all__ = ["Page", "build_page"]

_SCRIPT = "/tempest/dashboard.js"
app.add_static_file(local_file=Path(__file__).with_name("dashboard.js"), url_path=_SCRIPT)

_STYLE = """<style>
.q-btn { min-height: 40px; }
@media (pointer: coarse), (max-width: 639px) { .q-btn, .q-toggle, .q-slider { min-height: 48px; min-width: 48px; } }
#live { display: block; max-width: 100%; max-height: 46vh; min-height: 200px; background: #000; }
#heat td { width: 1.2em; height: 1.2em; padding: 0; }
#heat th { font-weight: normal; padding: 0 0.2em; text-align: center; }
</style>"""

_SLIDERS = (
    ("epsilon", 0.005, "schedule/epsilon"),
    ("expert_ratio", 0.01, "schedule/expert_ratio"),
    ("imitation_weight", 0.01, "schedule/imitation_weight"),
    ("samples_per_insert", 0.5, "speed/samples_per_insert"),
    ("start_level", 1, None),
)
"""Setting, step, and the metric that shows what the schedule gives."""
_SLIDER_ENDS = {"imitation_weight": 4.0, "samples_per_insert": 64.0}
_SWITCHES = (
    ("training", "Training"),
    ("greedy", "Greedy"),
    ("expert_off", "Expert off"),
    ("expert_mode", "Expert only"),
    ("auto_curriculum", "Auto-curriculum"),
    ("verbose", "Verbose log"),
)
_BUTTONS = (
    ("save", "Save", "save", None),
    ("pulse", "Epsilon pulse", "bolt", None),
    ("evaluate", "Evaluate", "grading", None),
    ("report", "Row now", "table_rows", None),
    ("flush_replay", "Flush replay", "delete_sweep", "Empty the whole replay of {}?"),
    ("quit", "Save and quit", "stop", "Save and end the run {}?"),
)
"""Request, title, icon, and the question that a destructive button asks."""
_REPORTS = {"attention": ("Attention", "grid_on"), "replay": ("Replay statistics", "storage")}
"""Title and icon of the buttons that show a report of the trainer."""


class Page:
    """The elements of one open page that the server changes."""

    def __init__(self, view: RunView) -> None:
        """Belong to ``view``."""
        self.view = view
        self.client = ui.context.client
        self.started = False
        self.watching = view.live
        self.sliders: dict[str, ui.slider] = {}
        self.labels: dict[str, ui.label] = {}
        self.switches: dict[str, ui.switch] = {}

    def show_report(self, text: str) -> None:
        """Show a text that this page requested."""
        with self.client, ui.dialog() as dialog, ui.card().classes("max-w-none"):
            ui.label(text).classes("font-mono text-xs whitespace-pre").props("data-testid=report")
            dialog.on("hide", dialog.delete)
        dialog.open()

    def follow_schedules(self, row: dict[str, Any]) -> None:
        """Move the sliders that are not set by hand to the schedules' values."""
        for name, _, metric in _SLIDERS:
            value = row["values"].get(metric)
            if value is not None and self.view.values[name] is None:
                self.sliders[name].set_value(round(value, 4))
                self.labels[name].set_text(f"{value:.3g}, as scheduled")

    def show_settings(self, values: dict[str, Any]) -> None:
        """Set every control to the present settings."""
        for name, slider in self.sliders.items():
            value = values[name]
            self.labels[name].set_text("as scheduled" if value is None else f"{value:g}")
            if value is not None:
                slider.set_value(value)
        for name, switch in self.switches.items():
            switch.set_value(bool(values[name]))
        self.labels["learning_rate_factor"].set_text(f"x {values['learning_rate_factor']:g}")


def build_page(view: RunView) -> None:
    """Lay out the page for a browser that has just connected."""
    page = Page(view)
    dark = ui.dark_mode(value=None)
    ui.add_head_html(_STYLE)
    ui.add_body_html(f'<script src="{_SCRIPT}"></script>')
    ui.colors(negative="#e5484d")
    with ui.header().classes("items-center justify-between no-wrap py-1"):
        with ui.row().classes("items-center justify-between grow gap-x-2 gap-y-0"):
            ui.label(view.title).classes("text-lg font-bold break-all").props("data-testid=title")
            ui.label().props("id=status data-testid=status").classes("text-sm")
        with ui.row().classes("items-center no-wrap gap-1"):
            compare = ui.button(icon="stacked_line_chart").props(
                'flat dense color=white title="Compare runs"'
            )
            compare.props("data-testid=compare")
            compare.on("click", js_handler="() => { location.href = '/compare'; }")
            with compare:
                ui.label("Compare runs").classes("gt-sm ml-1")
            ui.button(icon="dark_mode", on_click=lambda: dark.set_value(not dark.value)).props(
                'flat round color=white title="dark or light"'
            )
    with ui.column().classes("w-full gap-3"):
        with ui.grid().classes("w-full grid-cols-1 lg:grid-cols-3 lg:grid-rows-[auto_1fr] gap-3"):
            width = "lg:col-span-2" if view.live else "lg:col-span-3"
            with ui.column().classes(f"w-full {width}"):
                _cards(large=True)
            if view.live:
                _live(page)
            with ui.column().classes(f"w-full gap-2 {width}"):
                charts = _charts(range(9), "lg:grid-cols-3")
        _cards(large=False)
        charts += _charts(range(9, len(CHARTS)), "lg:grid-cols-3")
        large = _large()
        with ui.grid().classes("w-full grid-cols-1 lg:grid-cols-2 gap-3"):
            _controls(page)
            _events()
    layout = {
        "charts": {
            chart.key: {"element": element, "title": chart.title, "series": chart.series}
            for chart, element in zip(CHARTS, charts, strict=True)
        },
        "large": large,
        "cards": [[metric, find(metric).form] for metric, _ in CARDS],
    }

    def start() -> None:
        page.started = True
        view.pages[page.client.id] = page
        page.show_settings(view.values)
        if view.latest is not None:
            page.follow_schedules(view.latest)
        page.client.run_javascript(f"tempest.start({json.dumps(layout)}, {json.dumps(view.opening())})")
        view.count_viewers()

    def resume() -> None:
        """Resume a browser that had lost its connection, and send what it missed."""
        if page.started:
            start()

    def end() -> None:
        if view.pages.pop(page.client.id, None) is not None:
            view.count_viewers()

    ui.on("tempest_ready", start)
    page.client.on_connect(resume)
    page.client.on_disconnect(end)


def _cards(*, large: bool) -> None:
    columns = (
        "grid-cols-2 sm:grid-cols-3 xl:grid-cols-6" if large else "grid-cols-2 sm:grid-cols-6 lg:grid-cols-12"
    )
    with ui.grid().classes(f"w-full {columns} gap-2"):
        for name, is_large in CARDS:
            if is_large != large:
                continue
            metric = find(name)
            with ui.card().classes("p-2 gap-0").props(f'title="{name}: {metric.meaning}"'):
                ui.label(metric.label).classes("text-xs opacity-70")
                value = ui.label("-").props(f'id="card-{name}" data-testid="card-{name}"')
                value.classes("text-2xl font-bold font-mono" if large else "text-sm font-mono")
                if name == "evaluation/mean":
                    ui.label("best -").props("id=best data-testid=best").classes("text-xs")


def _charts(indices: range, columns: str) -> list[int]:
    elements = []
    with ui.grid().classes(f"w-full grid-cols-1 sm:grid-cols-2 {columns} gap-2"):
        for chart in (CHARTS[index] for index in indices):
            card = ui.card().classes("p-2 gap-0 cursor-pointer").props(f"data-testid=chart-{chart.key}")
            card.on("click", js_handler=f"() => tempest.enlarge({json.dumps(chart.key)})")
            with card:
                ui.label(chart.title).classes("text-xs opacity-70")
                element = ui.echart({"series": []}).classes("w-full h-36")
                elements.append(element.id)
    ui.label("Time axes are logarithmic in age: recent minutes are wide, old hours narrow.").classes(
        "text-xs opacity-60"
    )
    return elements


def _large() -> int:
    """Lay out the view that fills the window with one chart; the browser opens and closes it by itself."""
    view = ui.element("dialog").props("id=large-view").classes("w-full h-full max-w-none max-h-none p-0")
    with view, ui.card().classes("w-full h-full p-2"):
        with ui.row().classes("w-full justify-between items-center"):
            ui.label().props("id=large-title").classes("text-lg")
            ui.toggle({"age": "by age (log)", "frames": "by frames"}, value="age").on_value_change(
                lambda change: change.client.run_javascript(f"tempest.axis({json.dumps(change.value)})")
            )
            close = ui.button(icon="close").props("flat round data-testid=large-close")
            close.on("click", js_handler="() => document.getElementById('large-view').close()")
        chart = ui.echart({"series": []}).classes("w-full grow").props("data-testid=large")
    return chart.id


def _controls(page: Page) -> None:
    view = page.view
    with ui.card().classes("w-full gap-1"):
        ui.label("Controls").classes("text-sm font-bold")
        for name, step, _ in _SLIDERS:
            setting = view.settings[name]
            with ui.row().classes("w-full items-center no-wrap"):
                ui.label(name.replace("_", " ").capitalize()).classes("w-24 sm:w-36 shrink-0 text-sm")
                slider = ui.slider(
                    min=setting["low"],
                    max=_SLIDER_ENDS.get(name, setting["high"]),
                    step=step,
                    value=setting["low"],
                )
                slider.classes("grow").props(f'label data-testid=slider-{name} title="{setting["text"]}"')
                slider.on("change", lambda event, name=name: view.command({"set": name, "value": event.args}))
                page.sliders[name] = slider
                page.labels[name] = (
                    ui.label().classes("w-16 sm:w-24 shrink-0 text-xs").props(f"data-testid=value-{name}")
                )
                reset = ui.button(icon="restart_alt").props(
                    f'flat round title="as scheduled" data-testid=reset-{name}'
                )
                reset.on_click(lambda name=name: view.command({"set": name, "value": None}))
        with ui.row().classes("items-center"):
            ui.label("Learning rate").classes("w-36 text-sm")
            for text, factor in (("halve", 0.5), ("double", 2.0)):
                ui.button(
                    text,
                    on_click=lambda factor=factor: view.command(
                        {"set": "learning_rate_factor", "value": view.values["learning_rate_factor"] * factor}
                    ),
                ).props(f"outline data-testid=rate-{text}")
            page.labels["learning_rate_factor"] = ui.label().classes("text-xs")
        with ui.row():
            for name, title in _SWITCHES:
                switch = ui.switch(title).props(
                    f'data-testid=switch-{name} title="{view.settings[name]["text"]}"'
                )
                switch.on(
                    "update:model-value",
                    lambda event, name=name: view.command({"set": name, "value": _truth(event.args)}),
                )
                page.switches[name] = switch
        with ui.row():
            for name, title, icon, question in _BUTTONS:
                look = "color=negative outline" if question is not None else ""
                button = ui.button(title, icon=icon).props(f"{look} data-testid=button-{name}")
                button.on_click(lambda name=name, question=question: _request(view, name, question))
            for name in view.reports:
                if name == "attention" and view.live:
                    continue  # It is drawn beside the game.
                title, icon = _REPORTS[name]
                asked = {"report": name, "page": page.client.id}
                ui.button(title, icon=icon, on_click=lambda asked=asked: view.command(asked)).props(
                    f"outline data-testid=report-{name}"
                )
            settings = view.folder / "config.toml"
            if settings.is_file():
                ui.button(
                    "Settings", icon="tune", on_click=lambda: page.show_report(settings.read_text())
                ).props("outline data-testid=settings")


def _truth(arguments: Any) -> bool:
    return bool(arguments[0] if isinstance(arguments, (list, tuple)) else arguments)


async def _request(view: RunView, name: str, question: str | None) -> None:
    if question is not None:
        with ui.dialog() as dialog, ui.card():
            ui.label(question.format(view.title))
            with ui.row():
                ui.button("Yes", on_click=lambda: dialog.submit(True)).props("color=negative data-testid=yes")
                ui.button("No", on_click=lambda: dialog.submit(False)).props("outline")
        if not await dialog:
            return
    view.command({"request": name})


def _live(page: Page) -> None:
    def watch(change: Any) -> None:
        page.watching = bool(change.value)
        page.view.count_viewers()

    with ui.card().classes("w-full items-center p-2 gap-1 lg:row-span-2"):
        ui.switch("Live game with attention", value=True, on_change=watch).props("data-testid=watch")
        ui.html(
            '<div style="position:relative"><img id="live" alt="">'
            '<svg id="overlay" style="position:absolute;inset:0;width:100%;height:100%" viewBox="0 0 1 1" '
            'preserveAspectRatio="none"></svg></div>',
            sanitize=False,
        )
        ui.html('<div id="heat" data-testid="heat" class="text-xs"></div>', sanitize=False)


def _events() -> None:
    with ui.card().classes("w-full"):
        ui.label("Events").classes("text-sm font-bold")
        ui.html(
            '<div id="events" data-testid="events" style="height:20em;overflow:auto;font-size:0.8em"></div>',
            sanitize=False,
        ).classes("w-full")
