"""The wire format is the original's byte for byte, survives any splitting, and names what is wrong."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tempest_gym.frame import FEATURE_COUNT, Frame
from tempest_gym.protocol import (
    PACKET_BYTES,
    PROTOCOL_VERSION,
    Command,
    FrameDecoder,
    Hello,
    Message,
    MessageParser,
    ProtocolError,
    Response,
    decode_reply,
    encode_command,
    encode_frame,
    encode_hello,
    encode_reply,
    encode_response,
)

ORIGINAL = ">HddBBBHIBBBhhBBBBB"
"""The original's format string (ARCADE F.3)."""

unit = st.floats(-1.0, 1.0, width=32)
flag = st.booleans()
byte = st.integers(0, 255)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """Draw frames whose derived fields are consistent with the rest."""
    features = np.array(draw(st.lists(unit, min_size=8, max_size=8)), np.float32)
    features = np.resize(features, FEATURE_COUNT)
    lives, alive = draw(st.integers(0, 6)), draw(flag)
    features[3], features[6] = lives / 6, alive
    mode, state = draw(byte), draw(st.one_of(st.sampled_from([0x04, 0x20]), byte))
    return Frame(
        features=features,
        subjective=draw(st.floats(-5.0, 5.0)),
        objective=draw(st.floats(-1000.0, 1000.0)),
        score=draw(st.integers(0, 999_999)),
        frame=draw(st.integers(0, 65_535)),
        game_state=state,
        game_mode=mode,
        life_lost=draw(flag),
        save=draw(flag),
        fire=draw(flag),
        zap=draw(flag),
        spinner=draw(st.integers(-32, 31)),
        expert_target=draw(st.integers(-1, 15)),
        expert_fire=draw(flag),
        expert_zap=draw(flag),
        player_lane=draw(st.integers(0, 15)),
        open=draw(flag),
        level=draw(byte),
        lives=lives,
        alive=alive,
        decision=mode >= 0x80 and alive and state in (0x04, 0x20),
        over=False,
        frames=1,
    )


def sample(**changes: Any) -> Frame:
    features = np.linspace(-1, 1, FEATURE_COUNT, dtype=np.float32)
    features[3], features[6] = 0.5, 1.0
    frame = Frame(
        features=features,
        subjective=0.5,
        objective=150.0,
        score=123_450,
        frame=7,
        game_state=0x04,
        game_mode=0xC0,
        life_lost=False,
        save=False,
        fire=True,
        zap=False,
        spinner=-9,
        expert_target=12,
        expert_fire=True,
        expert_zap=False,
        player_lane=3,
        open=False,
        level=5,
        lives=3,
        alive=True,
        decision=True,
        over=False,
    )
    return replace(frame, **changes)


def equal(left: Frame, right: Frame) -> bool:
    return np.array_equal(left.features, right.features) and all(
        getattr(left, field.name) == getattr(right, field.name)
        for field in fields(Frame)
        if field.name != "features"
    )


def collect(parser: MessageParser, pieces: list[bytes]) -> list[Message]:
    return [message for piece in pieces for message in parser.feed(piece)]


def test_packet_is_the_originals() -> None:
    frame = sample()
    data = encode_frame(frame)
    assert len(data) == 821
    assert struct.unpack(">H", data[:2]) == (819,)
    head = struct.unpack_from(ORIGINAL, data, 2)
    assert head == (195, 0.5, 150.0, 0x04, 0xC0, 0, 7, 123_450, 0, 1, 0, -9, 12, 3, 0, 1, 0, 5)
    assert struct.unpack_from(">195f", data, 41) == tuple(frame.features.tolist())


@given(frames())
def test_packet_round_trip(frame: Frame) -> None:
    assert equal(FrameDecoder().decode(encode_frame(frame)[2:]), frame)


@given(flag, flag, st.integers(-1000, 1000))
def test_reply_round_trip(fire: bool, zap: bool, spinner: int) -> None:
    data = encode_reply(fire, zap, spinner)
    assert struct.unpack("bbb", data) == (fire, zap, min(max(spinner, -32), 31))
    assert decode_reply(data) == (fire, zap, min(max(spinner, -32), 31))


@pytest.mark.parametrize(
    "reply", [b"", b"\1\0", b"\1\0\0\0", b"\2\0\0", b"\0\xff\0", b"\0\0\x20", b"\x80\0\0"]
)
def test_wrong_reply(reply: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_reply(reply)


@given(st.text(max_size=50), st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126)), flag)
def test_hello_round_trip(token: str, rom: str, squall: bool) -> None:
    hello = Hello(PROTOCOL_VERSION, token, rom[:64], "squall" if squall else "tempest", "0.251")
    assert collect(MessageParser(), [encode_hello(hello)]) == [hello]


def test_original_hello_is_two_zero_bytes() -> None:
    assert encode_hello(Hello()) == b"\0\0"
    assert collect(MessageParser(), [b"\0\0"]) == [Hello()]


@settings(max_examples=40)
@given(st.lists(frames(), max_size=3), st.data())
def test_messages_survive_any_splitting(sent: list[Frame], data: st.DataObject) -> None:
    hello = Hello(PROTOCOL_VERSION, "secret")
    response = Response(Command.MEMORY, bytes(300))
    stream = (
        encode_hello(hello) + b"".join(map(encode_frame, sent)) + encode_response(Command.MEMORY, bytes(300))
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    parser = MessageParser()
    parser.response_limit = 300
    assert collect(parser, pieces) == [hello, *(encode_frame(frame)[2:] for frame in sent), response]


def test_messages_survive_a_split_at_every_byte() -> None:
    parser = MessageParser()
    stream = encode_hello(Hello(PROTOCOL_VERSION)) + encode_frame(sample())
    whole = collect(MessageParser(), [stream])
    assert collect(parser, [bytes([value]) for value in stream]) == whole
    assert len(whole) == 2


@pytest.mark.parametrize(
    ("offset", "kind", "value", "reason"),
    [
        (0, ">H", 194, "count"),
        (2, ">d", math.nan, "nan"),
        (10, ">d", math.inf, "range"),
        (10, ">d", -1e9, "range"),
        (20, ">B", 2, "range"),
        (23, ">I", 100_000_000, "range"),
        (28, ">B", 255, "range"),
        (30, ">h", 3000, "range"),
        (32, ">h", 16, "range"),
        (32, ">h", -2, "range"),
        (34, ">B", 16, "range"),
        (35, ">B", 7, "range"),
        (39, ">f", math.nan, "nan"),
        (39 + 4 * 194, ">f", 1.0001, "range"),
        (39 + 4 * 100, ">f", -math.inf, "range"),
    ],
)
def test_wrong_values_are_refused_with_a_reason(offset: int, kind: str, value: float, reason: str) -> None:
    body = bytearray(encode_frame(sample())[2:])
    struct.pack_into(kind, body, offset, value)
    with pytest.raises(ProtocolError) as caught:
        FrameDecoder().decode(bytes(body))
    assert caught.value.reason == reason


@pytest.mark.parametrize("size", [0, 1, 818, 820])
def test_wrong_packet_size(size: int) -> None:
    with pytest.raises(ProtocolError, match="819 bytes"):
        FrameDecoder().decode(bytes(size))


def test_original_clients_other_word_for_no_target() -> None:
    body = bytearray(encode_frame(sample())[2:])
    struct.pack_into(">h", body, 32, -32768)
    assert FrameDecoder().decode(bytes(body)).expert_target == -1


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (b"not json", "hello"),
        (b"[" * 3000, "hello"),
        (b"[]", "hello"),
        (b'{"protocol": 2}', "version"),
        (b'{"protocol": true}', "version"),
        (b'{"protocol": "1"}', "version"),
        (b"{}", "version"),
        (b'{"protocol": 1, "token": 5}', "hello"),
        (b'{"protocol": 1, "game": "a\\nb"}', "hello"),
        (b'{"protocol": 1, "rom": "' + b"r" * 65 + b'"}', "hello"),
        (b"\xff\xfe", "hello"),
        (b'{"protocol": ' + b"9" * 4000 + b"}", "version"),
        (bytes(4097), "hello"),
    ],
)
def test_wrong_hello(hello: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        collect(MessageParser(), [struct.pack(">H", len(hello)) + hello])
    assert caught.value.reason == reason


def test_lengths_that_no_message_has() -> None:
    ours = encode_hello(Hello(PROTOCOL_VERSION))
    for length in (0, 818, 820, 0xFFFE):
        with pytest.raises(ProtocolError, match="819"):
            collect(MessageParser(), [ours, struct.pack(">H", length)])


def test_responses_are_taken_only_from_our_clients_and_only_as_large_as_requested() -> None:
    response = encode_response(Command.PICTURE, bytes(100))
    with pytest.raises(ProtocolError, match="819"):
        collect(MessageParser(), [b"\0\0", response])
    parser = MessageParser()
    with pytest.raises(ProtocolError, match="was not requested"):
        collect(parser, [encode_hello(Hello(PROTOCOL_VERSION)), response])
    parser = MessageParser()
    parser.response_limit = 1 << 40
    huge = struct.pack(">HBI", 0xFFFF, Command.PICTURE, 0xFFFFFFFF)
    with pytest.raises(ProtocolError, match="was not requested"):
        collect(parser, [encode_hello(Hello(PROTOCOL_VERSION)), huge])


def test_no_command_looks_like_a_reply() -> None:
    for command in Command:
        data = encode_command(command, b"payload")
        with pytest.raises(ProtocolError):
            decode_reply(data[:3])
        assert data[0] == 0x80
        assert struct.unpack(">I", data[2:6]) == (7,)
        assert data[6:] == b"payload"


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=2000), max_size=8), st.booleans())
def test_garbage_raises_protocol_errors_and_nothing_grows(pieces: list[bytes], greeted: bool) -> None:
    parser = MessageParser()
    decoder = FrameDecoder()
    if greeted:
        pieces = [b"\0\0", *pieces]
    try:
        for piece in pieces:
            for message in parser.feed(piece):
                if isinstance(message, bytes):
                    decoder.decode(message)
            assert len(parser._pending) <= 2 + 4096
    except ProtocolError:
        pass


@settings(max_examples=100)
@given(st.binary(min_size=PACKET_BYTES, max_size=PACKET_BYTES))
def test_any_packet_decodes_or_is_refused(body: bytes) -> None:
    body = struct.pack(">H", 195) + body[2:]
    try:
        frame = FrameDecoder().decode(body)
    except ProtocolError:
        return
    assert np.isfinite(frame.features).all()
    assert math.isfinite(frame.objective)


def test_game_over_is_an_edge_after_play() -> None:
    decoder = FrameDecoder()
    attract, play = sample(game_mode=0x00, game_state=0x14), sample()
    dying = sample(game_mode=0xC0, game_state=0x06)
    over = sample(game_mode=0x80, game_state=0x10)
    course = [attract, play, play, dying, play, over, over, attract, play, attract]
    seen = [decoder.decode(encode_frame(frame)[2:]).over for frame in course]
    assert seen == [False, False, False, False, False, True, False, False, False, True]


def test_hello_is_json_of_plain_texts() -> None:
    body = encode_hello(Hello(PROTOCOL_VERSION, "t", "tempest1", "squall", "0.251"))[2:]
    assert json.loads(body) == {
        "protocol": 1,
        "token": "t",
        "rom": "tempest1",
        "game": "squall",
        "mame": "0.251",
    }
