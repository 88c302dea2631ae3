"""MAME fails under an environment, a vector environment and a training: an error, or a new start and a count."""

from __future__ import annotations

import collections
import os
import random
import shutil
import signal
import stat
import tempfile
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from resources import at_rest, soak_scale, wait_for
from test_mame import broken_lua
from training_process import Training

from tempest_gym.env import TempestEnv
from tempest_gym.machines import mame_process
from tempest_gym.machines.mame import MameError, MameMachine
from tempest_gym.machines.mame_process import find_mame
from tempest_gym.roms import squall_rom


def mames_below(pid: int) -> list[int]:
    """Return the MAMEs that a process or its children have started."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            name = Path(f"/proc/{child}/comm")
            if name.exists():
                found += [child] if name.read_text().strip() == "mame" else mames_below(child)
    return sorted(found)


def alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] not in "ZX"


def living_mames(pid: int) -> list[int]:
    return [mame for mame in mames_below(pid) if alive(mame)]


@pytest.mark.parametrize(
    ("number", "message"),
    [(signal.SIGKILL, "killed by signal 9"), (signal.SIGSTOP, "did not answer for 1 seconds")],
)
def test_an_environment_reports_it_and_restarts(number: int, message: str) -> None:
    env = TempestEnv("mame")
    try:
        env.reset(seed=1)
        machine = env.machine
        assert isinstance(machine, MameMachine)
        machine._timeout = 1.0
        (pid,) = mames_below(os.getpid())
        os.kill(pid, number)
        with pytest.raises(MameError, match=message):
            env.step(0)
        assert not alive(pid)
        machine._timeout = 10.0
        observation, _ = env.reset(seed=1)
        assert np.array_equal(observation, env.reset(seed=1)[0])
    finally:
        env.close()


def test_invalid_data_from_a_running_mame_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = "link.send(packet.encode(frame, features))"
    late = 'link.send(now() > 9 and string.rep("x", 900) or packet.encode(frame, features))'
    folder = broken_lua(tmp_path, "main.lua", send, late)
    monkeypatch.setattr(mame_process, "lua_directory", lambda: folder)
    env = TempestEnv("mame")
    try:
        env.reset(seed=1)
        with pytest.raises(MameError, match="MAME's Lua sent invalid data: a packet has 819 bytes"):
            collections.deque((env.step(0) for _ in range(1000)), maxlen=0)
        assert mames_below(os.getpid()) == []
    finally:
        env.close()


def test_a_rom_set_that_is_removed_is_not_missed(tmp_path: Path) -> None:
    squall_rom().write(tmp_path / "roms")
    env = TempestEnv("mame", rom=tmp_path / "roms" / squall_rom().kind)
    try:
        env.reset(seed=1)
        shutil.rmtree(tmp_path / "roms")
        (pid,) = mames_below(os.getpid())
        shutil.rmtree(Path(f"/proc/{pid}/cwd").resolve() / "roms")
        env.step(0)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(MameError):
            env.step(0)
        env.reset(seed=1)
        env.step(0)
    finally:
        env.close()


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # Gymnasium's colourful ones about the error
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_vector_environment_reports_it_and_leaves_nothing(mode: str) -> None:
    envs = gym.make_vec("tempest_gym:Tempest-v0", num_envs=2, vectorization_mode=mode, machine="mame")
    try:
        envs.reset(seed=0)
        pids = mames_below(os.getpid())
        assert len(pids) == 2
        os.kill(pids[0], signal.SIGKILL)
        with pytest.raises(MameError, match="killed by signal 9"):
            envs.step(np.zeros(2, np.int64))
    finally:
        envs.close(**({"terminate": True} if mode == "async" else {}))
    wait_for(lambda: not any(alive(pid) for pid in pids))


def removable_mame(folder: Path) -> Path:
    """Return a program that runs MAME, to be taken away."""
    program = folder / "mame-here"
    program.write_text(f'#!/bin/sh\nexec {find_mame()} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


MAMES = ("--machine", "mame", "--envs", "2", "--replay.capacity", "5000", "--learn-start", "500")


def test_a_training_starts_its_mames_again(tmp_path: Path) -> None:
    program = removable_mame(tmp_path)
    training = Training(tmp_path / "run", *MAMES, MAME=str(program))
    try:
        training.wait_for_frames(50)
        first = mames_below(training.pid)
        assert len(first) == 2
        os.kill(first[0], signal.SIGKILL)
        wait_for(lambda: training.check() and training.last("collect/dropped_failed") == 1)
        wait_for(lambda: len(mames_below(training.pid)) == 2)
        program.rename(tmp_path / "away")
        os.kill(first[1], signal.SIGKILL)
        training.wait_for_line("environment . failed and is restarted: .*mame-here cannot be run")
        training.wait_for_frames(training.last("progress/frames") + 50)
        (tmp_path / "away").rename(program)
        wait_for(lambda: training.check() and len(mames_below(training.pid)) == 2)
        training.wait_for_frames(training.last("progress/frames") + 50)
        last = mames_below(training.pid)
        assert training.interrupt() == 0, training.printed()[-2000:]
        assert not any(alive(pid) for pid in last)
    finally:
        training.kill()


def test_a_training_without_a_working_mame_ends_with_the_cure(tmp_path: Path) -> None:
    training = Training(tmp_path / "run", *MAMES, MAME="/nowhere/mame")
    assert training.process.wait(600) == 1
    assert "/nowhere/mame cannot be run; install MAME" in training.printed()
    assert "Traceback" not in training.printed()


@pytest.mark.soak
def test_two_hundred_faults_under_training_leave_nothing(tmp_path: Path, record_property) -> None:
    faults, chance = max(4, round(200 * soak_scale())), random.Random(0)
    training = Training(tmp_path / "run", *MAMES)
    stopped = 0
    try:
        training.wait_for_frames(6000)  # the replay is full and learning continues
        wait_for(lambda: len(mames_below(training.pid)) == 2)
        before = at_rest(training.pid)
        start = training.last("progress/frames")
        for fault in range(faults):
            wait_for(lambda: training.check() and len(living_mames(training.pid)) == 2)
            stop = fault % 20 == 7
            stopped += stop
            victim = chance.choice(living_mames(training.pid))
            os.kill(victim, signal.SIGSTOP if stop else signal.SIGKILL)
            wait_for(lambda fault=fault: training.last("collect/dropped_failed") == fault + 1)
            training.wait_for_frames(training.last("progress/frames") + 200 + chance.randrange(400))
        wait_for(lambda: len(living_mames(training.pid)) == 2)
        after = at_rest(training.pid)
        folders = len(list(Path(tempfile.gettempdir()).glob("tempest-gym-mame-*")))
        figures = {
            "faults": faults,
            "stopped": stopped,
            "failures_counted": training.last("collect/dropped_failed"),
            "frames": training.last("progress/frames") - start,
            "memory_mib": [before.memory, after.memory],
            "files": [before.files, after.files],
            "threads": [before.threads, after.threads],
            "children": [before.children, after.children],
            "mame_folders": folders,
        }
        record_property("figures", figures)
        assert after.memory - before.memory < 24
        assert (after.files, after.threads, after.children) == (before.files, before.threads, before.children)
        last = mames_below(training.pid)
        assert training.interrupt() == 0
        assert not any(alive(pid) for pid in last)
    finally:
        training.kill()
