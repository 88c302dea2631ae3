"""From a ROM image to object code. Imported only when the cache has no translation yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numpy.typing import NDArray

from tempest_gym.board.native import host_machine
from tempest_gym.board.translation.functions import translate

_LEVEL = 1
"""Level of LLVM's optimisation; higher ones take longer and gain nothing here."""

_PASSES = ("sroa", "simplify_cfg", "instruction_combine", "simplify_cfg", "aggressive_dce")
"""The passes that gain something, in a fifth of the whole level's time."""


def compile_program(memory: NDArray[np.uint8], targets: Iterable[int]) -> bytes:
    """Object code of a ROM's program.

    Args:
        memory: uint8 ``(65536,)``, the ROM image.
        targets: addresses that computed jumps go to.
    """
    machine = host_machine(_LEVEL)
    module = llvm.parse_assembly(translate(memory, targets))
    _optimise(module, machine)
    return bytes(machine.emit_object(module))


def _optimise(module: Any, machine: Any) -> None:
    if hasattr(llvm, "create_pass_builder"):
        options = llvm.create_pipeline_tuning_options(speed_level=_LEVEL)
        builder = llvm.create_pass_builder(machine, options)
        passes = llvm.create_new_module_pass_manager()
        if all(hasattr(passes, f"add_{name}_pass") for name in _PASSES):
            for name in _PASSES:
                getattr(passes, f"add_{name}_pass")()
        else:
            passes = builder.getModulePassManager()
        passes.run(module, builder)
        return
    # llvmlite before 0.44
    builder = llvm.create_pass_manager_builder()
    builder.opt_level = _LEVEL
    passes = llvm.create_module_pass_manager()
    builder.populate(passes)
    passes.run(module)
