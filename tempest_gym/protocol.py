"""The wire format between the Lua in MAME and Python, byte for byte as ARCADE F.3 and F.4.

A client's first message is a hello, a 16-bit length with that many bytes: none in the original's format, a
JSON object in ours. After that it sends one packet for each game frame, a 16-bit length (819) and the packet,
and waits for a reply of three bytes. All numbers are big-endian.

Clients of ours also take commands in place of a reply (first byte $80, which no reply has) and send
responses in place of a packet (length $FFFF, which no packet has).
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from operator import attrgetter

import numpy as np

from tempest_gym.features import FEATURES
from tempest_gym.frame import DESCENT, FEATURE_COUNT, FRAME_KINDS, PLAY, Frame

__all__ = [
    "PACKET_BYTES",
    "PROTOCOL_VERSION",
    "REPLY_BYTES",
    "Command",
    "FrameDecoder",
    "Hello",
    "MessageParser",
    "ProtocolError",
    "Response",
    "decode_reply",
    "encode_command",
    "encode_frame",
    "encode_hello",
    "encode_reply",
    "encode_response",
]

PROTOCOL_VERSION = 1
"""Version of hello, commands and responses; the packet and the reply of Tempest-v0 never change."""

_HEADER = struct.Struct(">HddBBBHIBBBhhBBBBB")
# fmt: off
_FIELDS = (
    "subjective", "objective", "game_state", "game_mode", "life_lost", "frame", "score", "save", "fire",
    "zap", "spinner", "expert_target", "player_lane", "open", "expert_fire", "expert_zap", "level",
)
# fmt: on
"""What follows the number of features in a packet's header."""
_FLAGS = tuple(name for name in _FIELDS if FRAME_KINDS[name] is bool)
_header_of = attrgetter(*_FIELDS)
_LENGTH = struct.Struct(">H")
_REPLY = struct.Struct(">bbb")
_COMMAND = struct.Struct(">BBI")
_RESPONSE = struct.Struct(">HBI")

PACKET_BYTES = _HEADER.size + 4 * FEATURE_COUNT
"""Length of a packet without its own length: 819."""

REPLY_BYTES = _REPLY.size

_COMMAND_MARK = 0x80
_RESPONSE_MARK = 0xFFFF
_HELLO_LIMIT = 4096
_RESPONSE_LIMIT = 16 << 20

_NO_TARGET = (-1, -32768)
_SCORE_LIMIT = 99_999_999
_REAL_GAME = 0x80
_GAME_ENDS = (0x10, 0x12, 0x24)
_LIVES_FEATURE, _ALIVE_FEATURE = FEATURES["lives"].start, FEATURES["player_alive"].start
_LIVES_SCALE = 6.0
_REWARD_LIMIT = 100_000.0


class ProtocolError(ValueError):
    """The other side sent something that the format does not allow.

    Attributes:
        reason: one word for counting, such as ``"length"``; the message has the details.
    """

    def __init__(self, reason: str, text: str) -> None:
        """Set the reason and the message."""
        super().__init__(text)
        self.reason = reason


class Command(IntEnum):
    """What a server may ask of a client of ours; a response bears the same number."""

    RESET = 1
    """Back to power-on: phase (u32), seed (u32), start level (u8). Answer: a packet."""
    START_LEVEL = 2
    """Start level (u8) of later games. No answer; the frame still awaits its reply."""
    SAVE = 3
    """Save under a name. Answer: a response with the Lua's part of the state."""
    LOAD = 4
    """Load a state: length of the name (u8), name, the Lua's part. Answer: an empty response."""
    PICTURE = 5
    """The screen. Answer: a response with width (u16), height (u16), BGRA pixels."""
    MEMORY = 6
    """Answer: a response with RAM (2048), colour RAM (16), vector RAM (4096)."""
    QUIT = 7
    """End, for the reason given as text."""
    ALIVE = 8
    """Never sent: a client of ours that waits long sends an empty response of this number from time to time."""


@dataclass(frozen=True)
class Hello:
    """A client's introduction.

    Attributes:
        protocol: version of the commands the client understands, 0 for the original's empty hello.
        token: what it presents to be admitted.
        rom: MAME's name of its ROM set.
        game: what it believes to play, ``"squall"`` or a set's name.
        mame: MAME's version.
    """

    protocol: int = 0
    token: str = ""
    rom: str = ""
    game: str = ""
    mame: str = ""

    @classmethod
    def decode(cls, body: bytes) -> Hello:
        """Read a hello without its length.

        Raises:
            ProtocolError: it is neither empty nor a JSON object with the right kinds of values.
        """
        if not body:
            return cls()
        try:
            values = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ProtocolError("hello", f"the hello is not valid JSON: {error}") from error
        if not isinstance(values, dict):
            raise ProtocolError("hello", f"the hello must be a JSON object, got {type(values).__name__}")
        protocol = values.get("protocol")
        if type(protocol) is not int or protocol != PROTOCOL_VERSION:
            raise ProtocolError(
                "version", f"the client speaks protocol {protocol!r:.40}, this server {PROTOCOL_VERSION}"
            )
        texts = {name: values.get(name, "") for name in ("token", "rom", "game", "mame")}
        for name, text in texts.items():
            if not isinstance(text, str) or (
                name != "token" and not (text.isprintable() and len(text) <= 64)
            ):
                raise ProtocolError("hello", f"{name} in the hello must be a short, printable text")
        return cls(protocol, **texts)


@dataclass(frozen=True)
class Response:
    """A client's answer to a command."""

    command: int
    payload: bytes


def encode_hello(hello: Hello) -> bytes:
    """Return a hello with its length; an empty one for protocol 0."""
    body = b"" if hello.protocol == 0 else json.dumps(vars(hello)).encode()
    return _LENGTH.pack(len(body)) + body


def encode_reply(fire: bool, zap: bool, spinner: int, start_level: int | None = None) -> bytes:
    """Return the reply to a packet; the spinner is cut to -32..31.

    Args:
        fire: press fire.
        zap: press the superzapper.
        spinner: counts to turn.
        start_level: 1-81, for later versions of the original client, which read two more bytes: whether to start
            beyond level 1, and the lowest level to start at.
    """
    reply = _REPLY.pack(bool(fire), bool(zap), max(-32, min(31, int(spinner))))
    return reply if start_level is None else reply + bytes([start_level > 1, start_level])


def decode_reply(reply: bytes) -> tuple[bool, bool, int]:
    """Return fire, zap and spinner of a reply.

    Raises:
        ProtocolError: it has another length, or values that no server sends.
    """
    if len(reply) != REPLY_BYTES:
        raise ProtocolError("length", f"a reply has {REPLY_BYTES} bytes, got {len(reply)}")
    fire, zap, spinner = _REPLY.unpack(reply)
    if fire not in (0, 1) or zap not in (0, 1) or not -32 <= spinner <= 31:
        raise ProtocolError("range", f"a reply out of range: fire {fire}, zap {zap}, spinner {spinner}")
    return bool(fire), bool(zap), spinner


def encode_command(command: Command, payload: bytes = b"") -> bytes:
    """Return a command with its payload."""
    return _COMMAND.pack(_COMMAND_MARK, command, len(payload)) + payload


def encode_response(command: Command, payload: bytes = b"") -> bytes:
    """Return a response, as a client sends it."""
    return _RESPONSE.pack(_RESPONSE_MARK, command, len(payload)) + payload


def encode_frame(frame: Frame) -> bytes:
    """Return the packet of a frame with its length, as a client sends it."""
    header = _HEADER.pack(FEATURE_COUNT, *_header_of(frame))
    return _LENGTH.pack(PACKET_BYTES) + header + np.asarray(frame.features).astype(">f4").tobytes()


class FrameDecoder:
    """Reads the packets of one client.

    What a packet lacks follows from it: lives, alive and decision from features and state; the end of a game
    from the frames before.
    """

    def __init__(self) -> None:
        """Start outside a game."""
        self.in_game = False

    def decode(self, body: bytes) -> Frame:
        """Read a packet without its length.

        Raises:
            ProtocolError: a wrong length or count, a NaN, a value out of range.
        """
        if len(body) != PACKET_BYTES:
            raise ProtocolError("length", f"a packet has {PACKET_BYTES} bytes, got {len(body)}")
        count, *numbers = _HEADER.unpack_from(body)
        if count != FEATURE_COUNT:
            raise ProtocolError("count", f"a packet has {FEATURE_COUNT} values, got {count}")
        features = np.frombuffer(body, ">f4", FEATURE_COUNT, _HEADER.size).astype(np.float32)
        if not np.abs(features).max() <= 1.0:
            worst = int(np.argmax(~(np.abs(features) <= 1.0)))
            raise _bad_number(f"feature {worst}", float(features[worst]), 1.0)
        values = dict(zip(_FIELDS, numbers, strict=True))
        for name in ("subjective", "objective"):
            if not abs(values[name]) <= _REWARD_LIMIT:
                raise _bad_number(f"{name} reward", values[name], _REWARD_LIMIT)
        for name in _FLAGS:
            if values[name] > 1:
                raise ProtocolError("range", "a flag of the packet is neither 0 nor 1")
            values[name] = bool(values[name])
        lane, target, score = values["player_lane"], values["expert_target"], values["score"]
        if lane > 15 or not (target in _NO_TARGET or 0 <= target <= 15) or score > _SCORE_LIMIT:
            raise ProtocolError("range", f"a packet with lane {lane}, target {target} or score {score}")
        if not -128 <= values["spinner"] <= 127:
            raise ProtocolError("range", f"a packet with spinner {values['spinner']}")
        values["expert_target"] = max(target, -1)
        real, state = values["game_mode"] >= _REAL_GAME, values["game_state"]
        alive = bool(features[_ALIVE_FEATURE])
        decision = real and alive and state in (PLAY, DESCENT)
        lives = round(float(features[_LIVES_FEATURE]) * _LIVES_SCALE)
        over = self.in_game and (not real or lives == 0 or state in _GAME_ENDS)
        self.in_game = not over and (self.in_game or decision)
        return Frame(features, **values, lives=lives, alive=alive, decision=decision, over=over)


def _bad_number(name: str, value: float, limit: float) -> ProtocolError:
    if math.isnan(value):
        return ProtocolError("nan", f"{name} is not a number")
    return ProtocolError("range", f"{name} is {value:g}, out of {-limit:g}..{limit:g}")


Message = Hello | Response | bytes
"""What a client sends: first a hello, then packets (their bytes, not yet read) and responses."""


class MessageParser:
    """Cuts a client's stream into messages, however it arrives.

    Nothing that a client sends makes it hold more than one message and a received piece.
    """

    def __init__(self) -> None:
        """Start with the hello."""
        self._pending = bytearray()
        self._greeted = False
        self.protocol = 0
        self.response_limit = 0

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take what was received and yield the messages that are complete.

        Responses are taken only from a client that announced our protocol, and no longer than
        ``response_limit`` (16 MiB at most).

        Raises:
            ProtocolError: a length that no message has.
        """
        self._pending += data
        while True:
            message = self._next()
            if message is None:
                return
            yield message

    def _next(self) -> Message | None:
        if len(self._pending) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._pending)
        if not self._greeted:
            if length > _HELLO_LIMIT:
                raise ProtocolError("hello", f"a hello of {length} bytes; at most {_HELLO_LIMIT}")
            body = self._take(_LENGTH.size, length)
            if body is None:
                return None
            hello = Hello.decode(body)
            self._greeted, self.protocol = True, hello.protocol
            return hello
        if length == _RESPONSE_MARK and self.protocol:
            return self._response()
        if length != PACKET_BYTES:
            raise ProtocolError("length", f"a packet has {PACKET_BYTES} bytes, this one gives {length}")
        return self._take(_LENGTH.size, PACKET_BYTES)

    def _response(self) -> Response | None:
        if len(self._pending) < _RESPONSE.size:
            return None
        _, command, length = _RESPONSE.unpack_from(self._pending)
        if length > min(self.response_limit, _RESPONSE_LIMIT):
            raise ProtocolError("response", f"a response of {length} bytes that was not requested")
        payload = self._take(_RESPONSE.size, length)
        return None if payload is None else Response(command, payload)

    def _take(self, start: int, length: int) -> bytes | None:
        end = start + length
        if len(self._pending) < end:
            return None
        taken = bytes(self._pending[start:end])
        del self._pending[:end]
        return taken
