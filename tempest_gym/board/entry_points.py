"""Plain C functions around what numba compiled, as LLVM IR: what Python, Lua, interpreter and translations call."""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
import llvmlite.ir as ir

from tempest_gym.board.atomics import add_signals
from tempest_gym.board.layout import LINK, STATE_BYTES, UNDOCUMENTED_OPCODE, WORD
from tempest_gym.board.symbols import PREFIX, RUN, RUN_ROWS, TRACE

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_BYTES, _WORDS = _I8.as_pointer(), _I64.as_pointer()
_KINDS = {"int64": _I64, "int32": _I32, "uint8*": _BYTES, "int64*": _WORDS}

_RTS, _JUMP_INDIRECT = 0x60, 0x6C


def entry_points(parts: list[Any]) -> ir.Module:
    """The module that links the parts of `tempest_gym.board.interpreter` together."""
    module = ir.Module("tempest_board")
    module.triple = llvm.get_default_triple()
    functions = {part.name: _plain(module, part) for part in parts}
    _enter(module)
    run = _run(module, functions["core"])
    _run_rows(module, run)
    _trace(module, run)
    add_signals(module)
    return module


def _plain(module: ir.Module, part: Any) -> ir.Function:
    """A function with C's calling convention around one with numba's."""
    arguments = [_KINDS[str(kind)] for kind in part.signature.args]
    answer = _KINDS[str(part.signature.return_type)]
    inner_type = ir.FunctionType(_I32, [answer.as_pointer(), _BYTES.as_pointer(), *arguments])
    inner = ir.Function(module, inner_type, part.symbol)
    outer = ir.Function(module, ir.FunctionType(answer, arguments), PREFIX + part.name)
    builder = ir.IRBuilder(outer.append_basic_block())
    place, excinfo = builder.alloca(answer), builder.alloca(_BYTES)
    builder.call(inner, [place, excinfo, *outer.args])
    builder.ret(builder.load(place))
    return outer


def _enter(module: ir.Module) -> None:
    """From the interpreter to the translated function that the table names for ``pc``."""
    kind = ir.FunctionType(_I64, [_BYTES, _BYTES, _WORDS, _I64, _I64, _I64])
    enter = ir.Function(module, kind, PREFIX + "enter")
    table, pc = enter.args[2], enter.args[5]
    builder = ir.IRBuilder(enter.append_basic_block())
    function = builder.inttoptr(builder.load(builder.gep(table, [pc])), kind.as_pointer())
    builder.ret(builder.call(function, enter.args))


def _run(module: ir.Module, core: ir.Function) -> ir.Function:
    """``int32_t run(uint8_t *state, const uint8_t *rom, int64_t max_cycles)``: one board to its next bridge point."""
    run = ir.Function(module, ir.FunctionType(_I32, [_BYTES, _BYTES, _I64]), RUN)
    state, rom, cycles = run.args
    builder = ir.IRBuilder(run.append_basic_block())
    words = builder.bitcast(state, _WORDS)
    link = builder.load(builder.bitcast(builder.gep(rom, [_I64(LINK)]), _WORDS))
    table = builder.inttoptr(link, _WORDS)
    builder.ret(builder.call(core, [state, words, rom, table, link, cycles]))
    return run


def _run_rows(module: ir.Module, run: ir.Function) -> None:
    """``void run_rows(uint8_t *state, const uint8_t *rom, int64_t rows, int64_t max_cycles)``: consecutive boards."""
    rows = ir.Function(module, ir.FunctionType(ir.VoidType(), [_BYTES, _BYTES, _I64, _I64]), RUN_ROWS)
    state, rom, count, cycles = rows.args
    entry, head, body, done = (rows.append_basic_block(name) for name in ("entry", "head", "body", "done"))
    ir.IRBuilder(entry).branch(head)
    builder = ir.IRBuilder(head)
    index = builder.phi(_I64)
    index.add_incoming(_I64(0), entry)
    builder.cbranch(builder.icmp_signed("<", index, count), body, done)
    builder = ir.IRBuilder(body)
    builder.call(run, [builder.gep(state, [builder.mul(index, _I64(STATE_BYTES))]), rom, cycles])
    index.add_incoming(builder.add(index, _I64(1)), body)
    builder.branch(head)
    ir.IRBuilder(done).ret_void()


def _trace(module: ir.Module, run: ir.Function) -> None:
    """``void trace(uint8_t *state, const uint8_t *rom, uint8_t *marks, int64_t cycles)``: run a board by single
    instructions, and mark where RTS and JMP through memory go to."""
    kind = ir.FunctionType(ir.VoidType(), [_BYTES, _BYTES, _BYTES, _I64])
    trace = ir.Function(module, kind, TRACE)
    state, rom, marks, cycles = trace.args
    entry, head, body, on, mark, done = (
        trace.append_basic_block(name) for name in ("entry", "head", "body", "on", "mark", "done")
    )
    builder = ir.IRBuilder(entry)
    words = builder.bitcast(state, _WORDS)
    now, pc = (builder.gep(words, [_I64(WORD[name])]) for name in ("cycles", "pc"))
    end = builder.add(builder.load(now), cycles)
    builder.branch(head)
    builder = ir.IRBuilder(head)
    builder.cbranch(builder.icmp_signed("<", builder.load(now), end), body, done)
    builder = ir.IRBuilder(body)
    opcode = builder.load(builder.gep(rom, [builder.and_(builder.load(pc), _I64(0xFFFF))]))
    result = builder.call(run, [state, rom, _I64(1)])
    builder.cbranch(builder.icmp_signed("==", result, _I32(UNDOCUMENTED_OPCODE)), done, on)
    builder = ir.IRBuilder(on)
    is_jump = builder.or_(
        *(builder.icmp_unsigned("==", opcode, _I8(code)) for code in (_RTS, _JUMP_INDIRECT))
    )
    builder.cbranch(is_jump, mark, head)
    builder = ir.IRBuilder(mark)
    builder.store(_I8(1), builder.gep(marks, [builder.and_(builder.load(pc), _I64(0xFFFF))]))
    builder.branch(head)
    ir.IRBuilder(done).ret_void()
