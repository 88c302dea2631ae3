"""Reads small files of unknown origin, and writes files completely or not at all."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import uuid
from pathlib import Path
from typing import Any

__all__ = ["LARGEST_JSON", "LARGEST_TEXT", "read_json", "read_start", "read_text", "sync", "write_bytes"]

LARGEST_TEXT = 1 << 20
LARGEST_JSON = 1 << 28
"""Bytes of a state's plain values: 64 boards take some hundred thousand."""


def read_start(path: str | os.PathLike[str], most: int) -> bytes:
    """Return the first ``most`` bytes of a file, without waiting at a pipe or device.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a regular file (a device, a pipe).
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind):
        os.close(descriptor)
        if stat.S_ISDIR(kind):  # Opening it by its number would name the number.
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise ValueError(f"{path} is not a regular file")
    with open(descriptor, "rb") as file:
        return file.read(most)


def read_text(path: Path, largest: int = LARGEST_TEXT) -> str:
    """Return a file's text.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: it is not a regular file, larger than ``largest`` bytes, or not UTF-8.
    """
    content = read_start(path, largest + 1)
    if len(content) > largest:
        raise ValueError(f"{path} has {path.stat().st_size:,} bytes, at most {largest:,} were expected")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text: {error}") from error


def read_json(path: Path, largest: int = LARGEST_JSON) -> Any:
    """Return what a JSON file holds.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: as `read_text`, or it is not JSON.
    """
    try:
        return json.loads(read_text(path, largest))
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply") from error


def sync(path: Path) -> None:
    """Make the operating system write a file or folder to disk now."""
    windows = sys.platform == "win32"
    if windows and path.is_dir():
        return  # It cannot open folders; the rename itself is atomic there.
    descriptor = os.open(path, os.O_RDWR if windows else os.O_RDONLY)  # It flushes only what can be written.
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():
            raise  # Not every file system can sync folders.
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that it has the old or the new content at any moment, never a part.

    Raises:
        OSError: the folder does not exist, cannot be written or is full; an older file stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)
