"""Every key does what the list of keys says, and says so."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time

import pytest

from tempest_rainbow.monitor.controls import Controls
from tempest_rainbow.monitor.keyboard import KEYS, Keyboard
from tempest_rainbow.monitor.metrics import Metrics, Row


class Paper:
    """A screen that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def header(self) -> None:
        self.lines.append("HEADER")

    def clear(self) -> None:
        self.lines.append("CLEAR")

    def show(self, text: str) -> None:
        self.lines.append(text)


class Desk:
    """A keyboard with everything around it."""

    def __init__(self) -> None:
        self.controls, self.metrics, self.paper = Controls(), Metrics(), Paper()
        self.metrics.publish(Row(1000, 1.0, {"schedule/epsilon": 0.5, "schedule/expert_ratio": 0.4}))
        reports = {"attention": lambda: "lanes and enemies", "replay": lambda: "full of frames"}
        self.keyboard = Keyboard(self.controls, self.metrics, self.paper, reports)
        self.controls.listen(lambda event: self.paper.lines.append(str(event)))

    def press(self, keys: str) -> None:
        for key in keys:
            self.keyboard.press(key)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_is_confirmed_by_a_line(desk: Desk, key: str) -> None:
    desk.press(key)
    assert len(desk.paper.lines) == 1


@pytest.mark.parametrize(
    ("key", "name"),
    [("t", "training"), ("p", "greedy"), ("o", "expert_off"), ("e", "expert_mode"), ("v", "verbose")],
)
def test_a_toggle_turns_over_and_back(desk: Desk, key: str, name: str) -> None:
    before = desk.controls[name]
    desk.press(key)
    assert desk.controls[name] is not before
    desk.press(key)
    assert desk.controls[name] is before


@pytest.mark.parametrize(("key", "name"), [("q", "quit"), ("s", "save"), ("P", "pulse"), (" ", "report")])
def test_a_request_is_pending_until_taken(desk: Desk, key: str, name: str) -> None:
    desk.press(key)
    assert desk.controls.take(name)
    assert not desk.controls.take(name)


def test_steps_start_from_what_the_schedule_says_and_reset_goes_back_to_it(desk: Desk) -> None:
    desk.press("664")
    assert desk.controls["epsilon"] == pytest.approx(0.51)
    desk.press("9")
    assert desk.controls["expert_ratio"] == pytest.approx(0.45)
    desk.press("58")
    assert desk.controls["epsilon"] is None
    assert desk.controls["expert_ratio"] is None


def test_steps_end_at_the_ends_of_the_range(desk: Desk) -> None:
    desk.press("4" * 60)
    assert desk.controls["epsilon"] == 0.0
    assert "epsilon stays 0.0" in desk.paper.lines[-1]
    desk.press("9" * 20)
    assert desk.controls["expert_ratio"] == 1.0


def test_the_learning_rate_doubles_and_halves_within_limits(desk: Desk) -> None:
    desk.press("LLl")
    assert desk.controls["learning_rate_factor"] == 2.0
    desk.press("L" * 12)
    assert "learning_rate_factor must be from" in desk.paper.lines[-1]


def test_flush_happens_only_after_a_yes(desk: Desk) -> None:
    desk.press("fn")
    assert not desk.controls.pending("flush_replay")
    assert desk.paper.lines[-1] == "the replay is kept"
    desk.press("fy")
    assert desk.controls.pending("flush_replay")


def test_reports_and_unknown_keys_are_shown(desk: Desk) -> None:
    desk.press("abz")
    assert desk.paper.lines[:2] == ["lanes and enemies", "full of frames"]
    assert "no such key: 'z'" in desk.paper.lines[2]


_TYPIST = """
import signal, sys, time
from tempest_rainbow.monitor.controls import Controls
from tempest_rainbow.monitor.keyboard import Keyboard, can_read_keys
from tempest_rainbow.monitor.metrics import Metrics
from tempest_rainbow.monitor.terminal import Rows
assert can_read_keys()
controls = Controls()
screen = Rows()
controls.listen(lambda event: screen.show(str(event)))
keyboard = Keyboard(controls, Metrics(), screen, {})
signal.signal(signal.SIGINT, lambda number, frame: screen.show("interrupt"))
keyboard.start()
screen.show("ready")
try:
    while not controls.pending("quit"):
        time.sleep(0.01)
    if sys.argv[1] == "crash":
        raise RuntimeError("as asked")
finally:
    keyboard.stop()
"""


def _read_until(descriptor: int, wanted: bytes, seconds: float = 30.0) -> bytes:
    got, end = b"", time.monotonic() + seconds
    while wanted not in got and time.monotonic() < end:
        if select.select([descriptor], [], [], 0.2)[0]:
            try:
                got += os.read(descriptor, 4096)
            except OSError:
                break
    assert wanted in got, got
    return got


@pytest.mark.parametrize("ending", ["quit", "crash"])
def test_keys_work_in_a_real_terminal_which_is_left_as_it_was(ending: str) -> None:
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    process = subprocess.Popen(
        [sys.executable, "-c", _TYPIST, ending],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm"},
        preexec_fn=lambda: (os.setsid(), __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0)),
    )
    try:
        _read_until(master, b"ready")
        deadline = time.monotonic() + 30
        while termios.tcgetattr(slave)[3] & termios.ICANON and time.monotonic() < deadline:
            time.sleep(0.01)
        os.write(master, b"p")
        _read_until(master, b"greedy off -> on")
        os.write(master, b"\x03")
        _read_until(master, b"interrupt")
        os.write(master, b"q")
        _read_until(master, b"save and end")
        assert process.wait(30) == (0 if ending == "quit" else 1)
        assert termios.tcgetattr(slave) == before
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)
