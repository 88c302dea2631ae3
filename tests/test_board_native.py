"""The cache of compiled code: one compile for many starts, never stale, wherever the package is installed."""

from __future__ import annotations

import ast
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import tempest_gym
from tempest_gym.board import native
from tempest_gym.board.interpreter import Compiled
from tempest_gym.code_cache import build_once

PACKAGE = Path(tempest_gym.__file__).parent

# Stands for the half minute that a real compilation takes: waits, counts itself, returns what the cache has already.
FAKE_COMPILATION = """
import os, sys, time
from pathlib import Path
from types import SimpleNamespace
from tempest_gym.board import native

def compile_slowly():
    with open(os.environ["COUNTER"], "a") as file:
        file.write("compiled\\n")
    time.sleep(1)
    return Path(os.environ["READY"]).read_bytes()

native._compile = compile_slowly
print(native.load().run_address != 0)
"""


@pytest.fixture
def ready(tmp_path: Path) -> dict[str, str]:
    """The environment of a user whose cache is empty, and a compiler that only counts its calls."""
    compiled = native.precompile()
    return {
        **os.environ,
        "COUNTER": str(tmp_path / "count"),
        "READY": str(compiled),
        native.CACHE_VARIABLE: str(tmp_path / "cache"),
        "PYTHONPATH": str(PACKAGE.parent),
    }


def start(code: str, environment: dict[str, str], folder: Path | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )


def test_parallel_first_starts_compile_once(ready: dict[str, str]) -> None:
    """One of them reports it on standard error; all of them run."""
    starts = [start(FAKE_COMPILATION, ready) for _ in range(4)]
    outputs = [process.communicate(timeout=120) for process in starts]
    assert [output for output, _ in outputs] == ["True\n"] * 4, outputs
    assert Path(ready["COUNTER"]).read_text() == "compiled\n"
    assert sorted("compiling the board" in errors for _, errors in outputs) == [False, False, False, True]
    later, errors = start(FAKE_COMPILATION, ready).communicate(timeout=120)
    assert (later, errors) == ("True\n", "")


def test_numba_is_not_needed_once_compiled(ready: dict[str, str]) -> None:
    code = "import sys; from tempest_gym.board import native; native.load(); print('numba' in sys.modules)"
    del ready[native.CACHE_VARIABLE]
    assert start(code, ready).communicate(timeout=120)[0] == "False\n"


def test_an_edited_source_is_compiled_again(tmp_path: Path, ready: dict[str, str]) -> None:
    """The key covers the text of every file of the board, not their dates."""
    copy = tmp_path / "site" / "tempest_gym"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.nb?"))
    ready["PYTHONPATH"] = str(tmp_path / "site")
    code = "from tempest_gym.board import native; print(native.__file__, native.cache_key())"

    def key() -> str:
        output, errors = start(code, ready, tmp_path).communicate(timeout=120)
        place, found = output.split()
        assert place == str(copy / "board" / "native.py"), errors
        return found

    first = key()
    assert first == native.cache_key()
    handler = copy / "board" / "earom.py"
    moment = handler.stat().st_mtime_ns
    handler.write_text(handler.read_text().replace("0x02", "0x03"))
    os.utime(handler, ns=(moment, moment))
    assert key() != first


def test_read_only_installation_and_home(tmp_path: Path, ready: dict[str, str]) -> None:
    """A package nobody can write to, and a cache folder that cannot be made: a private temporary folder serves."""
    site = tmp_path / "site"
    shutil.copytree(PACKAGE, site / "tempest_gym", ignore=shutil.ignore_patterns("__pycache__", "*.nb?"))
    (tmp_path / "file").write_text("not a folder")
    ready.update({"PYTHONPATH": str(site), native.CACHE_VARIABLE: str(tmp_path / "file" / "cache")})
    ready["TMPDIR"] = str(tmp_path)
    for path in [site, *site.rglob("*")]:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    before = sorted(str(path) for path in site.rglob("*"))
    ready["PYTHONDONTWRITEBYTECODE"] = "1"
    try:
        output, errors = start(FAKE_COMPILATION, ready, tmp_path).communicate(timeout=120)
        assert output == "True\n", errors
        again, errors = start(FAKE_COMPILATION, ready, tmp_path).communicate(timeout=120)
        assert (again, errors) == ("True\n", "")
        assert sorted(str(path) for path in site.rglob("*")) == before
    finally:
        for path in [site, *site.rglob("*")]:
            path.chmod(path.stat().st_mode | stat.S_IWUSR)


def test_interrupted_compilation_leaves_no_half_file(ready: dict[str, str]) -> None:
    code = FAKE_COMPILATION.replace("time.sleep(1)", "os._exit(1)")
    process = start(code, ready)
    process.communicate(timeout=120)
    assert process.returncode == 1
    assert not list(Path(ready[native.CACHE_VARIABLE]).glob("*.o"))
    assert start(FAKE_COMPILATION, ready).communicate(timeout=120)[0] == "True\n"


def test_files_long_unused_are_removed_when_a_new_one_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(native.CACHE_VARIABLE, str(tmp_path))
    long_ago = time.time() - 61 * 86_400
    for name in ("old.o", "old.o.lock", "left.tmp", "used.o", "board-old.py", "notes.txt"):
        (tmp_path / name).write_bytes(b"code")
        os.utime(tmp_path / name, (long_ago, long_ago))
    assert build_once("used.o", lambda: b"", "nothing") == b"code"
    assert build_once("new.o", lambda: b"new", "compiling") == b"new"
    assert {path.name for path in tmp_path.iterdir()} == {"used.o", "notes.txt", "new.o", "new.o.lock"}


def test_compiling_for_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From nothing to machine code, with a line about it."""
    monkeypatch.setenv(native.CACHE_VARIABLE, str(tmp_path))
    path = native.precompile()
    assert path.parent == tmp_path
    assert path.stat().st_size > 10_000
    assert "once" in capsys.readouterr().err
    listing = path.with_suffix(".py").read_text()
    assert "generated by tempest_gym.board.interpreter_source" in listing.splitlines()[0]
    ast.parse(listing)
    assert native.precompile() == path
    assert capsys.readouterr().err == ""


def test_machine_code_that_calls_what_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it would be if a version of numba left Python's own functions in."""
    calls_python = (
        "declare void @PyErr_Clear()\ndefine void @part() {\n call void @PyErr_Clear()\n ret void\n}\n"
    )
    signature = SimpleNamespace(args=[], return_type="int32")
    part = Compiled("core", "part", calls_python, signature)
    monkeypatch.setenv(native.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr("tempest_gym.board.interpreter.compile_all", lambda listing: [part])
    monkeypatch.setattr("tempest_gym.board.entry_points.entry_points", lambda parts: "")
    with pytest.raises(RuntimeError, match=r"does not contain.*PyErr_Clear"):
        native._compile()
    assert not list(tmp_path.glob("*.o"))
