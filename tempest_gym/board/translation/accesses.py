"""Registers, memory and stack of the translated 6502, as LLVM IR.

Registers and flags are 32-bit slots on the stack that LLVM turns into registers of the processor; as in the
interpreter, bit 7 of ``n`` is N and ``z`` is zero for Z. Outside a function they are in the row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numpy.typing import NDArray

from tempest_gym.board.layout import FRAME_COUNTER, ROM_BYTES, VRAM, WORD
from tempest_gym.board.symbols import HANDLERS
from tempest_gym.board.translation.program import Instruction

REGISTERS = ("a", "x", "y", "sp", "n", "z", "c", "v", "d")
"""What a function loads from the row and stores to it. Nothing here changes the I flag."""

_I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_BYTES, _WORDS = _I8.as_pointer(), I64.as_pointer()

_IO_READ = ir.FunctionType(I64, [_BYTES, _WORDS, _BYTES, I64, I64])
_IO_WRITE = ir.FunctionType(I64, [_BYTES, _WORDS, _BYTES, I64, I64, I64])

RAM_END = 0x0800
VRAM_START, VRAM_END = 0x2000, 0x3000
VROM_END = 0x4000
ROM_START = 0x9000

Leave = Callable[[ir.IRBuilder, int, int, int], None]
"""Ends a block: next address, cycles of the block, and the cycle by which events have to be checked."""

RARELY = [1, 1000]


class Accesses:
    """Writes accesses into blocks of one function.

    Args:
        function: with the arguments state, rom, table, event, cycle, pc.
        entry: the function's first block, where slots are made.
        memory: the ROM image.
        leave: see `Leave`.
    """

    def __init__(
        self, function: ir.Function, entry: ir.IRBuilder, memory: NDArray[np.uint8], leave: Leave
    ) -> None:
        self.function = function
        self.state, self.rom, self.table = function.args[:3]
        self.words = entry.bitcast(self.state, _WORDS)
        self.memory = memory
        self.leave = leave
        self.cycle = entry.alloca(I64, name="cycle")
        self.slots = {name: entry.alloca(I32, name=name) for name in REGISTERS}
        self.used: set[str] = set()
        self.changed: set[str] = set()

    # Registers.

    def get(self, builder: ir.IRBuilder, name: str) -> Any:
        """A register's value."""
        self.used.add(name)
        return builder.load(self.slots[name])

    def set(self, builder: ir.IRBuilder, value: Any, *names: str) -> None:
        """Give registers a value."""
        for name in names:
            self.changed.add(name)
            builder.store(value, self.slots[name])

    def load_registers(self, builder: ir.IRBuilder) -> None:
        """Take from the row what the function uses or changes."""
        for name in sorted(self.used | self.changed):
            value = builder.load(self._word(builder, name))
            builder.store(builder.trunc(value, I32), self.slots[name])

    def store_registers(self, builder: ir.IRBuilder) -> None:
        """Put into the row what the function changes."""
        for name in sorted(self.changed):
            self.store_word(builder, name, builder.zext(builder.load(self.slots[name]), I64))

    def store_word(self, builder: ir.IRBuilder, name: str, value: Any) -> None:
        """Set a field of the row."""
        builder.store(value, self._word(builder, name))

    def pass_cycles(self, builder: ir.IRBuilder, cycles: int | Any) -> None:
        """Let time pass."""
        if not isinstance(cycles, int):
            builder.store(builder.add(builder.load(self.cycle), builder.zext(cycles, I64)), self.cycle)
        elif cycles:
            builder.store(builder.add(builder.load(self.cycle), I64(cycles)), self.cycle)

    def _word(self, builder: ir.IRBuilder, name: str) -> Any:
        return builder.gep(self.words, [I64(WORD[name])])

    # Memory.

    def _row(self, builder: ir.IRBuilder, address: Any) -> Any:
        """Pointer to a byte of the row."""
        if isinstance(address, int):
            return builder.gep(self.state, [I64(address)])
        return builder.gep(self.state, [builder.zext(address, I64)])

    def byte(self, builder: ir.IRBuilder, address: int | Any) -> Any:
        """A byte of the row, which starts with RAM."""
        return builder.zext(builder.load(self._row(builder, address)), I32)

    def _rom_byte(self, builder: ir.IRBuilder, address: Any) -> Any:
        pointer = builder.gep(self.rom, [builder.zext(address, I64)])
        return builder.zext(builder.load(pointer), I32)

    def _pointer(self, builder: ir.IRBuilder, place: int | Any) -> Any:
        """The word at a zero page address; its high byte wraps within the page."""
        if isinstance(place, int):
            low, high = self.byte(builder, place), self.byte(builder, (place + 1) & 0xFF)
        else:
            low = self.byte(builder, place)
            high = self.byte(builder, self.low_byte(builder, builder.add(place, I32(1))))
        return builder.or_(low, builder.shl(high, I32(8)))

    @staticmethod
    def low_byte(builder: ir.IRBuilder, value: Any) -> Any:
        return builder.and_(value, I32(0xFF))

    def address(self, builder: ir.IRBuilder, instruction: Instruction) -> tuple[int | Any, int, int]:
        """The effective address, and the lowest and highest it can be; a crossing of pages takes its cycle."""
        mode, operand = instruction.opcode.mode, instruction.operand
        if mode in ("zp", "abs"):
            return operand, operand, operand
        if mode in ("zpx", "zpy"):
            index = self.get(builder, mode[2])
            return self.low_byte(builder, builder.add(index, I32(operand))), 0, 0xFF
        if mode == "izx":
            place = self.low_byte(builder, builder.add(self.get(builder, "x"), I32(operand)))
            return self._pointer(builder, place), 0, 0xFFFF
        if mode == "izy":
            base, index = self._pointer(builder, operand), self.get(builder, "y")
            lowest, highest = 0, 0x100FE
        else:
            base, index = I32(operand), self.get(builder, mode[2])
            lowest, highest = operand, operand + 0xFF
        address = builder.add(base, index)
        if highest > 0xFFFF:
            address = builder.and_(address, I32(0xFFFF))
            lowest, highest = 0, 0xFFFF
        if instruction.opcode.kind == "read" and not (mode != "izy" and operand & 0xFF == 0):
            crossed = builder.lshr(builder.xor(base, address), I32(8))
            self.pass_cycles(builder, builder.and_(crossed, I32(1)))
        return address, lowest, highest

    def read(self, builder: ir.IRBuilder, address: int | Any, lowest: int, highest: int, cycles: int) -> Any:
        """Read from an address within bounds, that many cycles after the block's."""
        if isinstance(address, int) and (address >= ROM_START or VRAM_END <= address < VROM_END):
            return I32(int(self.memory[address]))
        if highest < RAM_END:
            return self.byte(builder, address)
        if lowest >= VRAM_START and highest < VRAM_END:
            return self.byte(builder, self._vram_place(builder, address))
        if lowest >= ROM_START or (lowest >= VRAM_END and highest < VROM_END):
            return self._rom_byte(builder, address)
        if isinstance(address, int) or (lowest >= RAM_END and highest < ROM_START):
            return self._io_read(builder, address, cycles)
        return self._read_anywhere(builder, address, cycles)

    @staticmethod
    def _vram_place(builder: ir.IRBuilder, address: int | Any) -> Any:
        shift = VRAM - VRAM_START
        return address + shift if isinstance(address, int) else builder.add(address, I32(shift & 0xFFFFFFFF))

    def _read_anywhere(self, builder: ir.IRBuilder, address: Any, cycles: int) -> Any:
        in_ram, not_ram, in_rom, io, done = (self.function.append_basic_block() for _ in range(5))
        builder.cbranch(builder.icmp_unsigned("<", address, I32(RAM_END)), in_ram, not_ram)
        results = []
        builder.position_at_end(in_ram)
        results.append((self.byte(builder, address), builder.block))
        builder.branch(done)
        builder.position_at_end(not_ram)
        builder.cbranch(builder.icmp_unsigned(">=", address, I32(ROM_START)), in_rom, io)
        builder.position_at_end(in_rom)
        results.append((self._rom_byte(builder, address), builder.block))
        builder.branch(done)
        builder.position_at_end(io)
        results.append((self._io_read(builder, address, cycles), builder.block))
        builder.branch(done)
        builder.position_at_end(done)
        value = builder.phi(I32)
        for result, block in results:
            value.add_incoming(result, block)
        return value

    def _io_read(self, builder: ir.IRBuilder, address: int | Any, cycles: int) -> Any:
        value = self.call(
            builder,
            "io_read",
            _IO_READ,
            [*self._machine(), self._wide(builder, address), self._at(builder, cycles)],
        )
        return builder.trunc(value, I32)

    def _machine(self) -> list[Any]:
        return [self.state, self.words, self.rom]

    def _at(self, builder: ir.IRBuilder, cycles: int) -> Any:
        return builder.add(builder.load(self.cycle), I64(cycles))

    @staticmethod
    def _wide(builder: ir.IRBuilder, value: int | Any) -> Any:
        return I64(value) if isinstance(value, int) else builder.zext(value, I64)

    def call(self, builder: ir.IRBuilder, name: str, kind: ir.FunctionType, arguments: list[Any]) -> Any:
        address = builder.load(builder.gep(self.table, [I64(ROM_BYTES + HANDLERS.index(name))]))
        return builder.call(builder.inttoptr(address, kind.as_pointer()), arguments)

    def write(
        self,
        builder: ir.IRBuilder,
        address: int | Any,
        bounds: tuple[int, int],
        value: Any,
        instruction: Instruction,
        done: int,
    ) -> None:
        """Write in the instruction's last cycle; leaves the block if the events have to be checked."""
        lowest, highest = bounds
        end = done + instruction.opcode.cycles
        if highest < RAM_END:
            self.write_ram(builder, address, bounds, value, instruction, end)
        elif lowest >= VRAM_START and highest < VRAM_END:
            self._write_vram(builder, address, value, instruction, end)
        elif isinstance(address, int) or (lowest >= RAM_END and highest < VRAM_START) or lowest >= VRAM_END:
            self._io_write(builder, address, value, instruction, end)
        else:
            self._write_anywhere(builder, address, value, instruction, end)

    def write_ram(
        self,
        builder: ir.IRBuilder,
        address: int | Any,
        bounds: tuple[int, int],
        value: Any,
        instruction: Instruction,
        end: int,
    ) -> None:
        byte = builder.trunc(value, _I8)
        if not bounds[0] <= FRAME_COUNTER <= bounds[1]:
            builder.store(byte, self._row(builder, address))
            return
        old = builder.load(self._row(builder, FRAME_COUNTER))
        changes = builder.icmp_unsigned("!=", old, byte)
        if not isinstance(address, int):
            hit = builder.icmp_unsigned("==", address, I32(FRAME_COUNTER))
            changes = builder.and_(changes, hit)
        builder.store(byte, self._row(builder, address))
        reached, on = self.function.append_basic_block(), self.function.append_basic_block()
        builder.cbranch(changes, reached, on).set_weights(RARELY)
        builder.position_at_end(reached)
        self.store_word(builder, "stop", I64(1))
        bridges = builder.load(self._word(builder, "bridges"))
        self.store_word(builder, "bridges", builder.add(bridges, I64(1)))
        self.leave(builder, instruction.following, end, 0)
        builder.position_at_end(on)

    def _write_vram(
        self, builder: ir.IRBuilder, address: int | Any, value: Any, instruction: Instruction, end: int
    ) -> None:
        """As `memory.io_write`, without a call while the vector generator rests."""
        direct, slow, on = (self.function.append_basic_block() for _ in range(3))
        wakes = builder.load(self._word(builder, "vg_next"))
        rests = builder.icmp_signed(">", wakes, self._at(builder, end - 1))
        builder.cbranch(rests, direct, slow)
        builder.position_at_end(direct)
        place = self._vram_place(builder, address)
        builder.store(builder.trunc(value, _I8), self._row(builder, place))
        builder.branch(on)
        builder.position_at_end(slow)
        self._call_io_write(builder, address, value, end)
        builder.branch(on)
        builder.position_at_end(on)

    def _write_anywhere(
        self, builder: ir.IRBuilder, address: Any, value: Any, instruction: Instruction, end: int
    ) -> None:
        ram, other, vram, io, on = (self.function.append_basic_block() for _ in range(5))
        builder.cbranch(builder.icmp_unsigned("<", address, I32(RAM_END)), ram, other)
        builder.position_at_end(ram)
        self.write_ram(builder, address, (0, RAM_END - 1), value, instruction, end)
        builder.branch(on)
        builder.position_at_end(other)
        page = builder.lshr(address, I32(12))
        builder.cbranch(builder.icmp_unsigned("==", page, I32(VRAM_START >> 12)), vram, io)
        builder.position_at_end(vram)
        self._write_vram(builder, address, value, instruction, end)
        builder.branch(on)
        builder.position_at_end(io)
        self._io_write(builder, address, value, instruction, end)
        builder.branch(on)
        builder.position_at_end(on)

    def _io_write(
        self, builder: ir.IRBuilder, address: int | Any, value: Any, instruction: Instruction, end: int
    ) -> None:
        disturbed = self._call_io_write(builder, address, value, end)
        look, on = self.function.append_basic_block(), self.function.append_basic_block()
        builder.cbranch(builder.icmp_unsigned("!=", disturbed, I64(0)), look, on)
        builder.position_at_end(look)
        self.leave(builder, instruction.following, end, 0)
        builder.position_at_end(on)

    def _call_io_write(self, builder: ir.IRBuilder, address: int | Any, value: Any, end: int) -> Any:
        arguments = [*self._machine(), self._wide(builder, address), self._wide(builder, value)]
        return self.call(builder, "io_write", _IO_WRITE, [*arguments, self._at(builder, end - 1)])

    # Stack.

    def push(self, builder: ir.IRBuilder, value: Any) -> None:
        """Push a byte."""
        sp = self.get(builder, "sp")
        place = builder.add(sp, I32(0x100))
        builder.store(builder.trunc(value, _I8), self._row(builder, place))
        self.set(builder, self.low_byte(builder, builder.sub(sp, I32(1))), "sp")

    def pull(self, builder: ir.IRBuilder) -> Any:
        """Pull a byte."""
        sp = self.low_byte(builder, builder.add(self.get(builder, "sp"), I32(1)))
        self.set(builder, sp, "sp")
        return self.byte(builder, builder.add(sp, I32(0x100)))

    def push_address(self, builder: ir.IRBuilder, address: int) -> None:
        """What JSR pushes."""
        self.push(builder, I32(address >> 8))
        self.push(builder, I32(address & 0xFF))

    def pull_address(self, builder: ir.IRBuilder) -> Any:
        """Where RTS goes, int64."""
        low = self.pull(builder)
        address = builder.or_(low, builder.shl(self.pull(builder), I32(8)))
        after = builder.and_(builder.add(address, I32(1)), I32(0xFFFF))
        return builder.zext(after, I64)

    def indirect(self, builder: ir.IRBuilder, place: int, done: int) -> Any:
        """Where a JMP through memory goes, int64; the pointer's high byte wraps within its page."""
        after = (place & 0xFF00) | ((place + 1) & 0xFF)
        low = self.read(builder, place, place, place, done + 3)
        high = self.read(builder, after, after, after, done + 4)
        return builder.zext(builder.or_(low, builder.shl(high, I32(8))), I64)
