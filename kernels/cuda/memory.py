"""Global memory by address: single values, and as many neighbours at once as 16 bytes hold."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

GLOBAL = 1  # the address space
VECTOR = 16  # bytes


class Access(NamedTuple):
    """Compilable access to values of one dtype at addresses of global memory."""

    load: Any  # (address) -> value
    store: Any  # (address, value)
    load_vector: Any  # (address, a multiple of 16) -> tuple of values
    store_vector: Any  # (address, a multiple of 16, tuple of values)


def lanes_of(dtype: np.dtype[Any]) -> int:
    """Values in a vector."""
    return VECTOR // dtype.itemsize


def _pointer(builder, address, kind):
    return builder.inttoptr(address, kind.as_pointer(GLOBAL))


def make_access(dtype: np.dtype[Any]) -> Access:
    real, lanes = from_dtype(dtype), lanes_of(dtype)
    values = types.UniTuple(real, lanes)

    def vector_of(context):
        return ir.VectorType(context.get_value_type(real), lanes)

    @intrinsic
    def load(typingctx, address):
        def codegen(context, builder, signature, args):
            return builder.load(_pointer(builder, args[0], context.get_value_type(real)), align=dtype.itemsize)

        return real(types.uint64), codegen

    @intrinsic
    def store(typingctx, address, value):
        def codegen(context, builder, signature, args):
            at = _pointer(builder, args[0], context.get_value_type(real))
            builder.store(args[1], at, align=dtype.itemsize)
            return context.get_dummy_value()

        return types.void(types.uint64, real), codegen

    @intrinsic
    def load_vector(typingctx, address):
        def codegen(context, builder, signature, args):
            vector = builder.load(_pointer(builder, args[0], vector_of(context)), align=VECTOR)
            index = ir.IntType(32)
            parts = [builder.extract_element(vector, index(j)) for j in range(lanes)]
            return context.make_tuple(builder, signature.return_type, parts)

        return values(types.uint64), codegen

    @intrinsic
    def store_vector(typingctx, address, new):
        def codegen(context, builder, signature, args):
            index, vector = ir.IntType(32), ir.Constant(vector_of(context), ir.Undefined)
            for j, value in enumerate(cgutils.unpack_tuple(builder, args[1], lanes)):
                vector = builder.insert_element(vector, value, index(j))
            builder.store(vector, _pointer(builder, args[0], vector_of(context)), align=VECTOR)
            return context.get_dummy_value()

        return types.void(types.uint64, values), codegen

    return Access(load, store, load_vector, store_vector)
