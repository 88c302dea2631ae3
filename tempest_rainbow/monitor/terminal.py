"""A run in a terminal: rows of metrics under a header, or one live panel with a progress bar."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from rich.console import Console as RichConsole
from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tempest_rainbow.monitor.console import Console, duration, format_count
from tempest_rainbow.monitor.metrics import Row, drop_reasons

__all__ = ["COLUMNS", "LivePanel", "Rows", "cells"]

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("frames", "progress/frames", "count"),
    ("frames/s", "speed/frames_per_second", "{:.0f}"),
    ("steps/s", "speed/learner_steps_per_second", "{:.1f}"),
    ("eps", "schedule/epsilon", "{:.3f}"),
    ("expert", "schedule/expert_ratio", "{:.2f}"),
    ("imit", "schedule/imitation_weight", "{:.2f}"),
    ("reward", "episodes/agent_reward", "{:.1f}"),
    ("exp.rew", "episodes/expert_reward", "{:.1f}"),
    ("score", "episodes/agent_score", "{:.0f}"),
    ("exp.score", "episodes/expert_score", "{:.0f}"),
    ("length", "episodes/agent_length", "{:.0f}"),
    ("level", "episodes/agent_level", "{:.1f}"),
    ("loss", "learner/loss", "{:.3f}"),
    ("grad", "learner/gradient_norm", "{:.2f}"),
    ("agree", "collect/agreement", "{:.2f}"),
    ("q.min", "learner/q_min", "{:.1f}"),
    ("q.max", "learner/q_max", "{:.1f}"),
    ("replay", "replay/fill", "{:.0%}"),
    ("clients", "collect/clients", "{:.0f}"),
    ("dropped", "collect/dropped", "{:.0f}"),
    ("lr", "schedule/learning_rate", "{:.1e}"),
    ("samp/ins", "speed/samples_per_insert", "{:.2f}"),
)
"""What a row shows: heading, metric, format."""

_WIDTH = 9
_HEADER_EVERY = 20
_KEPT_LINES = 8


def cells(row: Row) -> list[tuple[str, str]]:
    """Return heading and text of every column; a metric the row does not have is a dash."""
    result = []
    for heading, name, form in COLUMNS:
        value = row.values.get(name, math.nan)
        known = format_count(value) if form == "count" else form.format(value)
        result.append((heading, "-" if math.isnan(value) else known))
    return result


class Rows(Console):
    """Rows of metrics in columns under a header; events and evaluations are lines of the log between them.

    Where the terminal is too narrow for all columns, header and rows take two or more lines each.
    """

    def __init__(self, console: RichConsole | None = None) -> None:
        """Write to ``console``, by default standard error."""
        super().__init__()
        self._console = (
            RichConsole(file=sys.stderr, highlight=False, soft_wrap=True) if console is None else console
        )
        self._rows = 0

    def row(self, row: Row) -> None:
        """Write a row, and the header before every twentieth."""
        if self._rows % _HEADER_EVERY == 0:
            self.header()
        self._rows += 1
        self._lines([text for _, text in cells(row)], style="none")

    def header(self) -> None:
        """Write the header."""
        self._lines([heading for heading, _, _ in COLUMNS], style="bold cyan")

    def clear(self) -> None:
        """Empty the screen but for a header."""
        self._console.clear()
        self.header()
        self._rows = 1

    def show(self, text: str) -> None:
        """Write lines of text."""
        self._console.print(Text(text))

    def _lines(self, texts: list[str], style: str) -> None:
        each = max(self._console.width // (_WIDTH + 1), 1)
        block = Text(style=style)
        for start in range(0, len(texts), each):
            line = " ".join(f"{text:>{_WIDTH}}" for text in texts[start : start + each])
            # Only the first line of a row is bright, so that it shows where each row begins.
            block.append(f"{line}\n", style="dim" if start else "")
        self._console.print(block, end="")


class LivePanel:
    """One panel that is redrawn in place: progress, time to go, all metrics, the last events.

    Log lines scroll above it: while it is shown, the root logger's stream handlers write through it.
    """

    def __init__(self, console: RichConsole | None = None) -> None:
        """Draw on ``console``, by default standard error."""
        self._console = RichConsole(file=sys.stderr, highlight=False) if console is None else console
        self._row: Row | None = None
        self._arrived = time.monotonic()
        self._notes: deque[str] = deque(maxlen=_KEPT_LINES)
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
        """Show a row from now on."""
        self._row, self._arrived = row, time.monotonic()

    def event(self, frames: int, text: str) -> None:
        """Note what happened."""
        self._notes.append(f"[{format_count(frames)}] {text}")

    def evaluation(self, frames: int, result: Mapping[str, Any]) -> None:
        """Note an evaluation."""
        low, high = result["ci95"]["mean"]
        self.event(
            frames,
            f"evaluation over {result['games']} games: mean {result['mean']:.0f} "
            f"(95% {low:.0f} to {high:.0f}), median {result['median']:.0f}",
        )

    def header(self) -> None:
        """Say that the panel has its headings always."""
        self.show("the panel shows its headings always")

    def clear(self) -> None:
        """Empty the screen and forget the notes."""
        self._notes.clear()
        self._console.clear()

    def show(self, text: str) -> None:
        """Write lines of text above the panel."""
        self._console.print(Text(text))

    def close(self) -> None:
        """Nothing is held open; ``shown`` ends the panel."""

    def _draw(self) -> RenderableType:
        parts: list[RenderableType] = [self._progress()]
        if self._row is not None:
            table = Table.grid(padding=(0, 2), expand=True)
            pairs = cells(self._row)
            each = max(min((self._console.width - 4) // 22, 5), 1)
            for _ in range(each):
                table.add_column(justify="left", style="dim", no_wrap=True)
                table.add_column(justify="right", no_wrap=True)
            for start in range(0, len(pairs), each):
                table.add_row(*(text for pair in pairs[start : start + each] for text in pair))
            parts.append(table)
            reasons = drop_reasons(self._row.values)
            if reasons:
                parts.append(Text(f"dropped: {reasons}", style="yellow"))
        parts.extend(Text(note, style="dim", overflow="ellipsis", no_wrap=True) for note in self._notes)
        return Panel(Group(*parts), title="tempest-rainbow", subtitle="? lists the keys", border_style="cyan")

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
        bar = ProgressBar(total=seconds + left, completed=seconds)
        line.add_row(
            bar,
            f"{seconds / max(seconds + left, 1e-9):.0%}  {duration(seconds)} gone, {duration(left)} to go",
        )
        return line
