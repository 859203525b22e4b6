"""Checks of gradients before anything is written: whether they are finite, and their sums of squares.

They depend on no method. So they are functions of their own, which are compiled once for all drivers, for float32 and
for float64; the dtype of the `scalars` that a caller passes chooses between the two.
"""

from __future__ import annotations

import numpy as np
from numba import prange, types
from numba.extending import overload

from ..element import untouched
from ..finite import make_holds_non_finite
from ..jit import Pair, compiled, jitable, parallel
from ..memory.addresses import FIRST_BLOCK, GRADIENT, NON_FINITE, SIZE, complaint, make_walk
from ..memory.headers import array_at, borrowed
from ..reduce import BLOCK, make_block_sum

_sum_of_squares = make_block_sum(jitable(untouched))


@jitable
def _block(row, b, dtype, itemsize):
    start = b * BLOCK
    return array_at(row[GRADIENT] + start * itemsize, min(BLOCK, row[SIZE] - start), dtype)


def _make_check(bits):
    integer, itemsize, holds_non_finite = bits.type, bits.itemsize, make_holds_non_finite(bits)

    @jitable
    def check(table, i, low, high, arguments):
        for b in range(low, high):
            if holds_non_finite(_block(table[i], b, integer, itemsize)):
                return i + 1
        return 0

    return make_walk(check, FIRST_BLOCK)


def _make_measure(real):
    itemsize = real().itemsize

    @jitable
    def measure(table, i, low, high, arguments):
        sums = arguments[0]
        for b in range(low, high):
            g = _block(table[i], b, real, itemsize)
            sums[table[i, FIRST_BLOCK] + b] = _sum_of_squares(g, g, ())
        return 0

    return make_walk(measure, FIRST_BLOCK)


_check32, _check64 = _make_check(np.dtype(np.int32)), _make_check(np.dtype(np.int64))
_measure32, _measure64 = _make_measure(np.float32), _make_measure(np.float64)


@compiled
def _find_non_finite32(table, low, high):
    return _check32(borrowed(table), low, high, ())


@compiled
def _find_non_finite64(table, low, high):
    return _check64(borrowed(table), low, high, ())


@compiled
def _sum_squares32(table, low, high, block_sums):
    _measure32(borrowed(table), low, high, (borrowed(block_sums),))


@compiled
def _sum_squares64(table, low, high, block_sums):
    _measure64(borrowed(table), low, high, (borrowed(block_sums),))


def find_non_finite(scalars, table, low, high):
    """1 + the index of a tensor whose gradient has NaN or infinity in blocks [low, high), or 0 if there is none."""
    raise TypeError("for compiled code")


def sum_squares(scalars, table, low, high, block_sums):
    """Fill `block_sums` with the sum of squares of each of the blocks [low, high) of the gradients."""
    raise TypeError("for compiled code")


@overload(find_non_finite)
def _find_non_finite(scalars, table, low, high):
    if scalars.dtype == types.float32:
        return lambda scalars, table, low, high: _find_non_finite32(table, low, high)
    return lambda scalars, table, low, high: _find_non_finite64(table, low, high)


@overload(sum_squares)
def _sum_squares(scalars, table, low, high, block_sums):
    if scalars.dtype == types.float32:
        return lambda scalars, table, low, high, block_sums: _sum_squares32(table, low, high, block_sums)
    return lambda scalars, table, low, high, block_sums: _sum_squares64(table, low, high, block_sums)


@jitable
def total(table, i, block_sums):
    """Sum over the blocks of tensor i, left to right."""
    result = 0.0
    for b in range(table[i, FIRST_BLOCK], table[i + 1, FIRST_BLOCK]):
        result += block_sums[b]
    return result


@compiled
def sum_tensors(table, block_sums, sums, check):
    """Fill `sums` with each tensor's sum of squares; returns a complaint if `check` and one is not finite, else 0."""
    code = 0
    table, block_sums, sums = borrowed((table, block_sums, sums))
    for i in range(table.shape[0] - 1):
        sums[i] = total(table, i, block_sums)
        if check and code == 0 and not sums[i] < np.inf:
            code = complaint(i, NON_FINITE)
    return code


@compiled
def _holds_non_finite_serial(spans, scalars, table):
    return find_non_finite(scalars, table, 0, table[-1, FIRST_BLOCK]) != 0


@parallel
def _holds_non_finite_threaded(spans, scalars, table):
    blocks, found = table[-1, FIRST_BLOCK], 0
    for t in prange(spans):
        share = find_non_finite(scalars, table, t * blocks // spans, (t + 1) * blocks // spans)
        found = max(found, share)
    return found != 0


# (spans, scalars, table): whether the gradients hold NaN or infinity.
holds_non_finite = Pair(_holds_non_finite_serial, _holds_non_finite_threaded, "the check of gradients")
