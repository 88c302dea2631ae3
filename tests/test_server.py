"""Clients connect and leave, slow ones delay nobody, strangers are kept out, and nothing they send does harm."""

from __future__ import annotations

import os
import random
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resources import Clock
from test_protocol import sample

from tempest_gym.actions import CONTROLS
from tempest_gym.frame import Frame
from tempest_gym.machines.machine import advance_by_frames
from tempest_gym.machines.mame_process import MameProcess
from tempest_gym.paths import lua_directory
from tempest_gym.protocol import (
    PROTOCOL_VERSION,
    Command,
    Hello,
    decode_reply,
    encode_frame,
    encode_hello,
)
from tempest_gym.roms import squall_rom
from tempest_gym.server.admission import read_token
from tempest_gym.server.arrivals import Arrivals, Truncation
from tempest_gym.server.episodes import Episodes
from tempest_gym.server.pool import ClientPool
from tempest_gym.settings import Settings

OURS = encode_hello(Hello(PROTOCOL_VERSION, "", "tempest1", "squall", "0.251"))
LEGACY = b"\0\0"
WAIT = 120.0

ATTRACT = sample(game_mode=0, game_state=0x14, decision=False)
DYING = sample(game_state=0x04, alive=False, decision=False)
OVER = sample(game_mode=0x80, game_state=0x10, decision=False)


def frame_of(kind: Frame, **changes: Any) -> Frame:
    changed = replace(kind, **changes)
    features = kind.features.copy()
    features[6] = changed.alive
    return replace(changed, features=features)


class Client:
    """A client as simple as can be."""

    def __init__(self, pool: ClientPool, hello: bytes = OURS) -> None:
        self.socket = socket.create_connection(pool.address, WAIT)
        self.socket.settimeout(WAIT)
        self.socket.sendall(hello)

    def send(self, frame: Frame) -> None:
        self.socket.sendall(encode_frame(frame))

    def take(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise EOFError(data)
            data += piece
        return data

    def reply(self) -> tuple[bool, bool, int]:
        """Return the next reply; commands before it are kept in ``commands``."""
        while True:
            head = self.take(3)
            if head[0] != 0x80:
                return decode_reply(head)
            (length,) = struct.unpack(">I", head[2:] + self.take(3))
            self.commands = [*getattr(self, "commands", []), (head[1], self.take(length))]

    def ended(self) -> bool:
        """Read until the server closes the line; False if it does not."""
        self.socket.settimeout(WAIT)
        try:
            while self.socket.recv(4096):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tempest_gym.server.pool.time", clock)
    return clock


@pytest.fixture
def pool() -> Iterator[ClientPool]:
    with closing(ClientPool(port=0, count=8, deadline=30.0)) as pool:
        yield pool


def gather(pool: ClientPool, count: int, seconds: float = WAIT) -> Arrivals:
    """Receive until as many have arrived, without acting."""
    arrivals = pool.recv(seconds, count)
    assert len(arrivals.ids) == count
    return arrivals


def serve_until(pool: ClientPool, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, dict(pool.dropped)
        assert len(pool.recv(0.01).ids) == 0


@pytest.mark.parametrize("hello", [OURS, LEGACY])
def test_a_client_plays_a_game(pool: ClientPool, hello: bytes) -> None:
    client = Client(pool, hello)
    for _ in range(3):  # Before the game starts the agent is not asked.
        client.send(ATTRACT)
        assert len(pool.recv(0.05).ids) == 0
        assert client.reply() == (False, False, 0)
    client.send(frame_of(sample(), objective=70.0))
    arrivals = gather(pool, 1)
    assert arrivals.first.tolist() == [True]
    assert np.array_equal(arrivals.observations[0], sample().features)
    assert arrivals.info["score"].tolist() == [123_450]
    pool.send(arrivals.ids, [33])
    pool.recv(0.0)
    assert client.reply() == CONTROLS[33]
    client.send(frame_of(sample(), objective=150.0, subjective=-5.0))
    arrivals = gather(pool, 1)
    assert arrivals.rewards.tolist() == pytest.approx([1.45])
    assert not arrivals.first[0]
    assert not arrivals.terminated[0]
    pool.send(arrivals.ids, [0])
    client.reply()
    client.send(frame_of(DYING, objective=-1000.0, subjective=0.0, life_lost=True))
    assert len(pool.recv(0.05).ids) == 0
    assert client.reply() == (False, False, 0)
    client.send(frame_of(OVER, objective=0.0, subjective=0.0))
    arrivals = gather(pool, 1)
    assert arrivals.terminated.tolist() == [True]
    assert arrivals.rewards.tolist() == [-10.0]
    assert arrivals.info["life_lost"].tolist() == [True]
    assert arrivals.info["frames"].tolist() == [2]
    pool.send(arrivals.ids, [5])
    assert client.reply() == (False, False, 0)
    client.send(sample())
    assert gather(pool, 1).first.tolist() == [True]


class Script:
    """Frames in a row, as a machine and as what a client sends."""

    def __init__(self, frames: list[Frame]) -> None:
        self.frames = list(frames)

    def step(self, fire: bool, zap: bool, spinner: int) -> Frame:
        return self.frames.pop(0)


KINDS = st.sampled_from(["play", "dying", "delay", "over", "attract"])


@given(
    st.lists(st.tuples(KINDS, st.integers(-3, 3), st.booleans()), min_size=1, max_size=60),
    st.integers(1, 3),
    st.booleans(),
)
def test_episodes_follow_the_rules_of_the_environment(
    course: list[tuple[str, int, bool]], skip: int, life: bool
) -> None:
    """The steps are those that `advance_by_frames`, the environment's rule, makes of the same frames."""
    frames, in_game = [], False
    for kind, points, died in course:
        decision = kind == "play"
        over = in_game and kind in ("over", "attract")
        in_game = not over and (in_game or decision)
        base = {"play": sample(), "over": OVER, "attract": ATTRACT}.get(kind, DYING)
        frames.append(
            replace(
                base,
                objective=50.0 * points,
                subjective=float(points),
                over=over,
                life_lost=died,
                decision=decision,
            )
        )
    settings_ = Settings("mame", episode="life" if life else "game", frame_skip=skip)
    episodes = Episodes(settings_)
    steps = []
    for frame in frames:
        step = episodes.take(frame)
        if step:
            steps.append(
                (step.first, step.terminated, None if step.first else step.reward, step.info["frames"])
            )
            episodes.act(0)

    script, expected, playing, waited = Script(frames), [], False, -1
    try:
        while True:
            frame = advance_by_frames(
                script.step, False, False, 0, stop_at_death=life and playing, skip=skip if playing else 1
            )
            waited += frame.frames
            if playing:
                reward = np.clip(0.01 * frame.objective + 0.01 * frame.subjective, -10, 10)
                terminated = frame.over or (life and frame.life_lost)
                expected.append((False, terminated, pytest.approx(reward), waited))
                playing, waited = not terminated, 0
            elif frame.decision:
                expected.append((True, False, None, waited))
                playing, waited = True, 0
    except IndexError:  # The frames are used up.
        pass
    assert steps == expected


def test_episode_is_truncated_after_thirty_minutes() -> None:
    episodes = Episodes(Settings("mame"))
    assert episodes.take(sample())
    for number in range(1, Settings().episode_frames + 1):
        episodes.act(0)
        step = episodes.take(sample())
        assert step
        assert bool(step.truncation) == (number == Settings().episode_frames)
    assert not episodes.playing


def test_clients_arrive_when_they_are_ready_and_a_stalled_one_delays_nobody(clock: Clock) -> None:
    with closing(ClientPool(port=0, count=3, deadline=3600)) as pool:
        quick, slow, half = Client(pool), Client(pool), Client(pool)
        for client in (quick, slow, half):
            client.send(sample())
        first = gather(pool, 3)
        pool.send(first.ids, [0, 0, 0])
        half.socket.sendall(encode_frame(sample())[:400])
        for turn in range(60):
            quick.reply()
            quick.send(frame_of(sample(), frame=turn))
            arrivals = gather(pool, 1)
            assert not arrivals.truncated.any()
            if turn == 30:
                assert not pool.dropped
                clock.ahead += 3601
                ended = gather(pool, 2)
                assert ended.truncated.all()
                assert sorted([*ended.ids, *arrivals.ids]) == [0, 1, 2]
                pool.send(ended.ids, [0, 0])
            pool.send(arrivals.ids, [0])
        assert pool.dropped == {"stalled": 2}
        assert slow.ended()
        assert half.ended()
        assert len(pool.clients()) == 1


def test_lost_client_is_truncated_with_its_last_observation_and_its_place_goes_to_the_next(
    pool: ClientPool,
) -> None:
    client = Client(pool)
    client.send(sample())
    arrivals = gather(pool, 1)
    pool.send(arrivals.ids, [3])
    client.reply()
    client.close()
    lost = gather(pool, 1)
    assert lost.ids.tolist() == arrivals.ids.tolist()
    assert lost.truncations.tolist() == [Truncation.DEPARTURE]
    assert lost.rewards.tolist() == [0.0]
    assert np.array_equal(lost.observations, arrivals.observations)
    assert pool.dropped["left"] == 1
    pool.send(lost.ids, [0])
    newcomer = Client(pool)
    newcomer.send(sample())
    again = gather(pool, 1)
    assert again.ids.tolist() == lost.ids.tolist()
    assert again.first.tolist() == [True]


@pytest.mark.parametrize(
    ("ending", "truncation"),
    [
        ("time is up", Truncation.TIME_LIMIT),
        ("game over", Truncation.NONE),
        ("leaves", Truncation.DEPARTURE),
        ("leaves with a frame unread", Truncation.DEPARTURE),
        ("sends garbage", Truncation.FAULT),
        ("sends garbage with a frame unread", Truncation.FAULT),
    ],
)
def test_a_time_limit_a_departure_and_a_fault_are_three_things(ending: str, truncation: Truncation) -> None:
    limit = 1.5 / 27.3 if ending == "time is up" else None
    with closing(ClientPool(port=0, settings=Settings("mame", time_limit=limit))) as pool:
        client = Client(pool)
        client.send(sample())
        pool.send(gather(pool, 1).ids, [0])
        client.reply()
        if ending not in ("leaves", "sends garbage"):
            client.send(frame_of(OVER if ending == "game over" else sample()))
            while not pool._ready:
                pool._serve(WAIT)
        if ending.startswith("leaves"):
            client.close()
        elif ending.startswith("sends"):
            client.socket.sendall(b"\0\5hello")
        while pool.clients() and ending not in ("time is up", "game over"):
            pool._serve(WAIT)
        last = pool.recv(WAIT)
        assert last.truncations.tolist() == [truncation]
        assert last.terminated.tolist() == [ending == "game over"]
        if truncation in (Truncation.DEPARTURE, Truncation.FAULT):
            pool.send(last.ids, [0])
            assert len(pool.recv(0.0).ids) == 0, "an episode ends once"


@pytest.mark.parametrize(
    "moment", ["before the first frame", "unread", "awaiting its action", "after an end"]
)
def test_client_leaves_at_any_moment(pool: ClientPool, moment: str) -> None:
    client = Client(pool)
    ends = 0
    if moment == "before the first frame":
        serve_until(pool, lambda: len(pool.clients()) == 1)
    elif moment == "unread":
        client.send(sample())
        pool._serve(0.5)
        pool._serve(0.5)
        assert len(pool._ready) == 1
    else:
        client.send(sample())
        arrivals = gather(pool, 1)
        if moment == "after an end":
            pool.send(arrivals.ids, [0])
            client.reply()
            client.send(frame_of(OVER))
            arrivals = gather(pool, 1)
            assert arrivals.terminated[0]
        else:
            ends = 1
        client.close()
        pool._serve(0.5)
        assert pool.clients() == []
        pool.send(arrivals.ids, [0])
    client.close()
    left = pool.recv(0.5)
    assert left.truncated.tolist() == [True] * ends
    pool.send(left.ids, [0] * ends)
    assert pool.clients() == []
    assert all(slot.free for slot in pool._slots)


def test_action_is_refused_where_none_is_awaited(pool: ClientPool) -> None:
    client = Client(pool)
    client.send(sample())
    arrivals = gather(pool, 1)
    for wrong in (-1, 44):
        with pytest.raises(ValueError, match="from 0 to 43"):
            pool.send(arrivals.ids, [wrong])
    pool.send(arrivals.ids, [0])
    with pytest.raises(ValueError, match="awaits no action"):
        pool.send(arrivals.ids, [0])


def garbage(kind: str) -> bytes:
    packet = encode_frame(sample())
    return {
        "wrong length": LEGACY + b"\0\5hello",
        "wrong count": LEGACY + packet[:2] + struct.pack(">H", 194) + packet[4:],
        "not a number": LEGACY + packet[:41] + struct.pack(">f", float("nan")) + packet[45:],
        "hello too long": b"\xff\xff",
        "hello no json": b"\0\3abc",
        "wild text": b"GET / HTTP/1.1\r\n\r\n",
        "lone surrogate": struct.pack(">H", 34) + b'{"protocol":1,"token":"\\ud800\\ud8"}',
        "two packets": LEGACY + packet + packet,
        "response unasked": OURS + struct.pack(">HBI", 0xFFFF, 5, 5) + b"12345",
        "response huge": OURS + struct.pack(">HBI", 0xFFFF, 8, 1 << 31),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("wrong length", "length"),
        ("wrong count", "count"),
        ("not a number", "nan"),
        ("hello too long", "hello"),
        ("hello no json", "hello"),
        ("wild text", "hello"),
        ("lone surrogate", "hello"),
        ("two packets", "unexpected"),
        ("response unasked", "response"),
        ("response huge", "response"),
    ],
)
def test_garbage_drops_its_sender_alone(pool: ClientPool, kind: str, reason: str) -> None:
    good = Client(pool)
    good.send(sample())
    arrivals = gather(pool, 1)
    bad = Client(pool, garbage(kind))
    end = time.monotonic() + WAIT
    while not pool.dropped and time.monotonic() < end:
        pool.recv(0.02)
    assert pool.dropped == {reason: 1}
    assert bad.ended()
    pool.send(arrivals.ids, [0])
    good.reply()
    good.send(sample())
    assert good_arrives(pool, arrivals)


def good_arrives(pool: ClientPool, arrivals: Arrivals) -> bool:
    return arrivals.ids[0] in gather(pool, 1).ids


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=900), min_size=1, max_size=4),
    st.sampled_from([b"", LEGACY, OURS]),
)
def test_any_bytes_leave_the_pool_working(pieces: list[bytes], start: bytes) -> None:
    with closing(ClientPool(port=0, count=2, deadline=5.0)) as pool:
        with closing(socket.create_connection(pool.address)) as stranger:
            for piece in [start, *pieces]:
                try:
                    stranger.sendall(piece)
                except OSError:
                    break
                pool.recv(0.0)
        client = Client(pool)
        client.send(sample())
        end = time.monotonic() + WAIT
        arrivals = pool.recv(WAIT)
        while not arrivals.first.any():
            assert time.monotonic() < end
            pool.send(arrivals.ids, [0] * len(arrivals.ids))
            arrivals = pool.recv(WAIT)
        client.close()


def test_silent_strangers_are_dropped_and_keep_nobody_out(clock: Clock) -> None:
    count, most = 1000, 64
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with closing(ClientPool(port=0, count=4, hello_deadline=3600)) as pool:
        silent: list[socket.socket] = []
        try:
            for _ in range(count):
                silent.append(socket.create_connection(pool.address, WAIT))
                pool.recv(0.0)
            serve_until(pool, lambda: pool.dropped["crowd"] == count - most)
            clock.ahead += 3601
            serve_until(pool, lambda: pool.dropped["silent"] == most)
            assert sum(pool.dropped.values()) == count
            client = Client(pool)
            client.send(sample())
            gather(pool, 1)
            assert len(pool._clients) == 1
        finally:
            for connection in silent:
                connection.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_hello_byte_by_byte_does_not_extend_the_deadline(clock: Clock) -> None:
    with closing(ClientPool(port=0, hello_deadline=3600)) as pool:
        with closing(socket.create_connection(pool.address, WAIT)) as dripping:
            for value in OURS[:-1]:
                try:
                    dripping.sendall(bytes([value]))
                except OSError:
                    break
                pool.recv(0.0)
                clock.ahead += 2 * 3600 / len(OURS)
        assert pool.dropped == {"silent": 1}


def test_full_pool_refuses_with_a_reason() -> None:
    with closing(ClientPool(port=0, count=1)) as pool:
        first = Client(pool)
        first.send(sample())
        gather(pool, 1)
        second = Client(pool)
        serve_until(pool, lambda: pool.dropped["full"] == 1)
        assert second.take(2) == bytes([0x80, Command.QUIT])
        (length,) = struct.unpack(">I", second.take(4))
        assert second.take(length) == b"all 1 places are taken"


TOKEN = "correct horse battery staple"


@pytest.mark.parametrize(
    ("hello", "welcome"),
    [
        (encode_hello(Hello(PROTOCOL_VERSION, TOKEN)), True),
        (encode_hello(Hello(PROTOCOL_VERSION, TOKEN + "r")), False),
        (encode_hello(Hello(PROTOCOL_VERSION, "ü" * len(TOKEN))), False),
        (OURS, False),
        (LEGACY, True),
    ],
)
def test_token_lets_in(hello: bytes, welcome: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with closing(ClientPool(port=0, token=TOKEN)) as pool:
        client = Client(pool, hello)
        client.send(sample())
        if welcome:
            gather(pool, 1)
        else:
            serve_until(pool, lambda: pool.dropped["token"] == 1)
            assert client.ended()
    assert TOKEN not in caplog.text


def test_other_computers_need_a_token() -> None:
    for host in ("0.0.0.0", "192.168.1.2", "::", "", "example.org"):
        with pytest.raises(ValueError, match="must show a token"):
            ClientPool(host, 0)
    for host in ("127.0.0.1", "localhost", "127.5.5.5"):
        ClientPool(host, 0).close()
    ClientPool("0.0.0.0", 0, token=TOKEN).close()


def test_original_clients_can_be_kept_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(ClientPool(port=0, legacy="none")) as pool:
        client = Client(pool, LEGACY)
        serve_until(pool, lambda: pool.dropped["legacy"] == 1)
        assert client.ended()
    with pytest.raises(ValueError, match="legacy must be"):
        ClientPool(port=0, legacy="some")  # type: ignore[arg-type]
    monkeypatch.setattr(
        "tempest_gym.server.admission.is_loopback", lambda host: False
    )  # Everybody is far away.
    for legacy, welcome in (("loopback", False), ("all", True)):
        with closing(ClientPool(port=0, legacy=legacy, token=TOKEN)) as pool:  # type: ignore[arg-type]
            client = Client(pool, LEGACY)
            if welcome:
                client.send(sample())
                gather(pool, 1)
            else:
                serve_until(pool, lambda pool=pool: pool.dropped["legacy"] == 1)


def test_token_is_read_from_file_or_variable(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEMPEST_TOKEN", raising=False)
    assert read_token() is None
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\nmore")
    assert read_token(file) == TOKEN
    file.write_bytes(TOKEN.encode() + b"\r\n")
    assert read_token(file) == TOKEN
    for ending in ("", "\n", "\r\n", " "):
        monkeypatch.setenv("TEMPEST_TOKEN", TOKEN + ending)
        assert read_token() == TOKEN
    monkeypatch.setenv("TEMPEST_TOKEN", "\n")
    assert read_token() is None
    file.write_text("short")
    with pytest.raises(ValueError, match="16 characters or more"):
        read_token(file)


@pytest.mark.parametrize(("size", "level", "more"), [(3, 9, b""), (5, 1, b"\0\1"), (5, 9, b"\1\t")])
def test_the_original_client_gets_three_or_five_bytes(size: Any, level: int, more: bytes) -> None:
    """Byte by byte: fire, zap, spinner; to later versions whether to start beyond level 1, and the level."""
    settings = Settings("mame", start_level=level)
    with closing(ClientPool(port=0, settings=settings, legacy_reply=size)) as pool:
        legacy = Client(pool, LEGACY)
        legacy.send(sample())
        pool.send(gather(pool, 1).ids, [CONTROLS.index((True, False, -9))])
        assert legacy.take(size) == b"\1\0\xf7" + more
        ours = Client(pool)
        ours.send(sample())
        pool.send(gather(pool, 1).ids, [0])
        assert ours.take(7) == bytes([0x80, Command.START_LEVEL, 0, 0, 0, 1, level])
        assert ours.take(3) == bytes(3)
    with pytest.raises(ValueError, match="legacy_reply must be 3 or 5 bytes, got 4"):
        ClientPool(port=0, legacy_reply=4)  # type: ignore[arg-type]


def test_start_level_reaches_our_clients(pool: ClientPool) -> None:
    client, legacy = Client(pool), Client(pool, LEGACY)
    for each in (client, legacy):
        each.send(sample())
    arrivals = gather(pool, 2)
    pool.set_start_level(33)
    pool.send(arrivals.ids, [0, 0])
    client.reply()
    legacy.reply()
    assert client.commands == [(Command.START_LEVEL, b"\1"), (Command.START_LEVEL, b"\x21")]
    assert not hasattr(legacy, "commands")


def test_many_clients_play_at_once() -> None:
    frames_each = 150

    def run(pool: ClientPool, seed: int) -> None:
        generator = random.Random(seed)
        with closing(Client(pool)) as client:
            for number in range(frames_each):
                frame = encode_frame(frame_of(sample() if generator.random() < 0.9 else DYING, frame=number))
                cut = generator.randrange(len(frame))
                client.socket.sendall(frame[:cut])
                client.socket.sendall(frame[cut:])
                client.reply()

    with closing(ClientPool(port=0, count=36)) as pool:
        threads = [threading.Thread(target=run, args=(pool, seed)) for seed in range(36)]
        for thread in threads:
            thread.start()
        seen = np.zeros(36, int)
        end = time.monotonic() + 240
        while any(thread.is_alive() for thread in threads):
            assert time.monotonic() < end
            arrivals = pool.recv(0.05)
            assert len(set(arrivals.ids.tolist())) == len(arrivals.ids)
            seen[arrivals.ids] += 1
            pool.send(arrivals.ids, np.arange(len(arrivals.ids)) % 44)
        for thread in threads:
            thread.join()
        assert seen.min() > frames_each / 2
        assert set(pool.dropped) <= {"left"}


def test_close_frees_the_port_and_notifies_the_clients() -> None:
    pool = ClientPool(port=0)
    client = Client(pool)
    serve_until(pool, lambda: len(pool.clients()) == 1)
    before = len(os.listdir("/proc/self/fd"))
    pool.close("enough")
    pool.close()
    client.take(6 + 1)
    assert client.take(6)[:2] == bytes([0x80, Command.QUIT])
    assert client.take(6) == b"enough"
    assert len(os.listdir("/proc/self/fd")) <= before - 3
    with closing(ClientPool("127.0.0.1", pool.address[1])):
        pass


def client_process(pool: ClientPool, **variables: str) -> MameProcess:
    host, port = pool.address
    ours = {"TEMPEST_CONNECT": f"{host}:{port}", "TEMPEST_DEADLINE": "2", "TEMPEST_RECONNECT": "1"}
    return MameProcess(squall_rom(), ours | variables)


def test_real_mames_play_leave_and_reconnect() -> None:
    with closing(ClientPool(port=0, count=4, token=TOKEN)) as pool:
        mames = [client_process(pool, TEMPEST_TOKEN=TOKEN, TEMPEST_SEED=str(seed)) for seed in (1, 2)]
        try:
            steps, observations = np.zeros(4, int), {}
            end = time.monotonic() + 240
            while steps[:2].min() < 100:
                assert time.monotonic() < end, (steps, pool.dropped, mames[0].last_lines())
                arrivals = pool.recv(1.0)
                steps[arrivals.ids] += 1
                observations.update(zip(arrivals.ids.tolist(), arrivals.observations, strict=True))
                pool.send(arrivals.ids, arrivals.info["expert_action"])
            assert not np.array_equal(observations[0], observations[1])
            assert {(client["game"], client["protocol"]) for client in pool.clients()} == {("squall", 1)}
            mames[0].end()
            while pool.dropped["left"] + pool.dropped["connection"] < 1 or not arrivals.truncated.any():
                assert time.monotonic() < end
                arrivals = pool.recv(1.0)
                pool.send(arrivals.ids, arrivals.info["expert_action"])
            mames[0] = client_process(pool, TEMPEST_TOKEN=TOKEN)
            while not arrivals.first.any():
                assert time.monotonic() < end
                arrivals = pool.recv(1.0)
                pool.send(arrivals.ids, arrivals.info["expert_action"])
            pool.close("thanks")
            for mame in mames:
                assert mame.wait(120) == 5, mame.last_lines()
                assert "the server's reason: thanks" in mame.last_lines()
        finally:
            for mame in mames:
                mame.end()


def test_mame_started_by_hand_plays() -> None:
    """As in the page: only -autoboot_script, which MAME runs two seconds late, and the address."""
    with closing(ClientPool(port=0)) as pool:
        variables = {"TEMPEST_CONNECT": "{}:{}".format(*pool.address), "TEMPEST_START_LEVEL": "5"}
        script = ["-autoboot_script", str(lua_directory() / "main.lua")]
        mame = MameProcess(squall_rom(), variables, script=False, arguments=script)
        try:
            levels, end = set(), time.monotonic() + 240
            while len(levels) < 1 or sum(client["frames"] for client in pool.clients()) < 400:
                assert time.monotonic() < end, mame.last_lines()
                arrivals = pool.recv(1.0)
                levels.update(arrivals.info["level"].tolist())
                pool.send(arrivals.ids, arrivals.info["expert_action"])
            assert min(levels) >= 1
            assert pool.clients()[0]["game"] == "squall"
            assert not pool.dropped
        finally:
            mame.end()


def test_real_mame_outlives_its_server() -> None:
    first = ClientPool(port=0)
    mame = client_process(first)
    try:
        assert first.recv(240).first.tolist() == [True]
        for client in list(first._clients.values()):  # As if the server had been killed: without a goodbye.
            client.connection.close()
        first._server.close()
        with socket.create_server(first.address) as absent:  # It tries again, more than once.
            absent.settimeout(240)
            absent.accept()[0].close()
        assert mame.wait(0) is None
        with closing(ClientPool("127.0.0.1", first.address[1])) as second:
            arrivals = second.recv(240)
            assert arrivals.first.tolist() == [True]
        assert mame.wait(120) == 0
    finally:
        mame.end()
        first._selector.close()


def test_real_mame_ends_without_its_owner_although_the_server_runs() -> None:
    with closing(ClientPool(port=0, count=2)) as pool:
        cared_for, orphan = (client_process(pool, TEMPEST_OWNER="4") for _ in range(2))
        try:
            end = time.monotonic() + 240
            while orphan.wait(0) is None:
                assert time.monotonic() < end
                cared_for.touch()
                arrivals = pool.recv(0.2)
                pool.send(arrivals.ids, arrivals.info["expert_action"])
            assert orphan.wait(0) == 4
            assert not orphan.folder.exists()
            assert cared_for.wait(0) is None
        finally:
            cared_for.end()
            orphan.end()


@pytest.mark.parametrize("ending", ["\n", "\r\n", " \nsecond line\n"])
def test_real_mame_reads_a_token_from_a_file_whatever_ends_its_line(tmp_path: Any, ending: str) -> None:
    (tmp_path / "token").write_bytes(TOKEN.encode() + ending.encode())
    with closing(ClientPool(port=0, token=TOKEN)) as pool:
        mame = client_process(pool, TEMPEST_TOKEN_FILE=str(tmp_path / "token"))
        try:
            serve_until(pool, lambda: bool(pool.clients() or pool.dropped))
            assert not pool.dropped
        finally:
            mame.end()


def test_real_mame_with_a_wrong_token_logs_the_reason() -> None:
    with closing(ClientPool(port=0, token=TOKEN)) as pool:
        mame = client_process(pool, TEMPEST_TOKEN="something else")
        try:
            serve_until(pool, lambda: pool.dropped["token"] == 1)
            assert mame.wait(120) == 5
            assert "the client shows another token" in mame.last_lines()
        finally:
            mame.end()
