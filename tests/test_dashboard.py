"""The dashboard in a real browser: it shows what a run does, steers it, and survives a restart."""

from __future__ import annotations

import base64
import io
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tempest_rainbow.config.settings import DashboardConfig
from tempest_rainbow.monitor.controls import Controls
from tempest_rainbow.monitor.dashboard.client import Dashboard, DashboardError
from tempest_rainbow.monitor.history import History, read_history
from tempest_rainbow.monitor.metric_list import EVALUATION, METRICS
from tempest_rainbow.monitor.metrics import Row

TOKEN = "correct horse battery staple"
_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert path is not None, "these tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_QUIET)
        yield browser
        browser.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def row(index: int) -> Row:
    values = {
        "learner/loss": 2.0 + index,
        "episodes/agent_reward": 10.0 * index,
        "episodes/agent_score": 100.0 * index,
        "schedule/epsilon": 0.005,
        "progress/seconds_left": 3661.0,
        "schedule/expert_ratio": 0.5,
        "speed/frames_per_second": 30_000.0,
        "collect/clients": 12.0,
        "collect/dropped": 3.0,
        "collect/dropped_left": 2.0,
        "collect/dropped_silent": 1.0,
    }
    return Row(1000 * index, 5.0 * index, values)


def picture() -> dict[str, Any]:
    file = io.BytesIO()
    Image.fromarray(np.full((64, 48, 3), 200, np.uint8)).save(file, "jpeg")
    lanes = [[0.5 + 0.4 * np.cos(a), 0.5 + 0.4 * np.sin(a)] for a in np.linspace(0, 6, 16)]
    enemies = [[0.5, 0.5]] + [None] * 6
    attention = [[1.0] + [0.0] * 6] * 16
    jpeg = base64.b64encode(file.getvalue()).decode()
    return {"jpeg": jpeg, "lanes": lanes, "enemies": enemies, "attention": attention}


class Run:
    """A run without a trainer: controls, history and dashboard."""

    def __init__(self, folder: Path, port: int, **settings: Any) -> None:
        os.environ.pop("PYTEST_CURRENT_TEST", None)  # NiceGUI changes its ways where it sees this
        self.controls = Controls()
        self.history = History(folder / "history.jsonl")
        self.dashboard = Dashboard(
            DashboardConfig(port=port, **settings),
            self.controls,
            title="a test run",
            history=folder / "history.jsonl",
            picture=picture,
            reports={"attention": lambda: "lane  0\n   0  0.25", "replay": lambda: "fill  0.5"},
        )
        self.port = self.dashboard.port
        self.count = 0
        self.controls.listen(lambda event: self.dashboard.event(1000 * self.count, str(event)))
        wait_until(lambda: answers(self.port))

    def proceed(self, rows: int = 1) -> None:
        for _ in range(rows):
            self.count += 1
            self.history.row(row(self.count))
            self.dashboard.row(row(self.count))

    def close(self) -> None:
        self.dashboard.close()
        self.history.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path, free_port())
    yield run
    run.close()


def wait_until(condition: Callable[[], Any], why: str = "waited in vain", seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, why
        time.sleep(0.05)


def visit(browser: Browser, run: Run | Training, width: int = 1300, height: int = 1400) -> Page:
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(120_000)
    page.goto(f"http://127.0.0.1:{run.port}/")
    page.wait_for_function(
        "window.tempest && document.querySelector('[data-testid=value-epsilon]')?.innerText"
    )
    return page


def text(page: Page, name: str) -> str:
    return page.inner_text(f"[data-testid={name}]")


def card(page: Page, name: str) -> str:
    return page.inner_text(f'[data-testid="card-{name}"]')


def loss(page: Page) -> float:
    shown = card(page, "learner/loss")
    return math.nan if shown == "-" else float(shown)


def slide(page: Page, name: str, share: float) -> None:
    box = page.locator(f"[data-testid=slider-{name}]").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)


def test_cards_and_charts_follow_the_rows(browser: Browser, run: Run) -> None:
    page = visit(browser, run)
    run.proceed(3)
    wait_until(lambda: page.evaluate("tempest.points") == 3 and loss(page) == 5.0)
    shown = {
        "schedule/epsilon": "0.005",
        "speed/frames_per_second": "30K",
        "collect/clients": "12",
        "collect/dropped": "3: left 2, silent 1",
        "episodes/agent_score": "300",
        "progress/seconds_left": "1:01:01",
    }
    assert {name: card(page, name) for name in shown} == shown
    assert text(page, "title") == "a test run"
    run.proceed()
    wait_until(lambda: loss(page) == 6.0)
    page.close()


def test_the_browser_formats_every_metric_as_the_terminal_does(browser: Browser, run: Run) -> None:
    page = visit(browser, run)
    for metric in METRICS + EVALUATION:
        for value in (0.0, 0.00025, 0.375, 12.34, 993.0, 1234.0, 4000.0, 123_456.0, 2_345_678.0):
            assert page.evaluate("([v, form]) => tempest.text(v, form)", [value, metric.form]) == metric.text(
                value
            )
    page.close()


def test_a_small_chart_opens_large_and_zooms(browser: Browser, run: Run) -> None:
    run.proceed(20)
    page = visit(browser, run)
    page.click("[data-testid=chart-score]")
    page.wait_for_function("document.getElementById('large-title')?.innerText === 'Score (points)'")
    element = page.get_attribute("[data-testid=large]", "id")
    assert element is not None
    chart = f"getElement({element.removeprefix('c')}).chart"
    page.wait_for_function(f"{chart}.getOption().dataZoom?.length === 3")
    page.wait_for_selector("[data-testid=large] canvas")
    box = page.locator("[data-testid=large] canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -400)
    page.wait_for_function(
        f"{chart}.getOption().dataZoom[0].end - {chart}.getOption().dataZoom[0].start < 99"
    )
    page.close()


def test_rows_in_quick_succession_are_drawn_together(browser: Browser, run: Run) -> None:
    page = visit(browser, run)
    element = page.get_attribute("[data-testid=chart-loss] .nicegui-echart", "id")
    assert element is not None
    chart = f"getElement({element.removeprefix('c')}).chart"
    page.evaluate(
        f"draw = {chart}.setOption.bind({chart}); drawn = 0; {chart}.setOption = (...a) => (drawn++, draw(...a)); null"
    )
    run.proceed(300)
    wait_until(lambda: page.evaluate("tempest.points") == 300 and loss(page) == 302.0)
    assert page.evaluate("drawn") < 100
    page.close()


def test_a_large_chart_is_closed_by_button_and_key(browser: Browser, run: Run) -> None:
    run.proceed(2)
    page = visit(browser, run)
    for close in (
        lambda: page.click("[data-testid=large-close]"),
        lambda: page.keyboard.press("Escape"),
    ):
        page.click("[data-testid=chart-loss]")
        page.wait_for_function("document.getElementById('large-title')?.innerText === 'Loss'")
        close()
        page.wait_for_selector("[data-testid=large]", state="hidden")
    page.close()


def test_a_browser_that_loses_its_connection_gets_what_it_missed(browser: Browser, run: Run) -> None:
    run.proceed(2)
    page = visit(browser, run)
    wait_until(lambda: page.evaluate("tempest.points") == 2)
    page.evaluate("window.same = true; socket.io.engine.close()")
    wait_until(lambda: run.dashboard.viewers == 0)
    run.proceed(2)
    wait_until(lambda: run.dashboard.viewers == 1)
    run.proceed(2)
    wait_until(lambda: page.evaluate("tempest.points") == 6 and loss(page) == 8.0)
    assert page.evaluate("window.same"), "the page was reloaded"
    page.close()


def test_two_viewers_agree_and_the_trainer_obeys(browser: Browser, run: Run) -> None:
    one, two = visit(browser, run), visit(browser, run)
    wait_until(lambda: run.dashboard.viewers == 2)
    slide(one, "epsilon", 0.5)
    wait_until(lambda: run.controls["epsilon"] is not None)
    assert run.controls["epsilon"] == pytest.approx(0.5, abs=0.05)
    shown = f"{run.controls['epsilon']:g}"
    wait_until(lambda: text(one, "value-epsilon") == text(two, "value-epsilon") == shown)
    two.click("[data-testid=reset-epsilon]")
    wait_until(lambda: run.controls["epsilon"] is None)
    wait_until(lambda: text(one, "value-epsilon") == "as scheduled")
    two.click("[data-testid=switch-greedy]")
    wait_until(lambda: run.controls["greedy"])
    wait_until(lambda: one.get_attribute("[data-testid=switch-greedy]", "aria-checked") == "true")
    wait_until(lambda: "greedy off -> on" in text(one, "events"))
    one.close()
    two.close()
    wait_until(lambda: run.dashboard.viewers == 0)


def test_buttons_ask_before_they_destroy(browser: Browser, run: Run) -> None:
    page = visit(browser, run)
    page.click("[data-testid=button-save]")
    wait_until(lambda: run.controls.take("save"))
    page.click("[data-testid=button-flush_replay]")
    page.wait_for_selector("[data-testid=yes]")
    assert not run.controls.pending("flush_replay")
    page.click("[data-testid=yes]")
    wait_until(lambda: run.controls.take("flush_replay"))
    page.click("[data-testid=rate-halve]")
    wait_until(lambda: run.controls["learning_rate_factor"] == 0.5)
    page.close()


def test_reports_open_on_the_page_that_asks(browser: Browser, run: Run) -> None:
    page, other = visit(browser, run), visit(browser, run)
    page.click("[data-testid=report-replay]")
    page.wait_for_function("document.querySelector('[data-testid=report]')?.innerText === 'fill  0.5'")
    assert other.locator("[data-testid=report]").count() == 0
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-testid=report]", state="detached")
    page.close()
    other.close()


def test_the_game_and_its_attention_are_on_at_once_above_the_fold(browser: Browser, run: Run) -> None:
    page = visit(browser, run, 1440, 900)
    page.wait_for_function("document.getElementById('live')?.naturalWidth === 48")
    page.wait_for_function("document.querySelectorAll('#overlay line').length === 16")
    box = page.locator("#live").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 900
    heat = "[...document.querySelectorAll('#heat td')].map(e => e.title)"
    assert page.evaluate(heat) == ["1.00"] * 16
    page.click("[data-testid=watch]")
    wait_until(lambda: not run.dashboard.watched)
    page.close()
    wait_until(lambda: run.dashboard.viewers == 0)


def test_an_evaluation_shows_itself_while_it_plays_and_its_best_stays(browser: Browser, run: Run) -> None:
    page = visit(browser, run)
    run.dashboard.event(1000, "evaluating: 30 games")
    wait_until(lambda: text(page, "status") == "evaluating: 30 games")
    for mean in (2000.0, 1500.0):
        result = {"games": 30, "mean": mean, "median": 1.0, "iqm": 2.0, "level_mean": None, "level_max": None}
        run.dashboard.evaluation(1000, {**result, "ci95": {"mean": [1000.0, 3000.0]}})
    wait_until(lambda: card(page, "evaluation/mean") == "1,500" and text(page, "best") == "best 2,000")
    page.close()


def test_a_chart_has_a_legend_values_under_the_pointer_and_a_label_for_its_logarithmic_axis(
    browser: Browser, run: Run
) -> None:
    run.proceed(5)
    page = visit(browser, run)
    chart = page.locator("[data-testid=chart-score]")
    chart.hover()
    page.wait_for_function(
        "document.querySelector('[data-testid=chart-score]').innerText.includes('agent: 500')"
        " || [...document.querySelectorAll('[data-testid=chart-score] div')].some(e => /agent: ?\\d/.test(e.innerText))"
    )
    element = page.get_attribute("[data-testid=chart-score] .nicegui-echart", "id")
    assert element is not None
    assert page.evaluate(f"getElement({element.removeprefix('c')}).chart.getOption().legend[0].show")
    assert "logarithmic" in page.inner_text("body")
    page.close()


def test_destructive_buttons_look_different_and_name_the_run(browser: Browser, run: Run) -> None:
    page = visit(browser, run)
    colour = "e => getComputedStyle(e).color"
    save, quit_button = (page.locator(f"[data-testid=button-{name}]") for name in ("save", "quit"))
    assert save.evaluate(colour) != quit_button.evaluate(colour)
    quit_button.click()
    page.wait_for_selector("text=Save and end the run a test run?")
    assert not run.controls.pending("quit")
    page.close()


def test_runs_are_compared_by_curves_and_settings(browser: Browser, tmp_path: Path) -> None:
    for name, rate in (("one", 0.1), ("two", 0.2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").write_text(f"envs = 4\n[learner]\nlearning_rate = {rate}\n")
        history = History(tmp_path / name / "history.jsonl")
        for index in range(1, 4):
            history.row(row(index))
        history.close()
    run = Run(tmp_path / "one", free_port())
    try:
        page = visit(browser, run)
        page.click("[data-testid=settings]")
        assert "learning_rate = 0.1" in page.inner_text("[data-testid=report]")
        page.keyboard.press("Escape")
        page.wait_for_selector("[data-testid=report]", state="detached")
        page.click("[data-testid=compare]")
        page.wait_for_selector("[data-testid=differences]")
        table = page.inner_text("[data-testid=differences]")
        assert "learner.learning_rate" in table
        assert "0.1" in table
        assert "0.2" in table
        assert "envs" not in table
        element = page.get_attribute("[data-testid='compare-episodes/agent_score'] .nicegui-echart", "id")
        assert element is not None
        series = page.evaluate(
            f"getElement({element.removeprefix('c')}).chart.getOption().series.map(s => [s.name, s.data.at(-1)])"
        )
        assert sorted(series) == [["one", [3000, 300]], ["two", [3000, 300]]]
        page.close()
    finally:
        run.close()


def test_controls_on_a_phone_can_be_hit(browser: Browser, run: Run) -> None:
    page = visit(browser, run, 390, 844)
    for button in page.locator("button:visible").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 40, button.inner_text()
    page.close()


def test_history_survives_a_restart_and_the_page_reconnects(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    first = Run(tmp_path, port)
    first.proceed(10)
    page = visit(browser, first)
    wait_until(lambda: page.evaluate("tempest.points") == 10)
    first.close()
    second = Run(tmp_path, port)
    try:
        wait_until(lambda: second.dashboard.viewers == 1)
        second.count = 10
        second.proceed(2)
        wait_until(lambda: page.evaluate("window.tempest?.points") == 12)
    finally:
        page.close()
        second.close()


class Training:
    """A real run on CartPole in its own process."""

    def __init__(self, folder: Path, port: int, *how: str) -> None:
        os.environ.pop("PYTEST_CURRENT_TEST", None)
        self.port, self.history = port, folder / "history.jsonl"
        command = [sys.executable, "-m", "tempest_rainbow.cli", "train", *how, "--frames", "None"]
        command += [
            "--dashboard.port",
            str(port),
            "--monitor.curve-seconds",
            "0.2",
            "--evaluation.every-frames",
            "0",
        ]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self.process.communicate, daemon=True).start()

    def received(self, kind: str) -> list[dict[str, Any]]:
        lines = list(read_history(self.history)) if self.history.exists() else []
        return [line for line in lines if line["kind"] == kind]

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(240) == 0


def test_a_real_training_is_shown_and_steered_and_found_again(browser: Browser, tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "run"
    small = ["--learn-start", "200", "--envs", "4", "--batch-size", "16", "--samples-per-insert", "1"]
    training = Training(folder, port, "--env", "CartPole-v1", "--run", str(folder), "--threads", "1", *small)
    try:
        wait_until(lambda: training.received("row") and answers(port))
        one, two = visit(browser, training), visit(browser, training)
        wait_until(lambda: loss(one) > 0)
        first = loss(one)
        wait_until(lambda: loss(one) != first, "the loss stands still")
        one.click("[data-testid=chart-loss]")
        one.wait_for_function("document.getElementById('large-title')?.innerText === 'Loss'")
        one.click("[data-testid=large-close]")
        one.wait_for_selector("[data-testid=large]", state="hidden")
        slide(one, "epsilon", 0.5)
        changed = r"dashboard: epsilon as scheduled -> ([0-9.]+)"
        wait_until(lambda: any(re.match(changed, line["text"]) for line in training.received("event")))
        changes = [re.match(changed, line["text"]) for line in training.received("event")]
        (chosen,) = [float(change[1]) for change in changes if change]
        assert chosen == pytest.approx(0.5, abs=0.05)
        wait_until(
            lambda: training.received("row")[-1]["values"]["schedule/epsilon"] == pytest.approx(chosen)
        )
        for page in (one, two):
            wait_until(lambda page=page: card(page, "schedule/epsilon") == f"{chosen:.3f}")
            assert text(page, "value-epsilon") == f"{chosen:g}"
        training.end()
        before = len(training.received("row"))
        training = Training(folder, port, "--resume", str(folder))
        wait_until(lambda: len(training.received("row")) > before)
        for page in (one, two):
            page.wait_for_function(f"window.tempest?.points > {before}", timeout=240_000)
            shown = "document.querySelector('[data-testid=value-epsilon]')?.innerText"
            page.wait_for_function(f"{shown} === '{chosen:g}'", timeout=240_000)
        training.end()
        one.close()
        two.close()
    finally:
        training.process.kill()


def test_it_reads_on_a_phone_in_the_dark(browser: Browser, run: Run) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark")
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{run.port}/")
    page.wait_for_function(
        "window.tempest && document.querySelector('[data-testid=value-epsilon]')?.innerText"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    header = page.locator("header").bounding_box()
    assert header is not None
    assert header["height"] < 100
    assert page.evaluate("document.body.classList.contains('body--dark')")
    context.close()


def test_nothing_is_fetched_from_elsewhere(browser: Browser, run: Run) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"http://127.0.0.1:{run.port}/")
    page.wait_for_function(
        "window.tempest && document.querySelector('[data-testid=value-epsilon]')?.innerText"
    )
    own = (f"http://127.0.0.1:{run.port}/", f"ws://127.0.0.1:{run.port}/", "data:", "blob:")
    assert asked
    assert [url for url in asked if not url.startswith(own)] == []
    page.close()


def test_a_token_opens_the_page_to_those_who_have_it(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEMPEST_DASHBOARD_TOKEN", raising=False)
    file = tmp_path / "token"
    file.write_text(TOKEN)
    run = Run(tmp_path, free_port(), token_file=file)
    try:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{run.port}/")
        page.fill("input[name=token]", TOKEN)
        page.click("button")
        page.wait_for_function("window.tempest")
        wait_until(lambda: run.dashboard.viewers == 1)
        command = Path(f"/proc/{run.dashboard.process_id}/cmdline").read_bytes()
        environment = Path(f"/proc/{run.dashboard.process_id}/environ").read_bytes()
        assert TOKEN.encode() not in command + environment
        page.close()
    finally:
        run.close()


def test_the_second_of_two_runs_gets_a_port_and_link_of_its_own(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    port = free_port()
    one = Run(tmp_path, port)
    two = Run(tmp_path / "two", port)
    try:
        assert one.dashboard.address == f"http://127.0.0.1:{port}"
        assert two.dashboard.address != one.dashboard.address
        page = visit(browser, two)
        page.click("[data-testid=button-save]")
        wait_until(lambda: two.controls.take("save"))
        assert not one.controls.pending("save")
        page.close()
    finally:
        one.close()
        two.close()


def test_a_dashboard_that_is_killed_ends_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dashboard = Dashboard(DashboardConfig(port=free_port()), Controls(), title="", history=tmp_path / "none")
    try:
        os.kill(dashboard.process_id, signal.SIGKILL)
        rows = count(1)

        def warned() -> bool:
            dashboard.row(row(next(rows)))
            return "training continues without it" in caplog.text

        wait_until(warned)
    finally:
        dashboard.close()


def test_an_address_of_another_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPEST_DASHBOARD_TOKEN", TOKEN)
    with pytest.raises(DashboardError, match=r"cannot bind to 192\.0\.2\.1"):
        Dashboard(DashboardConfig(host="192.0.2.1"), Controls(), title="", history=tmp_path / "none")
