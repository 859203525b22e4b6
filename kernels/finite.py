"""Whether floats are finite, by their bits: without the sign, and read as integers, NaN and infinity are the largest.

LLVM vectorises the search for the maximum of integers.
"""

from __future__ import annotations

import numpy as np

from .jit import compiled, jitable

INFINITY = {np.dtype(np.int32): 0x7F800000, np.dtype(np.int64): 0x7FF0000000000000}  # bits of the float of that size


def make_holds_non_finite(bits: np.dtype):
    """Compilable ``(array)``: whether NaN or infinity is among floats, whose bits are given as integers."""
    integer = bits.type
    magnitude, infinity = integer(np.iinfo(bits).max), integer(INFINITY[bits])

    @jitable
    def holds_non_finite(array):
        largest = integer(0)
        for j in range(array.size):
            largest = max(largest, array[j] & magnitude)
        return largest >= infinity

    return holds_non_finite


_holds32, _holds64 = (make_holds_non_finite(bits) for bits in INFINITY)


@compiled
def _all_finite32(array):
    return not _holds32(array)


@compiled
def _all_finite64(array):
    return not _holds64(array)


def all_finite(values: np.ndarray) -> bool:
    """Whether all numbers of a C-contiguous flat array of float32 or float64 are finite."""
    if values.dtype == np.float32:
        return _all_finite32(values.view(np.int32))
    return _all_finite64(values.view(np.int64))
