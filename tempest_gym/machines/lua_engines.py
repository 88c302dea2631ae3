"""How each kind of Lua accesses rows of NumPy arrays: through pointers, or as strings."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_gym.frame import FRAME_DTYPE

__all__ = ["Array", "Arrays", "NativeEngine", "PortableEngine", "address_of", "check_array"]

_CYCLES_BETWEEN_BRIDGES = 3 * 1_512_000
"""A program that does not change its frame counter for three seconds is not running its game."""

_RUN = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)

_RAM_BYTES = 2048

Array = tuple[NDArray[Any], int, tuple[int | None, ...], Any]
"""A checked array, its address, and what it was checked for."""

Arrays = tuple[Array, Array, Array, Array, Array]
"""State, memory, indices, features and frames."""


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

    def crew(self, words: int, signals: dict[str, int], fleet: Sequence[Array]) -> Any:
        """Return Lua's table of functions that share the rows of a fleet by the words at an address."""
        state, memory, rom, *others = fleet
        return self._crew(
            words,
            *(signals[name] for name in ("claim", "exchange", "compare_exchange", "wait_while")),
            self._run_address,
            rom[1],
            _CYCLES_BETWEEN_BRIDGES,
            state[1],
            *state[0].shape,
            memory[1],
            *(array[1] for array in others),
        )

    def init(self, memory: NDArray[np.float64], seed: int, start_level: int, game: bytes) -> None:
        self._init(address_of(memory), seed, start_level, game)

    def set_start_level(self, memory: NDArray[np.float64], start_level: int) -> None:
        self._set_start_level(address_of(memory), start_level)

    def observe(self, arrays: Arrays) -> int:
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
        self, arrays: Arrays, rom: Array, actions: tuple[Array, Array, Array], how: tuple[int, int, int]
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

    def observe(self, arrays: Arrays) -> int:
        state, memory, indices, features, frames = (array[0] for array in arrays)
        for row in indices.tolist():
            if not 0 <= row < len(state):
                return self._bad_row
            results = self._observe(memory[row].tobytes(), state[row, :_RAM_BYTES].tobytes())
            _store(row, results, memory, features, frames)
        return self._all_well

    def advance(
        self, arrays: Arrays, rom: Array, actions: tuple[Array, Array, Array], how: tuple[int, int, int]
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
        code = self._run(address_of(board), rom, _CYCLES_BETWEEN_BRIDGES)
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
