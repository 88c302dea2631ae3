"""The bridge's random numbers and its line to the server, under every Lua that lupa brings."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest

from tempest_gym.paths import lua_directory
from tempest_gym.protocol import Command, Hello, MessageParser, Response


def module(runtime: str, name: str) -> tuple[Any, Any]:
    lua = importlib.import_module(f"lupa.{runtime}").LuaRuntime(encoding=None)
    return lua, lua.execute((lua_directory() / f"{name}.lua").read_bytes())


def shift_register(size: int, taps: dict[int, tuple[int, ...]], first: int) -> bytes:
    """RANDOM by the hardware's rule (HARDWARE 1), bit by bit: ``taps`` gives the new bits as sums of old ones."""
    bits = [1] * size
    values = bytearray()
    for _ in range(2**size - 1):
        values.append(sum(bits[first + place] << place for place in range(8)))
        new = {bit: sum(bits[source] for source in sources) % 2 for bit, sources in taps.items()}
        bits = [*bits[1:], 0]
        for bit, value in new.items():
            bits[bit] = value
    return bytes(values)


@pytest.mark.parametrize("runtime", ["luajit21", "lua53", "lua54"])
def test_random_values_are_the_registers(runtime: str) -> None:
    _, polynomial = module(runtime, "polynomial")
    assert polynomial[b"long"]() == shift_register(17, {16: (0,), 7: (8, 13)}, 8)
    assert polynomial[b"short"]() == shift_register(9, {8: (0, 5)}, 0)


@pytest.mark.parametrize("runtime", ["lua53", "lua54"])
class TestWire:
    """Under the Luas that MAMEs carry."""

    def test_hello_and_response_are_understood(self, runtime: str) -> None:
        lua, wire = module(runtime, "wire")
        fields = {
            b"protocol": 1,
            b"token": b'a"b\\c\n\xc3\xbc',
            b"rom": b"tempest1",
            b"game": b"squall",
            b"mame": b"0.251",
        }
        table = lua.table_from([lua.table_from([name, value]) for name, value in fields.items()])
        hello = bytes(wire[b"hello"](table))
        assert json.loads(hello[2:])["token"] == 'a"b\\c\nü'
        parser = MessageParser()
        parser.response_limit = 10
        response = bytes(wire[b"response"](int(Command.SAVE), b"state"))
        assert list(parser.feed(hello + response)) == [
            Hello(1, 'a"b\\c\nü', "tempest1", "squall", "0.251"),
            Response(Command.SAVE, b"state"),
        ]

    def socket(
        self, runtime: str, reads: list[bytes], deadline: float, lost: bool
    ) -> tuple[Any, list[bytes], list[str]]:
        """Return a link over a socket that gives these pieces, a second for each look at the clock."""
        lua, wire = module(runtime, "wire")
        written: list[bytes] = []
        calls: list[str] = []
        clock = iter(range(100_000))

        def write(_: Any, data: bytes) -> int:
            written.append(bytes(data))
            return len(data) if len(written) < 5 else 0

        def give_up() -> None:
            calls.append("lost")
            raise EOFError

        read = lua.eval(b"function(f) return { read = function(_, n) return f(n) end } end")(
            lambda _: reads.pop(0) if reads else b""
        )
        read[b"write"] = write
        link = wire[b"socket"](read, b"hello", lambda: next(clock), deadline, give_up if lost else None)
        return link, written, calls

    def test_hello_goes_with_the_first_packet(self, runtime: str) -> None:
        link, written, _ = self.socket(runtime, [], 5, lost=False)
        assert written == []
        link[b"send"](b"one")
        link[b"send"](b"two")
        assert written == [b"helloone", b"two"]

    def test_what_is_received_is_kept_until_it_is_asked_for(self, runtime: str) -> None:
        link, _, _ = self.socket(runtime, [b"a", b"", b"bcd", b"ef"], 50, lost=False)
        assert link[b"receive"](3) == b"abc"
        link[b"send"](b"x")
        assert link[b"receive"](1) == b"d"
        assert link[b"receive"](2) == b"ef"
        assert link[b"receive"](1) is None

    def test_signs_of_life_find_out_that_the_server_is_gone(self, runtime: str) -> None:
        link, written, calls = self.socket(runtime, [], 0, lost=True)
        with pytest.raises(EOFError):
            link[b"receive"](3)
        assert calls == ["lost"]
        alive = MessageParser()
        list(alive.feed(b'\0\x0e{"protocol":1}'))
        assert list(alive.feed(written[1])) == [Response(Command.ALIVE, b"")]
