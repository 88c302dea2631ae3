"""However a run is stopped, its work is saved: signals in quick succession, a closed terminal, a broken environment."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from resources import Clock, wait_for
from test_trainer import make, settings
from test_trainer_faults import CARTPOLE
from training_process import Training

from tempest_rainbow.checkpoint import read_tree
from tempest_rainbow.monitor.controls import Controls
from tempest_rainbow.run import stop_on_signals

SELDOM_SAVING = ("--checkpoint.every-minutes", "1000", "--monitor.curve-seconds", "0.2")

BROKEN_ENVIRONMENT = """
import gymnasium as gym
from gymnasium.envs.classic_control.cartpole import CartPoleEnv


class BrokenEnv(CartPoleEnv):
    steps = 0

    def step(self, action):
        BrokenEnv.steps += 1
        if BrokenEnv.steps > 600:
            int("x7")
        return super().step(action)


gym.register("Broken-v0", BrokenEnv)
"""


def saved_frames(training: Training) -> int:
    latest = training.checkpoints().latest()
    return int(read_tree(latest / "state.safetensors")["collector"]["frames"])


@pytest.mark.parametrize(
    ("first", "then", "pause"),
    [
        (signal.SIGINT, signal.SIGINT, 0.05),
        (signal.SIGTERM, signal.SIGTERM, 0.005),
        (signal.SIGINT, signal.SIGTERM, 0.0),
        (signal.SIGHUP, signal.SIGHUP, 0.0),
        (signal.SIGHUP, signal.SIGTERM, 0.01),
    ],
)
def test_signals_in_quick_succession_are_one_stop_that_saves(tmp_path, first, then, pause):
    training = Training(tmp_path / "run", *CARTPOLE, *SELDOM_SAVING, quick=False)
    try:
        training.wait_for_frames(200)
        training.process.send_signal(first)
        time.sleep(pause)
        training.process.send_signal(then)
        assert training.process.wait(600) == 0, training.printed()
        assert saved_frames(training) >= 200
    finally:
        training.kill()


def test_a_later_interrupt_ends_at_once_and_hang_ups_never_do(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("tempest_rainbow.run.time", clock)
    before = signal.getsignal(signal.SIGINT)
    controls = Controls()
    with stop_on_signals(controls) as start:
        start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
        wait_for(lambda: controls.pending("quit"))
        clock.ahead = 1.1
        signal.raise_signal(signal.SIGHUP)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before
    assert [event.source for event in controls.events] == ["SIGTERM"]


@pytest.mark.parametrize("ui", ["rows", "live"])
def test_a_terminal_that_is_closed_ends_a_run_with_a_save_and_a_line_in_the_log(tmp_path, ui):
    folder = tmp_path / "run"
    options = [option for option in CARTPOLE if option != "log"]
    options[options.index("--monitor.ui") : options.index("--monitor.ui") + 1] = ["--monitor.ui", ui]
    master, slave = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "tempest_rainbow.cli",
        "train",
        *options,
        *SELDOM_SAVING,
        "--run",
        str(folder),
    ]
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm"},
        preexec_fn=lambda: (os.setsid(), __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0)),
    )
    os.close(slave)
    os.set_blocking(master, False)

    def still_running() -> bool:
        assert process.poll() is None
        with suppress(BlockingIOError):
            os.read(master, 65536)
        history = folder / "history.jsonl"
        return history.exists() and len(history.read_text().splitlines()) > 2

    try:
        wait_for(still_running)
        os.close(master)
        assert process.wait(600) == 0, (folder / "log.txt").read_text()
        log = (folder / "log.txt").read_text()
        assert "SIGHUP: save and end" in log
        assert re.search(r"saved .*checkpoints", log)
    finally:
        process.kill()
        process.wait()


def test_an_error_in_a_users_environment_is_named_logged_and_loses_nothing(tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN_ENVIRONMENT)
    folder = tmp_path / "run"
    options = [option if option != "CartPole-v1" else "broken:Broken-v0" for option in CARTPOLE]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tempest_rainbow.cli",
            "train",
            *options,
            *SELDOM_SAVING,
            "--run",
            str(folder),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    log = (folder / "log.txt").read_text()
    assert done.returncode == 1
    for text in (done.stderr, log):
        assert "ValueError: invalid literal for int() with base 10: 'x7'" in text
        assert re.search(r"broken\.py, line 12, in step\); saved .*checkpoints", text)
        assert 'int("x7")' in text, "the traceback is there"
    latest = max((folder / "checkpoints").glob("0*"))
    assert read_tree(latest / "state.safetensors")["collector"]["frames"] >= 500


def test_a_resumed_run_reports_what_was_steered_before(tmp_path):
    trainer, controls, _ = make(settings(frames=60), tmp_path)
    controls.set("learning_rate_factor", 0.5, "keyboard")
    trainer.run()
    trainer.close()
    again, _, _ = make(settings(frames=120), tmp_path)
    printed = again.restore(trainer.checkpoints.latest())
    again.close()
    assert "as steered before: learning_rate_factor 0.5" in printed


@pytest.mark.parametrize(
    "wrong", [("--env", "NoSuch-v0"), ("--env", "CartPole-v1", "--replay.capacity", "10")]
)
def test_a_run_folder_is_announced_only_once_it_stays(tmp_path, wrong):
    """Version 0.1 announced the folder, found no such environment, and removed the folder."""
    folder = tmp_path / "run"
    options = (*wrong, "--run", str(folder), "--dashboard.no-on")
    failed = subprocess.run(
        [sys.executable, "-m", "tempest_rainbow.cli", "train", *options],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert failed.returncode == 1
    assert not folder.exists()
    assert "run folder" not in failed.stderr
