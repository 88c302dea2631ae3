"""Turns the board's Python into machine code once, and loads that code again in milliseconds.

The first start on a machine compiles the generated interpreter with numba, takes the optimised LLVM module and
writes the object code to a cache of the user's, named by everything it depends on: the text of every file of this
package, the versions of Python, numba and llvmlite, and the processor. Later starts link that object with llvmlite
alone; numba is not even imported. A file lock lets parallel first starts compile once.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import llvmlite.ir as ir
import platformdirs
from filelock import FileLock

CACHE_VARIABLE = "TEMPEST_GYM_CACHE"
"""Environment variable that moves the cache folder."""

_RUN = "tempest_board_run"
_RUN_ROWS = "tempest_board_run_rows"

_engine: Any = None
_native: Native | None = None


class Native:
    """Addresses and callables of the compiled board.

    Attributes:
        run_address: address of ``int32_t run(uint8_t *state, const uint8_t *rom, int64_t max_cycles)``.
        run: the same through ctypes, which releases the interpreter lock.
        run_rows: ``void run_rows(uint8_t *state, const uint8_t *rom, int64_t rows, int64_t max_cycles)``, which runs
            each of the consecutive rows to its next bridge point.
    """

    def __init__(self, engine: Any) -> None:
        self.run_address = int(engine.get_function_address(_RUN))
        self.run = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(
            self.run_address
        )
        self.run_rows = ctypes.CFUNCTYPE(
            None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64
        )(int(engine.get_function_address(_RUN_ROWS)))


def cache_folder() -> Path:
    """Where compiled code is kept: ``TEMPEST_GYM_CACHE``, or the user's cache folder, or a private temporary one."""
    chosen = os.environ.get(CACHE_VARIABLE)
    folder = Path(chosen) if chosen else Path(platformdirs.user_cache_dir("tempest-gym", appauthor=False))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
        fallback = Path(tempfile.gettempdir()) / f"tempest-gym-{user}"
        fallback.mkdir(mode=0o700, exist_ok=True)
        if hasattr(os, "getuid") and fallback.stat().st_uid != os.getuid():
            raise PermissionError(
                f"Neither {folder} nor {fallback} can hold compiled code: set {CACHE_VARIABLE} to a folder of yours."
            ) from None
        return fallback


def cache_key() -> str:
    """A hash of all that the machine code depends on."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    from importlib.metadata import version

    for part in (
        sys.version,
        version("numba"),
        llvmlite.__version__,
        platform.machine(),
        sys.platform,
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
    ):
        digest.update(part.encode())
    return digest.hexdigest()[:32]


def precompile() -> Path:
    """Make sure the machine code is in the cache, compiling it if need be (up to half a minute).

    Returns:
        The object file.
    """
    folder = cache_folder()
    path = folder / f"board-{cache_key()}.o"
    if path.exists():
        return path
    with FileLock(str(path) + ".lock"):
        if path.exists():
            return path
        started = time.monotonic()
        sys.stderr.write("tempest-gym: compiling the board for this processor, once (10-30 s) ... ")
        sys.stderr.flush()
        code = _compile()
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(code)
        os.replace(temporary, path)
        sys.stderr.write(f"done in {time.monotonic() - started:.0f} s\n")
    return path


def load() -> Native:
    """The compiled board of this process; compiles on the first call ever."""
    global _engine, _native
    if _native is None:
        code = precompile().read_bytes()
        _initialise()
        machine = llvm.Target.from_default_triple().create_target_machine()
        _engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        _engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        _engine.finalize_object()
        _native = Native(_engine)
    return _native


def _initialise() -> None:
    """LLVM's native target (newer versions of llvmlite do the first step by themselves and refuse to do it twice)."""
    if tuple(int(part) for part in llvmlite.__version__.split(".")[:2]) < (0, 45):
        llvm.initialize()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _compile() -> bytes:
    """Object code with the functions ``tempest_board_run`` and ``tempest_board_run_rows``."""
    from tempest_gym.board.core import compile_all

    parts = compile_all()
    module = llvm.parse_assembly(str(_entry_points(parts)))
    for part in parts:
        module.link_in(llvm.parse_assembly(part.assembly))
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        reloc="pic",
        codemodel="jitdefault",
        jit=True,
    )
    return bytes(machine.emit_object(module))


def _entry_points(parts: list[Any]) -> ir.Module:
    """Plain C functions around what numba compiled: the handlers for the core, ``run`` and ``run_rows`` for us."""
    from tempest_gym.board.core import PREFIX
    from tempest_gym.board.layout import STATE_BYTES

    i64 = ir.IntType(64)
    byte = ir.IntType(8).as_pointer()
    kinds = {"int64": i64, "int32": ir.IntType(32), "uint8*": byte, "int64*": i64.as_pointer()}
    module = ir.Module("tempest_board")
    module.triple = llvm.get_default_triple()
    functions = {}
    for part in parts:
        arguments = [kinds[str(kind)] for kind in part.signature.args]
        answer = kinds[str(part.signature.return_type)]
        inner_type = ir.FunctionType(ir.IntType(32), [answer.as_pointer(), byte.as_pointer(), *arguments])
        inner = ir.Function(module, inner_type, part.symbol)
        outer = ir.Function(module, ir.FunctionType(answer, arguments), PREFIX + part.name)
        builder = ir.IRBuilder(outer.append_basic_block())
        place, excinfo = builder.alloca(answer), builder.alloca(byte)
        builder.call(inner, [place, excinfo, *outer.args])
        builder.ret(builder.load(place))
        functions[part.name] = outer

    run = ir.Function(module, ir.FunctionType(ir.IntType(32), [byte, byte, i64]), _RUN)
    state, rom, cycles = run.args
    builder = ir.IRBuilder(run.append_basic_block())
    words = builder.bitcast(state, i64.as_pointer())
    builder.ret(builder.call(functions["core"], [state, words, rom, cycles]))

    rows = ir.Function(module, ir.FunctionType(ir.VoidType(), [byte, byte, i64, i64]), _RUN_ROWS)
    state, rom, count, cycles = rows.args
    entry, head, body, done = (rows.append_basic_block(name) for name in ("entry", "head", "body", "done"))
    ir.IRBuilder(entry).branch(head)
    builder = ir.IRBuilder(head)
    index = builder.phi(i64)
    index.add_incoming(i64(0), entry)
    builder.cbranch(builder.icmp_signed("<", index, count), body, done)
    builder = ir.IRBuilder(body)
    builder.call(run, [builder.gep(state, [builder.mul(index, i64(STATE_BYTES))]), rom, cycles])
    index.add_incoming(builder.add(index, i64(1)), body)
    builder.branch(head)
    ir.IRBuilder(done).ret_void()
    return module
