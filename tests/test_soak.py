"""Hours of use leave memory, open files and threads as they were; a moment of each is part of every run.

``pytest -m soak`` takes about two hours and prints its figures at the end; TEMPEST_SOAK_SCALE=0.01 makes
everything a hundredth as long.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from resources import at_rest, rounds, soak_scale, usage, wait_for
from training_process import Training

Record = Callable[[str, Any], None]

_log = logging.getLogger(__name__)

HOUR = 3600.0


def at_length(full: float, short: float) -> pytest.MarkDecorator:
    """Run a test once at its full length under the mark ``soak``, and once shortly in every run."""
    long = pytest.param(full * soak_scale(), marks=pytest.mark.soak, id="soak")
    return pytest.mark.parametrize("length", [pytest.param(short, id="moment"), long])


@at_length(HOUR, 3.0)
def test_boards_at_full_speed(length: float, record_property: Record) -> None:
    """64 games in one thread, with saved states, pictures and single environments now and then."""
    generator = np.random.default_rng(0)
    envs = gym.make_vec("tempest_gym:Tempest-v0", num_envs=64, threads=1)
    native = envs.unwrapped
    _, infos = envs.reset(seed=0)
    steps = episodes = frames = 0
    held = []
    for end in rounds(length, 60):
        while True:
            by_chance = generator.random(64) < 0.1
            actions = np.where(by_chance, generator.integers(0, 44, 64), infos["expert_action"])
            _, _, terminated, truncated, infos = envs.step(actions)
            steps += 64
            frames += int(infos["frames"].sum())
            episodes += int(np.count_nonzero(terminated | truncated))
            if time.monotonic() >= end:
                break
        native.restore_state(native.clone_state())
        native.picture(int(generator.integers(64)))
        with gym.make("tempest_gym:Tempest-v0", start_level=33) as single:
            single.reset(seed=0)
            single.step(0)
        held.append(usage())
        _log.info("%d steps, %s", steps, held[-1])
    envs.close()
    start, last = held[5], held[-1]
    record_property(
        "figures",
        {
            "seconds": length,
            "steps": steps,
            "game_frames": frames,
            "episodes": episodes,
            "memory_mib": [start.memory, last.memory],
            "files": [start.files, last.files],
            "threads": [start.threads, last.threads],
        },
    )
    assert last.memory - start.memory < 8
    assert (last.files, last.threads, last.children) == (start.files, start.threads, start.children)


CLIENT = "import sys; from tempest_gym.cli import main; sys.exit(main())"


TOKEN = "correct-horse-battery-staple"
SECRET = {**os.environ, "TEMPEST_TOKEN": TOKEN}


class Visitors:
    """Clients of a training server that connect and leave: `tempest-gym client` processes with a MAME or boards."""

    def __init__(self, address: str, seed: int) -> None:
        self.address = address
        self.chance = random.Random(seed)
        self.running: list[subprocess.Popen[bytes]] = []
        self.stopped: list[int] = []
        self.counts = dict.fromkeys(("connected", "interrupted", "killed", "mame_killed", "stopped"), 0)

    def connect(self, machine: str, instances: int = 1) -> None:
        self.counts["connected"] += 1
        command = [sys.executable, "-c", CLIENT, "client", "--connect", self.address]
        command += ["--machine", machine, "--instances", str(instances)]
        self.running.append(
            subprocess.Popen(command, env=SECRET, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )

    def act(self) -> None:
        """Let one connect, leave politely, be killed, lose its MAME, or stop; at most three are connected."""
        self._wake()
        if len(self.running) < 2 or (len(self.running) < 3 and self.chance.random() < 0.4):
            self.connect("board" if self.chance.random() < 0.3 else "mame")
            return
        client = self.running[self.chance.randrange(len(self.running))]
        what = self.chance.choice(["interrupted", "killed", "mame_killed", "stopped"])
        mames = mames_of(client.pid)
        if what == "mame_killed" and mames:
            os.kill(mames[0], signal.SIGKILL)
        elif what == "stopped" and mames:
            os.kill(mames[0], signal.SIGSTOP)
            self.stopped.append(mames[0])
        else:
            what = "killed" if what == "killed" else "interrupted"
            client.send_signal(signal.SIGKILL if what == "killed" else signal.SIGINT)
            client.wait(300)
            self.running.remove(client)
        self.counts[what] += 1

    def leave(self) -> None:
        self._wake()
        for client in self.running:
            client.send_signal(signal.SIGINT)
        for client in self.running:
            client.wait(300)
        self.running = []

    def _wake(self) -> None:
        """Continue those that were stopped; the server has dropped them meanwhile."""
        for mame in self.stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(mame, signal.SIGCONT)
        self.stopped = []


def token_is_kept(training: Training) -> bool:
    """Whether the token is in no process's command line, in no file of the run and not in its log."""
    word = TOKEN.encode()
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # It has just ended.
            if word in line.read_bytes():
                return False
    files = [training.errors, *(file for file in training.folder.rglob("*") if file.is_file())]
    return len(files) > 3 and not any(word in file.read_bytes() for file in files)


def mames_of(pid: int) -> list[int]:
    """Return the processes that a client has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


@at_length(HOUR / 2, 0.2)
def test_clients_that_connect_and_leave_during_a_training(
    length: float, record_property: Record, tmp_path: Path
) -> None:
    """The server is a real training; afterwards it holds what it held before the first client."""
    small = ("--replay.capacity", "10000", "--learn-start", "200", "--checkpoint.every-minutes", "1")
    listen = ("--listen", "127.0.0.1:0", "--envs", "8")
    training = Training(tmp_path / "run", *listen, *small, TEMPEST_TOKEN=TOKEN)
    visitors = Visitors(training.wait_for_line(r"clients may connect to (\S+)").group(1), seed=0)
    try:
        visitors.connect("board", 4)
        training.wait_for_frames(1000 + 10_000 * (length > 60))
        wait_for(lambda: training.check() and training.last("progress/learner_steps") >= 3)
        visitors.leave()
        wait_for(lambda: training.last("collect/clients") == 0)
        before = at_rest(training.pid)
        frames = training.last("progress/frames")
        for end in rounds(length, max(2, int(length / 6))):
            visitors.act()
            time.sleep(max(0.0, end - time.monotonic()))
            training.wait_for_frames(training.last("progress/frames") + 50)
            _log.info("%.0f frames, %s", training.last("progress/frames"), usage(training.pid))
        assert token_is_kept(training)
        visitors.leave()
        wait_for(lambda: training.last("collect/clients") == 0)
        after = at_rest(training.pid)
        figures = {
            "seconds": length,
            "frames": training.last("progress/frames") - frames,
            "learner_steps": training.last("progress/learner_steps"),
            "visits": visitors.counts,
            "dropped": {
                name.removeprefix("collect/dropped_"): value
                for name, value in training.rows()[-1].items()
                if name.startswith("collect/dropped_")
            },
            "memory_mib": [before.memory, after.memory],
            "files": [before.files, after.files],
            "threads": [before.threads, after.threads],
        }
        record_property("figures", figures)
        assert figures["frames"] > 0
        assert after.memory - before.memory < 24
        assert (after.files, after.threads, after.children) == (before.files, before.threads, before.children)
        assert training.interrupt() == 0, training.printed()[-2000:]
    finally:
        training.kill()
        visitors.leave()
