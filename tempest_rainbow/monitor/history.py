"""The run's history as lines of JSON, for plots, for dashboards and for resuming."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tempest_rainbow.monitor.metrics import Row

__all__ = ["History", "read_history", "rewind"]

_log = logging.getLogger(__name__)


class History:
    """Appends a line for every row, event and evaluation.

    Lines that cannot be written, because the disk is full, are left out whole.
    """

    def __init__(self, path: Path) -> None:
        """Open ``path`` for appending."""
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 (closed by close)
        self._lost = 0

    def row(self, row: Row) -> None:
        """Append a row of metrics; values that are not numbers become null."""
        values = {name: value if math.isfinite(value) else None for name, value in row.values.items()}
        self._write("row", row.frames, {"seconds": round(row.seconds, 3), "values": values})

    def event(self, frames: int, text: str) -> None:
        """Append what happened."""
        self._write("event", frames, {"text": text})

    def evaluation(self, frames: int, result: Mapping[str, Any]) -> None:
        """Append an evaluation."""
        self._write("evaluation", frames, {"result": dict(result)})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, kind: str, frames: int, content: Mapping[str, Any]) -> None:
        line = json.dumps({"kind": kind, "time": time.time(), "frames": frames, **content}) + "\n"
        left = memoryview(line.encode())
        end = self._file.seek(0, os.SEEK_END)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self._file.truncate(end)
            self._lost += 1
            if self._lost == 1:
                _log.warning("the history cannot be written at present: %s", error)
        else:
            if self._lost:
                _log.info("the history continues; %d lines are lost", self._lost)
            self._lost = 0


def rewind(path: Path, frames: int) -> None:
    """Drop the rows of a history after ``frames``, because the run resumes from an earlier checkpoint.

    Lines that are damaged go, too.
    """
    from tempest_gym.files import write_bytes

    if not path.exists():
        return

    def stands(line: bytes) -> bool:
        try:
            return line.endswith(b"\n") and json.loads(line)["frames"] <= frames
        except (ValueError, KeyError, TypeError):
            return False

    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if stands(line)]
    if len(kept) < len(lines):
        try:
            write_bytes(path, b"".join(kept))
        except OSError as error:
            _log.warning("the history keeps the rows after frame %d, and will repeat them: %s", frames, error)


def read_history(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a history; a last line that was cut off by a crash is left out."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)
