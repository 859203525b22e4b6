"""Prefetching of memory that will be needed soon: without it, each row at a random address costs a wait for memory."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..jit import forceinlined
from .headers import CACHE_LINE, cgutils

# Prefetching into all levels of the cache: into the second level alone, rows of any width took up to a sixth longer.
_READ, _EVERY_CACHE, _DATA = 0, 3, 1


def _emit(context, builder, address):
    """Call for a prefetch of the line at `address`, a pointer to bytes."""
    word = ir.IntType(32)
    signature = ir.FunctionType(ir.VoidType(), [address.type, word, word, word])
    function = builder.module.declare_intrinsic("llvm.prefetch", (address.type,), signature)
    builder.call(function, [address, word(_READ), word(_EVERY_CACHE), word(_DATA)])
    return context.get_dummy_value()


@intrinsic
def _prefetch_address(typingctx, address):
    def codegen(context, builder, signature, args):
        return _emit(context, builder, builder.inttoptr(args[0], ir.IntType(8).as_pointer()))

    return types.void(types.int64), codegen


@intrinsic
def _prefetch(typingctx, array, index):
    def codegen(context, builder, signature, args):
        if cgutils is None:
            return context.get_dummy_value()
        kind = signature.args[0]
        struct = context.make_array(kind)(context, builder, args[0])
        shape = cgutils.unpack_tuple(builder, struct.shape)
        strides = cgutils.unpack_tuple(builder, struct.strides)
        indices = [args[1]] + [context.get_constant(types.intp, 0)] * (kind.ndim - 1)
        at = cgutils.get_item_pointer2(
            context, builder, struct.data, shape, strides, kind.layout, indices, wraparound=False
        )
        return _emit(context, builder, builder.bitcast(at, ir.IntType(8).as_pointer()))

    return types.void(array, types.intp), codegen


@forceinlined
def prefetch(array, index):
    """Prefetch the beginning of ``array[index]``; an index outside does no harm."""
    _prefetch(array, index)


EXAMPLES_AHEAD = 4  # how many examples ahead of use a linear model prefetches
NEAR_WEIGHTS = 1 << 14  # weights that the nearest caches hold in any case
MOST_LINES = 64  # lines of one row that are prefetched; the processor's own prefetcher goes on from there
FIRST_LINES = 16  # the same for the features that an example stores
ELEMENTS_A_LINE = CACHE_LINE // 4  # of values of 4 bytes
ROWS_AHEAD, BYTES_AHEAD = 24, 4096  # rows are prefetched this many, or this many bytes, ahead, whichever is less


@forceinlined
def rows_ahead(size):
    """How many rows of `size` bytes ahead of use to prefetch."""
    return min(ROWS_AHEAD, max(1, BYTES_AHEAD // max(1, size)))


@forceinlined
def prefetch_elements(values, columns, start, stop):
    """Prefetch the elements [start, stop) of two arrays, of 4 bytes each or more."""
    for at in range(start, min(stop, start + FIRST_LINES * ELEMENTS_A_LINE), ELEMENTS_A_LINE):
        prefetch(values, at)
        prefetch(columns, at)
    prefetch(values, stop - 1)
    prefetch(columns, stop - 1)


@forceinlined
def prefetch_lines(address, size):
    """Prefetch the cache lines of `size` bytes at `address`; a prefetch of an invalid address does nothing."""
    for offset in range(0, min(size, MOST_LINES * CACHE_LINE), CACHE_LINE):
        _prefetch_address(address + offset)
    if size <= MOST_LINES * CACHE_LINE:  # if the address is not at the beginning of a line, the end is in one line more
        _prefetch_address(address + size - 1)
