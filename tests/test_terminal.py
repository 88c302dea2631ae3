"""Rows and the live panel show what matters first, fit any width, and do not garble the log."""

from __future__ import annotations

import io
import logging
import re

import pytest
from rich.console import Console as RichConsole

from tempest_rainbow.monitor.keyboard import KEYS, key_table
from tempest_rainbow.monitor.metric_list import METRICS
from tempest_rainbow.monitor.metrics import Row
from tempest_rainbow.monitor.terminal import LivePanel, Rows, sparkline

FULL = Row(
    123_456,
    61.0,
    {
        "episodes/agent_score": 12_345.0,
        "episodes/agent_level": 5.25,
        "episodes/agent_deaths_per_level": 0.75,
        "speed/frames_per_second": 11_200.0,
        "progress/seconds_left": 539.0,
        "progress/frames": 123_456.0,
        "speed/learner_steps_per_second": 31.4,
        "schedule/epsilon": 0.005,
        "learner/loss": 2.125,
        "episodes/expert_score": 34_641.0,
        "schedule/expert_ratio": 0.25,
        "learner/q_min": -3.5,
        "learner/q_max": 17.25,
        "replay/fill": 0.5,
        "time/learn": 0.75,
    },
)
TEXTS = {
    "time": "0:01:01",
    "score": "12,345",
    "level": "5.2",
    "deaths/level": "0.75",
    "frames/s": "11.2K",
    "time left": "0:08:59",
    "frames": "123K",
    "steps/s": "31.4",
    "epsilon": "0.005",
    "loss": "2.125",
    "expert score": "34,641",
    "expert ratio": "0.25",
    "Q min": "-3.5",
    "Q max": "17.2",
    "replay fill": "50%",
}
"""What a reader has to find, the most important first."""

RESULT = {"games": 30, "mean": 42_197.0, "median": 40_000.0, "iqm": 41_000.0, "level_mean": None}
RESULT |= {"ci95": {"mean": [40_000.0, 44_000.0]}}


def written(width: int, rows: int = 1, *, verbose: bool = False) -> list[str]:
    paper = io.StringIO()
    monitor = Rows(RichConsole(file=paper, width=width, soft_wrap=True))
    monitor.verbose = verbose
    for _ in range(rows):
        monitor.row(FULL)
    return paper.getvalue().splitlines()


def panel_text(width: int = 80, height: int = 24, *, verbose: bool = False, page: str = "") -> list[str]:
    """Return the last picture of a panel after three rows, many events and an evaluation."""
    paper = io.StringIO()
    console = RichConsole(file=paper, width=width, height=height, force_terminal=True, color_system=None)
    panel = LivePanel(console, title="a run")
    panel.verbose = verbose
    for score in (1000.0, 2000.0, 12_345.0):
        panel.row(Row(FULL.frames, FULL.seconds, {**FULL.values, "episodes/agent_score": score}))
    for index in range(20):
        panel.event(2000 + index, "saved a checkpoint")
    panel.evaluation(3000, RESULT)
    if page:
        panel.show(page)
    console.print(panel._draw())
    return paper.getvalue().splitlines()


@pytest.mark.parametrize("width", [20, 30, 80, 132])
def test_a_narrow_terminal_gets_the_first_columns_on_one_line(width: int) -> None:
    header, row = written(width)
    assert max(len(header), len(row)) <= width
    shown = row.split()
    assert shown == list(TEXTS.values())[: len(shown)]
    assert len(shown) >= 2 or width < 30
    assert shown[0] == "0:01:01"


def test_a_wide_terminal_shows_every_column() -> None:
    header, row = written(400)
    assert re.split(r" {2,}", header.strip()) == [*TEXTS] or header.split() == " ".join(TEXTS).split()
    assert row.split() == list(TEXTS.values())


def test_headings_stand_above_their_numbers() -> None:
    header, row = written(400)
    for heading, text in TEXTS.items():
        end = re.search(rf"(?<!\S){re.escape(text)}(?!\S)", row)
        assert end is not None
        assert header[: end.end()].endswith(heading)


def test_the_header_returns_every_twenty_rows() -> None:
    assert sum("frames/s" in line for line in written(80, rows=41)) == 3


def test_verbose_rows_show_every_metric() -> None:
    lines = written(80, verbose=True)
    assert "time/learn" in " ".join(lines)
    assert max(map(len, lines)) <= 80


def test_the_panel_fits_its_terminal_and_shows_score_level_deaths_rate_and_time_first() -> None:
    for width, height in ((80, 24), (60, 16), (200, 50)):
        lines = panel_text(width, height)
        assert len(lines) <= height - 1
        assert max(map(len, lines)) <= width
    lines = panel_text()
    assert "a run" in lines[0]
    assert "10%" in lines[1]
    assert "0:08:59 left" in lines[1]
    top = " ".join(lines[2:5])
    for wanted in (
        "score",
        "12,345",
        "▁",
        "█",
        "level",
        "deaths/level",
        "0.75",
        "frames/s",
        "42,197",
        "best",
    ):
        assert wanted in top
    assert any("saved a checkpoint" in line for line in lines)
    assert any("epsilon" in line and "0.005" in line for line in lines)


def test_all_keys_fit_the_panel_at_80_by_24() -> None:
    lines = panel_text(page=key_table())
    assert len(lines) <= 23
    for text in KEYS.values():
        assert any(text in line for line in lines), text


def test_every_label_is_whole_at_80_columns() -> None:
    labels = [metric.label.replace("*", "96-100") for metric in METRICS if metric.name != "collect/dropped_*"]
    names = [metric.name.replace("*", "96-100") for metric in METRICS]
    panel = LivePanel(RichConsole(file=io.StringIO(), width=80, height=60))
    panel.verbose = True
    panel.row(Row(1, 1.0, dict.fromkeys(names, 0.5)))
    panel._console.print(panel._draw())
    shown = panel._console.file.getvalue()
    assert "…" not in shown
    for wanted in labels:
        assert wanted in shown or wanted == "time left"


def test_verbose_panels_show_more() -> None:
    assert not any("time/learn" in line for line in panel_text(120, 50))
    assert any("time/learn" in line for line in panel_text(120, 50, verbose=True))


def test_a_sparkline_rises_with_its_values_and_keeps_its_width() -> None:
    assert sparkline([1.0], 10) == ""
    assert sparkline([0.0, 1.0, 2.0], 10) == "▁▅█"
    assert sparkline([5.0, 5.0], 10) == "▁▁"
    assert len(sparkline(list(range(1000)), 12)) == 12


def test_the_panel_leaves_the_cursor_visible() -> None:
    paper = io.StringIO()
    with LivePanel(RichConsole(file=paper, width=120, force_terminal=True)).shown():
        pass
    text = paper.getvalue()
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")


def test_log_lines_go_above_the_panel_and_the_log_is_as_before_afterwards(
    monkeypatch: pytest.MonkeyPatch,
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
