"""Recordings of games: the controls of every game frame, and how the game must end.

A file is one line of JSON (`Header`) and one byte of controls per game frame. With the ROM set and the seed of
the header these give the same game again, bit for bit, so the end can be compared: score, level and all of RAM.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tempest_gym import __version__
from tempest_gym.board.layout import MODELS
from tempest_gym.files import read_start, write_bytes
from tempest_gym.frame import Frame
from tempest_gym.machines.machine import Machine
from tempest_gym.roms import sha1
from tempest_gym.settings import LAST_START_LEVEL

__all__ = [
    "SPINNER_REACH",
    "Controls",
    "Header",
    "Recorder",
    "Recording",
    "RecordingError",
    "pack_controls",
    "read_recording",
    "unpack_controls",
    "write_recording",
]

FORMAT = "tempest-gym recording"
FORMAT_VERSION = 1

SPINNER_REACH = 31
"""Largest turn of one game frame that a recording holds, either way: what the game itself takes."""

FRAMES_MAX = 1 << 20
"""Game frames that a recording may have: more than ten hours."""

_HEADER_MAX = 4096
_SCORE_MAX = 99_999_999
_FIRE, _ZAP, _SPINNER, _SIGN = 0x80, 0x40, 0x3F, 0x20

Controls = tuple[bool, bool, int]
"""Fire, zap, and the turn of one game frame, -31..31 (negative turns to higher lanes)."""


class RecordingError(ValueError):
    """A recording cannot be read, or is of another game; the message gives what was found."""


def pack_controls(fire: bool, zap: bool, spinner: int) -> int:
    """Return the byte of one game frame: fire in bit 7, zap in bit 6, the turn as a signed number below.

    Raises:
        ValueError: the turn is not within -31..31.
    """
    if not -SPINNER_REACH <= spinner <= SPINNER_REACH:
        raise ValueError(f"spinner must be from {-SPINNER_REACH} to {SPINNER_REACH}, got {spinner}")
    return _FIRE * bool(fire) | _ZAP * bool(zap) | (int(spinner) & _SPINNER)


def unpack_controls(byte: int) -> Controls:
    """Return what `pack_controls` packed."""
    return bool(byte & _FIRE), bool(byte & _ZAP), ((byte & _SPINNER) ^ _SIGN) - _SIGN


@dataclass(frozen=True, slots=True)
class Header:
    """Header of a recording.

    Attributes:
        game: name of the ROM set.
        rom: its SHA-1, in hexadecimal.
        seed: of the game.
        start_level: the level asked for, 1-81.
        policy: who played: ``"human"``, ``"expert"``, ``"random"``.
        frames: game frames, from the first after power-on.
        score: points after the last frame.
        level: level after the last frame, 1-99.
        over: the game was played to its end.
        ram: SHA-1 of RAM $0000-$07FF after the last frame, in hexadecimal.
        project: version of tempest-gym that played.
        board_model: the board model that the game was played on, or that its MAME equals. Recordings of version 0.1
            do not name it; all were made with the first model.
    """

    game: str
    rom: str
    seed: int
    start_level: int
    policy: str
    frames: int
    score: int
    level: int
    over: bool
    ram: str
    project: str = __version__
    board_model: str = MODELS[0]


@dataclass(frozen=True, slots=True)
class Recording:
    """A game: its header, and one byte of controls per game frame (`unpack_controls`)."""

    header: Header
    controls: bytes


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 100 and value.isprintable()


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 40 and not set(value) - set("0123456789abcdef")


def _is_number(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "game": _is_text,
    "rom": _is_hash,
    "seed": _is_number(0, 2**31 - 2),
    "start_level": _is_number(1, LAST_START_LEVEL),
    "policy": _is_text,
    "frames": _is_number(0, FRAMES_MAX),
    "score": _is_number(0, _SCORE_MAX),
    "level": _is_number(1, 256),
    "over": lambda value: isinstance(value, bool),
    "ram": _is_hash,
    "project": _is_text,
    "board_model": lambda value: value in MODELS,
}


def encode(recording: Recording) -> bytes:
    """Return the bytes of a recording's file."""
    header = {"format": FORMAT, "version": FORMAT_VERSION, **asdict(recording.header)}
    header["controls"] = sha1(recording.controls)
    return json.dumps(header).encode() + b"\n" + recording.controls


def decode(content: bytes) -> Recording:
    """Return the recording in the bytes of a file.

    Raises:
        RecordingError: the file is missing or damaged.
    """
    line, newline, controls = content.partition(b"\n")
    try:
        if not newline or len(line) > _HEADER_MAX:
            raise ValueError
        values = json.loads(line)
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise ValueError
    except (ValueError, RecursionError) as error:
        raise RecordingError("not a recording of tempest-gym") from error
    version = values.pop("version", None)
    if version != FORMAT_VERSION:
        raise RecordingError(
            f"a recording of format version {_short(version)}, this tempest-gym reads {FORMAT_VERSION}"
        )
    digest = values.pop("controls", None)
    values.setdefault("board_model", MODELS[0])
    names = {field.name for field in fields(Header)}
    if set(values) != names:
        raise RecordingError(
            f"the header is damaged: {_short(sorted(set(values) ^ names))} missing or unknown"
        )
    for name, fine in _CHECKS.items():
        if not fine(values[name]):
            raise RecordingError(f"the header is damaged: {name} is {_short(values[name])}")
    header = Header(**values)
    if len(controls) != header.frames:
        raise RecordingError(f"truncated or damaged: {header.frames} frames expected, {len(controls)} found")
    if digest != sha1(controls):
        raise RecordingError("damaged: the controls are not those that were recorded")
    return Recording(header, controls)


def read_recording(path: str | os.PathLike[str]) -> Recording:
    """Read a recording; at most about a megabyte is read, whatever the file.

    Raises:
        RecordingError: the file holds none, or is damaged; the message names the file.
        OSError: it cannot be read.
    """
    limit = _HEADER_MAX + FRAMES_MAX + 1
    try:
        content = read_start(path, limit + 1)
    except ValueError as error:
        raise RecordingError(str(error)) from error
    if len(content) > limit:
        raise RecordingError(f"{path}: larger than any recording of tempest-gym")
    try:
        return decode(content)
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error


def write_recording(path: str | os.PathLike[str], recording: Recording) -> None:
    """Write a recording, whole or not at all.

    Raises:
        OSError: the folder does not exist, cannot be written or is full; an older file stays as it was.
    """
    write_bytes(Path(path), encode(recording))


class Recorder:
    """A machine that keeps what is played on it; otherwise the machine it is given.

    Args:
        machine: the machine to play on.
        board_model: its board model.

    Attributes:
        machine: that machine.
    """

    def __init__(self, machine: Machine, board_model: str = MODELS[0]) -> None:
        """Record the machine's games from its next reset on."""
        self.machine = machine
        self._board_model = board_model
        self._controls: bytearray | None = None
        self._seed = self._start_level = 0
        self._frame: Frame | None = None

    def __getattr__(self, name: str) -> Any:
        """Return what the machine has under a name: its state, memories and picture."""
        return getattr(self.machine, name)

    @property
    def started(self) -> bool:
        """Whether a game was started that can be recorded."""
        return self._frame is not None

    def recording(self, policy: str, rom: str) -> Recording:
        """Return the game played since the last reset, as far as it went.

        Args:
            policy: who played.
            rom: SHA-1 of the ROM set.

        Raises:
            RuntimeError: no game was started.
        """
        frame, controls = self._frame, self._controls
        if frame is None or controls is None:
            raise RuntimeError("nothing was played that could be recorded")
        header = Header(
            game=self.machine.game,
            rom=rom,
            seed=self._seed,
            start_level=self._start_level,
            policy=policy,
            frames=len(controls),
            score=frame.score,
            level=frame.level + 1,
            over=frame.over,
            ram=ram_digest(self.machine),
            board_model=self._board_model,
        )
        return Recording(header, bytes(controls))

    def reset(self, seed: int, start_level: int) -> Frame:
        """Power on and start a new recording."""
        self._frame = self.machine.reset(seed, start_level)
        self._seed, self._start_level, self._controls = seed, start_level, bytearray()
        return self._frame

    def step(self, fire: bool, zap: bool, spinner: int) -> Frame:
        """Play one game frame."""
        byte = pack_controls(fire, zap, spinner)
        self._frame = frame = self.machine.step(fire, zap, spinner)
        self._note(byte, 1)
        return frame

    def advance(
        self, fire: bool, zap: bool, spinner: int, *, stop_at_death: bool = False, skip: int = 1
    ) -> Frame:
        """Act and run to the next frame an agent must look at.

        The action counts in decision frames alone, so noting it for every frame on the way changes nothing.
        """
        byte = pack_controls(fire, zap, spinner)
        self._frame = frame = self.machine.advance(fire, zap, spinner, stop_at_death=stop_at_death, skip=skip)
        self._note(byte, frame.frames)
        return frame

    def _note(self, byte: int, frames: int) -> None:
        if self._controls is None:
            raise RuntimeError("a recording starts with a reset")
        if len(self._controls) + frames > FRAMES_MAX:
            raise RuntimeError(f"a recording holds {FRAMES_MAX} game frames, and they are played")
        self._controls += bytes([byte]) * frames

    def load_state(self, state: bytes) -> Frame:
        """Go back to a saved state, which ends the recording: it could not be played from its start."""
        self._controls = self._frame = None
        return self.machine.load_state(state)

    def set_random_state(self, state: tuple[int, float]) -> None:
        """Move the random numbers, which ends the recording."""
        self._controls = self._frame = None
        self.machine.set_random_state(state)

    def reseed(self, seed: int) -> None:
        """Reseed the machine, which ends the recording."""
        self._controls = self._frame = None
        self.machine.reseed(seed)


def ram_digest(machine: Machine) -> str:
    """Return the SHA-1 of a machine's RAM, in hexadecimal."""
    return sha1(machine.ram().tobytes())


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
