"""Which thread this is, and what the threads of a warp tell one another: LLVM's instructions for NVIDIA's GPUs.

Numbers are 64-bit and unsigned, as addresses are. All threads of a warp must come to a shuffle or a ballot.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WARP = 32
ALL = 0xFFFFFFFF  # threads of a warp

_i32, _i64 = ir.IntType(32), ir.IntType(64)


def _declared(builder: ir.IRBuilder, name: str, returned: ir.Type, *arguments: ir.Type) -> Any:
    """The function ``llvm.nvvm.<name>`` in the module under construction."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(returned, arguments), f"llvm.nvvm.{name}")


def _special(builder: ir.IRBuilder, name: str) -> ir.Value:
    """The value of a special register of 32 bits, as 64."""
    return builder.zext(builder.call(_declared(builder, f"read.ptx.sreg.{name}", _i32), ()), _i64)


def _make_special(name: str) -> Any:
    @intrinsic
    def special(typingctx):
        return types.uint64(), lambda context, builder, signature, args: _special(builder, name)

    return special


lane = _make_special("laneid")
block = _make_special("ctaid.x")
thread_of_block = _make_special("tid.x")


@intrinsic
def thread(typingctx):
    """Count the threads of the grid before this one."""

    def codegen(context, builder, signature, args):
        before = builder.mul(_special(builder, "ctaid.x"), _special(builder, "ntid.x"))
        return builder.add(before, _special(builder, "tid.x"))

    return types.uint64(), codegen


def _make_shuffle(how: str, clamp: int) -> Any:
    """Compilable ``(value, lane)``; `lane` may be of any integer type, of which the lower bits count."""

    @intrinsic
    def shuffle(typingctx, value, lane):
        def codegen(context, builder, signature, args):
            shuffle_one = _declared(builder, f"shfl.sync.{how}.i32", _i32, _i32, _i32, _i32, _i32)
            value, amount = args
            if amount.type != _i32:
                amount = builder.trunc(amount, _i32)
            kind = value.type
            width = context.get_abi_sizeof(kind) * 8
            bits = builder.bitcast(value, ir.IntType(width))

            def shuffled(part):
                return builder.call(shuffle_one, (_i32(ALL), part, amount, _i32(clamp)))

            if width == 32:
                return builder.bitcast(shuffled(bits), kind)
            low = builder.zext(shuffled(builder.trunc(bits, _i32)), _i64)
            high = builder.zext(shuffled(builder.trunc(builder.lshr(bits, _i64(32)), _i32)), _i64)
            return builder.bitcast(builder.or_(low, builder.shl(high, _i64(32))), kind)

        return value(value, lane), codegen

    return shuffle


value_of = _make_shuffle("idx", WARP - 1)  # (value, lane): the value that this lane has
value_across = _make_shuffle("bfly", WARP - 1)  # (value, mask): that of the lane whose number differs in these bits
value_before = _make_shuffle("up", 0)  # (value, distance): that of the lane so far before, or one's own


@intrinsic
def ballot(typingctx, holds):
    """Set a bit for each thread of the warp for which `holds` is true."""

    def codegen(context, builder, signature, args):
        vote = _declared(builder, "vote.ballot.sync", _i32, _i32, ir.IntType(1))
        return builder.zext(builder.call(vote, (_i32(ALL), args[0])), _i64)

    return types.uint64(types.boolean), codegen


@intrinsic
def popcount(typingctx, bits):
    """Count the bits that are set."""
    return types.uint64(types.uint64), lambda context, builder, signature, args: builder.ctpop(args[0])
