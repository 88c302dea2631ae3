"""The cache of compiled code: a file's name covers all that it depends on, and it is compiled once.

There are two folders: the one in ``TEMPEST_GYM_CACHE``, or else the user's cache folder; and a private one among the
temporary files. Code is read from either, even where it cannot be written, and written to the first that allows it.
Where neither does, each process compiles for itself.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import platformdirs
from filelock import FileLock

__all__ = ["CACHE_VARIABLE", "build_once", "compiled", "find", "machine_code_key", "writable_folder"]

_DAY = 86_400.0

_KEPT = 60 * _DAY
"""Seconds since its last use after which a file is removed; until then another version may still need it."""

CACHE_VARIABLE = "TEMPEST_GYM_CACHE"
"""Environment variable that moves the cache folder."""


def folders() -> list[Path]:
    """Return the folders in which compiled code may be, whether or not they exist."""
    chosen = os.environ.get(CACHE_VARIABLE)
    first = Path(os.path.expanduser(chosen or platformdirs.user_cache_dir("tempest-gym", appauthor=False)))
    places = [first] if first.is_absolute() or chosen else []  # "~" stays where a user has no home.
    temporary = _temporary_folder()
    return [*places, temporary] if temporary else places


def _temporary_folder() -> Path | None:
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    try:
        return Path(tempfile.gettempdir()) / f"tempest-gym-{user}"
    except OSError:
        return None


def writable_folder() -> Path | None:
    """Return the first folder that can be written to, created if need be, or None."""
    for folder in folders():
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700 if folder == _temporary_folder() else 0o777, parents=True, exist_ok=True)
            if _is_safe(folder):
                with tempfile.TemporaryFile(dir=folder):
                    return folder
    return None


def find(name: str) -> Path | None:
    """Return the file of that name in the cache, or None if it cannot be read or is empty."""
    for folder in folders():
        path = folder / name
        if os.access(path, os.R_OK) and _is_safe(folder) and path.stat().st_size:
            with contextlib.suppress(OSError):  # Note the use, once a day, where that is allowed.
                if time.time() - path.stat().st_mtime > _DAY:
                    os.utime(path)
            return path
    return None


def _is_safe(folder: Path) -> bool:
    """Whether no other user can have written code into a folder: a temporary one must belong to this user alone."""
    if folder != _temporary_folder() or not hasattr(os, "getuid"):
        return True
    status = folder.lstat()
    return status.st_uid == os.getuid() and not status.st_mode & 0o022 and not folder.is_symlink()


def machine_code_key(sources: Iterable[Path], data: bytes = b"") -> str:
    """Return a hash of all that machine code depends on: texts of sources, compiler, processor, and some data."""
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


def build_once(name: str, compile_code: Callable[[], bytes], announcement: str) -> bytes:
    """Return the content of the file of that name in the cache, compiled if it is not there yet.

    Processes that need it at the same time wait for the first of them. Files unused for 60 days are removed
    when a new one is written.

    Args:
        name: file name, with the key in it.
        compile_code: makes the file's content.
        announcement: what takes the time, for a line on standard error.
    """
    path = find(name)
    if path is not None:
        return path.read_bytes()
    folder = writable_folder()
    with FileLock(str(folder / name) + ".lock") if folder else contextlib.nullcontext():
        path = find(name)
        if path is not None:
            return path.read_bytes()
        started = time.monotonic()
        sys.stderr.write(f"tempest-gym: {announcement} ... ")
        sys.stderr.flush()
        code = compile_code()
        if folder:
            _write(folder / name, code)
        sys.stderr.write(f"done in {time.monotonic() - started:.0f} s\n")
    return code


def _write(path: Path, content: bytes) -> None:
    """Write a file at once, and remove old ones. Where it cannot be written, nothing happens."""
    with contextlib.suppress(OSError):  # The disk is full, for instance.
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(temporary, 0o644)  # Also for other users, who may share the folder.
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
    for pattern in ("*.o", "*.o.lock", "board-*.py", "*.nbc", "*.tmp"):
        for old in path.parent.glob(pattern):
            with contextlib.suppress(OSError):
                if time.time() - old.stat().st_mtime > _KEPT:
                    old.unlink()


def compiled(**options: Any) -> Callable[[Any], Any]:
    """Compile functions with ``numba.njit`` and these options, and keep their code in the cache.

    Example:
        >>> @compiled(nogil=True)
        ... def twice(value):
        ...     return 2 * value
        >>> twice(21)
        42
    """
    import numba

    def decorate(function: Any) -> Any:
        dispatcher = numba.njit(**options)(function)
        if Path(function.__code__.co_filename).is_file():
            dispatcher._cache = _FunctionCache(function)
        return dispatcher

    return decorate


class _FunctionCache:
    """What numba requires of the cache of a function: the parts of its own `numba.core.caching.Cache` that it calls.

    The key covers the texts of the function's whole folder, so that functions it calls there are covered too.
    """

    def __init__(self, function: Any) -> None:
        self.cache_path = str(folders()[0])
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._folder = Path(function.__code__.co_filename).parent

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Return the compiled function for a signature, None if it is not in the cache or its file is damaged."""
        from numba.core.compiler import CompileResult

        target_context.refresh()
        path = find(self._file_name(signature))
        if path is None:
            return None
        try:
            return CompileResult._rebuild(target_context, *pickle.loads(path.read_bytes()))
        except Exception:  # A damaged file may raise anything.
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep a compiled function; where nothing can be written, nothing happens."""
        from numba.core.serialize import dumps

        folder = writable_folder()
        if folder and not result.lifted and not result.library.has_dynamic_globals:
            _write(folder / self._file_name(signature), dumps(result._reduce()))

    def _file_name(self, signature: Any) -> str:
        return f"{self._name}-{_folder_key(self._folder, f'{self._name}{signature}')}.nbc"


@functools.cache
def _folder_key(folder: Path, data: str) -> str:
    return machine_code_key(folder.glob("*.py"), data.encode())
