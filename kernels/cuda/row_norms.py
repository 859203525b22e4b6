"""Sums of squares of row-sparse gradients in the order of :mod:`..reduce`, at the cost of the rows named.

Rows that are not named would add 0, which changes no sum. So only those blocks of BLOCK elements are summed that have
elements of named rows, each by the warp of the first such row. The sums of the blocks then add up from left to right.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types

from ..element import make_element, untouched
from ..jit import jitable
from ..reduce import BLOCK, LANES
from . import threads
from .compiling import Capability, Kernel, compile_kernel, kernel_name, scalars_type
from .memory import load_word, make_access, store_double, store_word
from .reduce import fold
from .rows import make_gradient

THREADS = 256  # a block

_zero, _one, _lanes, _word, _block = map(np.uint64, (0, 1, LANES, 8, BLOCK))
_nothing = np.float64(0)


@jitable
def _own_blocks(k, rows, width):
    """The blocks that no group before k has elements in, but group k has: the first, and the one behind the last."""
    start = load_word(rows + k * _word) * width
    first, end = start // _block, (start + width - _one) // _block + _one
    if k > _zero:
        end_before = ((load_word(rows + (k - _one) * _word) + _one) * width - _one) // _block + _one
        first = max(first, end_before)
    return first, max(first, end)


class RowNorms(NamedTuple):
    """Kernels on groups of ascending rows, as :mod:`.rows` takes them, of width 1 or more."""

    count: Kernel  # (rows, groups, width, counts): blocks of each group, a thread a group
    blocks: Kernel  # (p, rows, starts, at, values, groups, width, places, sums, s): their sums, from place to place


@cache
def make_row_norms(rule: Any, prepared: bool, dtype: np.dtype[Any], cc: Capability) -> RowNorms:
    """Kernels for gradients as they are, or prepared as they are squared for an accumulator."""
    prepare = make_element(rule, "plain", False).prepare if prepared else jitable(untouched)
    gradient, load, itemsize = make_gradient(dtype), make_access(dtype).load, np.uint64(dtype.itemsize)

    @jitable
    def lane_sum(k, block, p, rows, starts, at, values, groups, width, s):
        """Sum of squares of this thread's part of a block, which group k and groups behind it have elements in."""
        begin, end, total = block * _block, (block + _one) * _block, _nothing
        while k < groups and load_word(rows + k * _word) * width < end:
            start = load_word(rows + k * _word) * width
            source = load_word(starts + k * _word), load_word(starts + (k + _one) * _word), at, values, width
            i = max(start, begin)
            i += (threads.lane() + begin - i) % _lanes  # the lane's first element from there on
            while i < min(start + width, end):
                x = np.float64(prepare(gradient(i - start, source), load(p + i * itemsize), s))
                total += x * x
                i += _lanes
            k += _one
        return total

    def count(rows, groups, width, counts):
        k = threads.thread()
        if k < groups:
            first, end = _own_blocks(k, rows, width)
            store_word(counts + k * _word, end - first)

    def blocks(p, rows, starts, at, values, groups, width, places, sums, s):
        k = threads.thread() // _lanes
        if k < groups:
            block, end = _own_blocks(k, rows, width)
            place = load_word(places + k * _word)
            while block < end:
                total = fold(lane_sum(k, block, p, rows, starts, at, values, groups, width, s))
                # If the same thread always stored, the compiler would make a loop of its own for that thread, and a
                # fold needs all threads of the warp in one place.
                if threads.lane() == place % _lanes:
                    store_double(sums + place * _word, total)
                block += _one
                place += _one

    name = kernel_name(rule, "prepared" if prepared else "given", "rows", "squares", dtype)
    return RowNorms(
        compile_kernel(f"{name}_count", count, (types.uint64,) * 4, cc),
        compile_kernel(f"{name}_blocks", blocks, (*[types.uint64] * 9, scalars_type(rule, dtype)), cc),
    )
