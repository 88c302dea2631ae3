"""MAME as a machine: a separate process, with the project's Lua in it."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from tempest_gym.frame import Frame
from tempest_gym.machines.machine import advance_by_frames
from tempest_gym.machines.mame_link import Link, LinkClosedError, LinkTimeoutError, open_link
from tempest_gym.machines.mame_process import MameError, MameMissingError
from tempest_gym.machines.seeding import phase_of
from tempest_gym.machines.setup import DEFAULT_SETUP, Setup
from tempest_gym.protocol import (
    PACKET_BYTES,
    Command,
    FrameDecoder,
    Hello,
    ProtocolError,
    Response,
    encode_command,
    encode_reply,
)
from tempest_gym.roms import RomImage

__all__ = ["MameError", "MameMachine", "MameMissingError"]

_RESET = struct.Struct(">IIB")
_SIZES = struct.Struct(">HH")
_STATE = struct.Struct(">8s20sIBII")
_STATE_MAGIC = b"TGMAME02"
_RAM, _COLOUR, _VECTOR = 2048, 16, 4096
_LUA_LIMIT, _PICTURE_LIMIT = 1 << 16, 1 << 24
_NO_RESEED = "a state of MAME includes its random numbers; for others use machine='board'"

_START_SECONDS = 60.0


class MameMachine:
    """A MAME that runs one ROM set, as a `Machine`.

    After an error the process is gone; ``reset`` starts a new one.

    Args:
        rom: the ROM set.
        randomness: ``"seed"``: the seed decides what the game's random numbers are, as on the board;
            ``"mame"``: they are MAME's own, and a seed fixes less.
        setup: the operator's switches and what the Lua computes.
        timeout: seconds that MAME may take for an answer.
        mame: path or command of MAME; None: found by `find_mame`.
        link: ``"pipe"``, ``"socket"`` or ``"auto"``.

    Raises:
        MameMissingError: MAME is missing; the message explains how to install it.
        MameError: it did not start; the message has its last lines.
        ValueError: randomness or link is another word.
    """

    name = "mame"

    def __init__(
        self,
        rom: RomImage,
        *,
        randomness: Literal["seed", "mame"] = "seed",
        setup: Setup = DEFAULT_SETUP,
        timeout: float = 10.0,
        mame: str | os.PathLike[str] | None = None,
        link: Literal["auto", "pipe", "socket"] = "auto",
    ) -> None:
        """Start MAME and wait for its first frame."""
        if randomness not in ("seed", "mame"):
            raise ValueError(f"randomness must be 'seed' or 'mame', got {randomness!r}")
        self.game = rom.name
        self._rom = rom
        self._environment = {
            "TEMPEST_GAME": self.game,
            "TEMPEST_RANDOMNESS": randomness,
            "TEMPEST_SEED": "0",
            "TEMPEST_DIP2": str(setup.dip2),
            "TEMPEST_DIFFICULTY": str(setup.difficulty_bits),
        }
        self._timeout = timeout
        self._mame = mame
        self._link_kind = link
        self._link: Link | None = None
        self._closed = False
        self._frames = FrameDecoder()
        self._packet = b""
        self._memories: NDArray[np.uint8] | None = None
        self._saves = self._version = 0
        self._start()

    @property
    def pid(self) -> int | None:
        """Process id of MAME, None while it is not running."""
        return self._link.process.pid if self._link else None

    @property
    def mame_version(self) -> int:
        """The version of this MAME without its ``0.``, 0 if it is not of that form."""
        return self._version

    def reset(self, seed: int, start_level: int) -> Frame:
        """Power on, seed, and return the first frame (bridge point 4)."""
        if self._link is None:
            self._start()
        self._frames.in_game = False
        self._send(encode_command(Command.RESET, _RESET.pack(phase_of(seed), seed, start_level)))
        return self._next_frame()

    def step(self, fire: bool, zap: bool, spinner: int) -> Frame:
        """Act at this bridge point and run to the next; outside decision frames the pilot acts instead."""
        self._send(encode_reply(fire, zap, spinner))
        return self._next_frame()

    def advance(
        self, fire: bool, zap: bool, spinner: int, *, stop_at_death: bool = False, skip: int = 1
    ) -> Frame:
        """Act, then run to the next decision frame, the end of the game or, if wished, a death."""
        return advance_by_frames(self.step, fire, zap, spinner, stop_at_death=stop_at_death, skip=skip)

    def save_state(self) -> bytes:
        """Return the whole state of MAME's machine and of the Lua."""
        answer = self._ask(Command.SAVE, self._new_name().encode(), _LUA_LIMIT)
        name, lua = answer[1 : 1 + answer[0]].decode("ascii", "replace"), answer[1 + answer[0] :]
        try:
            machine = self._state_file(name).read_bytes()
        except OSError as error:
            self._fail(f"MAME did not save its state ({error})")
        head = _STATE.pack(
            _STATE_MAGIC,
            bytes.fromhex(self._rom.sha1),
            self._version,
            self._frames.in_game,
            len(lua),
            len(machine),
        )
        return head + lua + machine + self._packet

    def load_state(self, state: bytes) -> Frame:
        """Go back to a saved state, of this or another process, and return its frame.

        Raises:
            ValueError: it is not a state of this version of MAME with this ROM set.
        """
        in_game, lua, machine, packet = self._split(state)
        name = self._new_name()
        file = self._state_file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(machine)
        self._ask(Command.LOAD, bytes([len(name)]) + name.encode() + lua)
        self._packet, self._memories = packet, None
        frame = FrameDecoder().decode(packet)
        self._frames.in_game = in_game
        return frame

    def random_state(self) -> tuple[int, float]:
        """Raise an error: MAME's random numbers cannot be read."""
        raise ValueError(_NO_RESEED)

    def set_random_state(self, state: tuple[int, float]) -> None:
        """Raise an error, as `random_state` does."""
        raise ValueError(_NO_RESEED)

    def reseed(self, seed: int) -> None:
        """Raise an error, as `random_state` does."""
        raise ValueError(_NO_RESEED)

    def ram(self) -> NDArray[np.uint8]:
        """Return a copy of RAM, shape ``(2048,)``."""
        return self._memory()[:_RAM].copy()

    def colour_ram(self) -> NDArray[np.uint8]:
        """Return a copy of colour RAM, shape ``(16,)``."""
        return self._memory()[_RAM : _RAM + _COLOUR].copy()

    def vector_ram(self) -> NDArray[np.uint8]:
        """Return a copy of vector RAM, shape ``(4096,)``."""
        return self._memory()[_RAM + _COLOUR :].copy()

    def picture(self) -> NDArray[np.uint8]:
        """Return MAME's own picture of the screen, shape ``(640, 480, 3)``, RGB.

        MAME draws 60 times a second, so it may be one game frame old, and the first one some more.
        """
        answer = self._ask(Command.PICTURE, b"", _PICTURE_LIMIT)
        width, height = _SIZES.unpack_from(answer)
        if len(answer) != _SIZES.size + 4 * width * height:
            self._fail(f"MAME sent a picture of {width} x {height} in {len(answer)} bytes")
        pixels = np.frombuffer(answer, np.uint8, offset=_SIZES.size).reshape(height, width, 4)
        return np.ascontiguousarray(pixels[:, :, 2::-1])

    def close(self) -> None:
        """End MAME and remove its folder. May be called twice."""
        self._closed = True
        self._drop()

    def _new_name(self) -> str:
        """Return a name for a state; the file of the one before the last can go."""
        if self._saves > 1:
            self._state_file(f"state{self._saves - 1}").unlink(missing_ok=True)
        self._saves += 1
        return f"state{self._saves}"

    def _state_file(self, name: str) -> Path:
        if not re.fullmatch(r"state\d+|start", name):
            self._fail(f"MAME's Lua sent the wrong name {name[:40]!r} for a state")
        return self._connected().process.states / f"{name}.sta"

    def _split(self, state: bytes) -> tuple[bool, bytes, bytes, bytes]:
        """Return the parts of a saved state: in a game, the Lua's part, MAME's part, the last packet."""
        if len(state) < _STATE.size or state[: len(_STATE_MAGIC)] != _STATE_MAGIC:
            raise ValueError(f"{len(state)} bytes that are not a saved state of MAME, or of an older version")
        _, sha1, version, in_game, lua_size, machine_size = _STATE.unpack_from(state)
        if sha1.hex() != self._rom.sha1:
            raise ValueError(f"the state belongs to the ROM set {sha1.hex()}, not to {self._rom.sha1}")
        if version != self._version:
            raise ValueError(f"the state was saved by MAME 0.{version}, this is MAME 0.{self._version}")
        lua_end = _STATE.size + lua_size
        machine_end = lua_end + machine_size
        if len(state) != machine_end + PACKET_BYTES:
            raise ValueError(f"a saved state of {len(state)} bytes, expected {machine_end + PACKET_BYTES}")
        return bool(in_game), state[_STATE.size : lua_end], state[lua_end:machine_end], state[machine_end:]

    def _start(self) -> None:
        if self._closed:
            raise MameError("this MAME has been closed")
        try:
            self._link = open_link(self._link_kind, self._rom, self._environment, self._mame)
            self._link.connect(_START_SECONDS)
            hello = self._link.receive(_START_SECONDS)
            if not isinstance(hello, Hello) or not hello.protocol:
                self._fail("MAME's Lua sent no hello")
            version = re.match(r"0\.(\d{1,5})\b", hello.mame)
            self._version = int(version[1]) if version else 0
            self._next_frame()
        except LinkTimeoutError:
            self._fail(f"MAME did not start within {_START_SECONDS:.0f} seconds")
        except LinkClosedError:
            self._fail_of_end("MAME ended while it started")
        except ProtocolError as error:
            self._fail(f"MAME's Lua sent invalid data: {error}")

    def _next_frame(self) -> Frame:
        message = self._receive(0)
        if not isinstance(message, bytes) or len(message) != PACKET_BYTES:
            self._fail(f"MAME's Lua sent {type(message).__name__} in place of a frame")
        try:
            frame = self._frames.decode(message)
        except ProtocolError as error:
            self._fail(f"MAME's Lua sent invalid data: {error}")
        self._packet, self._memories = message, None
        return frame

    def _ask(self, command: Command, payload: bytes = b"", limit: int = 0) -> bytes:
        self._send(encode_command(command, payload))
        answer = self._receive(limit)
        if not isinstance(answer, Response) or answer.command != command:
            self._fail(f"MAME's Lua did not answer {command.name}")
        return answer.payload

    def _memory(self) -> NDArray[np.uint8]:
        """Return all memories at this bridge point, fetched once."""
        if self._memories is None:
            size = _RAM + _COLOUR + _VECTOR
            answer = self._ask(Command.MEMORY, b"", size)
            if len(answer) != size:
                self._fail(f"MAME's Lua sent {len(answer)} bytes of memory, not {size}")
            self._memories = np.frombuffer(answer, np.uint8)
        return self._memories

    def _send(self, data: bytes) -> None:
        link = self._connected()
        try:
            link.send(data, self._timeout)
        except LinkTimeoutError:
            self._fail(f"MAME accepted no data for {self._timeout:g} seconds")
        except LinkClosedError:
            self._fail_of_end("MAME has ended")

    def _receive(self, limit: int) -> object:
        link = self._connected()
        try:
            return link.receive(self._timeout, limit)
        except LinkTimeoutError:
            self._fail(f"MAME did not answer for {self._timeout:g} seconds; was it stopped?")
        except LinkClosedError:
            self._fail_of_end("MAME has ended")
        except ProtocolError as error:
            self._fail(f"MAME's Lua sent invalid data: {error}")

    def _connected(self) -> Link:
        if self._link is None:
            raise MameError(
                "this MAME has been closed" if self._closed else "MAME has ended; reset() starts a new one"
            )
        return self._link

    def _fail_of_end(self, text: str) -> NoReturn:
        code = self._link.process.wait(1.0) if self._link else None
        if code is not None:
            text += f" with exit code {code}" if code >= 0 else f", killed by signal {-code}"
        self._fail(text)

    def _fail(self, text: str) -> NoReturn:
        """End MAME and raise; the message carries MAME's last lines."""
        lines = self._link.process.last_lines() if self._link else ""
        self._drop()
        raise MameError(f"{text}. MAME's last lines:\n{lines}" if lines else f"{text}. MAME printed nothing")

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()
            link.process.end()
