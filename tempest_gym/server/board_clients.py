"""Boards in process that join a server as clients do: for measuring it, and for computers without MAME."""

from __future__ import annotations

import logging
import secrets
import selectors
import socket
import struct
import threading
import time
from collections import deque
from typing import TypedDict

import numpy as np

from tempest_gym.machines.fleet import BoardFleet
from tempest_gym.machines.lua_host import LuaHost
from tempest_gym.machines.seeding import SEED_COUNT
from tempest_gym.protocol import (
    PROTOCOL_VERSION,
    REPLY_BYTES,
    Command,
    Hello,
    ProtocolError,
    decode_reply,
    encode_frame,
    encode_hello,
)
from tempest_gym.roms import RomImage
from tempest_gym.server.admission import split_address

__all__ = ["BoardClientSummary", "run_board_clients"]

_log = logging.getLogger(__name__)

_POLL = 0.2
_CONNECT_SECONDS = 10.0
_CHUNK = 1 << 12
_COMMAND = struct.Struct(">BBI")
_COMMAND_MARK = 0x80
_LARGEST_PAYLOAD = 1 << 16
_REMEMBERED_REPLIES = 100_000


class BoardClientSummary(TypedDict):
    """How the clients fared: how many there were, game frames played in all, seconds, why it ended, and the
    milliseconds from a frame to its reply (None before the first)."""

    clients: int
    frames: int
    seconds: float
    reason: str
    reply_ms_median: float | None
    reply_ms_p99: float | None


class _Line:
    """One client's connection."""

    def __init__(self, address: tuple[str, int], row: int, seed: int) -> None:
        self.connection = socket.create_connection(address, _CONNECT_SECONDS)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.row = row
        self.seed = seed
        self.start_level = 1
        self.farewell: str | None = None
        self.asked = 0.0
        self._pending = b""

    def send(self, data: bytes) -> None:
        """Send a frame; from here on the reply is awaited."""
        self.connection.sendall(data)
        self.asked = time.monotonic()

    def receive(self) -> tuple[bool, bool, int] | None:
        """Read what has arrived and return the reply in it, None if it is not complete.

        Raises:
            ProtocolError: the server sent what no server sends.
        """
        data = self.connection.recv(_CHUNK)
        if not data and self.farewell is None:
            self.farewell = "the server closed the connection"
        self._pending += data
        while len(self._pending) >= _COMMAND.size and self._pending[0] == _COMMAND_MARK:
            _, command, length = _COMMAND.unpack_from(self._pending)
            if length > _LARGEST_PAYLOAD:
                raise ProtocolError("length", f"a command with {length} bytes")
            end = _COMMAND.size + length
            if len(self._pending) < end:
                return None
            self._obey(command, self._pending[_COMMAND.size : end])
            self._pending = self._pending[end:]
        if len(self._pending) < REPLY_BYTES or self._pending[0] == _COMMAND_MARK:
            return None
        reply, self._pending = self._pending[:REPLY_BYTES], self._pending[REPLY_BYTES:]
        return decode_reply(reply)

    def _obey(self, command: int, payload: bytes) -> None:
        if command == Command.START_LEVEL and len(payload) == 1:
            self.start_level = payload[0]
        elif command == Command.QUIT:
            self.farewell = payload.decode(errors="replace")
        else:
            raise ProtocolError("command", f"a board cannot do command {command}")


def run_board_clients(
    address: str,
    count: int,
    rom: RomImage,
    *,
    token: str = "",
    seeds: list[int] | None = None,
    stop: threading.Event | None = None,
) -> BoardClientSummary:
    """Let boards play for a server until it dismisses all of them or ``stop`` is set.

    Args:
        address: ``HOST:PORT`` of the server.
        count: number of boards.
        rom: the ROM set they run.
        token: what they present to be admitted.
        seeds: of their games; None: random ones.
        stop: set it to end them all.

    Raises:
        ValueError: the address is not valid.
        OSError: the server cannot be reached.
    """
    server = split_address(address)
    seeds = seeds or [secrets.randbelow(SEED_COUNT) for _ in range(count)]
    stop = stop or threading.Event()
    fleet = BoardFleet(rom, count)
    host = fleet.hosts[0]
    hello = encode_hello(Hello(PROTOCOL_VERSION, token, rom.kind, rom.name, "board"))
    frames, reason, start = 0, "stopped", time.monotonic()
    waits: deque[float] = deque(maxlen=_REMEMBERED_REPLIES)
    with selectors.DefaultSelector() as selector:
        try:
            for row, seed in enumerate(seeds):
                line = _Line(server, row, seed)
                selector.register(line.connection, selectors.EVENT_READ, line)
                fleet.reset(host, row, seed, line.start_level)
                line.send(hello + encode_frame(fleet.frame(row)))
            while selector.get_map() and not stop.is_set():
                lines = [key.data for key, _ in selector.select(_POLL)]
                now = time.monotonic()
                replied = [line for line in lines if _has_reply(fleet, host, line)]
                waits.extend(now - line.asked for line in replied)
                frames += _play(fleet, host, replied)
                for line in lines:
                    if line.farewell is not None:
                        reason = line.farewell
                        selector.unregister(line.connection)
                        line.connection.close()
        finally:
            for key in list(selector.get_map().values()):
                key.data.connection.close()
            fleet.close()
    median, late = map(float, 1000 * np.quantile(waits, [0.5, 0.99])) if waits else (None, None)
    return BoardClientSummary(
        clients=count,
        frames=frames,
        seconds=time.monotonic() - start,
        reason=reason,
        reply_ms_median=median,
        reply_ms_p99=late,
    )


def _has_reply(fleet: BoardFleet, host: LuaHost, line: _Line) -> bool:
    level = line.start_level
    try:
        reply = line.receive()
    except (OSError, ProtocolError) as error:
        line.farewell = str(error)
        return False
    if line.start_level != level:
        fleet.set_start_level(host, line.row, line.start_level)
    if reply is None or line.farewell is not None:
        return False
    fleet.fire[line.row], fleet.zap[line.row], fleet.spinner[line.row] = reply
    return True


def _play(fleet: BoardFleet, host: LuaHost, lines: list[_Line]) -> int:
    """Run boards to their next frames and send these; return how many."""
    if not lines:
        return 0
    rows = np.array([line.row for line in lines], np.int32)
    fleet.advance(host, rows, limit=1)
    for line in lines:
        fleet.check(line.row)
        try:
            line.send(encode_frame(fleet.frame(line.row)))
        except OSError as error:
            line.farewell = str(error)
    return len(lines)
