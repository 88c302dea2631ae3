"""Compiled code is found and kept wherever possible, and without any place to write everything still works."""

import errno
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tempest_gym.code_cache import CACHE_VARIABLE, build_once, folders

ROOT = Path(__file__).parents[1]
STRANGER = 54_321
"""A user that no system knows: no entry in the list of users, no home."""


def may_become_a_stranger() -> bool:
    """Whether tests run as root, with a Python that other users can reach."""
    places = [Path(sys.executable), Path(sys.executable).resolve(), ROOT]
    reachable = all(path.stat().st_mode & 0o001 for place in places for path in (place, *place.parents))
    return os.getuid() == 0 and reachable


USER = {"user": STRANGER, "group": STRANGER, "extra_groups": []} if may_become_a_stranger() else {}

PLAY_AND_DRAW = """
from tempest_gym.env import TempestEnv
import numpy as np
env = TempestEnv(render_mode="rgb_array")
_, info = env.reset(seed=0)
for _ in range(5):
    *_, info = env.step(info["expert_action"])
assert env.render().max() > 80
from tempest_rainbow.replay.sum_tree import SumTree
tree = SumTree(8)
tree.set(np.arange(8), np.arange(8.0))
assert tree.total == 28.0
print("played")
"""

FUNCTION = """
from tempest_gym.code_cache import build_once, compiled

@compiled(nogil=True)
def double(x):
    return 2 * x
"""

USE_IT = """
import function
assert (function.double(21), function.double(1.5)) == (42, 3.0)
assert function.build_once("some.o", lambda: b"code", "compiling") == b"code"
print(sum(function.double.stats.cache_hits.values()))
"""

NO_TEMPORARY_FOLDER = """
import tempfile
def none():
    raise FileNotFoundError("no usable temporary directory")
tempfile.gettempdir = none
"""


def run(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code as a user without name and home where possible, else as one whose home cannot be written."""
    (folder / "blocked").touch()  # A file: no folder can be made below it, whoever tries.
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/" if USER else str(folder / "blocked"),
        **variables,
    }
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environment, cwd="/", capture_output=True, text=True, timeout=300, **USER
    )


@pytest.fixture
def folder(tmp_path):
    """A folder that other users can read, with a module that has a compiled function."""
    (tmp_path / "function.py").write_text(FUNCTION)
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == os.getuid() and len(path.parts) > 2:
            path.chmod(0o755)
    return tmp_path


def test_another_user_s_cache_is_used_though_it_cannot_be_written(folder):
    """As in a container whose image ran ``tempest-gym precompile`` as root."""
    cache = folder / "cache"
    cache.mkdir()
    for path in [path for place in folders() if place.is_dir() for path in place.glob("*.o")]:
        shutil.copy(path, cache)
    made = subprocess.run(
        [sys.executable, "-c", PLAY_AND_DRAW],
        env={**os.environ, CACHE_VARIABLE: str(cache), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert made.returncode == 0, made.stderr
    assert list(cache.glob("*.nbc"))
    cache.chmod(0o555)
    before = sorted(path.name for path in cache.iterdir())
    blocked = {CACHE_VARIABLE: str(cache), "TMPDIR": str(folder / "blocked")}
    used = run(NO_TEMPORARY_FOLDER + PLAY_AND_DRAW, folder, **blocked)
    assert (used.stdout, used.stderr) == ("played\n", "")
    assert sorted(path.name for path in cache.iterdir()) == before
    cache.chmod(0o755)


def test_without_any_place_to_write_every_process_compiles_for_itself(folder):
    for _ in range(2):
        used = run(NO_TEMPORARY_FOLDER + USE_IT, folder)
        assert used.stdout == "0\n", used.stderr
        assert "compiling" in used.stderr


def test_a_user_without_a_home_has_a_private_temporary_folder(folder):
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o777)
    for hits in (0, 2):
        used = run(USE_IT, folder, TMPDIR=str(folder / "tmp"))
        assert used.stdout == f"{hits}\n", used.stderr
    (private,) = (folder / "tmp").iterdir()
    assert private.stat().st_mode & 0o777 == 0o700


def test_a_temporary_folder_that_others_can_write_is_not_trusted(folder):
    user = USER.get("user", os.getuid())
    open_to_all = folder / "tmp" / f"tempest-gym-{user}"
    open_to_all.mkdir(parents=True)
    (folder / "tmp").chmod(0o777)
    open_to_all.chmod(0o777)
    (open_to_all / "some.o").write_bytes(b"evil")
    for _ in range(2):
        used = run(USE_IT, folder, TMPDIR=str(folder / "tmp"))
        assert used.stdout == "0\n", used.stderr


def test_an_edited_neighbour_is_compiled_again(folder):
    """numba's own cache looks at the file of the function alone, not at the functions that it calls."""
    cache = {CACHE_VARIABLE: str(folder / "cache")}
    (folder / "cache").mkdir(mode=0o777)
    (folder / "cache").chmod(0o777)
    (folder / "neighbour.py").write_text("FACTOR = 2\n")
    (folder / "function.py").write_text(FUNCTION.replace("2 * x", "FACTOR * x") + "\n")
    text = "from neighbour import FACTOR\n" + (folder / "function.py").read_text()
    (folder / "function.py").write_text(text)
    assert run(USE_IT, folder, **cache).stdout == "0\n"
    assert run(USE_IT, folder, **cache).stdout == "2\n"
    (folder / "neighbour.py").write_text("FACTOR = 3\n")
    changed = run("import function; print(function.double(2))", folder, **cache)
    assert changed.stdout == "6\n", changed.stderr


@pytest.mark.parametrize("damage", [b"", b"\x80\x04"])
def test_damaged_code_is_compiled_again(tmp_path, monkeypatch, damage):
    (tmp_path / "function.py").write_text(FUNCTION)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))

    def hits():
        names = runpy.run_path(str(tmp_path / "function.py"), run_name="function")
        assert names["double"](21) == 42
        return sum(names["double"].stats.cache_hits.values())

    assert hits() == 0
    (file,) = (tmp_path / "cache").glob("*.nbc")
    file.write_bytes(damage)
    assert [hits(), hits()] == [0, 1]


def test_an_empty_file_is_written_again(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    (tmp_path / "some.o").touch()
    for _ in range(2):
        assert build_once("some.o", lambda: b"code", "compiling") == b"code"
    assert (tmp_path / "some.o").read_bytes() == b"code"


def test_a_full_disk_does_not_stop_what_was_compiled(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(os, "replace", full)
    assert build_once("some.o", lambda: b"code", "compiling") == b"code"
    assert [path.name for path in tmp_path.iterdir()] == ["some.o.lock"]


@pytest.mark.slow
def test_the_whole_environment_works_without_any_place_to_write(folder):
    used = run(NO_TEMPORARY_FOLDER + PLAY_AND_DRAW, folder)
    assert used.stdout == "played\n", used.stderr
