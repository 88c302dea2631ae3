"""The run's history as lines of JSON, for plots, for dashboards, and to be read after a restart."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tempest_rainbow.monitor.metrics import Row

__all__ = ["History", "read_history"]


class History:
    """Appends a line for every row, event and evaluation."""

    def __init__(self, path: Path) -> None:
        """Open ``path`` for appending."""
        self._file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 (closed by close)

    def row(self, row: Row) -> None:
        """Append a row of metrics; values that are no numbers become null."""
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
        self._file.write(json.dumps({"kind": kind, "time": time.time(), "frames": frames, **content}) + "\n")


def read_history(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a history; a last line that was cut off by a crash is left out."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)
