"""Asking the processor for memory that will be needed soon: random rows cost a wait each otherwise."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .jit import welded

_READ, _KEEP, _DATA = 0, 3, 1


@intrinsic
def _prefetch(typingctx, array, index):
    def codegen(context, builder, signature, args):
        kind = signature.args[0]
        struct = context.make_array(kind)(context, builder, args[0])
        shape = cgutils.unpack_tuple(builder, struct.shape)
        strides = cgutils.unpack_tuple(builder, struct.strides)
        indices = [args[1]] + [context.get_constant(types.intp, 0)] * (kind.ndim - 1)
        at = cgutils.get_item_pointer2(
            context, builder, struct.data, shape, strides, kind.layout, indices, wraparound=False
        )
        address = builder.bitcast(at, ir.IntType(8).as_pointer())
        word = ir.IntType(32)
        signature_ir = ir.FunctionType(ir.VoidType(), [address.type, word, word, word])
        function = builder.module.declare_intrinsic("llvm.prefetch", (address.type,), signature_ir)
        builder.call(function, [address, word(_READ), word(_KEEP), word(_DATA)])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@welded
def prefetch(array, index):
    """Ask for the beginning of ``array[index]``; an index outside does no harm."""
    _prefetch(array, index)
