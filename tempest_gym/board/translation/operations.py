"""What the 6502's instructions other than jumps do, as LLVM IR: the counterpart of `interpreter_source`."""

from __future__ import annotations

from typing import Any

import llvmlite.ir as ir

from tempest_gym.board.translation.accesses import I32, I64, RAM_END, RARELY, Accesses
from tempest_gym.board.translation.program import Instruction

_DECIMAL = ir.FunctionType(I64, [I64, I64, I64])

_LOADS = {"LDA": "a", "LDX": "x", "LDY": "y"}
_STORED = {"STA": "a", "STX": "x", "STY": "y"}
_COMPARED = {"CMP": "a", "CPX": "x", "CPY": "y"}
_LOGIC = {"AND": "and_", "ORA": "or_", "EOR": "xor"}
_TRANSFERS = {"TAX": ("x", "a"), "TAY": ("y", "a"), "TSX": ("x", "sp"), "TXA": ("a", "x"), "TYA": ("a", "y")}
_STEPS = {"INX": ("x", 1), "INY": ("y", 1), "DEX": ("x", -1), "DEY": ("y", -1)}
_FLAGS = {"CLC": ("c", 0), "SEC": ("c", 1), "CLD": ("d", 0), "SED": ("d", 1), "CLV": ("v", 0)}


class Operations(Accesses):
    """Writes instructions into blocks of one function."""

    def emit(self, builder: ir.IRBuilder, instruction: Instruction, done: int) -> None:
        """Write one instruction that starts this many cycles after the block (page crossings not counted)."""
        opcode = instruction.opcode
        if opcode.kind == "store":
            address, *bounds = self.address(builder, instruction)
            value = self.get(builder, _STORED[opcode.name])
            self.write(builder, address, (bounds[0], bounds[1]), value, instruction, done)
        elif opcode.kind == "modify":
            self._read_modify_write(builder, instruction, done)
        elif opcode.mode == "imm":
            self._operate(builder, opcode.name, I32(instruction.operand))
        elif opcode.mode != "imp":
            address, lowest, highest = self.address(builder, instruction)
            value = self.read(builder, address, lowest, highest, done + opcode.cycles - 1)
            self._operate(builder, opcode.name, value)
        else:
            self._implied(builder, opcode.name)

    def _implied(self, builder: ir.IRBuilder, name: str) -> None:
        if name in _FLAGS:
            flag, value = _FLAGS[name]
            self.set(builder, I32(value), flag)
        elif name in _TRANSFERS:
            target, source = _TRANSFERS[name]
            self.set(builder, self.get(builder, source), target, "n", "z")
        elif name in _STEPS:
            register, step = _STEPS[name]
            value = builder.add(self.get(builder, register), I32(step & 0xFFFFFFFF))
            self.set(builder, self.low_byte(builder, value), register, "n", "z")
        elif name == "TXS":
            self.set(builder, self.get(builder, "x"), "sp")
        elif name == "PHA":
            self.push(builder, self.get(builder, "a"))
        elif name == "PLA":
            self.set(builder, self.pull(builder), "a", "n", "z")
        else:
            assert name == "NOP", name

    def _operate(self, builder: ir.IRBuilder, name: str, m: Any) -> None:
        """An operation on a register and an operand."""
        if name in _LOADS:
            self.set(builder, m, _LOADS[name], "n", "z")
        elif name in _LOGIC:
            value = getattr(builder, _LOGIC[name])(self.get(builder, "a"), m)
            self.set(builder, value, "a", "n", "z")
        elif name in _COMPARED:
            register = self.get(builder, _COMPARED[name])
            self.set(builder, self.low_byte(builder, builder.sub(register, m)), "n", "z")
            self.set(builder, builder.zext(builder.icmp_unsigned(">=", register, m), I32), "c")
        elif name == "BIT":
            self.set(builder, m, "n")
            self.set(builder, builder.and_(builder.lshr(m, I32(6)), I32(1)), "v")
            self.set(builder, builder.and_(self.get(builder, "a"), m), "z")
        else:
            self._add(builder, name, m)

    def _add(self, builder: ir.IRBuilder, name: str, m: Any) -> None:
        """ADC and SBC."""
        a, carry = self.get(builder, "a"), self.get(builder, "c")
        binary, decimal, on = (self.function.append_basic_block() for _ in range(3))
        is_decimal = builder.icmp_unsigned("!=", self.get(builder, "d"), I32(0))
        builder.cbranch(is_decimal, decimal, binary).set_weights(RARELY)

        builder.position_at_end(decimal)
        handler = {"ADC": "add_decimal", "SBC": "subtract_decimal"}[name]
        arguments = [builder.zext(value, I64) for value in (a, m, carry)]
        packed = builder.trunc(self.call(builder, handler, _DECIMAL, arguments), I32)
        for register, shift in (("a", 0), ("n", 8), ("z", 16)):
            self.set(builder, self.low_byte(builder, builder.lshr(packed, I32(shift))), register)
        for register, shift in (("c", 24), ("v", 25)):
            self.set(builder, builder.and_(builder.lshr(packed, I32(shift)), I32(1)), register)
        builder.branch(on)

        builder.position_at_end(binary)
        addend = m if name == "ADC" else builder.xor(m, I32(0xFF))
        total = builder.add(builder.add(a, addend), carry)
        result = self.low_byte(builder, total)
        overflow = builder.and_(builder.xor(a, result), builder.xor(addend, result))
        self.set(builder, result, "a", "n", "z")
        self.set(builder, builder.lshr(total, I32(8)), "c")
        self.set(builder, builder.and_(builder.lshr(overflow, I32(7)), I32(1)), "v")
        builder.branch(on)
        builder.position_at_end(on)

    def _read_modify_write(self, builder: ir.IRBuilder, instruction: Instruction, done: int) -> None:
        name = instruction.opcode.name
        if instruction.opcode.mode == "acc":
            self.set(builder, self._modified(builder, name, self.get(builder, "a")), "a")
            return
        address, *bounds = self.address(builder, instruction)
        assert bounds[1] < RAM_END
        value = self._modified(builder, name, self.byte(builder, address))
        end = done + instruction.opcode.cycles
        self.write_ram(builder, address, (bounds[0], bounds[1]), value, instruction, end)

    def _modified(self, builder: ir.IRBuilder, name: str, m: Any) -> Any:
        """The new value; sets the flags."""
        if name in ("INC", "DEC"):
            value = self.low_byte(builder, builder.add(m, I32(1 if name == "INC" else 0xFFFFFFFF)))
        elif name in ("ASL", "ROL"):
            value = self.low_byte(builder, builder.shl(m, I32(1)))
            if name == "ROL":
                value = builder.or_(value, self.get(builder, "c"))
            self.set(builder, builder.lshr(m, I32(7)), "c")
        else:
            value = builder.lshr(m, I32(1))
            if name == "ROR":
                value = builder.or_(value, builder.shl(self.get(builder, "c"), I32(7)))
            self.set(builder, builder.and_(m, I32(1)), "c")
        self.set(builder, value, "n", "z")
        return value
