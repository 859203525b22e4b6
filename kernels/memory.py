"""Arrays from addresses, and what a compiled loop needs to know of a list of NumPy arrays.

Reading array objects in compiled code makes checking a thousand gradients cost microseconds. The
layouts are those that the accessor macros of NumPy (ndarraytypes.h) and CPython (listobject.h) have
compiled into every extension module, so they cannot move under one ABI; `supported` makes sure.
"""

from __future__ import annotations

import ctypes
import sys

import numpy as np
from numba import carray, types
from numba.extending import intrinsic, overload
from numba.np.unsafe.ndarray import to_fixed_tuple

from .jit import inlined

HEADER = object.__basicsize__  # then data, nd, dimensions, strides, base, descr, flags
LIST_ITEMS = HEADER + 8

# Indices into an array object taken as int64, or as int32 for NDIM and FLAGS.
TYPE = HEADER // 8 - 1
DATA = HEADER // 8
NDIM = 2 * (HEADER // 8 + 1)
SHAPE = HEADER // 8 + 2
DESCR = HEADER // 8 + 5
FLAGS = 2 * (HEADER // 8 + 6)
HEADER_WORDS = HEADER // 8 + 7

READABLE = 0x0001 | 0x0100  # C_CONTIGUOUS and ALIGNED
WRITEABLE = 0x0400


@intrinsic
def _pointer(typingctx, address):
    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), codegen


@inlined
def array_at(address, n, dtype):
    """The n elements of `dtype` that start at `address`."""
    return carray(_pointer(address), n, dtype)


def unpack(Scalars, row):
    """Named tuple of the elements of a row."""
    return Scalars(*row)


@overload(unpack)
def _compiled_unpack(Scalars, row):
    n = len(Scalars.instance_class._fields)
    return lambda Scalars, row: Scalars(*to_fixed_tuple(row, n))


@inlined
def words(address):
    return array_at(address, HEADER_WORDS, np.int64)


@inlined
def half_words(address):
    return array_at(address, 2 * HEADER_WORDS, np.int32)


def supported() -> bool:
    """Whether arrays and lists lie in memory as described (they do not on other Pythons than CPython)."""
    if sys.implementation.name != "cpython":
        return False
    probe = np.zeros((2, 3), np.float32)
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
        and word[DESCR] == id(probe.dtype)
        and half[FLAGS] & (READABLE | WRITEABLE) == READABLE | WRITEABLE
    )
