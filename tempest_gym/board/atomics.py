"""Atomic operations on words of shared memory, as LLVM IR: threads synchronise by them without Python's lock."""

from __future__ import annotations

import llvmlite.ir as ir

from tempest_gym.board.symbols import PREFIX

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_WORD = _I64.as_pointer()
_ORDERING = "seq_cst"


def add_signals(module: ir.Module) -> None:
    """Add the functions that `native.SIGNALS` names."""
    _claim(module)
    _exchange(module)
    _compare_exchange(module)
    _wait_while(module)


def _function(module: ir.Module, name: str, values: int) -> ir.Function:
    return ir.Function(module, ir.FunctionType(_I32, [_WORD, *[_I64] * values]), PREFIX + name)


def _claim(module: ir.Module) -> None:
    """``int32_t claim(int64_t *word)``: the word before one is added to it."""
    claim = _function(module, "claim", 0)
    builder = ir.IRBuilder(claim.append_basic_block())
    builder.ret(builder.trunc(builder.atomic_rmw("add", claim.args[0], _I64(1), _ORDERING), _I32))


def _exchange(module: ir.Module) -> None:
    """``int32_t exchange(int64_t *word, int64_t value)``: set the word; returns what it was."""
    exchange = _function(module, "exchange", 1)
    builder = ir.IRBuilder(exchange.append_basic_block())
    builder.ret(builder.trunc(builder.atomic_rmw("xchg", *exchange.args, _ORDERING), _I32))


def _compare_exchange(module: ir.Module) -> None:
    """``int32_t compare_exchange(int64_t *word, int64_t expected, int64_t value)``: set it if it is as expected;
    returns what it was."""
    function = _function(module, "compare_exchange", 2)
    builder = ir.IRBuilder(function.append_basic_block())
    result = builder.cmpxchg(*function.args, _ORDERING, _ORDERING)
    builder.ret(builder.trunc(builder.extract_value(result, 0), _I32))


def _wait_while(module: ir.Module) -> None:
    """``int32_t wait_while(int64_t *word, int64_t value, int64_t looks)``: read the word until it changes, at
    most ``looks`` times; returns what was read last."""
    function = _function(module, "wait_while", 2)
    word, value, looks = function.args
    entry, head, again, done = (
        function.append_basic_block(name) for name in ("entry", "head", "again", "done")
    )
    ir.IRBuilder(entry).branch(head)
    builder = ir.IRBuilder(head)
    left = builder.phi(_I64)
    left.add_incoming(looks, entry)
    seen = builder.load_atomic(word, _ORDERING, 8)
    waiting = builder.and_(builder.icmp_signed("==", seen, value), builder.icmp_signed(">", left, _I64(0)))
    builder.cbranch(waiting, again, done)
    builder = ir.IRBuilder(again)
    _pause(module, builder)
    left.add_incoming(builder.sub(left, _I64(1)), again)
    builder.branch(head)
    builder = ir.IRBuilder(done)
    builder.ret(builder.trunc(seen, _I32))


def _pause(module: ir.Module, builder: ir.IRBuilder) -> None:
    """Mark a waiting loop for the processor, if it has an instruction for that."""
    processor = str(module.triple).split("-")[0]
    if processor in ("x86_64", "i686"):
        builder.call(ir.Function(module, ir.FunctionType(ir.VoidType(), []), "llvm.x86.sse2.pause"), [])
    elif processor in ("aarch64", "arm64"):
        hint = ir.Function(module, ir.FunctionType(ir.VoidType(), [_I32]), "llvm.aarch64.hint")
        builder.call(hint, [_I32(1)])
