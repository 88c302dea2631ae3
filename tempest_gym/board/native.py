"""Turns the board's Python into machine code once, and loads that code again in milliseconds.

The first start on a machine compiles the generated interpreter with numba, and writes the object code of the
optimised LLVM module to the user's cache, under a name made from everything it depends on: the text of every
file of this package, the versions of Python, numba and llvmlite, and the processor. Later starts link that
object with llvmlite alone; numba is not even imported. The generated interpreter's source is written beside
the object code, for readers.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from tempest_gym.board.symbols import HANDLERS, PREFIX, RUN, RUN_ROWS, SIGNALS, TRACE
from tempest_gym.code_cache import CACHE_VARIABLE, build_once, find, machine_code_key, writable_folder

__all__ = ["CACHE_VARIABLE", "Native", "cache_key", "load", "precompile"]


_engines: list[Any] = []
_native: Native | None = None


class Native:
    """Addresses and callables of the compiled board.

    Attributes:
        run_address: address of ``int32_t run(uint8_t *state, const uint8_t *rom, int64_t max_cycles)``.
        run: the same through ctypes, which releases the interpreter lock.
        run_rows: ``void run_rows(uint8_t *state, const uint8_t *rom, int64_t rows, int64_t max_cycles)``, which runs
            each of the consecutive rows to its next bridge point.
        trace: ``void trace(uint8_t *state, const uint8_t *rom, uint8_t *marks, int64_t cycles)``, which runs a board
            and marks the addresses that RTS and JMP through memory go to.
        signals: addresses of `SIGNALS` by name.
        handlers: addresses of `HANDLERS`.
    """

    def __init__(self, engine: Any) -> None:
        pointer, whole = ctypes.c_void_p, ctypes.c_int64
        self.run_address = int(engine.get_function_address(RUN))
        self.run = ctypes.CFUNCTYPE(ctypes.c_int32, pointer, pointer, whole)(self.run_address)
        self.run_rows = ctypes.CFUNCTYPE(None, pointer, pointer, whole, whole)(
            int(engine.get_function_address(RUN_ROWS))
        )
        self.trace = ctypes.CFUNCTYPE(None, pointer, pointer, pointer, whole)(
            int(engine.get_function_address(TRACE))
        )
        self.signals = {name: int(engine.get_function_address(PREFIX + name)) for name in SIGNALS}
        self.handlers = [int(engine.get_function_address(PREFIX + name)) for name in HANDLERS]


def cache_key() -> str:
    """A hash of all that the machine code depends on."""
    return machine_code_key(Path(__file__).parent.glob("*.py"))


def precompile() -> Path | None:
    """Make sure the machine code is in the cache, compiling it if need be (up to half a minute).

    Returns:
        The object file; None where no folder can be written.
    """
    _code()
    return find(f"board-{cache_key()}.o")


def _code() -> bytes:
    return build_once(
        f"board-{cache_key()}.o", _compile, "compiling the board for this processor, once (10-30 s)"
    )


def load() -> Native:
    """The compiled board of this process; compiles on the first call ever."""
    global _native
    if _native is None:
        _native = Native(load_object(_code()))
    return _native


def load_object(code: bytes) -> Any:
    """An LLVM engine with some object code, kept for the life of the process."""
    _initialise()
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return engine


def host_machine(level: int) -> Any:
    """LLVM's target machine for this processor at an optimisation level."""
    _initialise()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=level,
        reloc="pic",
        codemodel="jitdefault",
        jit=True,
    )


def _initialise() -> None:
    """LLVM's native target (newer versions of llvmlite do the first step by themselves and refuse to do it twice)."""
    if tuple(int(part) for part in llvmlite.__version__.split(".")[:2]) < (0, 45):
        llvm.initialize()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _compile() -> bytes:
    """Object code of the interpreter, its handlers and its entry points."""
    from tempest_gym.board.entry_points import entry_points
    from tempest_gym.board.interpreter import compile_all

    folder = writable_folder()
    parts = compile_all(folder / f"board-{cache_key()}.py" if folder else None)
    module = llvm.parse_assembly(str(entry_points(parts)))
    for part in parts:
        module.link_in(llvm.parse_assembly(part.assembly))
    missing = [each.name for each in module.functions if each.is_declaration and "llvm." not in each.name]
    if missing:
        raise RuntimeError(f"the compiled board calls functions that it does not contain: {missing}")
    return bytes(host_machine(3).emit_object(module))
