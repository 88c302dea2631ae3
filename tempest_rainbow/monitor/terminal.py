"""A run in a terminal: one live panel with a progress bar, or rows of metrics under a header."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from typing import Any

from rich.console import Console as RichConsole
from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tempest_rainbow.monitor.console import Console, cells, evaluation_text
from tempest_rainbow.monitor.metric_list import COLUMNS, duration, find, format_count
from tempest_rainbow.monitor.metrics import Row, drop_reasons

__all__ = ["LivePanel", "Rows", "sparkline"]

_WIDTH = 9
_LABEL_WIDTH = 16
_HEADER_EVERY = 20
_KEPT_LINES = 8
_CURVES = COLUMNS[:4]
_CURVE_POINTS = 600
_PAGE_SECONDS = 60.0
_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """Return a curve of at most ``width`` characters; each shows the mean of its share of the values."""
    if len(values) < 2 or width < 2:
        return ""
    count = min(width, len(values))
    edges = [len(values) * index // count for index in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((mean - low) * scale)] for mean in means)


class Rows(Console):
    """Rows of metrics in columns under a header; events and evaluations are lines of the log between them.

    A narrow terminal gets fewer columns: those that matter most. In verbose mode, rows take several lines.
    """

    def __init__(self, console: RichConsole | None = None) -> None:
        """Write to ``console``, by default standard error."""
        super().__init__()
        self._console = (
            RichConsole(file=sys.stderr, highlight=False, soft_wrap=True) if console is None else console
        )
        self._rows = 0
        self._headings: list[str] = []

    def row(self, row: Row) -> None:
        """Write a row, and the header before every twentieth."""
        pairs = {"time": duration(row.seconds), **dict(cells(row, verbose=self.verbose))}
        if list(pairs) != self._headings or self._rows % _HEADER_EVERY == 0:
            self._headings = list(pairs)
            self.header()
            self._rows = 0
        self._rows += 1
        self._lines(list(pairs.values()), style="none")

    def header(self) -> None:
        """Write the header."""
        self._lines(self._headings or ["time"], style="bold cyan")

    def clear(self) -> None:
        """Empty the screen but for a header."""
        self._console.clear()
        self.header()
        self._rows = 1

    def show(self, text: str) -> None:
        """Write lines of text."""
        self._console.print(Text(text))

    def _lines(self, texts: list[str], style: str) -> None:
        widths = [max(len(heading), _WIDTH) for heading in self._headings or ["time"]]
        line, lines = "", []
        for text, width in zip(texts, widths, strict=True):
            cell = f"{text:>{width}}"
            if line and len(line) + 1 + len(cell) > self._console.width:
                lines.append(line)
                line = ""
            line = f"{line} {cell}" if line else cell
        lines.append(line)
        for index, each in enumerate(lines if self.verbose else lines[:1]):
            self._console.print(Text(each, style="dim" if index else style))


class LivePanel:
    """One panel that is redrawn in place: progress, time left, metrics with small curves, the last events.

    Log lines scroll above it: while it is shown, the root logger's stream handlers write through it.

    Attributes:
        verbose: show every metric.
        best: the best mean of an evaluation so far, NaN before the first.
    """

    def __init__(self, console: RichConsole | None = None, *, title: str = "tempest-rainbow") -> None:
        """Draw on ``console``, by default standard error, under ``title``."""
        self._console = RichConsole(file=sys.stderr, highlight=False) if console is None else console
        self._title = title
        self.verbose = False
        self.best = self._last = math.nan
        self._row: Row | None = None
        self._arrived = time.monotonic()
        self._evaluating = False
        self._curves: dict[str, deque[float]] = {name: deque(maxlen=_CURVE_POINTS) for name in _CURVES}
        self._notes: deque[str] = deque(maxlen=_KEPT_LINES)
        self._page, self._page_until = "", 0.0
        self._live = Live(
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=1,
            redirect_stdout=False,
            redirect_stderr=True,
        )

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the panel; at the end, whatever happens, the cursor and the logging are as before."""
        root = logging.getLogger()
        before = {
            handler: handler.stream
            for handler in root.handlers
            if type(handler) is logging.StreamHandler and handler.stream in (sys.stderr, sys.__stderr__)
        }
        with ExitStack() as stack:
            self._live.start()
            stack.callback(self._stop)
            for handler in before:
                handler.setStream(sys.stderr)  # rich's own writer, which prints above the panel
            try:
                yield
            finally:
                for handler, stream in before.items():
                    handler.setStream(stream)

    def _stop(self) -> None:
        """Leave the panel; a terminal that is gone needs nothing more."""
        with suppress(OSError):
            self._live.stop()

    def row(self, row: Row) -> None:
        """Show a row and extend the curves."""
        self._row, self._arrived, self._evaluating = row, time.monotonic(), False
        for name, curve in self._curves.items():
            if not math.isnan(value := row.values.get(name, math.nan)):
                curve.append(value)

    def event(self, frames: int, text: str) -> None:
        """Note what happened."""
        self._evaluating = text.startswith("evaluating")
        self._note(frames, text)

    def evaluation(self, frames: int, result: Mapping[str, Any]) -> None:
        """Note an evaluation."""
        self._last, self._evaluating = result["mean"], False
        self.best = self._last if math.isnan(self.best) else max(self.best, self._last)
        self._note(frames, evaluation_text(result))

    def _note(self, frames: int, text: str) -> None:
        self._page_until = 0.0
        self._notes.append(f"[{format_count(frames)}] {text}")

    def header(self) -> None:
        """Show a line: the panel always shows its headings."""
        self.show("the panel always shows its headings")

    def clear(self) -> None:
        """Empty the screen and forget the notes."""
        self._notes.clear()
        self._console.clear()

    def show(self, text: str) -> None:
        """Write a line above the panel; several lines stay in the panel for a minute or until shown again."""
        if "\n" not in text:
            self._page_until = 0.0
            self._console.print(Text(text))
            return
        again = text == self._page and time.monotonic() < self._page_until
        self._page, self._page_until = text, 0.0 if again else time.monotonic() + _PAGE_SECONDS
        if self._live.is_started:
            self._live.refresh()

    def close(self) -> None:
        """Nothing is held open; ``shown`` ends the panel."""

    def _draw(self) -> RenderableType:
        parts: list[RenderableType] = [self._progress()]
        room = max(self._console.height - 3 - len(parts), 1)
        if time.monotonic() < self._page_until:
            lines = self._page.splitlines()[:room]
            parts.extend(Text(line, overflow="ellipsis", no_wrap=True) for line in lines)
        elif self._row is not None:
            parts.extend(self._metrics(self._row, room))
        return Panel(
            Group(*parts),
            title=Text(self._title),
            subtitle="? lists the keys, q saves and quits",
            border_style="cyan",
        )

    def _metrics(self, row: Row, room: int) -> Iterator[RenderableType]:
        width = self._console.width - 4
        top = Table.grid(padding=(0, 2), expand=True)
        for _ in range(2):
            top.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        shown = [self._curve(name, width // 2) for name in _CURVES if self._curves[name]]
        shown.append(self._evaluation())
        for start in range(0, len(shown), 2):
            top.add_row(*shown[start : start + 2])
        yield top
        room -= (len(shown) + 1) // 2
        hidden = {find(name).label for name in (*_CURVES, "progress/seconds_left")}
        pairs = [pair for pair in cells(row, verbose=self.verbose) if pair[0] not in hidden]
        each = max(min(width // 25, 5), 1)
        most = max(room - min(len(self._notes), 4) - 1, 1)
        table = Table.grid(padding=(0, 1), expand=True)
        for _ in range(each):
            table.add_column(style="dim", no_wrap=True, overflow="ellipsis", width=_LABEL_WIDTH)
            table.add_column(justify="right", no_wrap=True, ratio=1)
        rows = [pairs[start : start + each] for start in range(0, len(pairs), each)][:most]
        for line in rows:
            table.add_row(*(text for pair in line for text in pair))
        yield table
        room -= len(rows)
        if reasons := drop_reasons(row.values):
            yield Text(f"dropped: {reasons}", style="yellow", no_wrap=True, overflow="ellipsis")
            room -= 1
        notes = list(self._notes)[-room:] if room > 0 else []
        yield from (Text(note, style="dim", overflow="ellipsis", no_wrap=True) for note in notes)

    def _curve(self, name: str, width: int) -> Text:
        metric, curve = find(name), list(self._curves[name])
        text = Text(f"{metric.label:12} ")
        text.append(f"{metric.text(curve[-1]):>8} ", style="bold")
        return text.append(sparkline(curve, width - 24), style="cyan")

    def _evaluation(self) -> Text:
        text = Text(f"{'evaluation':12} ")
        last, best = (find("evaluation/mean").text(value) for value in (self._last, self.best))
        text.append("running" if self._evaluating else f"{last:>8}", style="bold")
        return text.append(f" best {best}", style="cyan")

    def _progress(self) -> RenderableType:
        if self._row is None:
            return Text("waiting for the first row of metrics")
        passed = time.monotonic() - self._arrived
        seconds = self._row.seconds + passed
        left = self._row.values.get("progress/seconds_left", math.nan)
        if math.isnan(left):
            return Text(f"{duration(seconds)}, no end set")
        left = max(left - passed, 0.0)
        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column(ratio=1)
        line.add_column(no_wrap=True)
        share = seconds / max(seconds + left, 1e-9)
        line.add_row(
            ProgressBar(total=seconds + left, completed=seconds),
            f"{share:.0%}  {duration(seconds)} run time, {duration(left)} left",
        )
        return line
