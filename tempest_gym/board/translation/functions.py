"""Turns a ROM's program into LLVM IR: each region of `tempest_gym.board.translation.program` becomes one function.

``int64_t region(uint8_t *state, const uint8_t *rom, int64_t *table, int64_t event, int64_t cycle, int64_t pc)`` starts
at ``pc``, one of the region's entries, and ends with a tail call of the next region's function. It leaves
what it cannot run to the interpreter: then the row holds all registers, pc and cycle, and the result is the
cycle at which events must be checked, 0 for now. A block is run only if its last instruction starts before
``event``, so that no event falls inside.

``table`` holds the function for each entry by its address, else 0, and after them all the handlers.
"""

from __future__ import annotations

from collections.abc import Iterable

import llvmlite.binding as llvm
import llvmlite.ir as ir
import numpy as np
from numpy.typing import NDArray

from tempest_gym.board.symbols import FILL
from tempest_gym.board.translation.operations import Operations
from tempest_gym.board.translation.program import Instruction, Region, find_regions

_I1, _I64 = ir.IntType(1), ir.IntType(64)
_BYTES, _WORDS = ir.IntType(8).as_pointer(), ir.IntType(64).as_pointer()
REGION = ir.FunctionType(_I64, [_BYTES, _BYTES, _WORDS, _I64, _I64, _I64])

_CROSSING_MODES = ("abx", "aby", "izy")
_BRANCHES = {
    "BPL": ("n", 0x80, False),
    "BMI": ("n", 0x80, True),
    "BVC": ("v", 1, False),
    "BVS": ("v", 1, True),
    "BCC": ("c", 1, False),
    "BCS": ("c", 1, True),
    "BNE": ("z", 0xFF, True),
    "BEQ": ("z", 0xFF, False),
}
"""For each branch the register it tests, the bits, and whether it is taken if one of them is set."""


def translate(memory: NDArray[np.uint8], targets: Iterable[int]) -> str:
    """A program as a module of LLVM IR, not yet optimised.

    Args:
        memory: uint8 ``(65536,)``, the ROM image.
        targets: addresses that jumps were seen to go to.
    """
    module = ir.Module("tempest_program")
    module.triple = llvm.get_default_triple()
    regions = find_regions(memory, targets)
    functions: dict[int, ir.Function] = {}
    for region in regions:
        function = ir.Function(module, REGION, f"tempest_program_{region.entries[0]:04x}")
        function.linkage = "internal"
        functions |= dict.fromkeys(region.entries, function)
    for region in regions:
        _Translator(region, functions, memory).translate()
    fill = ir.Function(module, ir.FunctionType(ir.VoidType(), [_WORDS]), FILL)
    builder = ir.IRBuilder(fill.append_basic_block())
    for entry, function in functions.items():
        builder.store(builder.ptrtoint(function, _I64), builder.gep(fill.args[0], [_I64(entry)]))
    builder.ret_void()
    return str(module)


def worst_cycles(instructions: Iterable[Instruction]) -> int:
    """Cycles that instructions without jumps take if every page is crossed."""
    return sum(
        each.opcode.cycles + (each.opcode.kind == "read" and each.opcode.mode in _CROSSING_MODES)
        for each in instructions
    )


class _Translator:
    """Writes the function of one region."""

    def __init__(self, region: Region, functions: dict[int, ir.Function], memory: NDArray[np.uint8]) -> None:
        self.region = region
        self.functions = functions
        self.function = functions[region.entries[0]]
        self.entry = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.blocks = {start: self.function.append_basic_block(f"at_{start:04x}") for start in region.blocks}
        self.leaving = ir.IRBuilder(self.function.append_basic_block("leave"))
        self.anywhere = self.function.append_basic_block("anywhere")
        self.answer = self.entry.alloca(_I64, name="answer")
        self.next_pc = self.entry.alloca(_I64, name="next_pc")
        self.exits: dict[int, ir.Block] = {}
        self.operations = Operations(self.function, self.entry, memory, self._leave)

    def translate(self) -> None:
        cycle, pc = self.function.args[4:]
        for start, instructions in self.region.blocks.items():
            self._block(self.blocks[start], instructions)
        operations = self.operations
        # Only now is it known which registers the region uses.
        operations.load_registers(self.entry)
        self.entry.store(cycle, operations.cycle)
        choice = self.entry.switch(pc, self.blocks[self.region.entries[0]])
        for start in self.region.entries[1:]:
            choice.add_case(_I64(start), self.blocks[start])
        for target, block in self.exits.items():
            builder = ir.IRBuilder(block)
            operations.store_registers(builder)
            self._tail_call(builder, self.functions[target], _I64(target))
        self._end_anywhere()
        builder = self.leaving
        operations.store_registers(builder)
        operations.store_word(builder, "cycles", builder.load(operations.cycle))
        operations.store_word(builder, "pc", builder.load(self.next_pc))
        builder.ret(builder.load(self.answer))

    def _end_anywhere(self) -> None:
        _, _, table, event, _, _ = self.function.args
        builder = ir.IRBuilder(self.anywhere)
        target = builder.load(self.next_pc)
        known = builder.load(builder.gep(table, [target]))
        builder.store(event, self.answer)
        found = self.function.append_basic_block()
        builder.cbranch(builder.icmp_unsigned("!=", known, _I64(0)), found, self.leaving.block)
        builder = ir.IRBuilder(found)
        self.operations.store_registers(builder)
        self._tail_call(builder, builder.inttoptr(known, REGION.as_pointer()), target)

    def _tail_call(self, builder: ir.IRBuilder, function: ir.Value, pc: ir.Value) -> None:
        state, rom, table, event, _, _ = self.function.args
        cycle = builder.load(self.operations.cycle)
        builder.ret(builder.call(function, [state, rom, table, event, cycle, pc], tail="musttail"))

    def _block(self, block: ir.Block, instructions: list[Instruction]) -> None:
        operations = self.operations
        builder = ir.IRBuilder(block)
        run = self.function.append_basic_block()
        late = self.function.append_basic_block()
        start = builder.add(builder.load(operations.cycle), _I64(worst_cycles(instructions[:-1])))
        event = self.function.args[3]
        builder.cbranch(builder.icmp_signed("<", start, event), run, late).set_weights([1000, 1])
        self._leave(ir.IRBuilder(late), instructions[0].address, 0, event)
        builder = ir.IRBuilder(run)
        done = 0
        for instruction in instructions:
            if instruction.is_jump:
                break
            operations.emit(builder, instruction, done)
            done += instruction.opcode.cycles
        else:
            if not builder.block.is_terminated:
                self._go(builder, instructions[-1].following, done)
            return
        self._jump(builder, instruction, done)

    def _jump(self, builder: ir.IRBuilder, instruction: Instruction, done: int) -> None:
        name, operations = instruction.opcode.name, self.operations
        if instruction.opcode.kind == "branch":
            register, bits, if_set = _BRANCHES[name]
            value = builder.and_(operations.get(builder, register), ir.IntType(32)(bits))
            taken = builder.icmp_unsigned("!=" if if_set else "==", value, ir.IntType(32)(0))
            following, target = instruction.following, instruction.target
            there, here = self.function.append_basic_block(), self.function.append_basic_block()
            builder.cbranch(taken, there, here)
            crossing = ((following ^ target) >> 8) & 1
            self._go(ir.IRBuilder(there), target, done + 3 + crossing)
            self._go(ir.IRBuilder(here), following, done + 2)
        elif name == "JSR":
            operations.push_address(builder, instruction.following - 1)
            self._go(builder, instruction.target, done + 6)
        elif name == "RTS":
            self._go_anywhere(builder, operations.pull_address(builder), done + 6)
        elif instruction.opcode.mode == "ind":
            self._go_anywhere(builder, operations.indirect(builder, instruction.operand, done), done + 5)
        else:
            self._go(builder, instruction.target, done + 3)

    def _go(self, builder: ir.IRBuilder, target: int, cycles: int) -> None:
        """Continue at a fixed address."""
        if target in self.blocks:
            self.operations.pass_cycles(builder, cycles)
            builder.branch(self.blocks[target])
        elif target in self.functions:
            self.operations.pass_cycles(builder, cycles)
            if target not in self.exits:
                self.exits[target] = self.function.append_basic_block(f"to_{target:04x}")
            builder.branch(self.exits[target])
        else:
            self._leave(builder, target, cycles, self.function.args[3])

    def _go_anywhere(self, builder: ir.IRBuilder, target: ir.Value, cycles: int) -> None:
        """Continue at an address that may be in the table."""
        self.operations.pass_cycles(builder, cycles)
        builder.store(target, self.next_pc)
        builder.branch(self.anywhere)

    def _leave(self, builder: ir.IRBuilder, pc: int | ir.Value, cycles: int, event: int | ir.Value) -> None:
        """Leave the rest to the interpreter."""
        self.operations.pass_cycles(builder, cycles)
        builder.store(pc if isinstance(pc, ir.Value) else _I64(pc), self.next_pc)
        builder.store(event if isinstance(event, ir.Value) else _I64(event), self.answer)
        builder.branch(self.leaving.block)
