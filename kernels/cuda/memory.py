"""Access to global memory by address: to single values, and to as many neighbours at once as 16 bytes hold."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

from ..jit import jitable
from .compiling import scalars_type

GLOBAL = 1  # the address space
VECTOR = 16  # bytes
MARK = 4  # bytes of the int32 that `mark` sets


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


load_word, store_word, *_ = make_access(np.dtype(np.uint64))
load_double, store_double, *_ = make_access(np.dtype(np.float64))
load_int32, store_int32, *_ = make_access(np.dtype(np.int32))


@jitable
def mark(address):
    """Set the int32 at an address to 1, as any number of threads may at once."""
    store_int32(address, np.int32(1))


def addresses_type(count: int) -> Any:
    """Numba's type of so many addresses."""
    return types.UniTuple(types.uint64, count) if count else types.Tuple(())


def make_dense_gradient(dtype: np.dtype[Any]):
    """Compilable ``(j, g)``: element j of a gradient at address g."""
    load, itemsize = make_access(dtype).load, np.uint64(dtype.itemsize)
    return jitable(lambda j, g: load(g + j * itemsize))


def make_load_scalars(rule: Any, dtype: np.dtype[Any]):
    """Compilable ``(address)``: a rule's scalars, which lie there one after the other."""
    kind = scalars_type(rule, dtype)

    @intrinsic
    def load_scalars(typingctx, address):
        def codegen(context, builder, signature, args):
            first = _pointer(builder, args[0], context.get_value_type(kind.dtype))
            index = ir.IntType(32)
            places = [builder.gep(first, [index(j)]) for j in range(kind.count)]
            values = [builder.load(place, align=dtype.itemsize) for place in places]
            return context.make_tuple(builder, kind, values)

        return kind(types.uint64), codegen

    return load_scalars


class Slots(NamedTuple):
    """Compilable access to a tuple of slots, by the tuple of their addresses."""

    load: Any  # (addresses, offset) -> values
    store: Any  # (addresses, offset, values)
    load_vector: Any
    store_vector: Any
    lane: Any  # (vectors, j) -> values
    join: Any  # (values of a lane, vectors of the lanes behind it) -> vectors
    empty: Any  # () -> vectors of no lanes
    moved: Any  # (addresses, offset) -> addresses, each larger by the offset
    joined: Any  # (addresses) -> the bitwise or of all, which is a multiple of 16 if each address is


_NO_SLOTS = Slots(
    jitable(lambda addresses, offset: ()),
    jitable(lambda addresses, offset, values: None),
    jitable(lambda addresses, offset: ()),
    jitable(lambda addresses, offset, values: None),
    jitable(lambda vectors, j: ()),
    jitable(lambda value, vectors: ()),
    jitable(lambda: ()),
    jitable(lambda addresses, offset: ()),
    jitable(lambda addresses: np.uint64(0)),
)


def make_slots(access: Access, count: int) -> Slots:
    if count == 0:
        return _NO_SLOTS
    load, store, load_vector, store_vector = access
    others = make_slots(access, count - 1)
    load_rest, store_rest, load_vector_rest, store_vector_rest, *more = others
    lane_rest, join_rest, empty_rest, moved_rest, bits = more

    @jitable
    def store_all(addresses, offset, values):
        store(addresses[0] + offset, values[0])
        store_rest(addresses[1:], offset, values[1:])

    @jitable
    def store_vectors(addresses, offset, vectors):
        store_vector(addresses[0] + offset, vectors[0])
        store_vector_rest(addresses[1:], offset, vectors[1:])

    return Slots(
        jitable(lambda addresses, offset: (load(addresses[0] + offset),) + load_rest(addresses[1:], offset)),
        store_all,
        jitable(lambda a, offset: (load_vector(a[0] + offset),) + load_vector_rest(a[1:], offset)),
        store_vectors,
        jitable(lambda vectors, j: (vectors[0][j],) + lane_rest(vectors[1:], j)),
        jitable(lambda value, vectors: ((value[0],) + vectors[0],) + join_rest(value[1:], vectors[1:])),
        jitable(lambda: ((),) + empty_rest()),
        jitable(lambda addresses, offset: (addresses[0] + offset,) + moved_rest(addresses[1:], offset)),
        jitable(lambda addresses: addresses[0] | bits(addresses[1:])),
    )
