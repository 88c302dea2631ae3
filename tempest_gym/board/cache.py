"""The user's cache of compiled code: each file is named by all that it depends on, and made once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
import platformdirs
from filelock import FileLock

_DAY = 86_400.0

_KEPT = 60 * _DAY
"""Seconds since its last use after which a file may go; another version may still want a younger one."""

CACHE_VARIABLE = "TEMPEST_GYM_CACHE"
"""Environment variable that moves the cache folder."""


def cache_folder() -> Path:
    """Where compiled code is kept: ``TEMPEST_GYM_CACHE``, or the user's cache folder, or a private temporary one."""
    chosen = os.environ.get(CACHE_VARIABLE)
    folder = Path(chosen) if chosen else Path(platformdirs.user_cache_dir("tempest-gym", appauthor=False))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
        fallback = Path(tempfile.gettempdir()) / f"tempest-gym-{user}"
        fallback.mkdir(mode=0o700, exist_ok=True)
        if hasattr(os, "getuid") and fallback.stat().st_uid != os.getuid():
            raise PermissionError(
                f"Neither {folder} nor {fallback} can hold compiled code: set {CACHE_VARIABLE} to a folder of yours."
            ) from None
        return fallback


def machine_code_key(sources: Iterable[Path], data: bytes = b"") -> str:
    """A hash of all that machine code depends on: the texts of sources, compiler, processor, and some data."""
    digest = hashlib.sha256(data)
    for path in sorted(sources):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    for part in (
        sys.version,
        version("numba"),
        llvmlite.__version__,
        platform.machine(),
        sys.platform,
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
    ):
        digest.update(part.encode())
    return digest.hexdigest()[:32]


def build_once(name: str, compile_code: Callable[[], bytes], announcement: str) -> Path:
    """The file of that name in the cache, compiled if it is not there yet.

    Processes that want it at the same time wait for the first of them. Files that nobody used for 60 days go when a new
    one comes.

    Args:
        name: file name, with the key in it.
        compile_code: makes the file's content.
        announcement: what is about to take time, for a line on standard error.
    """
    folder = cache_folder()
    path = folder / name
    if path.exists():
        _note_use(path)
        return path
    with FileLock(str(path) + ".lock"):
        if path.exists():
            return path
        started = time.monotonic()
        sys.stderr.write(f"tempest-gym: {announcement} ... ")
        sys.stderr.flush()
        code = compile_code()
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(code)
        os.replace(temporary, path)
        sys.stderr.write(f"done in {time.monotonic() - started:.0f} s\n")
    _remove_unused(folder)
    return path


def _note_use(path: Path) -> None:
    """Set a file's time to now, once a day, where that is allowed."""
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > _DAY:
            os.utime(path)


def _remove_unused(folder: Path) -> None:
    """Delete files of compilations that nobody used for long."""
    for pattern in ("*.o", "*.o.lock", "board-*.py", "*.tmp"):
        for path in folder.glob(pattern):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _KEPT:
                    path.unlink()
