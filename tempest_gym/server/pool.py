"""Serves MAME clients, which may connect and leave at any time, as one pool of environments, as EnvPool does.

One event loop in the caller's thread: ``recv`` runs it until a client has a frame. Either a client
owes one packet or it is owed one reply, so nothing queues up, and a slow client delays no other.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import time
from collections import Counter, deque
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike

from tempest_gym.actions import ACTION_COUNT
from tempest_gym.frame import FEATURE_COUNT
from tempest_gym.info import INFO_DTYPES
from tempest_gym.protocol import (
    Command,
    FrameDecoder,
    Hello,
    Message,
    MessageParser,
    ProtocolError,
    Response,
    encode_command,
    encode_reply,
)
from tempest_gym.server.admission import Admission, Legacy
from tempest_gym.server.arrivals import Arrivals, Truncation
from tempest_gym.server.episodes import Episodes, EpisodeStep
from tempest_gym.settings import Settings

__all__ = ["Arrivals", "ClientPool", "Truncation"]

_log = logging.getLogger(__name__)

DEFAULT_PORT = 9999

_CHUNK = 1 << 16
_MOST_WITHOUT_HELLO = 64
_TICK = 0.2
_FAREWELL = 1.0
_REMEMBERED_REPLIES = 50_000


class _Client:
    """One connection."""

    def __init__(self, connection: socket.socket, address: str, deadline: float) -> None:
        self.connection = connection
        self.address = address
        self.deadline = deadline
        self.parser = MessageParser()
        self.decoder = FrameDecoder()
        self.hello: Hello | None = None
        self.slot: _Slot | None = None
        self.outgoing = b""
        self.writing = False
        self.owes_frame = True
        self.frames = 0
        self.arrived = 0.0
        self.since = time.monotonic()


class _Slot:
    """One place in the pool: what the agent knows of the client in it."""

    def __init__(self, number: int, settings: Settings) -> None:
        self.number = number
        self.client: _Client | None = None
        self.episodes = Episodes(settings)
        self.step: EpisodeStep | None = None
        self.last: EpisodeStep | None = None
        self.delivered = False
        self.lost_by = Truncation.DEPARTURE

    @property
    def free(self) -> bool:
        return self.client is None and self.step is None


_OF_THE_MACHINE = (
    *("obs_type", "screen_size", "lives", "difficulty", "bonus_life", "board_model"),
    *("repeat_action_probability", "glow"),
)
"""Settings of an environment's own machine, observations and pictures, which a client does not ask for."""


class ClientPool:
    """Clients of our own and of the original's wire format, as a pool of environments.

    Args:
        host: address to listen at. Anything but a loopback address demands a token.
        port: port to listen at; 0 lets the system choose, see ``address``.
        count: how many clients at most.
        settings: rules of episodes and rewards, start level and frame skip.
        token: what clients must present; None: any client on this computer may connect.
        legacy: who may connect with the original's empty hello, which carries no token: ``"loopback"``,
            ``"all"`` or ``"none"``. Behind a proxy or tunnel every client appears to be on this computer:
            choose ``"none"``.
        legacy_reply: bytes of a reply to such a client: 3, or 5 for its later versions, which read whether to start
            beyond level 1 and the start level too.
        deadline: seconds a client may take for a frame or for reading a reply.
        hello_deadline: seconds a client may take for its hello.

    Attributes:
        address: host and port that it listens at.
        dropped: how many clients were dropped or refused, by reason.
        reply_seconds: from the arrival of a packet to the reply to it, for the last that the agent chose.

    Raises:
        ValueError: the address is open to other machines and there is no token; or a setting is for environments
            alone.
        OSError: it cannot bind to the address.

    Example:
        >>> pool = ClientPool(port=0, count=2)  # the system chooses the port
        >>> arrivals = pool.recv(timeout=0.0)  # no client has connected yet
        >>> pool.send(arrivals.ids, arrivals.info["expert_action"])
        >>> len(arrivals.ids), pool.clients()
        (0, [])
        >>> pool.close()
    """

    observation_size = FEATURE_COUNT
    action_count = ACTION_COUNT

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        *,
        count: int = 64,
        settings: Settings | None = None,
        token: str | None = None,
        legacy: Legacy = "loopback",
        legacy_reply: Literal[3, 5] = 3,
        deadline: float = 10.0,
        hello_deadline: float = 5.0,
    ) -> None:
        """Start to listen."""
        self.count = count
        self.dropped: Counter[str] = Counter()
        self.reply_seconds: deque[float] = deque(maxlen=_REMEMBERED_REPLIES)
        self._settings = settings or Settings(machine="mame")
        _check_settings(self._settings)
        self._start_level = self._settings.start_levels[0]
        self._admission = Admission(host, token, legacy)
        if legacy_reply not in (3, 5):
            raise ValueError(f"legacy_reply must be 3 or 5 bytes, got {legacy_reply!r}")
        self._legacy_reply = legacy_reply
        self._deadline = deadline
        self._hello_deadline = hello_deadline
        self._slots = [_Slot(number, self._settings) for number in range(count)]
        self._clients: dict[socket.socket, _Client] = {}
        self._ready: list[_Slot] = []
        self._next_check = 0.0
        self._accepting = True
        self._closed = False
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._server = socket.create_server((host, port), family=family, backlog=256)
        self._server.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ)
        self.address: tuple[str, int] = self._server.getsockname()[:2]

    def recv(self, timeout: float | None = None, minimum: int = 1) -> Arrivals:
        """Serve clients until some have a frame.

        Args:
            timeout: seconds after which to return with what there is, if anything; None: no limit.
            minimum: how many to wait for, while that many can still arrive.
        """
        end = None if timeout is None else time.monotonic() + timeout
        self._serve(0.0)
        while len(self._ready) < max(1, min(minimum, self._expected())):
            left = _TICK if end is None else min(_TICK, end - time.monotonic())
            if left <= 0:
                break
            self._serve(left)
        ready, self._ready = self._ready, []
        for slot in ready:
            slot.delivered = True
        return _arrivals(ready)

    def send(self, ids: ArrayLike, actions: ArrayLike) -> None:
        """Send clients their actions; an action is ignored where the episode has just ended.

        Raises:
            ValueError: a slot awaits no action, or an action is not valid.
        """
        for number, action in zip(np.asarray(ids).tolist(), np.asarray(actions).tolist(), strict=True):
            slot = self._slots[number]
            if not slot.delivered or slot.step is None:
                raise ValueError(f"slot {number} awaits no action")
            if not 0 <= action < ACTION_COUNT:
                raise ValueError(f"an action must be from 0 to {ACTION_COUNT - 1}, got {action!r}")
            slot.last, slot.step, slot.delivered = slot.step, None, False
            slot.episodes.act(action)
            if slot.client is not None:
                self.reply_seconds.append(time.monotonic() - slot.client.arrived)
                self._reply(slot.client)
            else:
                self._truncate(slot)

    def clients(self) -> list[dict[str, Any]]:
        """Return for every client in the pool: slot, address, game, mame, protocol, frames, seconds."""
        now = time.monotonic()
        return [
            {
                "slot": slot.number,
                "address": slot.client.address,
                "game": slot.client.hello.game,
                "mame": slot.client.hello.mame,
                "protocol": slot.client.hello.protocol,
                "frames": slot.client.frames,
                "seconds": now - slot.client.since,
            }
            for slot in self._slots
            if slot.client and slot.client.hello
        ]

    def set_start_level(self, level: int) -> None:
        """Set the start level (1-81) of later games; the original's clients keep theirs."""
        self._start_level = level
        for client in list(self._clients.values()):
            if client.slot and client.hello and client.hello.protocol:
                self._send(client, encode_command(Command.START_LEVEL, bytes([level])))

    def close(self, reason: str = "") -> None:
        """Dismiss all clients and close the port. May be called twice."""
        if self._closed:
            return
        self._closed = True
        for client in self._clients.values():
            _say_goodbye(client, reason)
        end = time.monotonic() + _FAREWELL
        while self._clients and time.monotonic() < end:
            self._serve(0.05)
        for client in list(self._clients.values()):
            self._remove(client)
        self._selector.close()
        self._server.close()

    def _expected(self) -> int:
        """Return how many slots can still arrive, or already have."""
        return sum(1 for slot in self._slots if (slot.client and not slot.delivered) or slot in self._ready)

    # The event loop.

    def _serve(self, seconds: float) -> None:
        for key, events in self._selector.select(max(0.0, seconds)):
            if key.fileobj is self._server:
                if not self._closed:
                    self._accept()
                continue
            client: _Client = key.data
            try:
                if self._closed:
                    _drain(client)
                    continue
                if events & selectors.EVENT_WRITE:
                    self._flush(client)
                if events & selectors.EVENT_READ:
                    self._read(client)
            except ProtocolError as error:
                self._drop(client, error.reason, str(error))
            except OSError as error:
                self._drop(client, "connection", str(error))
        now = time.monotonic()
        if now >= self._next_check:
            self._next_check = now + _TICK
            self._check_deadlines(now)

    def _accept(self) -> None:
        for _ in range(_MOST_WITHOUT_HELLO):
            try:
                connection, peer = self._server.accept()
            except BlockingIOError:
                return
            except OSError as error:  # For example, no descriptor is left: they stay in the queue.
                _log.warning("cannot accept more clients now: %s", error)
                self._selector.unregister(self._server)
                self._accepting = False
                return
            waiting = sum(1 for client in self._clients.values() if client.hello is None)
            if waiting >= _MOST_WITHOUT_HELLO:
                connection.close()
                self.dropped["crowd"] += 1
                continue
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._adopt(connection, peer[0])

    def _adopt(self, connection: socket.socket, address: str) -> None:
        """Register a connection and await its hello."""
        connection.setblocking(False)
        client = _Client(connection, address, time.monotonic() + self._hello_deadline)
        self._clients[connection] = client
        self._selector.register(connection, selectors.EVENT_READ, client)

    def _read(self, client: _Client) -> None:
        try:
            data = client.connection.recv(_CHUNK)
        except BlockingIOError:
            return
        if not data:
            self._drop(client, "left", "the client closed the connection")
            return
        for message in client.parser.feed(data):
            if client.connection not in self._clients:
                return
            self._take(client, message)

    def _take(self, client: _Client, message: Message) -> None:
        if isinstance(message, Hello):
            self._greet(client, message)
        elif isinstance(message, Response):
            if message.command != Command.ALIVE:
                raise ProtocolError(
                    "response", f"a response to command {message.command}, which was not sent"
                )
        elif client.slot is None or not client.owes_frame:
            raise ProtocolError("unexpected", "a packet before the reply to the last one")
        else:
            self._take_frame(client, client.slot, message)

    def _greet(self, client: _Client, hello: Hello) -> None:
        self._admission.check(hello, client.address)
        client.hello = hello
        slot = next((slot for slot in self._slots if slot.free), None)
        if slot is None:
            raise ProtocolError("full", f"all {self.count} places are taken")
        slot.client, slot.episodes, slot.last, client.slot = client, Episodes(self._settings), None, slot
        client.deadline = time.monotonic() + self._deadline
        _log.info("client %d: %s plays %s", slot.number, client.address, hello.game or "an unknown game")
        if hello.protocol:
            self._send(client, encode_command(Command.START_LEVEL, bytes([self._start_level])))

    def _take_frame(self, client: _Client, slot: _Slot, body: bytes) -> None:
        frame = client.decoder.decode(body)
        client.owes_frame = False
        client.arrived = time.monotonic()
        client.frames += 1
        step = slot.episodes.take(frame)
        if step is None:
            self._reply(client)
        else:
            slot.step = step
            self._ready.append(slot)

    def _reply(self, client: _Client) -> None:
        assert client.slot is not None
        client.owes_frame = True
        client.deadline = time.monotonic() + self._deadline
        longer = self._legacy_reply == 5 and client.hello is not None and client.hello.protocol == 0
        start_level = self._start_level if longer else None
        self._send(client, encode_reply(*client.slot.episodes.controls, start_level))

    def _send(self, client: _Client, data: bytes) -> None:
        client.outgoing += data
        try:
            self._flush(client)
        except OSError as error:
            self._drop(client, "connection", str(error))

    def _flush(self, client: _Client) -> None:
        with contextlib.suppress(BlockingIOError):
            while client.outgoing:
                client.outgoing = client.outgoing[client.connection.send(client.outgoing) :]
        if client.writing != bool(client.outgoing):
            client.writing = not client.writing
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.writing else 0)
            self._selector.modify(client.connection, events, client)

    def _check_deadlines(self, now: float) -> None:
        for client in list(self._clients.values()):
            if client.owes_frame and now > client.deadline:
                word = "stalled" if client.hello else "silent"
                self._drop(client, word, "it sent nothing in time")
        if not self._accepting:
            self._accepting = True
            self._selector.register(self._server, selectors.EVENT_READ)

    # Ends.

    def _drop(self, client: _Client, reason: str, text: str) -> None:
        if client.connection not in self._clients:
            return
        if self._closed:
            self._remove(client)
            return
        self.dropped[reason] += 1
        level, who = (logging.WARNING, client.slot.number) if client.slot else (logging.INFO, "none yet")
        _log.log(level, "client %s from %s dropped, %s: %s", who, client.address, reason, text)
        _say_goodbye(client, text)
        self._remove(client)
        slot = client.slot
        if slot is None:
            return
        slot.client = None
        slot.lost_by = Truncation.DEPARTURE if reason == "left" else Truncation.FAULT
        if slot.step is None:
            self._truncate(slot)
        elif not slot.delivered and slot.step.first:
            self._ready.remove(slot)
            slot.step = None
        elif not (slot.delivered or slot.step.terminated or slot.step.truncation):
            slot.step.truncation = slot.lost_by
            slot.episodes = Episodes(self._settings)

    def _remove(self, client: _Client) -> None:
        self._selector.unregister(client.connection)
        del self._clients[client.connection]
        client.connection.close()

    def _truncate(self, slot: _Slot) -> None:
        """End the episode of a client that is gone, if the agent knows of one."""
        last = slot.last
        if last is None or not slot.episodes.playing:
            return
        info = last.info.copy()
        info["objective_reward"] = info["subjective_reward"] = 0.0
        info["life_lost"], info["frames"] = False, 0
        slot.step = replace(last, reward=0.0, truncation=slot.lost_by, first=False, info=info)
        slot.episodes = Episodes(self._settings)
        self._ready.append(slot)


def _arrivals(slots: list[_Slot]) -> Arrivals:
    steps = [slot.step for slot in slots if slot.step]
    observations = np.empty((len(steps), FEATURE_COUNT), np.float32)
    for row, step in zip(observations, steps, strict=True):
        row[:] = step.observation
    infos = [cast("dict[str, Any]", step.info) for step in steps]
    return Arrivals(
        ids=np.array([slot.number for slot in slots], np.int64),
        observations=observations,
        rewards=np.array([step.reward for step in steps], np.float32),
        terminated=np.array([step.terminated for step in steps], np.bool_),
        truncations=np.array([step.truncation for step in steps], np.int8),
        first=np.array([step.first for step in steps], np.bool_),
        info={key: np.array([info[key] for info in infos], dtype) for key, dtype in INFO_DTYPES.items()},
    )


def _say_goodbye(client: _Client, reason: str) -> None:
    """Send a client of ours the reason why it is dropped; what it sent is read first, or the reason might be lost."""
    with contextlib.suppress(OSError):
        if client.parser.protocol:
            client.connection.send(encode_command(Command.QUIT, reason.encode()[:500]))
        client.connection.shutdown(socket.SHUT_WR)
    with contextlib.suppress(OSError, ProtocolError):
        _drain(client)


def _drain(client: _Client) -> None:
    """Read and discard.

    Raises:
        ProtocolError: the client has closed the connection.
    """
    with contextlib.suppress(BlockingIOError):
        if not client.connection.recv(_CHUNK):
            raise ProtocolError("left", "the client closed the connection")


def _check_settings(settings: Settings) -> None:
    """Raise ValueError for settings that only an environment can keep, since its own machine plays."""
    if settings.episode == "level" or len(settings.start_levels) > 1:
        raise ValueError(
            "clients play games or lives from one start level: episode='level' and several start levels are for "
            "environments"
        )
    default = Settings(machine="mame")
    for name in _OF_THE_MACHINE:
        if getattr(settings, name) != getattr(default, name):
            raise ValueError(
                f"{name}={getattr(settings, name)!r} is for environments: clients keep to {getattr(default, name)!r}"
            )
