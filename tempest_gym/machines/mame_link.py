"""The link to a MAME that this process started: two pipes, or a socket where pipes do not work (Windows)."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import select
import socket
import sys
import time
import weakref
from abc import ABC, abstractmethod
from collections import deque

from tempest_gym.machines.mame_process import MameProcess
from tempest_gym.protocol import Command, Hello, Message, MessageParser, ProtocolError, Response
from tempest_gym.roms import RomImage

__all__ = ["Link", "LinkClosedError", "LinkTimeoutError", "PipeLink", "SocketLink", "open_link"]

StrPath = str | os.PathLike[str]
_CHUNK = 1 << 16
_SLICE = 0.25
_HELLO_SECONDS = 5.0
_links: weakref.WeakSet[Link] = weakref.WeakSet()


class LinkClosedError(Exception):
    """The other end was closed."""


class LinkTimeoutError(Exception):
    """Nothing arrived, or nothing could be sent, in time."""


class Link(ABC):
    """Messages from a MAME and bytes to it, with deadlines."""

    process: MameProcess

    def __init__(self) -> None:
        """Start with the hello."""
        self._parser = MessageParser()
        self._messages: deque[Message] = deque()
        _links.add(self)

    def receive(self, seconds: float, response_limit: int = 0) -> Message:
        """Return the next message that is not a heartbeat.

        Raises:
            LinkClosedError: MAME has closed the connection.
            LinkTimeoutError: it sent no whole message in time.
            tempest_gym.protocol.ProtocolError: it sent invalid data.
        """
        deadline = time.monotonic() + seconds
        self._parser.response_limit = response_limit
        while True:
            while self._messages:
                message = self._messages.popleft()
                if not (isinstance(message, Response) and message.command == Command.ALIVE):
                    return message
            data = self._read(deadline)
            if not data:
                raise LinkClosedError
            self._messages.extend(self._parser.feed(data))

    @abstractmethod
    def connect(self, seconds: float) -> None:
        """Wait until MAME is connected; raises as `receive`."""

    @abstractmethod
    def send(self, data: bytes, seconds: float) -> None:
        """Send bytes; raises as `receive`."""

    @abstractmethod
    def _read(self, deadline: float) -> bytes:
        """Wait for some bytes; none at the end."""

    @abstractmethod
    def close(self) -> None:
        """Close the link, which ends MAME."""


class PipeLink(Link):
    """Sends replies to MAME's standard input and receives packets through a pipe that it inherits."""

    def __init__(self, rom: RomImage, environment: dict[str, str], mame: StrPath | None) -> None:
        """Start MAME."""
        super().__init__()
        self._input, inherited = os.pipe()
        try:
            self.process = MameProcess(
                rom,
                environment | {"TEMPEST_PIPE": f"/dev/fd/{inherited}"},
                mame=mame,
                pass_fds=(inherited,),
            )
        except BaseException:
            os.close(self._input)
            raise
        finally:
            os.close(inherited)
        os.set_blocking(self._input, False)
        os.set_blocking(self.process.stdin, False)
        self._readable = select.poll()
        self._readable.register(self._input, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(self.process.stdin, select.POLLOUT)
        self._finalizer = weakref.finalize(self, os.close, self._input)

    def connect(self, seconds: float) -> None:
        """Pipes exist from the start."""

    def send(self, data: bytes, seconds: float) -> None:
        """Send bytes to MAME's standard input."""
        deadline = time.monotonic() + seconds
        while data:
            try:
                data = data[os.write(self.process.stdin, data) :]
            except BlockingIOError:
                if not self._writable.poll(1000 * max(0.0, deadline - time.monotonic())):
                    raise LinkTimeoutError from None
            except (OSError, ValueError) as error:
                raise LinkClosedError from error

    def _read(self, deadline: float) -> bytes:
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise LinkTimeoutError
            if self._readable.poll(1000 * left):
                return os.read(self._input, _CHUNK)

    def close(self) -> None:
        """Close both pipes."""
        self._finalizer()


class SocketLink(Link):
    """Lets MAME connect to a port of this computer, which is closed once it has."""

    def __init__(self, rom: RomImage, environment: dict[str, str], mame: StrPath | None) -> None:
        """Open the port and start MAME."""
        super().__init__()
        self._socket: socket.socket | None = None
        self._token = secrets.token_hex(16)
        self._server = socket.create_server(("127.0.0.1", 0))
        try:
            ours = {
                "TEMPEST_CONNECT": f"127.0.0.1:{self._server.getsockname()[1]}",
                "TEMPEST_TOKEN": self._token,
                "TEMPEST_RECONNECT": "0",
                "TEMPEST_DEADLINE": "0",
            }
            self.process = MameProcess(rom, environment | ours, mame=mame)
        except BaseException:
            self._server.close()
            raise

    def connect(self, seconds: float) -> None:
        """Accept the connection that shows the token, then close the port."""
        deadline = time.monotonic() + seconds
        while True:
            self._socket = self._wait_for_client(self._server, deadline)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                hello = self.receive(min(_HELLO_SECONDS, deadline - time.monotonic()))
            except (ProtocolError, LinkClosedError, LinkTimeoutError):
                hello = b""
            if (
                isinstance(hello, Hello)
                and hello.token.isascii()
                and hmac.compare_digest(hello.token, self._token)
            ):
                self._messages.appendleft(hello)
                self._server.close()
                return
            self._socket.close()
            self._parser = MessageParser()
            self._messages.clear()

    def _wait_for_client(self, server: socket.socket, deadline: float) -> socket.socket:
        server.settimeout(_SLICE)
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                return server.accept()[0]
            if self.process.wait(0) is not None:
                raise LinkClosedError
        raise LinkTimeoutError

    def send(self, data: bytes, seconds: float) -> None:
        """Send bytes through the socket."""
        assert self._socket is not None
        self._socket.settimeout(seconds)
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise LinkTimeoutError from None
        except OSError as error:
            raise LinkClosedError from error

    def _read(self, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        if left <= 0:
            raise LinkTimeoutError
        assert self._socket is not None
        self._socket.settimeout(left)
        try:
            return self._socket.recv(_CHUNK)
        except TimeoutError:
            raise LinkTimeoutError from None
        except OSError as error:
            raise LinkClosedError from error

    def close(self) -> None:
        """Close the socket and the port."""
        self._server.close()
        if self._socket is not None:
            self._socket.close()


def open_link(kind: str, rom: RomImage, environment: dict[str, str], mame: StrPath | None) -> Link:
    """Start a MAME and return the link to it.

    Args:
        kind: ``"pipe"``, ``"socket"``, or ``"auto"`` for pipes where the system has them.
        rom: the set to run.
        environment: variables for the Lua.
        mame: see `tempest_gym.machines.mame_process.find_mame`.
    """
    if kind not in ("auto", "pipe", "socket"):
        raise ValueError(f"link must be 'auto', 'pipe' or 'socket', got {kind!r}")
    if kind == "socket" or (kind == "auto" and sys.platform == "win32"):
        return SocketLink(rom, environment, mame)
    return PipeLink(rom, environment, mame)


def _forget_links() -> None:
    """Close what a forked child inherited, so that MAME notices the end of its owner even if the child lives on."""
    for link in list(_links):
        with contextlib.suppress(OSError, AttributeError):
            link.close()
            link.process.close_input()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_links)
