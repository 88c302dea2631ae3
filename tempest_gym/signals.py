"""Signals that end a command."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["termination_as_interrupt"]


@contextmanager
def termination_as_interrupt(
    handler: Callable[[int, Any], Any] = signal.default_int_handler,
) -> Iterator[None]:
    """Make SIGTERM, and SIGHUP when the terminal closes, end a command and all that it started, as Ctrl-C does.

    Args:
        handler: of Ctrl-C and these signals, unless they are ignored, as under ``nohup``.
    """
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
