"""Arrays of which compiled code counts no references, and the fields of NumPy array objects that it reads.

Reading array objects in compiled code makes checking a thousand gradients cost microseconds. The
layouts are those that the accessor macros of NumPy (ndarraytypes.h) and CPython (listobject.h) have
compiled into every extension module, so that they cannot change within one ABI; `supported` checks them.
"""

from __future__ import annotations

import ctypes
import sys

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic, lower_builtin, overload, type_callable

from ..jit import jitable

try:
    from numba.core import cgutils
    from numba.core.errors import NumbaTypeError
    from numba.np.arrayobj import populate_array
    from numba.np.unsafe.ndarray import to_fixed_tuple
except ImportError:  # private names of Numba may move: references are then counted, and scratch arrays are on the heap
    cgutils = None

HEADER = object.__basicsize__  # bytes; the array's data, nd, dimensions, strides, base, descr and flags follow
LIST_ITEMS = HEADER + 8

# Indices into an array object taken as int64, or as int32 for NDIM and FLAGS.
TYPE = HEADER // 8 - 1
DATA = HEADER // 8
NDIM = 2 * (HEADER // 8 + 1)
SHAPE = HEADER // 8 + 2
BASE = HEADER // 8 + 4
DESCR = HEADER // 8 + 5
FLAGS = 2 * (HEADER // 8 + 6)
HEADER_WORDS = HEADER // 8 + 7


def _base_of_a_type() -> int:
    """Where a type object has the address of the type that it is derived from, in words of eight bytes."""
    if sys.implementation.name != "cpython":
        return 0
    words = (ctypes.c_int64 * (type.__basicsize__ // 8)).from_address(id(np.memmap))
    return [*words].index(id(np.ndarray))


BASE_OF_TYPE = _base_of_a_type()

CACHE_LINE = 64  # bytes

READABLE = 0x0001 | 0x0100  # C_CONTIGUOUS and ALIGNED
WRITEABLE = 0x0400


@intrinsic
def _pointer(typingctx, address):
    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), codegen


@jitable
def array_at(address, n, dtype):
    """The n elements of `dtype` that start at `address`."""
    return carray(_pointer(address), n, dtype)


def _without_owner(context, builder, kind, value):
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        value = array._getvalue()
    elif isinstance(kind, types.BaseTuple):
        for i, member in enumerate(kind):
            part = _without_owner(context, builder, member, builder.extract_value(value, i))
            value = builder.insert_value(value, part, i)
    elif context.data_model_manager[kind].contains_nrt_meminfo():
        raise NumbaTypeError(f"only arrays can be borrowed, not {kind}")
    return value


# The following are plain functions for which code is generated below. They are not intrinsics, because the key of the
# disk cache includes what a closure names, and an intrinsic is another object in each process. The generated code
# becomes part of the function that calls them.


def borrowed(value):
    """The same array, or tuple of arrays, but views of these arrays count no references.

    Counting a reference is an atomic operation, which costs as much as the step of several elements. Pass only arrays
    that the caller of the compiled function holds, never one that the function has made: with no reference counted, its
    memory would be freed while it is in use.
    """
    raise TypeError("for compiled code")


def on_stack(n, dtype):
    """Array of n uninitialised elements, n being a constant, in the stack frame of the calling function.

    The array and its views must not outlive that call.
    """
    raise TypeError("for compiled code")


def unpack(Scalars, row):
    """Named tuple of the elements of a row."""
    return Scalars(*row)


if cgutils is None:
    overload(borrowed)(lambda value: lambda value: value)
    overload(on_stack)(lambda n, dtype: lambda n, dtype: np.empty(n, dtype))

    @overload(unpack)
    def _compiled_unpack(Scalars, row):
        elements = ", ".join(f"row[{i}]" for i in range(len(Scalars.instance_class._fields)))
        return eval(f"lambda Scalars, row: Scalars({elements})")

else:

    @type_callable(borrowed)
    def _type_borrowed(context):
        return lambda value: value

    @lower_builtin(borrowed, types.Any)
    def _lower_borrowed(context, builder, signature, args):
        return _without_owner(context, builder, signature.args[0], args[0])

    @type_callable(on_stack)
    def _type_on_stack(context):
        return lambda n, dtype: types.Array(dtype.dtype, 1, "C") if isinstance(n, types.IntegerLiteral) else None

    @lower_builtin(on_stack, types.IntegerLiteral, types.Any)
    def _lower_on_stack(context, builder, signature, args):
        kind, n = signature.return_type, signature.args[0].literal_value
        element = context.get_data_type(kind.dtype)
        place = cgutils.alloca_once(builder, ir.ArrayType(element, n))
        place.align = CACHE_LINE
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(element))
        shape, strides = [context.get_constant(types.intp, n)], [itemsize]
        array = context.make_array(kind)(context, builder)
        data = builder.bitcast(place, element.as_pointer())
        populate_array(array, data=data, shape=shape, strides=strides, itemsize=itemsize, meminfo=None)
        return array._getvalue()

    @overload(unpack)
    def _compiled_unpack(Scalars, row):
        n = len(Scalars.instance_class._fields)
        return lambda Scalars, row: Scalars(*to_fixed_tuple(row, n))


@jitable
def words(address):
    return array_at(address, HEADER_WORDS, np.int64)


@jitable
def half_words(address):
    return array_at(address, 2 * HEADER_WORDS, np.int32)


def supported() -> bool:
    """Whether arrays and lists lie in memory as described (they do not on other Pythons than CPython)."""
    if sys.implementation.name != "cpython":
        return False
    probe = np.zeros(6, np.float32).reshape(2, 3)
    objects = [None, probe]
    items = ctypes.c_int64.from_address(id(objects) + LIST_ITEMS).value
    word = (ctypes.c_int64 * HEADER_WORDS).from_address(id(probe))
    half = (ctypes.c_int32 * (2 * HEADER_WORDS)).from_address(id(probe))
    return (
        ctypes.c_int64.from_address(items + 8).value == id(probe)
        and word[TYPE] == id(np.ndarray)
        and word[DATA] == probe.ctypes.data
        and half[NDIM] == probe.ndim
        and (ctypes.c_int64 * 2).from_address(word[SHAPE])[:] == list(probe.shape)
        and word[BASE] == id(probe.base)
        and word[DESCR] == id(probe.dtype)
        and half[FLAGS] & (READABLE | WRITEABLE) == READABLE | WRITEABLE
    )
