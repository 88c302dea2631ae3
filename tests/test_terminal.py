"""Rows and the live panel show every metric, fit any width, and do not garble the log."""

from __future__ import annotations

import io
import logging
import re

import pytest
from rich.console import Console as RichConsole

from tempest_rainbow.monitor.metrics import Row
from tempest_rainbow.monitor.terminal import COLUMNS, LivePanel, Rows, cells

FULL = Row(
    123_456,
    61.0,
    {name: 0.5 + index for index, (_, name, _) in enumerate(COLUMNS)} | {"progress/seconds_left": 539.0},
)


def written(width: int, rows: int = 1) -> list[str]:
    paper = io.StringIO()
    monitor = Rows(RichConsole(file=paper, width=width, soft_wrap=True))
    for _ in range(rows):
        monitor.row(FULL)
    return paper.getvalue().splitlines()


@pytest.mark.parametrize("width", [30, 80, 132, 300])
def test_every_metric_is_shown_within_the_width(width: int) -> None:
    lines = written(width)
    assert max(len(line) for line in lines) <= width
    shown = " ".join(lines).split()
    for heading, text in cells(FULL):
        assert heading in shown
        assert text in shown


def test_headings_stand_above_their_numbers() -> None:
    header, row = written(300)
    ends = [match.end() for match in re.finditer(r"\S+", header)]
    assert ends == [match.end() for match in re.finditer(r"\S+", row)]
    assert len(ends) == len(COLUMNS)


def test_the_header_returns_every_twenty_rows() -> None:
    assert sum("frames/s" in line for line in written(300, rows=41)) == 3


def test_a_missing_metric_is_a_dash() -> None:
    assert all(text == "-" for _, text in cells(Row(0, 0.0, {})))


def test_the_panel_shows_progress_metrics_and_events() -> None:
    paper = io.StringIO()
    console = RichConsole(file=paper, width=120, force_terminal=True)
    panel = LivePanel(console)
    with panel.shown():
        panel.row(FULL)
        panel.event(2000, "saved a checkpoint")
    text = paper.getvalue()
    assert "10%" in text
    assert "0:08:59 to go" in text
    assert "[2K] saved a checkpoint" in text
    assert text.endswith("\x1b[?25h") or "\x1b[?25h" in text[-20:]


def test_log_lines_go_above_the_panel_and_the_log_is_as_before_afterwards(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = io.StringIO()
    root = logging.getLogger()
    monkeypatch.setattr("sys.stderr", paper)
    handler = logging.StreamHandler(paper)
    root.addHandler(handler)
    try:
        panel = LivePanel(RichConsole(file=paper, width=100, force_terminal=True))
        try:
            with panel.shown():
                logging.getLogger("anything").warning("a line of the log")
                raise KeyError("a crash")
        except KeyError:
            pass
        assert handler.stream is paper
        assert "a line of the log\n" in paper.getvalue()
    finally:
        root.removeHandler(handler)
