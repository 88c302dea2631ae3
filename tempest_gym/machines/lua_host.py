"""The Lua of the project in this process: the same modules that MAME runs, over rows of NumPy arrays.

LuaJIT with its FFI works on the arrays in place: one call runs a whole slice of boards, without Python
and without the GIL. Lua 5.4 (for platforms whose lupa has no LuaJIT) gives the same results, slower.
A host belongs to one thread at a time.
"""

from __future__ import annotations

import ctypes
import importlib
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tempest_gym.frame import FEATURE_COUNT, FRAME_DTYPE
from tempest_gym.paths import lua_directory

__all__ = ["LuaHost", "LuaRuntimeName", "NoDecisionError"]

LuaRuntimeName = Literal["auto", "luajit", "lua54", "lua53"]

_MODULES = {
    "luajit": ("lupa.luajit21",),
    "lua54": ("lupa.lua54",),
    "lua53": ("lupa.lua53",),
}

_CYCLES_BETWEEN_BRIDGES = 3 * 1_512_000
"""A program that does not change its frame counter for three seconds is not running its game."""

_RUN = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)

_RAM_BYTES = 2048

_REMEMBERED = 32
"""Arrays whose addresses a host remembers; it keeps them alive so long."""

_ANY: tuple[None] = (None,)
"""Shape of a vector of any length."""

_Array = tuple[NDArray[Any], int, tuple[int | None, ...], Any]
"""A checked array, its address, and what it was checked for."""

_Arrays = tuple[_Array, _Array, _Array, _Array, _Array]
"""State, memory, indices, features and frames."""

_C_TYPES = {
    "f8": ("double", "d"),
    "u4": ("uint32_t", "I4"),
    "u2": ("uint16_t", "I2"),
    "i2": ("int16_t", "i2"),
    "u1": ("uint8_t", "B"),
}
"""C type and ``string.pack`` letter of each kind of number in a frame."""


class NoDecisionError(RuntimeError):
    """The program never came to a frame where a player acts; `row` is the board."""

    def __init__(self, row: int) -> None:
        """Name the board."""
        super().__init__(
            f"board {row} ran 12 minutes of game time without coming to play: "
            "the pilot cannot start this program; is it a game for the Tempest board?"
        )
        self.row = row


class LuaHost:
    """One Lua runtime that observes and advances boards.

    Args:
        runtime: ``"luajit"``, ``"lua54"``, ``"lua53"``, or ``"auto"`` for LuaJIT where lupa has it, else 5.4.
        run_address: address of ``int32_t run(uint8_t *state, const uint8_t *rom, int64_t max_cycles)``,
            which runs one board to its next bridge point and returns 0; None for the board's own.
        buttons_offset: where a row of state holds the buttons; None for the board's own layout.

    Attributes:
        runtime: the name of the runtime in use.
        version: the Lua's own name and version.
        memory_size: float64 values of Lua memory per board.

    Raises:
        ValueError: there is no such runtime.
        ImportError: lupa was built without it.
    """

    def __init__(
        self,
        runtime: LuaRuntimeName = "auto",
        *,
        run_address: int | None = None,
        buttons_offset: int | None = None,
    ) -> None:
        """Start the runtime and load the modules."""
        if runtime not in get_args(LuaRuntimeName):
            raise ValueError(f"runtime must be one of {get_args(LuaRuntimeName)}, got {runtime!r}")
        if run_address is None or buttons_offset is None:
            from tempest_gym.board import layout, native_run_address

            run_address = native_run_address() if run_address is None else run_address
            buttons_offset = layout.BUTTONS if buttons_offset is None else buttons_offset
        self.runtime, lupa_module = _find_runtime(runtime)
        self._lua = lupa_module.LuaRuntime(
            encoding=None, unpack_returned_tuples=True, register_eval=False, register_builtins=False
        )
        module = self._load()
        self.version: str = self._lua.eval(b"jit and jit.version or _VERSION").decode()
        self.memory_size = int(module[b"MEMORY"])
        self._known: dict[int, _Array] = {}
        self._bad_row = int(module[b"BAD_ROW"])
        self._longest_way = int(module[b"LONGEST_WAY"])
        self._engine: _Native | _Portable
        if self.runtime == "luajit":
            self._engine = _Native(module, run_address, buttons_offset)
        else:
            self._engine = _Portable(self._lua, module, run_address, buttons_offset)

    def init(self, memory: NDArray[np.float64], seed: int, start_level: int, game: str = "squall") -> None:
        """Begin a board's Lua memory at power-on.

        Args:
            memory: float64 ``(memory_size,)``, C-contiguous; overwritten.
            seed: whole number from 0 to 2^53; chooses the expert's randomness.
            start_level: the level to choose in the start menu, 1-81 (or the next lower one of the menu).
            game: name of the ROM set, which says which start menu the game has.
        """
        if not 0 <= seed <= 2**53:
            raise ValueError(f"seed must be from 0 to 2**53, got {seed}")
        _check(memory, np.float64, (self.memory_size,), "memory")
        self._engine.init(memory, int(seed), int(start_level), game.encode())

    def set_start_level(self, memory: NDArray[np.float64], start_level: int) -> None:
        """Choose another start level for the games to come."""
        _check(memory, np.float64, (self.memory_size,), "memory")
        self._engine.set_start_level(memory, int(start_level))

    def observe(
        self,
        state: NDArray[np.uint8],
        memory: NDArray[np.float64],
        indices: NDArray[np.int32],
        features: NDArray[np.float32],
        frames: NDArray[Any],
    ) -> None:
        """Observe boards where they are, at a bridge point; arguments as of `advance`."""
        result = self._engine.observe(self._arrays(state, memory, indices, features, frames))
        self._check_result(result, indices, len(state))

    def advance(
        self,
        state: NDArray[np.uint8],
        memory: NDArray[np.float64],
        rom: NDArray[np.uint8],
        indices: NDArray[np.int32],
        fire: NDArray[np.int32],
        zap: NDArray[np.int32],
        spinner: NDArray[np.int32],
        features: NDArray[np.float32],
        frames: NDArray[Any],
        *,
        stop_at_death: bool = False,
        skip: int = 1,
        limit: int | None = None,
    ) -> None:
        """Play an action on each of some boards and run each to the next frame an agent must look at.

        That is a decision frame, the end of the game or, if wanted, a death. Where no player can act the
        pilot does. A board that stops on an error is left as it is; its state tells.

        Args:
            state: uint8 ``(boards, bytes)``, one board a row, changed in place.
            memory: float64 ``(boards, memory_size)``, changed in place.
            rom: uint8 ``(65536,)``, the CPU's address space.
            indices: int32, the rows to advance, each once.
            fire: int32 ``(boards,)``, 0 or 1.
            zap: int32 ``(boards,)``, 0 or 1.
            spinner: int32 ``(boards,)``, counts per game frame, -128..127; negative turns to higher lanes.
            features: float32 ``(boards, 195)``, gets the features of the last frame.
            frames: ``FRAME_DTYPE (boards,)``, gets the rest of it; ``objective`` and ``subjective`` are
                sums and ``done`` tells of a death over the ``frames`` game frames passed.
            stop_at_death: stop in the frame in which the player dies, too.
            skip: play the action in that many decision frames, unless the player dies.
            limit: stop after that many game frames anyway; 1 makes it a single game frame.

        Raises:
            ValueError: an array has the wrong dtype, shape or memory order, or an index is out of range.
            NoDecisionError: a program never came to play.
        """
        arrays = self._arrays(state, memory, indices, features, frames)
        boards = state.shape[:1]
        program = self._array(rom, np.uint8, _ANY, "rom")
        actions = (
            self._array(fire, np.int32, boards, "fire"),
            self._array(zap, np.int32, boards, "zap"),
            self._array(spinner, np.int32, boards, "spinner"),
        )
        how = int(stop_at_death), skip, self._longest_way if limit is None else limit
        self._check_result(self._engine.advance(arrays, program, actions, how), indices, len(state))

    def _check_result(self, result: int, indices: NDArray[np.int32], boards: int) -> None:
        if result == self._bad_row:
            raise ValueError(f"indices must be from 0 to {boards - 1}, got {indices}")
        if result >= 0:
            raise NoDecisionError(result)

    def _arrays(
        self,
        state: NDArray[np.uint8],
        memory: NDArray[np.float64],
        indices: NDArray[np.int32],
        features: NDArray[np.float32],
        frames: NDArray[Any],
    ) -> _Arrays:
        boards = len(state)
        return (
            self._array(state, np.uint8, (boards, None), "state"),
            self._array(memory, np.float64, (boards, self.memory_size), "memory"),
            self._array(indices, np.int32, _ANY, "indices"),
            self._array(features, np.float32, (boards, FEATURE_COUNT), "features"),
            self._array(frames, FRAME_DTYPE, (boards,), "frames"),
        )

    def _array(self, array: NDArray[Any], dtype: Any, shape: tuple[int | None, ...], name: str) -> _Array:
        """Check an array and find its address; both are remembered, for NumPy takes microseconds to tell."""
        known = self._known.get(id(array))
        if known is not None and known[0] is array and known[2] == shape and known[3] is dtype:
            return known
        _check(array, dtype, shape, name)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        known = self._known[id(array)] = (array, _address(array), shape, dtype)
        return known

    def _load(self) -> Any:
        folder = str(lua_directory()).encode()
        load = self._lua.eval(
            b"function(path) package.path = path; local host = require('host'); return host end"
        )
        return load(folder + b"/?.lua")


class _Native:
    """LuaJIT on the arrays in place."""

    def __init__(self, module: Any, run_address: int, buttons_offset: int) -> None:
        native = module[b"native"](_c_definition().encode(), buttons_offset)
        if native[b"frame_bytes"] != FRAME_DTYPE.itemsize:
            raise RuntimeError("the C layout of a frame differs from NumPy's on this platform")
        self._run_address = run_address
        self._init, self._set_start_level = native[b"init"], native[b"set_start_level"]
        self._observe, self._advance = native[b"observe"], native[b"advance"]

    def init(self, memory: NDArray[np.float64], seed: int, start_level: int, game: bytes) -> None:
        self._init(_address(memory), seed, start_level, game)

    def set_start_level(self, memory: NDArray[np.float64], start_level: int) -> None:
        self._set_start_level(_address(memory), start_level)

    def observe(self, arrays: _Arrays) -> int:
        state, memory, indices, features, frames = arrays
        result = self._observe(
            state[1],
            *state[0].shape,
            memory[1],
            indices[1],
            len(indices[0]),
            features[1],
            frames[1],
        )
        return int(result)

    def advance(
        self, arrays: _Arrays, rom: _Array, actions: tuple[_Array, _Array, _Array], how: tuple[int, int, int]
    ) -> int:
        state, memory, indices, features, frames = arrays
        fire, zap, spinner = actions
        result = self._advance(
            self._run_address,
            rom[1],
            _CYCLES_BETWEEN_BRIDGES,
            state[1],
            *state[0].shape,
            memory[1],
            indices[1],
            len(indices[0]),
            fire[1],
            zap[1],
            spinner[1],
            features[1],
            frames[1],
            *how,
        )
        return int(result)


class _Portable:
    """Lua 5.3 or 5.4: a board's memory and RAM come and go as strings."""

    def __init__(self, lua: Any, module: Any, run_address: int, buttons_offset: int) -> None:
        names = FRAME_DTYPE.names
        assert names is not None
        fields = lua.table_from([name.encode() for name in names])
        portable = module[b"portable"](_pack_format().encode(), fields)
        self._no_decision, self._bad_row = module[b"NO_DECISION"], int(module[b"BAD_ROW"])
        self._all_well = int(module[b"ALL_WELL"])
        self._run, self._buttons_offset = _RUN(run_address), buttons_offset
        self._init, self._set_start_level = portable[b"init"], portable[b"set_start_level"]
        self._observe, self._advance = portable[b"observe"], portable[b"advance"]

    def init(self, memory: NDArray[np.float64], seed: int, start_level: int, game: bytes) -> None:
        memory[:] = np.frombuffer(self._init(seed, start_level, game), np.float64)

    def set_start_level(self, memory: NDArray[np.float64], start_level: int) -> None:
        memory[:] = np.frombuffer(self._set_start_level(memory.tobytes(), start_level), np.float64)

    def observe(self, arrays: _Arrays) -> int:
        state, memory, indices, features, frames = (array[0] for array in arrays)
        for row in indices.tolist():
            if not 0 <= row < len(state):
                return self._bad_row
            results = self._observe(memory[row].tobytes(), state[row, :_RAM_BYTES].tobytes())
            _store(row, results, memory, features, frames)
        return self._all_well

    def advance(
        self, arrays: _Arrays, rom: _Array, actions: tuple[_Array, _Array, _Array], how: tuple[int, int, int]
    ) -> int:
        state, memory, indices, features, frames = (array[0] for array in arrays)
        result = self._all_well
        for row in indices.tolist():
            if not 0 <= row < len(state):
                return self._bad_row
            outcome = self._advance(
                partial(self._run_board, state[row], rom[1]),
                partial(_poke, state[row]),
                memory[row].tobytes(),
                state[row, :_RAM_BYTES].tobytes(),
                *(int(action[0][row]) for action in actions),
                *how,
            )
            if isinstance(outcome, tuple):
                _store(row, outcome[1:], memory, features, frames)
                if outcome[0] == self._no_decision and result == self._all_well:
                    result = row
        return result

    def _run_board(self, board: NDArray[np.uint8], rom: int, buttons: float) -> tuple[int, bytes]:
        board[self._buttons_offset] = int(buttons)
        code = self._run(_address(board), rom, _CYCLES_BETWEEN_BRIDGES)
        return code, board[:_RAM_BYTES].tobytes()


def _poke(board: NDArray[np.uint8], address: float, value: float) -> None:
    board[int(address)] = int(value)


def _store(
    row: int,
    results: tuple[bytes, bytes, bytes],
    memory: NDArray[np.float64],
    features: NDArray[np.float32],
    frames: NDArray[Any],
) -> None:
    memory[row] = np.frombuffer(results[0], np.float64)
    features[row] = np.frombuffer(results[1], np.float32)
    frames[row] = np.frombuffer(results[2], FRAME_DTYPE)[0]


def _find_runtime(name: str) -> tuple[str, Any]:
    """Return the name and lupa's module of a runtime."""
    candidates = ("luajit", "lua54") if name == "auto" else (name,)
    for candidate in candidates:
        for module in _MODULES[candidate]:
            try:
                return candidate, importlib.import_module(module)
            except ImportError:
                continue
    wanted = " or ".join(module for candidate in candidates for module in _MODULES[candidate])
    raise ImportError(f"this build of lupa has no {wanted}; `pip install --upgrade lupa` gets one that has")


def _frame_fields() -> list[tuple[str, str, int, int]]:
    """Name, kind, offset and size of the fields of a frame."""
    fields = FRAME_DTYPE.fields
    assert fields is not None
    return [(name, field[0].str[1:], int(field[1]), field[0].itemsize) for name, field in fields.items()]


def _c_definition() -> str:
    """The C type of a frame."""
    members = "".join(f"{_C_TYPES[kind][0]} {name}; " for name, kind, _, _ in _frame_fields())
    return f"struct {{ {members}}}"


def _pack_format() -> str:
    """The format that packs a frame's fields into the bytes of a record."""
    letters, position = "=", 0
    for _, kind, start, size in _frame_fields():
        letters += "x" * (start - position) + _C_TYPES[kind][1]
        position = start + size
    return letters + "x" * (FRAME_DTYPE.itemsize - position)


def _address(array: NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _check(array: NDArray[Any], dtype: Any, shape: tuple[int | None, ...], name: str) -> None:
    if (
        array.dtype != dtype
        or array.ndim != len(shape)
        or any(wanted is not None and wanted != got for wanted, got in zip(shape, array.shape, strict=True))
        or not array.flags.c_contiguous
    ):
        expected = "x".join("n" if size is None else str(size) for size in shape)
        raise ValueError(
            f"{name} must be a C-contiguous array of {np.dtype(dtype)} with shape {expected}, "
            f"got {array.dtype} {array.shape}"
        )
