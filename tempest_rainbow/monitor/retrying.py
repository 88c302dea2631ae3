"""A monitor that resumes after it could not write for a while, for example because the disk was full."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from tempest_rainbow.monitor.metrics import Monitor, Row

__all__ = ["Retrying"]

_log = logging.getLogger(__name__)


class Retrying:
    """Reopens a monitor some time after it could not write; what happens until then is left out."""

    def __init__(self, name: str, make: Callable[[], Monitor], *, seconds: float = 60.0) -> None:
        """Open the monitor.

        Args:
            name: of what it writes, for the log.
            make: opens it.
            seconds: after which it is reopened.

        Raises:
            OSError: it cannot be opened at all.
        """
        self._name = name
        self._make = make
        self._seconds = seconds
        self._monitor: Monitor | None = make()
        self._retry_at = 0.0

    def row(self, row: Row) -> None:
        """Pass on a row of metrics."""
        self._try(lambda monitor: monitor.row(row))

    def event(self, frames: int, text: str) -> None:
        """Pass on a sentence about something that happened."""
        self._try(lambda monitor: monitor.event(frames, text))

    def evaluation(self, frames: int, result: Mapping[str, Any]) -> None:
        """Pass on the result of an evaluation."""
        self._try(lambda monitor: monitor.evaluation(frames, result))

    def close(self) -> None:
        """Close the monitor."""
        if self._monitor is not None:
            self._try(lambda monitor: monitor.close())

    def _try(self, call: Callable[[Monitor], None]) -> None:
        try:
            if self._monitor is None:
                if time.monotonic() < self._retry_at:
                    return
                self._monitor = self._make()
                _log.info("%s can be written again", self._name)
            call(self._monitor)
        except OSError as error:
            if self._monitor is not None:
                _log.warning("%s cannot be written at present: %s", self._name, error)
                with contextlib.suppress(OSError):
                    self._monitor.close()
            self._monitor = None
            self._retry_at = time.monotonic() + self._seconds
