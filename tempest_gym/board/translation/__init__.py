"""Programs translated into machine code: the same as the interpreter in every byte and cycle, several times as fast.

A ROM's program cannot change, so it is compiled once per content and processor and kept in the user's cache, as
`tempest_gym.board.native` keeps the interpreter. Translated functions run wherever nothing can happen between two
instructions; around interrupts, for rare instructions and for code that was not found the interpreter runs.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import platform
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_gym.board import native
from tempest_gym.board.layout import ROM_BYTES
from tempest_gym.board.symbols import FILL
from tempest_gym.code_cache import build_once, find, machine_code_key

__all__ = ["Table", "is_supported", "load_table", "precompile", "table_for"]


_PROCESSORS = ("x86_64", "amd64", "aarch64", "arm64")
"""Processors for which LLVM guarantees that a tail call needs no stack."""

Table = NDArray[np.int64]
"""Shape ``(65540,)``: the function that starts at each 6502 address, or 0; then the handlers. All are addresses."""

_log = logging.getLogger(__name__)
_tables: dict[str, Table | None] = {}


def table_for(memory: NDArray[np.uint8]) -> Table | None:
    """The translation of a ROM's program, compiled at its first use; None where it cannot be compiled.

    Whatever goes wrong is logged: the interpreter runs every program.

    Args:
        memory: uint8 ``(65536,)``, a ROM image.
    """
    name = hashlib.sha256(memory.tobytes()).hexdigest()
    if name not in _tables:
        try:
            _tables[name] = load_table(_code(memory)) if is_supported() else None
        except Exception:
            _log.exception("This ROM's program was not translated; it will run, but slower.")
            _tables[name] = None
    return _tables[name]


def is_supported() -> bool:
    """Whether programs can be translated for this processor."""
    return platform.machine().lower() in _PROCESSORS


def precompile(memory: NDArray[np.uint8]) -> Path | None:
    """Make sure that a ROM's translation is in the cache, compiling it if need be.

    Returns:
        The object file; None where no folder can be written.
    """
    _code(memory)
    return find(_file_name(memory))


def _code(memory: NDArray[np.uint8]) -> bytes:
    native.load()  # The search for jump targets runs it; loaded first, it reports its own compilation.
    announcement = "translating this ROM's program for this processor, once (5-15 s)"
    return build_once(_file_name(memory), functools.partial(_compile, memory), announcement)


def _file_name(memory: NDArray[np.uint8]) -> str:
    return f"program-{machine_code_key(_sources(), memory.tobytes())}.o"


def _sources() -> list[Path]:
    return list(Path(native.__file__).parent.rglob("*.py"))


def _compile(memory: NDArray[np.uint8]) -> bytes:
    from tempest_gym.board.translation.compiler import compile_program
    from tempest_gym.board.translation.jump_targets import jump_targets

    return compile_program(memory, jump_targets(memory))


def load_table(code: bytes) -> Table:
    """The table of some object code."""
    engine = native.load_object(code)
    handlers = native.load().handlers
    table = np.zeros(ROM_BYTES + len(handlers), np.int64)
    fill: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(int(engine.get_function_address(FILL)))
    fill(table.ctypes.data)
    table[ROM_BYTES:] = handlers
    return table
