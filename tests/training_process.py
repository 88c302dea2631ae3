"""A real ``tempest-rainbow train`` in its own process, small and quick, to be observed and disturbed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from resources import wait_for

from tempest_rainbow.checkpoint import Checkpoints
from tempest_rainbow.monitor.history import read_history

QUICK = [
    *("--preset", "fast-check", "--frames", "None", "--minutes", "None", "--threads", "1"),
    *("--evaluation.every-minutes", "0", "--evaluation.no-at-end", "--dashboard.no-on"),
    *("--monitor.curve-seconds", "0.5", "--monitor.ui", "log"),
]
"""Options of a run that continues until it is stopped."""


class Training:
    """The process and its run folder.

    Attributes:
        folder: the run's folder.
        errors: file with what this process wrote to standard error.
    """

    def __init__(self, folder: Path, *options: str, quick: bool = True, **environment: str) -> None:
        """Start it; the environment variables given are added."""
        self.folder = folder
        self.errors = folder.with_suffix(".stderr")
        command = [sys.executable, "-m", "tempest_rainbow.cli", "train", *(QUICK if quick else []), *options]
        if "--resume" not in options:
            command += ["--run", str(folder)]
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(command, stderr=errors, env={**os.environ, **environment})
        self.pid = self.process.pid

    def rows(self) -> list[dict[str, Any]]:
        """Return the metrics of all rows so far."""
        return [line["values"] for line in self.history() if line["kind"] == "row"]

    def events(self) -> list[str]:
        """Return the sentences so far."""
        return [line["text"] for line in self.history() if line["kind"] == "event"]

    def history(self) -> list[dict[str, Any]]:
        """Return the lines of history.jsonl so far."""
        file = self.folder / "history.jsonl"
        return list(read_history(file)) if file.exists() else []

    def last(self, name: str) -> float:
        """Return a metric's last value, 0 before the first."""
        return next((float(row[name]) for row in reversed(self.rows()) if name in row), 0.0)

    def wait_for_line(self, pattern: str, seconds: float = 600.0) -> re.Match[str]:
        """Wait for a line of the log and return its match."""
        found: list[re.Match[str]] = []

        def seen() -> bool:
            self.check()
            found.extend(re.finditer(pattern, self.printed()))
            return bool(found)

        wait_for(seen, seconds)
        return found[0]

    def wait_for_frames(self, frames: float, seconds: float = 600.0) -> None:
        """Wait until ``frames`` frames have been collected."""
        wait_for(lambda: self.check() and self.last("progress/frames") >= frames, seconds)

    def check(self) -> bool:
        """Return True while it runs.

        Raises:
            AssertionError: it has ended.
        """
        assert self.process.poll() is None, (
            f"ended with code {self.process.returncode}: {self.printed()[-3000:]}"
        )
        return True

    def printed(self) -> str:
        """Return all of its standard error."""
        return self.errors.read_text(errors="replace")

    def checkpoints(self) -> Checkpoints:
        """Return the run's checkpoints."""
        return Checkpoints(self.folder / "checkpoints", 3)

    def settings(self) -> str:
        """Return the text of config.toml."""
        return (self.folder / "config.toml").read_text()

    def interrupt(self, seconds: float = 600.0) -> int:
        """Press Ctrl-C once and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self.process.kill()
        self.process.wait()
