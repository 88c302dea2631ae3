"""Compiles the generated interpreter with numba. Imported only when the cache has no machine code yet."""

from __future__ import annotations

import re
from typing import Any

import numba
import numpy as np

from tempest_gym.board import arithmetic, memory
from tempest_gym.board.generate import core_source


def core_function() -> Any:
    """The interpreter as a plain Python function (slow; numba's input)."""
    namespace: dict[str, Any] = {"np": np, "ZERO": np.int64(0)}
    for module in (memory, arithmetic):
        namespace.update({name: value for name, value in vars(module).items() if hasattr(value, "py_func")})
    exec(compile(core_source(), "<generated 6502 core>", "exec"), namespace)
    return namespace["run"]


def compiled_core() -> tuple[str, str]:
    """The interpreter as optimised LLVM assembly, and the name of its C function therein.

    Signature: ``int32_t (uint8_t *state, int64_t *words, const uint8_t *rom, int64_t max_cycles)``.
    """
    byte = numba.types.CPointer(numba.types.uint8)
    word = numba.types.CPointer(numba.types.int64)
    signature = numba.types.int32(byte, word, byte, numba.types.int64)
    function = numba.cfunc(signature, error_model="numpy")(core_function())
    assembly = function.inspect_llvm()
    names = re.findall(r'^define [^@]*@("?cfunc\.[^"(\s]+"?)', assembly, re.MULTILINE)
    assert len(names) == 1, f"expected one C function in the module, found {names}"
    return assembly, names[0]
