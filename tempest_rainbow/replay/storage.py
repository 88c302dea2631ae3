"""The replay's memory: in RAM or a mapped file, checks that it fits, saving and loading."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_gym.files import LARGEST_TEXT, read_json, sync
from tempest_rainbow.replay.sum_tree import SumTree

__all__ = [
    "allocate",
    "available_memory",
    "bytes_per_row",
    "check_room",
    "load_arrays",
    "load_scalars",
    "save",
]

_SMALL_FIELDS = 9
"""Bytes of a row beside its observation: action 2, advice 2, reward 4, flags 1."""

_PER_ENVIRONMENT = ("written", "open_windows")


def bytes_per_row(observation_size: int, dtype: str) -> int:
    """Return the bytes of one transition, its share of the sum tree included (rounded up)."""
    many = 1 << 20
    return observation_size * np.dtype(dtype).itemsize + _SMALL_FIELDS + -(-SumTree.bytes_for(many) // many)


def available_memory() -> int | None:
    """Return the bytes available without swapping, or None where the system does not report them."""
    limits = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(1024 * int(line.split()[1]))
    except OSError:
        try:
            limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        except (AttributeError, ValueError, OSError):
            return None
    try:  # a container's own limit
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        if limit != "max":
            limits.append(max(int(limit) - used, 0))
    except (OSError, ValueError):
        pass
    return min(limits) if limits else None


def check_room(capacity: int, observation_size: int, dtype: str, path: Path | None) -> None:
    """Raise MemoryError with the numbers and what to change if ``capacity`` rows do not fit."""
    row = bytes_per_row(observation_size, dtype)
    in_file = capacity * observation_size * np.dtype(dtype).itemsize if path is not None else 0
    in_memory = capacity * row - in_file
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free + (path.stat().st_size if path.exists() else 0)
        if in_file > free:
            raise MemoryError(
                f"a replay of {capacity:,} transitions needs {in_file / 1e9:.1f} GB on the disk of {path}, "
                f"which has {free / 1e9:.1f} GB; choose at most {int(free / (in_file / capacity)):,}"
            )
    memory = available_memory()
    if memory is not None and in_memory > memory:
        raise MemoryError(
            f"a replay of {capacity:,} transitions needs {in_memory / 1e9:.1f} GB of memory, "
            f"{memory / 1e9:.1f} GB are available; choose at most "
            f"{int(0.9 * memory / (in_memory / capacity)):,} transitions or keep it in a file"
        )


def allocate(shape: tuple[int, int], dtype: np.dtype[Any], path: Path | None) -> NDArray[Any]:
    """Return zeros of this shape, in memory or mapped from a new file at ``path``.

    Raises:
        OSError: the disk has no room for the file.
        ValueError: another file has that name; it is left as it is.
    """
    if path is None:
        return np.zeros(shape, dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    size = int(np.prod(shape)) * dtype.itemsize
    if path.exists() and not (path.is_file() and path.stat().st_size in (0, size)):
        raise ValueError(
            f"{path} exists and is not a replay of {size:,} bytes; delete it or choose another name"
        )
    mapped = np.memmap(path, dtype, mode="w+", shape=shape)
    if hasattr(os, "posix_fallocate"):  # Writing to a mapped page that the disk has no room for is fatal.
        with open(path, "rb+") as file:
            os.posix_fallocate(file.fileno(), 0, mapped.nbytes)
    return mapped


def save(
    directory: Path, scalars: dict[str, Any], arrays: dict[str, NDArray[Any]], rings: int, used: int
) -> None:
    """Write scalars and arrays under ``directory``: of every ring the first ``used`` rows."""
    directory = Path(directory)
    fresh = directory.with_name(directory.name + ".new")
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir(parents=True)
    for name, array in arrays.items():
        target = fresh / f"{name}.npy"
        if name in _PER_ENVIRONMENT:
            np.save(target, array, allow_pickle=False)
        else:
            view = array.reshape(rings, -1, *array.shape[1:])
            # Not through a mapping: where the disk is full, writing to one kills the process.
            shape = (rings, used, *array.shape[1:])
            header = {"descr": array.dtype.str, "fortran_order": False, "shape": shape}
            with open(target, "wb") as file:
                np.lib.format.write_array_header_1_0(file, header)
                for ring in range(rings):
                    file.write(np.ascontiguousarray(view[ring, :used]).data)
        sync(target)
    document = fresh / "replay.json"
    document.write_text(json.dumps(scalars, indent=1))
    sync(document)
    if directory.exists():
        old = directory.with_name(directory.name + ".old")
        if old.exists():
            shutil.rmtree(old)
        directory.rename(old)
        fresh.rename(directory)
        shutil.rmtree(old)
    else:
        fresh.rename(directory)


def load_scalars(directory: Path) -> dict[str, Any]:
    """Read the scalars that `save` wrote."""
    scalars = read_json(Path(directory) / "replay.json", LARGEST_TEXT)
    if not isinstance(scalars, dict):
        raise ValueError(f"{directory} holds no replay")
    return scalars


def load_arrays(directory: Path, arrays: dict[str, NDArray[Any]], rings: int) -> None:
    """Read what `save` wrote into ``arrays``; rows that were never used become zero."""
    for name, array in arrays.items():
        stored = np.load(Path(directory) / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        if name in _PER_ENVIRONMENT:
            array[:] = stored
        else:
            view = array.reshape(rings, -1, *array.shape[1:])
            used = stored.shape[1]
            for ring in range(rings):
                view[ring, :used] = stored[ring]
                view[ring, used:] = 0
