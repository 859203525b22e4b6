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
from .blocks import THREADS, next_tile, sum_before
from .compiling import Capability, Kernel, compile_kernel, kernel_name, scalars_type
from .memory import load_word, make_access, store_double, store_word
from .reduce import fold, total_of
from .rows import make_gradient, number_of, source_of

TILE = THREADS

_zero, _one, _lanes, _word, _block, _tile = map(np.uint64, (0, 1, LANES, 8, BLOCK, TILE))
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


def most_blocks(most: int, width: int, n_rows: int) -> int:
    """Blocks that so many groups have, at most."""
    return min(most * (-(-width // BLOCK) + 1), -(-n_rows * width // BLOCK))


class Order(NamedTuple):
    """Kernels that see to the order of sums, which are those of the blocks that groups of ascending rows have.

    `most` and `count_at` are as in :mod:`.rows`, `ticket` and `said` as in `coalesce.Sort`. The number of sums is at
    the address `n_at`. `place` writes where the sums of each group begin; it has a block of TILE threads for each tile.
    """

    place: Kernel  # (rows, most, count_at, width, ticket, said, places, n_at)
    total: Kernel  # (sums, n_at, result): from left to right, by one warp


@cache
def make_order(cc: Capability) -> Order:
    """Kernels for rows of width 1 or more."""

    def place(rows, most, count_at, width, ticket, said, places, n_at):
        tile = next_tile(ticket)
        k, own, end = tile * _tile + threads.thread_of_block(), _zero, number_of(most, count_at)
        if k < end:
            first, behind = _own_blocks(k, rows, width)
            own = behind - first
        before = sum_before(tile, own, said)
        if k < end:
            store_word(places + k * _word, before)
        if k + _one == end:
            store_word(n_at, before + own)

    def total(sums, n_at, result):
        so_far = total_of(sums, load_word(n_at))
        if threads.lane() == _zero:
            store_double(result, so_far)

    return Order(
        compile_kernel("place_row_squares", place, (types.uint64,) * 8, cc),
        compile_kernel("total_of_row_squares", total, (types.uint64,) * 3, cc),
    )


@cache
def make_row_squares(rule: Any, prepared: bool, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(p, rows, starts, at, values, most, count_at, width, places, sums, s)``: the sum of each block.

    Gradients are squared as they are, or `prepared` as they are for an accumulator. The sums of a group begin at its
    place.
    """
    prepare = make_element(rule, "plain", False).prepare if prepared else jitable(untouched)
    gradient, load, itemsize = make_gradient(dtype), make_access(dtype).load, np.uint64(dtype.itemsize)

    @jitable
    def lane_sum(k, block, p, rows, starts, at, values, groups, width, s):
        """Sum of squares of this thread's part of a block, which group k and groups behind it have elements in."""
        begin, end, total = block * _block, (block + _one) * _block, _nothing
        while k < groups and load_word(rows + k * _word) * width < end:
            start = load_word(rows + k * _word) * width
            source = source_of(k, starts, at, values, width)
            i = max(start, begin)
            i += (threads.lane() + begin - i) % _lanes  # the lane's first element from there on
            while i < min(start + width, end):
                x = np.float64(prepare(gradient(i - start, source), load(p + i * itemsize), s))
                total += x * x
                i += _lanes
            k += _one
        return total

    def blocks(p, rows, starts, at, values, most, count_at, width, places, sums, s):
        k, groups = threads.thread() // _lanes, number_of(most, count_at)
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
    return compile_kernel(name, blocks, (*[types.uint64] * 10, scalars_type(rule, dtype)), cc)
