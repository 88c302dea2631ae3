"""Windows and macOS, simulated: what Python lacks or refuses there, taken away here.

Nothing here runs those systems. The simulation removes functions of Linux, names another system, refuses to open
folders and to sync files that cannot be written (Windows), and hides ``/proc`` and ``/sys``.
"""

import os
import subprocess
import sys

import pytest

SYSTEM = """
import errno, io, os, select, signal, sys
from pathlib import Path

def simulate(system):
    sys.platform = system
    absent = ["sched_getaffinity", "sched_setaffinity", "posix_fallocate"]
    if system == "win32":
        absent += ["fork", "getuid", "getpgrp", "tcgetpgrp", "killpg", "register_at_fork", "sysconf", "wait4"]
        del signal.SIGHUP, select.poll
        os_open, fsync = os.open, os.fsync

        def open_file(path, flags, *rest, **more):
            if os.path.isdir(path):
                raise PermissionError(errno.EACCES, "folders cannot be opened", path)
            return os_open(path, flags, *rest, **more)

        def sync(descriptor):
            import fcntl
            if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
                raise OSError(errno.EBADF, "opened for reading only")
            fsync(descriptor)

        os.open, os.fsync = open_file, sync
    for name in absent:
        delattr(os, name)
    opened = io.open

    def visible(file, *rest, **more):
        if isinstance(file, (str, os.PathLike)) and os.fspath(file).startswith(("/proc/", "/sys/")):
            raise FileNotFoundError(errno.ENOENT, "this system lacks it", file)
        return opened(file, *rest, **more)

    io.open = visible
"""

IMPORTS = """
import asyncio, multiprocessing, shutil, socket, tempfile
import torch, rich, safetensors, prompt_toolkit, gymnasium, numba, lupa, tensorboard, filelock, platformdirs, aiohttp
import matplotlib.pyplot, nicegui, scipy.stats, stable_baselines3, tempest_gym.board, torch.utils.tensorboard
simulate(sys.argv[1])
import importlib, pkgutil
import tempest_gym, tempest_rainbow
for package in (tempest_gym, tempest_rainbow):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name.rpartition(".")[2] != "__main__":
            try:
                importlib.import_module(module.name)
            except ImportError as error:
                assert error.name == "ray", (module.name, error)
"""

PLAY = """
import numpy as np
from tempest_gym.cli import main as gym_command
from tempest_gym.env import TempestEnv
from tempest_gym.vector import TempestVectorEnv
from tempest_rainbow.cli import main as trainer_command
from tempest_rainbow.config import settings
import torch, torch.utils.tensorboard

TempestEnv().reset(seed=0)  # compiles for the system that this is
folder = Path(sys.argv[2])
simulate(sys.argv[1])
envs, single, mame = TempestVectorEnv(4, threads=2), TempestEnv(), TempestEnv("mame", board_model="mame-0.251")
assert type(mame.machine._link).__name__ == {"win32": "SocketLink", "darwin": "PipeLink"}[sys.argv[1]]
observations, _ = envs.reset(seed=3)
for env in (single, mame):
    assert (env.reset(seed=3)[0] == observations[0]).all()
state = single.clone_state()
for action in (22, 7, 23):
    envs.step(np.full(4, action))
    single.step(action)
    mame.step(action)
assert (single.machine.ram() == envs.fleet.boards.ram[0]).all()
single.restore_state(state)
for env in (envs, single, mame):
    env.close()

game = str(folder / "game.recording")
assert gym_command(["play", "--policy", "random", "--games", "1", "--record", game]) == 0
assert gym_command(["replay", game, "--check"]) == 0
run = ["--dashboard.no-on", "--evaluation.no-at-end", "--monitor.no-tensorboard"]
assert trainer_command(["train", "--preset", "fast-check", "--run", str(folder / "run"), "--frames", "1500", *run]) == 0
assert trainer_command(["train", "--resume", str(folder / "run"), "--frames", "2500", *run]) == 0
"""


@pytest.mark.parametrize("system", ["win32", "darwin"])
@pytest.mark.parametrize("script", [IMPORTS, PLAY], ids=["imports", "plays and trains"])
def test_nothing_needs_linux(system, script, tmp_path):
    finished = subprocess.run(
        [sys.executable, "-c", SYSTEM + script, system, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "USERNAME": "user"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
