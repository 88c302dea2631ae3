"""Every key does what the list of keys promises, and shows it."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from resources import wait_for

from tempest_rainbow.monitor.controls import Controls
from tempest_rainbow.monitor.keyboard import KEYS, Keyboard
from tempest_rainbow.monitor.metrics import Metrics, Row


class FakeScreen:
    """A screen that records what it is shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def header(self) -> None:
        self.lines.append("HEADER")

    def clear(self) -> None:
        self.lines.append("CLEAR")

    def show(self, text: str) -> None:
        self.lines.append(text)


class Setup:
    """A keyboard with everything around it."""

    def __init__(self) -> None:
        self.controls, self.metrics, self.screen = Controls(), Metrics(), FakeScreen()
        self.metrics.publish(Row(1000, 1.0, {"schedule/epsilon": 0.5, "schedule/expert_ratio": 0.4}))
        reports = {"attention": lambda: "lanes and enemies", "replay": lambda: "full of frames"}
        self.keyboard = Keyboard(self.controls, self.metrics, self.screen, reports)
        self.controls.listen(lambda event: self.screen.lines.append(str(event)))

    def press(self, keys: str) -> None:
        for key in keys:
            self.keyboard.press(key)


@pytest.fixture
def setup() -> Setup:
    return Setup()


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_is_confirmed_by_a_line(setup: Setup, key: str) -> None:
    setup.press(key)
    assert len(setup.screen.lines) == 1


@pytest.mark.parametrize(
    ("key", "name"),
    [("t", "training"), ("p", "greedy"), ("o", "expert_off"), ("e", "expert_mode"), ("v", "verbose")],
)
def test_a_toggle_turns_over_and_back(setup: Setup, key: str, name: str) -> None:
    before = setup.controls[name]
    setup.press(key)
    assert setup.controls[name] is not before
    setup.press(key)
    assert setup.controls[name] is before


@pytest.mark.parametrize(("key", "name"), [("q", "quit"), ("s", "save"), ("P", "pulse"), (" ", "report")])
def test_a_request_is_pending_until_taken(setup: Setup, key: str, name: str) -> None:
    setup.press(key)
    assert setup.controls.take(name)
    assert not setup.controls.take(name)


def test_steps_start_from_the_scheduled_value_and_reset_returns_to_it(setup: Setup) -> None:
    setup.press("664")
    assert setup.controls["epsilon"] == pytest.approx(0.51)
    setup.press("9")
    assert setup.controls["expert_ratio"] == pytest.approx(0.45)
    setup.press("58")
    assert setup.controls["epsilon"] is None
    assert setup.controls["expert_ratio"] is None


def test_steps_end_at_the_ends_of_the_range(setup: Setup) -> None:
    setup.press("4" * 60)
    assert setup.controls["epsilon"] == 0.0
    assert "epsilon stays 0.0" in setup.screen.lines[-1]
    setup.press("9" * 20)
    assert setup.controls["expert_ratio"] == 1.0


def test_the_learning_rate_doubles_and_halves_within_limits(setup: Setup) -> None:
    setup.press("LLl")
    assert setup.controls["learning_rate_factor"] == 2.0
    setup.press("L" * 12)
    assert "learning_rate_factor must be from" in setup.screen.lines[-1]


def test_flush_happens_only_after_a_yes(setup: Setup) -> None:
    setup.press("fn")
    assert not setup.controls.pending("flush_replay")
    assert setup.screen.lines[-1] == "the replay is kept"
    setup.press("fy")
    assert setup.controls.pending("flush_replay")


def test_reports_and_unknown_keys_are_shown(setup: Setup) -> None:
    setup.press("abz")
    assert setup.screen.lines[:2] == ["lanes and enemies", "full of frames"]
    assert "unknown key 'z'" in setup.screen.lines[2]


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


class Terminal:
    """A process at a terminal of its own."""

    def __init__(self, code: str, *arguments: str) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "35"},
            preexec_fn=lambda: (os.setsid(), __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0)),
        )

    def read(self) -> bytes:
        """What was written meanwhile; a terminal that nobody reads stops those who write."""
        if not select.select([self.master], [], [], 0.1)[0]:
            return b""
        try:
            return os.read(self.master, 4096)
        except OSError:
            return b""

    def read_until(self, wanted: str, seconds: float = 60.0) -> None:
        got, end = b"", time.monotonic() + seconds
        while wanted.encode() not in got and time.monotonic() < end:
            got += self.read()
            if self.process.poll() is not None:
                break
        assert wanted.encode() in got, got.decode(errors="replace")

    def read_to_the_end(self, seconds: float = 60.0) -> tuple[int, str]:
        """Exit code and all that was written."""
        got, end = b"", time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, got.decode(errors="replace")
            got += self.read()
        while last := self.read():
            got += last
        return self.process.returncode, got.decode(errors="replace")

    def wait_for_single_keys(self) -> None:
        wait_for(lambda: not termios.tcgetattr(self.slave)[3] & termios.ICANON)

    def press(self, key: str) -> None:
        os.write(self.master, key.encode())

    def is_as_before(self) -> bool:
        return termios.tcgetattr(self.slave) == self.before

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.mark.parametrize("ending", ["quit", "crash"])
def test_keys_work_in_a_real_terminal_which_is_left_as_it_was(ending: str) -> None:
    terminal = Terminal(_TYPIST, ending)
    try:
        terminal.read_until("ready")
        terminal.wait_for_single_keys()
        terminal.press("p")
        terminal.read_until("greedy off -> on")
        terminal.press("\x03")
        terminal.read_until("interrupt")
        terminal.press("q")
        code, shown = terminal.read_to_the_end()
        assert "save and end" in shown
        assert code == (0 if ending == "quit" else 1)
        assert terminal.is_as_before()
    finally:
        terminal.close()


_TRAINING = """
import sys
from tempest_rainbow import cli
from tempest_rainbow.training.trainer import Trainer
def broken(self):
    raise RuntimeError("as asked")
Trainer._flush = broken
sys.exit(cli.main(["train", "--env", "CartPole-v1", "--frames", "100000000", "--learn-start", "200", "--threads", "1",
                   "--dashboard.no-on", "--monitor.no-tensorboard", *sys.argv[1:]]))
"""

ANSWERS = {
    "s": "saved ",
    "t": "training on -> off",
    "P": "epsilon pulse: 25% for 50,000 frames",
    "p": "greedy off -> on",
    "o": "expert_off off -> on",
    "e": "expert_mode off -> on",
    "4": "epsilon as scheduled -> ",
    "5": " -> as scheduled",
    "6": "epsilon as scheduled -> ",
    "7": "expert_ratio as scheduled -> ",
    "8": " -> as scheduled",
    "9": "expert_ratio as scheduled -> ",
    "L": "learning_rate_factor 1.0 -> 2.0",
    "l": "learning_rate_factor 2.0 -> 1.0",
    "a": "this network has no attention",
    "b": "largest_value",
    " ": "publish a row of metrics now",
    "h": "the panel always shows its headings",
    "c": "\x1b[2J",
    "v": "verbose off -> on",
    "?": "this list",
    "f": "empty the whole replay?",
}


def test_every_key_is_answered_during_a_run_which_leaves_the_terminal_as_it_was_when_it_crashes(
    tmp_path: Path,
) -> None:
    assert {*ANSWERS, "q"} == set(KEYS)
    terminal = Terminal(_TRAINING, "--run", str(tmp_path / "run"))
    try:
        terminal.read_until("learning in")
        terminal.wait_for_single_keys()
        for key, answer in ANSWERS.items():
            terminal.press(key)
            terminal.read_until(answer)
        terminal.press("y")
        code, shown = terminal.read_to_the_end()
        assert "as asked" in shown
        assert code == 1
        assert terminal.is_as_before()
    finally:
        terminal.close()


def test_a_run_with_a_panel_that_is_stopped_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    terminal = Terminal(_TRAINING, "--run", str(tmp_path / "run"), "--monitor.ui", "live")
    try:
        terminal.read_until("learning in")
        terminal.wait_for_single_keys()
        terminal.process.send_signal(signal.SIGTERM)
        code, shown = terminal.read_to_the_end()
        assert "done; tempest-rainbow evaluate" in shown
        assert code == 0
        assert terminal.is_as_before()
        assert shown.rfind("\x1b[?25h") >= shown.rfind("\x1b[?25l"), "the cursor is hidden"
        assert list((tmp_path / "run" / "checkpoints").glob("0*"))
    finally:
        terminal.close()
