"""Whether floats are finite, by their bits: without the sign, and read as integers, NaN and infinity are the largest.

LLVM vectorises the search for the maximum of integers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .jit import compiled, jitable
from .memory.storage import Precision, precision_of


def make_holds_non_finite(precision: Precision):
    """Compilable ``(array)``: whether NaN or infinity is among floats, whose bits are given as integers."""
    integer = precision.integer
    magnitude, infinity = integer(np.iinfo(integer).max), integer(precision.infinity)

    @jitable
    def holds_non_finite(array):
        largest = integer(0)
        for j in range(array.size):
            largest = max(largest, array[j] & magnitude)
        return largest >= infinity

    return holds_non_finite


@cache
def _make_all_finite(precision: Precision) -> Callable[[NDArray[Any]], bool]:
    holds_non_finite = make_holds_non_finite(precision)

    @compiled
    def all_finite(array):
        return not holds_non_finite(array)

    return all_finite  # type: ignore[no-any-return]


def all_finite(values: NDArray[Any]) -> bool:
    """Whether all numbers of a C-contiguous flat array are finite; its dtype is one that parameters may have."""
    precision = precision_of(values.dtype)
    return _make_all_finite(precision)(values.view(precision.integer))
