"""What a process holds at a moment, read from /proc; clocks and waiting."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

MIB = 1 << 20


class Clock:
    """Stands for a module's ``time``; tests set it forward instead of waiting."""

    ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@dataclass(frozen=True)
class Usage:
    """Resident memory in MiB, open files, threads, and child processes (zombies among them)."""

    memory: float
    files: int
    threads: int
    children: int


def usage(pid: int | None = None) -> Usage:
    """Return what a process holds; None: this one."""
    folder = Path(f"/proc/{pid or os.getpid()}")
    resident = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    tasks = list((folder / "task").iterdir())
    children = sum(len((task / "children").read_text().split()) for task in tasks)
    return Usage(round(resident / MIB, 1), len(list((folder / "fd").iterdir())), len(tasks), children)


def at_rest(pid: int) -> Usage:
    """Return the least of what a process holds within two seconds: not the file that it is just writing."""
    seen = []
    for _ in range(20):
        seen.append(astuple(usage(pid)))
        time.sleep(0.1)
    return Usage(*(min(values) for values in zip(*seen, strict=True)))


def soak_scale() -> float:
    """Return by how much the environment shortens (or lengthens) soak tests, 1 for the full length."""
    return float(os.environ.get("TEMPEST_SOAK_SCALE", "1"))


def wait_for(condition: Callable[[], bool], seconds: float = 600.0) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it does not in time.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(0.05)


def rounds(seconds: float, count: int) -> Iterator[float]:
    """Yield the end of each of ``count`` equal spans, one after the other, as a time of the monotonic clock."""
    start = time.monotonic()
    for index in range(1, count + 1):
        yield start + seconds * index / count
