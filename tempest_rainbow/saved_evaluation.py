"""A file in which a long evaluation is saved, so that it continues after an interruption."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tempest_gym.signals import termination_as_interrupt
from tempest_rainbow.checkpoint import CheckpointError, read_tree, write_tree

__all__ = ["SavedEvaluation"]

_log = logging.getLogger(__name__)


class SavedEvaluation:
    """Saves an evaluation every few minutes, when it is interrupted, and at its end.

    Attributes:
        path: the file.
        seconds: that the evaluation took before it was continued.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], every_seconds: float = 300.0) -> None:
        """Save in ``path``.

        Args:
            path: the file; continued from if it is there.
            settings: what the result depends on; a file of other settings is refused.
            every_seconds: time between two saves.
        """
        self.path = path
        self.seconds = 0.0
        self._settings = dict(settings)
        self._every = every_seconds
        self._start = self._last = time.monotonic()
        self._interrupted = False

    def load(self) -> Any:
        """Return the state last saved; None if there is none.

        Raises:
            CheckpointError: the file is damaged or of an evaluation with other settings.
        """
        if not self.path.exists():
            return None
        saved = read_tree(self.path)
        differing = [
            f"{name} {saved['settings'].get(name)} there and {value} here"
            for name, value in self._settings.items()
            if saved["settings"].get(name) != value
        ]
        if differing:
            raise CheckpointError(f"{self.path} is of another evaluation: {', '.join(differing)}")
        self.seconds = saved["seconds"]
        _log.info("continuing from %s, after %.0f seconds of playing", self.path, self.seconds)
        return saved["state"]

    @contextmanager
    def catching_interrupts(self) -> Iterator[None]:
        """Let Ctrl-C, SIGTERM and SIGHUP end the evaluation at its next save, which is then due; a second Ctrl-C ends
        it at once.
        """

        def interrupt(number: int, _: Any) -> None:
            if self._interrupted and number == signal.SIGINT:
                raise KeyboardInterrupt
            self._interrupted = True

        with termination_as_interrupt(interrupt):
            yield

    def due(self) -> bool:
        """Return whether it is time to save."""
        return self._interrupted or time.monotonic() - self._last >= self._every

    def save(self, state: Any) -> None:
        """Save; a failure, such as a full disk, is logged and the evaluation continues.

        Raises:
            KeyboardInterrupt: the evaluation was interrupted.
        """
        self._last = time.monotonic()
        seconds = self.seconds + self._last - self._start
        try:
            write_tree(self.path, {"settings": self._settings, "seconds": seconds, "state": state})
        except OSError as error:
            _log.warning("the evaluation could not be saved (%s)", error)
        if self._interrupted:
            raise KeyboardInterrupt
