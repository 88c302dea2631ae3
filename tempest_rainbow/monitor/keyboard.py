"""Steering by single keys in the terminal, on Linux, macOS and Windows."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import zip_longest
from typing import Any, Protocol

from tempest_rainbow.monitor.controls import Controls
from tempest_rainbow.monitor.metrics import Metrics

__all__ = ["KEYS", "Keyboard", "Screen", "can_read_keys"]

_log = logging.getLogger(__name__)

KEYS: dict[str, str] = {
    "q": "save and quit",
    "s": "save a checkpoint",
    "t": "training on or off",
    "P": "epsilon pulse",
    "p": "greedy: no random actions",
    "o": "expert off: it never acts",
    "e": "expert mode: it alone acts",
    "4": "epsilon down",
    "5": "epsilon as scheduled",
    "6": "epsilon up",
    "7": "expert ratio down",
    "8": "expert ratio as scheduled",
    "9": "expert ratio up",
    "L": "learning rate doubled",
    "l": "learning rate halved",
    "a": "attention of lanes to enemies",
    "b": "replay statistics",
    "f": "flush the replay (asks first)",
    " ": "row of metrics now",
    "h": "header",
    "c": "clear the screen",
    "v": "all metrics, detailed log",
    "?": "this list",
}
"""What each key does."""

_TOGGLES = {"t": "training", "p": "greedy", "o": "expert_off", "e": "expert_mode", "v": "verbose"}
_REQUESTS = {"q": "quit", "s": "save", "P": "pulse", " ": "report"}
_STEPS = {"4": ("epsilon", -1), "6": ("epsilon", 1), "7": ("expert_ratio", -1), "9": ("expert_ratio", 1)}
_RESETS = {"5": "epsilon", "8": "expert_ratio"}
_STEP_SIZE = {"epsilon": 0.01, "expert_ratio": 0.05}
_FACTORS = {"L": 2.0, "l": 0.5}


def key_table() -> str:
    """Return the keys in two columns, which fit a terminal of 80 x 24."""
    entries = [f"{'Space' if key == ' ' else key:5} {text}" for key, text in KEYS.items()]
    half = (len(entries) + 1) // 2
    return "\n".join(
        f"{left:38}{right}" for left, right in zip_longest(entries[:half], entries[half:], fillvalue="")
    )


class Screen(Protocol):
    """Where answers to keys appear."""

    def header(self) -> None:
        """Show the names of the columns."""

    def clear(self) -> None:
        """Empty the screen."""

    def show(self, text: str) -> None:
        """Show lines of text."""


def can_read_keys() -> bool:
    """Whether standard input is a terminal and this process is the one in its foreground.

    A process in the background would be stopped by the kernel as soon as it touched the terminal's settings.
    """
    try:
        if not sys.stdin.isatty() or not sys.stderr.isatty():
            return False
        return sys.platform == "win32" or os.getpgrp() == os.tcgetpgrp(sys.stdin.fileno())
    except (AttributeError, OSError, ValueError):
        return False


class Keyboard:
    """Reads keys in its own thread and turns them into steering."""

    def __init__(
        self,
        controls: Controls,
        metrics: Metrics,
        screen: Screen,
        reports: Mapping[str, Callable[[], str]],
    ) -> None:
        """Make a keyboard that does not read yet.

        Args:
            controls: what keys change.
            metrics: its latest row holds the present values of the schedules.
            screen: where answers appear; changes of ``controls`` are confirmed by their listeners.
            reports: what keys ``a`` and ``b`` show, by the names ``attention`` and ``replay``.
        """
        self._controls = controls
        self._metrics = metrics
        self._screen = screen
        self._reports = reports
        self._asked_to_flush = False
        self._stopping = False
        self._wake: Callable[[], object] = lambda: None
        self._thread: threading.Thread | None = None

    def press(self, key: str) -> None:
        """Do what a key stands for; an unknown key shows a hint."""
        if self._asked_to_flush:
            self._asked_to_flush = False
            if key in ("y", "Y"):
                self._controls.request("flush_replay", "keyboard")
            else:
                self._screen.show("the replay is kept")
            return
        controls = self._controls
        if key in _TOGGLES:
            controls.toggle(_TOGGLES[key], "keyboard")
        elif key in _REQUESTS:
            controls.request(_REQUESTS[key], "keyboard")
        elif key in _STEPS:
            name, direction = _STEPS[key]
            self._move(name, direction * _STEP_SIZE[name])
        elif key in _RESETS:
            self._set(_RESETS[key], None)
        elif key in _FACTORS:
            self._set("learning_rate_factor", controls["learning_rate_factor"] * _FACTORS[key])
        elif key == "a":
            self._report("attention")
        elif key == "b":
            self._report("replay")
        elif key == "f":
            self._asked_to_flush = True
            self._screen.show("empty the whole replay? y for yes, any other key for no")
        elif key == "h":
            self._screen.header()
        elif key == "c":
            self._screen.clear()
        elif key == "?":
            self._screen.show(key_table())
        else:
            self._screen.show(f"unknown key {key!r}; ? lists the keys")

    def start(self) -> None:
        """Start reading single keys, with the terminal in raw mode."""
        self._thread = threading.Thread(target=self._read, name="keyboard", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop reading and put the terminal back as it was."""
        self._stopping = True
        with suppress(RuntimeError):  # the thread has ended by itself
            self._wake()
        if self._thread is not None:
            self._thread.join()

    def _read(self) -> None:
        from prompt_toolkit.input import create_input  # only runs at a terminal need it
        from prompt_toolkit.keys import Keys

        source = create_input()

        def take() -> None:
            for stroke in source.read_keys():
                if stroke.key == Keys.ControlC:
                    signal.raise_signal(signal.SIGINT)  # in raw mode it arrives as a key
                elif len(stroke.data) == 1 and stroke.data.isprintable():
                    self._press_safely(stroke.data)

        async def attend() -> None:
            ended = asyncio.Event()
            self._wake = partial(asyncio.get_running_loop().call_soon_threadsafe, ended.set)
            with source.raw_mode(), source.attach(take):
                if not self._stopping:
                    await ended.wait()

        asyncio.run(attend())

    def _press_safely(self, key: str) -> None:
        try:
            self.press(key)
        except Exception:
            _log.exception("key %r failed", key)

    def _move(self, name: str, step: float) -> None:
        present: Any = self._controls[name]
        if present is None:
            latest = self._metrics.latest
            present = latest.values.get(f"schedule/{name}", 0.0) if latest is not None else 0.0
        if math.isnan(present):
            present = 0.0
        self._set(name, round(min(max(present + step, 0.0), 1.0), 4))

    def _set(self, name: str, value: float | None) -> None:
        before = self._controls[name]
        try:
            self._controls.set(name, value, "keyboard")
        except ValueError as error:
            self._screen.show(str(error))
            return
        if self._controls[name] == before:
            self._screen.show(f"{name} stays {'as scheduled' if before is None else before}")

    def _report(self, name: str) -> None:
        self._screen.show(
            self._reports[name]() if name in self._reports else f"this run has no {name} report"
        )
