"""How each kind of Lua accesses rows of NumPy arrays: through pointers, or as strings."""

from __future__ import annotations

import ctypes
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tempest_gym.frame import FRAME_DTYPE

__all__ = ["FleetArrays", "NativeEngine", "PortableEngine", "address_of", "check_array"]

_CYCLES_BETWEEN_BRIDGES = 3 * 1_512_000
"""A program that does not change its frame counter for three seconds is not running its game."""

_RUN = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)

_RAM_BYTES = 2048


class FleetArrays(NamedTuple):
    """The arrays of a fleet of boards, each C-contiguous.

    Attributes:
        state: uint8 ``(boards, bytes)``, one board a row.
        memory: float64 ``(boards, memory_size)``, the Lua's.
        rom: uint8 ``(65536,)``, the CPU's address space.
        fire: int32 ``(boards,)``, 0 or 1.
        zap: int32 ``(boards,)``, 0 or 1.
        spinner: int32 ``(boards,)``, counts per game frame, -128..127; negative turns to higher lanes.
        features: float32 ``(boards, 195)``, those of the last frame.
        frames: ``FRAME_DTYPE (boards,)``, the rest of it.
    """

    state: NDArray[np.uint8]
    memory: NDArray[np.float64]
    rom: NDArray[np.uint8]
    fire: NDArray[np.int32]
    zap: NDArray[np.int32]
    spinner: NDArray[np.int32]
    features: NDArray[np.float32]
    frames: NDArray[Any]


class NativeEngine:
    """LuaJIT on the arrays in place."""

    def __init__(self, module: Any, observe: Any, run_address: int, buttons_offset: int) -> None:
        native = module[b"native"](observe, _c_definition().encode(), buttons_offset)
        if native[b"frame_bytes"] != FRAME_DTYPE.itemsize:
            raise RuntimeError("the C layout of a frame differs from NumPy's on this platform")
        self._run_address = run_address
        self._init, self._set_start_level = native[b"init"], native[b"set_start_level"]
        self._observe, self._advance = native[b"observe"], native[b"advance"]
        self._crew = native[b"crew"]

    def crew(self, words: int, signals: dict[str, int], fleet: FleetArrays, addresses: list[int]) -> Any:
        """Return Lua's table of functions that share the rows of a fleet by the words at an address."""
        state, memory, rom, *others = addresses
        return self._crew(
            words,
            *(signals[name] for name in ("claim", "exchange", "compare_exchange", "wait_while")),
            self._run_address,
            rom,
            _CYCLES_BETWEEN_BRIDGES,
            state,
            *fleet.state.shape,
            memory,
            *others,
        )

    def init(self, memory: NDArray[np.float64], seed: int, start_level: int, game: bytes) -> None:
        self._init(address_of(memory), seed, start_level, game)

    def set_start_level(self, memory: NDArray[np.float64], start_level: int) -> None:
        self._set_start_level(address_of(memory), start_level)

    def observe(
        self, fleet: FleetArrays, addresses: list[int], rows: NDArray[np.int32], rows_address: int
    ) -> int:
        state, memory, *_, features, frames = addresses
        shape = fleet.state.shape
        return int(self._observe(state, *shape, memory, rows_address, len(rows), features, frames))

    def advance(
        self,
        fleet: FleetArrays,
        addresses: list[int],
        rows: NDArray[np.int32],
        rows_address: int,
        how: tuple[int, int, int],
    ) -> int:
        state, memory, rom, *others = addresses
        result = self._advance(
            self._run_address,
            rom,
            _CYCLES_BETWEEN_BRIDGES,
            state,
            *fleet.state.shape,
            memory,
            rows_address,
            len(rows),
            *others,
            *how,
        )
        return int(result)


class PortableEngine:
    """Lua 5.3 or 5.4: a board's memory and RAM are passed as strings, one board at a time."""

    def __init__(self, lua: Any, module: Any, observe: Any, run_address: int, buttons_offset: int) -> None:
        names = FRAME_DTYPE.names
        assert names is not None
        fields = lua.table_from([name.encode() for name in names])
        portable = module[b"portable"](observe, _pack_format().encode(), fields)
        self._no_decision, self._bad_row = module[b"NO_DECISION"], int(module[b"BAD_ROW"])
        self._all_well = int(module[b"ALL_WELL"])
        self._run, self._buttons_offset = _RUN(run_address), buttons_offset
        self._init, self._set_start_level = portable[b"init"], portable[b"set_start_level"]
        self._observe, self._advance = portable[b"observe"], portable[b"advance"]

    def init(self, memory: NDArray[np.float64], seed: int, start_level: int, game: bytes) -> None:
        memory[:] = np.frombuffer(self._init(seed, start_level, game), np.float64)

    def set_start_level(self, memory: NDArray[np.float64], start_level: int) -> None:
        memory[:] = np.frombuffer(self._set_start_level(memory.tobytes(), start_level), np.float64)

    def observe(self, fleet: FleetArrays, addresses: list[int], rows: NDArray[np.int32], _: int) -> int:
        for row in rows.tolist():
            if not 0 <= row < len(fleet.state):
                return self._bad_row
            results = self._observe(fleet.memory[row].tobytes(), fleet.state[row, :_RAM_BYTES].tobytes())
            _store(row, results, fleet)
        return self._all_well

    def advance(
        self,
        fleet: FleetArrays,
        addresses: list[int],
        rows: NDArray[np.int32],
        _: int,
        how: tuple[int, int, int],
    ) -> int:
        result = self._all_well
        for row in rows.tolist():
            if not 0 <= row < len(fleet.state):
                return self._bad_row
            state = fleet.state[row]
            outcome = self._advance(
                partial(self._run_board, state, addresses[2]),
                partial(_poke, state),
                fleet.memory[row].tobytes(),
                state[:_RAM_BYTES].tobytes(),
                *(int(action[row]) for action in (fleet.fire, fleet.zap, fleet.spinner)),
                *how,
            )
            if isinstance(outcome, tuple):
                _store(row, outcome[1:], fleet)
                if outcome[0] == self._no_decision and result == self._all_well:
                    result = row
        return result

    def _run_board(self, board: NDArray[np.uint8], rom: int, buttons: float) -> tuple[int, bytes]:
        board[self._buttons_offset] = int(buttons)
        code = self._run(address_of(board), rom, _CYCLES_BETWEEN_BRIDGES)
        return code, board[:_RAM_BYTES].tobytes()


def _poke(board: NDArray[np.uint8], address: float, value: float) -> None:
    board[int(address)] = int(value)


def _store(row: int, results: tuple[bytes, bytes, bytes], fleet: FleetArrays) -> None:
    arrays: tuple[NDArray[Any], ...] = fleet.memory, fleet.features, fleet.frames
    for array, result in zip(arrays, results, strict=True):
        array[row] = np.frombuffer(result, array.dtype).reshape(array.shape[1:])


def _c_definition() -> str:
    """The C type of a frame."""
    return f"struct {{ double {', '.join(FRAME_DTYPE.names or ())}; }}"


def _pack_format() -> str:
    """The format that packs a frame's fields into the bytes of a record."""
    return "=" + "d" * len(FRAME_DTYPE.names or ())


def address_of(array: NDArray[Any]) -> int:
    """Return the address of an array's data."""
    address: int = array.__array_interface__["data"][0]
    return address


def check_array(array: NDArray[Any], dtype: Any, shape: tuple[int | None, ...], name: str) -> None:
    """Raise ValueError unless an array is C-contiguous and of that dtype and shape; None in it is any size."""
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
