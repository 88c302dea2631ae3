"""Finds the code in a ROM image: instructions, basic blocks, and regions of blocks that jump to each other.

What is found is only what is worth translating; it need not be all. Bytes wrongly taken for code cost a little time
to translate and are never run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tempest_gym.board.arithmetic import is_idle_loop
from tempest_gym.board.interpreter_source import IDLE_LOOP_BYTES
from tempest_gym.board.layout import FRAME_COUNTER
from tempest_gym.board.opcodes import OPCODES, Opcode

ROM_START = 0x9000
RAM_END = 0x0800
VECTORS = (0xFFFC, 0xFFFE)
ACKNOWLEDGE = 0x5000

LARGEST_REGION = 400
"""Instructions in a region beyond which no more blocks join it."""

_OPCODES = {opcode.code: opcode for opcode in OPCODES}

LEFT_OUT = frozenset({"BRK", "CLI", "PHP", "PLP", "RTI", "SEI"})
"""Instructions that the interpreter runs: rare ones, or those followed by a check of the interrupt line."""


@dataclass(frozen=True)
class Instruction:
    """One instruction in ROM."""

    address: int
    opcode: Opcode
    operand: int

    @property
    def following(self) -> int:
        """The address after it."""
        return self.address + self.opcode.length

    @property
    def target(self) -> int:
        """Where a branch, JMP or JSR with a fixed address goes."""
        if self.opcode.mode == "rel":
            return (self.following + ((self.operand ^ 0x80) - 0x80)) & 0xFFFF
        return self.operand

    @property
    def is_jump(self) -> bool:
        """Whether something other than the next instruction may follow."""
        return self.opcode.kind == "branch" or self.opcode.name in ("JMP", "JSR", "RTS")

    @property
    def is_disturbing(self) -> bool:
        """Whether the board must check its events after it: it writes the frame counter or acknowledges."""
        if self.opcode.kind not in ("store", "modify") or self.opcode.mode not in ("zp", "abs"):
            return False
        return self.operand in (FRAME_COUNTER, ACKNOWLEDGE)

    @property
    def successors(self) -> list[int]:
        """Addresses that control may go to within a region."""
        if self.opcode.kind == "branch":
            return [self.following, self.target]
        if self.opcode.name == "JMP":
            return [self.target] if self.opcode.mode == "abs" else []
        return [] if self.is_jump or self.opcode.name in ("BRK", "RTI") else [self.following]


@dataclass
class Region:
    """Blocks that become one function: by address, the instructions that are run from the first to the last.

    Attributes:
        blocks: the blocks.
        entries: addresses of blocks that are reached from elsewhere.
    """

    blocks: dict[int, list[Instruction]] = field(default_factory=dict)
    entries: list[int] = field(default_factory=list)


def decode(memory: NDArray[np.uint8], address: int) -> Instruction | None:
    """The instruction at an address in ROM, or None."""
    if not ROM_START <= address <= 0xFFFD:
        return None
    opcode = _OPCODES.get(int(memory[address]))
    if opcode is None:
        return None
    operand = 0
    if opcode.length > 1:
        operand = int(memory[address + 1])
    if opcode.length > 2:
        operand |= int(memory[address + 2]) << 8
    return Instruction(address, opcode, operand)


def is_idle_jump(memory: NDArray[np.uint8], instruction: Instruction) -> bool:
    """Whether it closes an idle loop, which the interpreter skips."""
    if not 0 <= instruction.address - instruction.target < IDLE_LOOP_BYTES:
        return False
    if instruction.opcode.kind != "branch" and (instruction.opcode.name, instruction.opcode.mode) != (
        "JMP",
        "abs",
    ):
        return False
    return bool(is_idle_loop.py_func(memory, instruction.target, instruction.address))


def is_left_out(instruction: Instruction) -> bool:
    """Whether the interpreter runs it: because it is rare, or a device may be modified."""
    opcode = instruction.opcode
    if opcode.kind == "modify" and opcode.mode in ("abs", "abx"):
        return instruction.operand > RAM_END - 0x100
    return opcode.name in LEFT_OUT


def find_regions(memory: NDArray[np.uint8], targets: Iterable[int]) -> list[Region]:
    """Cut a program into regions.

    Args:
        memory: uint8 ``(65536,)``, the ROM image.
        targets: addresses that jumps were seen to go to, beside the vectors.
    """
    vectors = [int(memory[vector]) | int(memory[vector + 1]) << 8 for vector in VECTORS]
    instructions, entries, leaders = _traverse(memory, {*vectors, *targets})
    blocks = _cut(instructions, leaders)
    return _join(blocks, entries)


def _traverse(
    memory: NDArray[np.uint8], roots: set[int]
) -> tuple[dict[int, Instruction], set[int], set[int]]:
    """All instructions reachable from ``roots``, the addresses reached from elsewhere, and the starts of blocks."""
    found: dict[int, Instruction] = {}
    entries, leaders, left_out = set(roots), set(roots), set[int]()
    todo = sorted(roots)
    while todo:
        address = todo.pop()
        if address in found:
            continue
        instruction = decode(memory, address)
        if instruction is None:
            continue
        found[address] = instruction
        following, target = instruction.following, instruction.target
        todo += instruction.successors
        if instruction.opcode.name == "JSR":
            entries |= {following, target}
            todo += [following, target]
        if instruction.is_disturbing or is_left_out(instruction):
            entries.add(following)
        if instruction.is_jump or instruction.is_disturbing:
            leaders |= {following, *instruction.successors}
        # So that a long loop is entered again after an interrupt.
        entries |= {other for other in instruction.successors if other <= address}
        if is_left_out(instruction):
            left_out.add(address)
        if is_idle_jump(memory, instruction):
            left_out.update(range(target, following))
            entries.add(following)
    for address in left_out & set(found):
        del found[address]
    return found, entries & set(found), (leaders | entries) & set(found)


def _cut(instructions: dict[int, Instruction], leaders: set[int]) -> dict[int, list[Instruction]]:
    blocks = {}
    for leader in sorted(leaders):
        block = [instructions[leader]]
        while not (block[-1].is_jump or block[-1].is_disturbing):
            following = block[-1].following
            if following in leaders or following not in instructions:
                break
            block.append(instructions[following])
        blocks[leader] = block
    return blocks


def _join(blocks: dict[int, list[Instruction]], entries: set[int]) -> list[Region]:
    """Put blocks that follow each other into one region, also over a call."""
    of: dict[int, Region] = {}
    sizes: dict[int, int] = {}
    for start, block in blocks.items():
        of[start] = Region({start: block})
        sizes[id(of[start])] = len(block)
    for start, block in blocks.items():
        last = block[-1]
        for other in [*last.successors, *([last.following] if last.opcode.name == "JSR" else [])]:
            if other not in of or of[other] is of[start]:
                continue
            ours, theirs = of[start], of[other]
            size = sizes[id(ours)] + sizes[id(theirs)]
            if size > LARGEST_REGION:
                continue
            ours.blocks.update(theirs.blocks)
            sizes[id(ours)] = size
            for each in theirs.blocks:
                of[each] = ours
    regions = list({id(region): region for region in of.values()}.values())
    starts = set(entries)
    for start, block in blocks.items():
        starts |= {other for other in block[-1].successors if other in of and of[other] is not of[start]}
    for region in regions:
        region.blocks = dict(sorted(region.blocks.items()))
        region.entries = [start for start in region.blocks if start in starts]
    return regions
