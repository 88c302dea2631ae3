"""Compiles the generated interpreter with numba. Imported only when the cache has no machine code yet.

The interpreter and the handlers it rarely needs are separate LLVM modules joined at link time: otherwise LLVM copies
the handlers into each of the opcodes, and takes three times as long to do so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from numba import types
from numba.core.compiler import Flags, compile_extra
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from tempest_gym.board import arithmetic, memory
from tempest_gym.board.interpreter_source import core_source, shared_tables
from tempest_gym.board.layout import FRAME_COUNTER, WORD
from tempest_gym.board.symbols import PREFIX

_BYTE = types.CPointer(types.uint8)
_WORD = types.CPointer(types.int64)
_MACHINE = (_BYTE, _WORD, _BYTE)
_INT = types.int64

HANDLERS: dict[str, tuple[Callable[..., Any], Any]] = {
    "io_read": (memory.io_read, _INT(*_MACHINE, _INT, _INT)),
    "io_write": (memory.io_write, _INT(*_MACHINE, _INT, _INT, _INT)),
    "fetch_elsewhere": (memory.fetch_elsewhere, _INT(*_MACHINE, _INT, _INT)),
    "fetch_word_elsewhere": (memory.fetch_word_elsewhere, _INT(*_MACHINE, _INT, _INT)),
    "add_decimal": (arithmetic.add_decimal, _INT(_INT, _INT, _INT)),
    "subtract_decimal": (arithmetic.subtract_decimal, _INT(_INT, _INT, _INT)),
    "is_idle_loop": (arithmetic.is_idle_loop, _INT(_BYTE, _INT, _INT)),
    "bite": (arithmetic.bite, _INT(*_MACHINE)),
}
"""What the interpreter calls out of line: functions and signatures."""

CORE_SIGNATURE = types.int32(*_MACHINE, _WORD, _INT, _INT)

ENTER_SIGNATURE = _INT(_BYTE, _BYTE, _WORD, _INT, _INT, _INT)
"""Of ``enter``, which goes to translated code (see `translation`)."""

_STOP = WORD["stop"]
_BRIDGES = WORD["bridges"]


@dataclass(frozen=True)
class Compiled:
    """One function as optimised LLVM assembly.

    By numba's calling convention its arguments are ``result *``, ``void **excinfo`` and then its own; the status it
    returns is always 0, as nothing here can raise.
    """

    name: str
    symbol: str
    assembly: str
    signature: Any


def compile_all(listing: Path | None) -> list[Compiled]:
    """The interpreter (named ``core``) and its handlers; the interpreter's generated source goes into a file."""
    source = core_source()
    if listing:
        listing.write_text(source)
    parts = [_compile(name, function, signature) for name, (function, signature) in HANDLERS.items()]
    return [*parts, _compile("core", core_function(source, str(listing)), CORE_SIGNATURE)]


def core_function(source: str, name: str) -> Callable[..., Any]:
    """The generated interpreter as a plain Python function: numba's input."""
    namespace: dict[str, Any] = {"np": np, "ZERO": np.int64(0), "pack": arithmetic.pack}
    for name, (_, signature) in HANDLERS.items():
        # numba links what it compiles at once; the real handler takes this symbol's place in the object file.
        llvm.add_symbol(PREFIX + name, 1)
        namespace[name] = types.ExternalFunction(PREFIX + name, signature)
    llvm.add_symbol(PREFIX + "enter", 1)
    namespace["enter"] = types.ExternalFunction(PREFIX + "enter", ENTER_SIGNATURE)
    namespace.update(_inline_accesses(namespace))
    namespace.update(_arithmetic(namespace))
    namespace.update({name: np.array(table, np.int64) for name, table in shared_tables().items()})
    exec(compile(source, name, "exec"), namespace)
    run: Callable[..., Any] = namespace["run"]
    return run


def _inline_accesses(namespace: dict[str, Any]) -> dict[str, Any]:
    """The memory accesses that are worth a copy in each opcode: RAM and ROM inline, the rest by a call."""
    io_read, io_write = namespace["io_read"], namespace["io_write"]
    fetch_elsewhere = namespace["fetch_elsewhere"]
    fetch_word_elsewhere = namespace["fetch_word_elsewhere"]

    @numba.njit(forceinline=True)
    def read(state, words, rom, address, cycle):  # type: ignore[no-untyped-def]
        if address < 0x0800:
            return np.int64(state[address])
        if address >= 0x9000:
            return np.int64(rom[address])
        return io_read(state, words, rom, address, cycle)

    @numba.njit(forceinline=True)
    def fetch(state, words, rom, address, cycle):  # type: ignore[no-untyped-def]
        if address >= 0x9000 and address < 0x10000:
            return np.int64(rom[address])
        return fetch_elsewhere(state, words, rom, address, cycle)

    @numba.njit(forceinline=True)
    def fetch_word(state, words, rom, address, cycle):  # type: ignore[no-untyped-def]
        if address >= 0x9000 and address < 0xFFFF:
            return np.int64(rom[address]) | (np.int64(rom[address + 1]) << 8)
        return fetch_word_elsewhere(state, words, rom, address, cycle)

    @numba.njit(forceinline=True)
    def write_ram(state, words, address, value):  # type: ignore[no-untyped-def]
        """Returns 1 at the bridge point, else 0."""
        reached = 0
        if address == FRAME_COUNTER and state[FRAME_COUNTER] != value:
            words[_STOP] = 1
            words[_BRIDGES] += 1
            reached = 1
        state[address] = np.uint8(value)
        return reached

    @numba.njit(forceinline=True)
    def write(state, words, rom, address, value, cycle):  # type: ignore[no-untyped-def]
        """Returns 1 if the core must check its events again, else 0."""
        if address < 0x0800:
            return write_ram(state, words, address, value)
        return io_write(state, words, rom, address, value, cycle)

    @numba.njit(forceinline=True)
    def byte(state, address):  # type: ignore[no-untyped-def]
        return np.int64(state[address])

    @numba.njit(forceinline=True)
    def pointer(state, address):  # type: ignore[no-untyped-def]
        """The word at a zero page address; its high byte wraps within the page."""
        return np.int64(state[address]) | (np.int64(state[(address + 1) & 0xFF]) << 8)

    @numba.njit(forceinline=True)
    def push(state, sp, value):  # type: ignore[no-untyped-def]
        state[0x100 + sp] = np.uint8(value & 0xFF)
        return (sp - 1) & 0xFF

    return {
        "read": read,
        "fetch": fetch,
        "fetch_word": fetch_word,
        "write_ram": write_ram,
        "write": write,
        "byte": byte,
        "pointer": pointer,
        "push": push,
    }


def _arithmetic(namespace: dict[str, Any]) -> dict[str, Any]:
    """ADC and SBC; results packed as in `arithmetic.add_decimal`."""
    add_decimal, subtract_decimal = namespace["add_decimal"], namespace["subtract_decimal"]

    @numba.njit(forceinline=True)
    def add(a, m, c, d):  # type: ignore[no-untyped-def]
        if d != 0:
            return add_decimal(a, m, c)
        total = a + m + c
        r = total & 0xFF
        return r | (r << 8) | (r << 16) | ((total >> 8) << 24) | ((((a ^ r) & (m ^ r)) >> 7) << 25)

    @numba.njit(forceinline=True)
    def subtract(a, m, c, d):  # type: ignore[no-untyped-def]
        if d != 0:
            return subtract_decimal(a, m, c)
        total = a + (m ^ 0xFF) + c
        r = total & 0xFF
        return r | (r << 8) | (r << 16) | ((total >> 8) << 24) | ((((a ^ r) & (a ^ m)) >> 7) << 25)

    return {"add": add, "subtract": subtract}


def _compile(name: str, function: Callable[..., Any], signature: Any) -> Compiled:
    flags: Any = Flags()
    flags.error_model = "numpy"
    flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    with global_compiler_lock:
        compiled = compile_extra(
            cpu_target.typing_context,
            cpu_target.target_context,
            getattr(function, "py_func", function),
            signature.args,
            signature.return_type,
            flags,
            {},
        )
        compiled.library.finalize()
    return Compiled(name, compiled.fndesc.llvm_func_name, compiled.library.get_llvm_str(), signature)
