"""The trainer's side of the dashboard, which is a separate process; both exchange lines of JSON.

The web server runs apart from the trainer so that viewers take no time of the training under Python's lock,
and so that no failure there can end a run.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import math
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tempest_gym.server import admission
from tempest_rainbow.config.settings import DashboardConfig
from tempest_rainbow.monitor.controls import REQUESTS, SETTINGS, Controls, Event
from tempest_rainbow.monitor.metrics import Row

__all__ = ["Dashboard", "DashboardError", "available", "read_token"]

_log = logging.getLogger(__name__)

_LONGEST_QUEUE = 1000
_TOKEN_VARIABLE = "TEMPEST_DASHBOARD_TOKEN"


class DashboardError(ValueError):
    """The dashboard cannot be served as configured; the message names what to change."""


def read_token(config: DashboardConfig) -> str | None:
    """Return the token, or None where none is needed.

    Raises:
        DashboardError: no token is given and the address is not loopback, or the token is too short.
    """
    try:
        token = admission.read_token(config.token_file, _TOKEN_VARIABLE)
    except (OSError, ValueError) as error:
        raise DashboardError(f"the dashboard's token cannot be used: {error}") from error
    if token is None and not admission.is_loopback(config.host):
        raise DashboardError(
            f"a dashboard on {config.host} can be reached from other machines, so it needs a token: "
            f"put one into a file and give --dashboard.token-file, or set {_TOKEN_VARIABLE}"
        )
    return token


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the first free port from ``port`` on, or on any if ten are taken.

    Raises:
        DashboardError: the address is not one of this machine's.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except OSError as error:
        raise DashboardError(f"the dashboard cannot bind to {host}: {error}") from error
    candidates = [0] if port == 0 else [*range(port, min(port + 10, 65536)), 0]
    for candidate in candidates:
        listener = socket.socket(family, socket.SOCK_STREAM)
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(128)
        except OSError as error:
            listener.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES) or candidate == candidates[-1]:
                raise DashboardError(f"the dashboard cannot bind to {host}:{candidate}: {error}") from error
            continue
        if candidate not in (0, port) or (candidate == 0 and port != 0):
            _log.info("port %d is in use; the dashboard takes %d", port, listener.getsockname()[1])
        return listener
    raise AssertionError("the last candidate returns or raises")


class Dashboard:
    """A monitor that shows a run in browsers, from where it can be steered."""

    def __init__(
        self,
        config: DashboardConfig,
        controls: Controls,
        *,
        title: str,
        history: Path,
        picture: Callable[[], Mapping[str, Any] | None] | None = None,
        reports: Mapping[str, Callable[[], str]] | None = None,
    ) -> None:
        """Start the server.

        Args:
            config: where to serve.
            controls: what browsers may change.
            title: name of the run.
            history: the run's ``history.jsonl``; what it holds already is shown from the start.
            picture: gives one picture of a game as JSON-able values (``jpeg``: base64); called only while
                somebody watches.
            reports: texts that browsers may request, by name.

        Raises:
            DashboardError: a token is needed and missing, or it cannot bind to the address.
        """
        token = read_token(config)
        listener = _bind(config.host, config.port)
        port = listener.getsockname()[1]
        if sys.platform == "win32":  # It has no sockets that a child process can take over by number.
            listener.close()
        descriptors = () if sys.platform == "win32" else (listener.fileno(),)
        self.port = port
        self._controls = controls
        self._picture = picture
        self._reports = dict(reports or {})
        self._pause = 1.0 / max(config.pictures_per_second, 0.1)
        self._watched = threading.Event()
        self._closing = threading.Event()
        self._outbox: queue.Queue[str | None] = queue.Queue(_LONGEST_QUEUE)
        self.viewers = 0
        self.dropped = 0
        environment = {name: value for name, value in os.environ.items() if name != _TOKEN_VARIABLE}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tempest_rainbow.monitor.dashboard.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
            bufsize=1,
            encoding="utf-8",
            start_new_session=True,
            pass_fds=descriptors,
        )
        listener.close()
        self._send(
            {
                "kind": "hello",
                "host": config.host,
                "port": port,
                "socket": descriptors[0] if descriptors else None,
                "token": token,
                "title": title,
                "history": str(history),
                "settings": {
                    name: {
                        "low": setting.low,
                        "high": setting.high,
                        "kind": setting.kind.__name__,
                        "text": setting.text,
                    }
                    for name, setting in SETTINGS.items()
                },
                "values": self._values(),
                "live": picture is not None,
                "reports": list(self._reports),
            }
        )
        self._threads = [
            threading.Thread(target=target, name=f"dashboard-{name}", daemon=True)
            for name, target in (
                ("write", self._write),
                ("read", self._read),
                ("log", self._log_messages),
                ("picture", self._show),
            )
        ]
        for thread in self._threads:
            thread.start()
        controls.listen(self._on_event)
        self.address = f"http://{config.host}:{port}"

    @property
    def process_id(self) -> int:
        """Process id of the server."""
        return self._process.pid

    @property
    def watched(self) -> bool:
        """Whether an open page shows the live game."""
        return self._watched.is_set()

    def row(self, row: Row) -> None:
        """Show a row."""
        values = {name: value for name, value in row.values.items() if math.isfinite(value)}
        self._send({"kind": "row", "frames": row.frames, "seconds": row.seconds, "values": values})

    def event(self, frames: int, text: str) -> None:
        """Show what happened."""
        self._send({"kind": "event", "frames": frames, "text": text})

    def evaluation(self, frames: int, result: Mapping[str, Any]) -> None:
        """Show an evaluation."""
        self._send({"kind": "evaluation", "frames": frames, "result": dict(result)})

    def close(self) -> None:
        """End the server."""
        self._closing.set()
        self._watched.set()
        try:
            self._outbox.put(None, timeout=1.0)
        except queue.Full:
            self._process.kill()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _values(self) -> dict[str, Any]:
        return {name: self._controls[name] for name in SETTINGS}

    def _on_event(self, event: Event) -> None:
        self._send({"kind": "settings", "values": self._values()})

    def _send(self, message: Mapping[str, Any]) -> None:
        """Queue a message; if the server does not read, messages are dropped rather than the trainer delayed."""
        try:
            self._outbox.put_nowait(json.dumps({"time": time.time(), **message}))
        except queue.Full:
            self.dropped += 1

    def _write(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        while True:
            line = self._outbox.get()
            if line is None:
                break
            try:
                pipe.write(line + "\n")
            except (BrokenPipeError, ValueError):
                if not self._closing.is_set():
                    _log.warning("the dashboard has ended; training continues without it")
                break
        with contextlib.suppress(BrokenPipeError):
            pipe.close()

    def _read(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        for line in pipe:
            try:
                self._apply(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                self.event(0, f"dashboard: refused ({error})")

    def _log_messages(self) -> None:
        """Write the server's messages into the log, which does not garble the terminal."""
        pipe = self._process.stderr
        assert pipe is not None
        for line in pipe:
            if line.strip():
                _log.warning("dashboard: %s", line.rstrip())

    def _apply(self, message: Mapping[str, Any]) -> None:
        if "set" in message:
            self._controls.set(message["set"], message["value"], "dashboard")
        elif "request" in message:
            if message["request"] not in REQUESTS:
                raise KeyError(message["request"])
            self._controls.request(message["request"], "dashboard")
        elif "report" in message:
            name, page = message["report"], message["page"]
            self._send({"kind": "report", "page": page, "text": self._reports[name]()})
        elif "viewers" in message:
            self.viewers = int(message["viewers"])
            if message["watching"]:
                self._watched.set()
            else:
                self._watched.clear()

    def _show(self) -> None:
        while self._picture is not None and not self._closing.is_set():
            if not self._watched.wait(1.0) or self._closing.is_set():
                continue
            try:
                picture = self._picture()
            except Exception:
                _log.exception("the live view failed and is switched off")
                return
            if picture is not None:
                self._send({"kind": "picture", **picture})
            self._closing.wait(self._pause)


def available() -> bool:
    """Whether the extra ``dashboard`` is installed."""
    return find_spec("nicegui") is not None
