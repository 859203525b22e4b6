"""Rows of a parameter that a sparse gradient names: a warp for each, in which repeated values are added up first.

The gradient is in groups, one a row: group k is of row rows[k], and its values are the rows at[starts[k]:starts[k + 1]]
of `values`, in the order in which they came, as :mod:`.coalesce` puts them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import cuda, types

from ..element import make_element
from ..jit import inlined
from ..motion import SLOTS
from ..reduce import BLOCK, LANES
from .compiling import Capability, Kernel, compile_kernel, scalars_type
from .memory import make_access, make_slots
from .reduce import ALL, fold

THREADS = 256  # a block

_zero, _one, _lanes, _block, _word = map(np.uint64, (0, 1, LANES, BLOCK, 8))


def _make_gather(dtype: np.dtype[Any]):
    """Compilable ``(j, first, last, at, values, width)``: element j of a row's gradient, 0.0 + first + second + ..."""
    load, load_word = make_access(dtype).load, make_access(np.dtype(np.uint64)).load
    real, itemsize = dtype.type, np.uint64(dtype.itemsize)

    @inlined
    def gather(j, first, last, at, values, width):
        g, k = real(0), first
        while k < last:
            g += load(values + (load_word(at + k * _word) * width + j) * itemsize)
            k += _one
        return g

    return gather


@cache
def make_row_update(rule: Any, motion: str, by_row: bool, lean: bool, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(p, G, v, rows, starts, at, values, groups, width, infinite, s)``.

    With `by_row` a row has one accumulator, of the mean square, else each element has its own.
    """
    element, access = make_element(rule, motion, lean), make_access(dtype)
    load, store, load_word = access.load, access.store, make_access(np.dtype(np.uint64)).load
    mark, slots, gather = (
        make_access(np.dtype(np.int32)).store,
        make_slots(access, len(SLOTS[motion])),
        _make_gather(dtype),
    )
    load_slots, store_slots = slots.load, slots.store
    prepare, accumulate, advance, step = element.prepare, element.accumulate, element.advance, element.step
    real, itemsize, infinity = dtype.type, np.uint64(dtype.itemsize), dtype.type(np.inf)

    @inlined
    def update_elements(p, G, v, row, lane, first, last, at, values, width, infinite, s):
        j = lane
        while j < width:
            place = (row * width + j) * itemsize
            g = gather(j, first, last, at, values, width)
            p_j, G_j, rest = step(load(p + place), g, load(G + place), load_slots(v + place), s)
            if G_j == infinity:
                mark(infinite, np.int32(1))
            store(G + place, G_j)
            store(p + place, p_j)
            store_slots(v + place, rest)
            j += _lanes

    @inlined
    def square_of(p, row, lane, first, last, at, values, width, s):
        total, start = np.float64(0), _zero
        while start < width:
            part, j, end = np.float64(0), start + lane, min(start + _block, width)
            while j < end:
                p_j = load(p + (row * width + j) * itemsize)
                x = np.float64(prepare(gather(j, first, last, at, values, width), p_j, s))
                part += x * x
                j += _lanes
            total += fold(part)
            start += _block
        return total

    @inlined
    def update_row(p, G, v, row, lane, first, last, at, values, width, infinite, s):
        square = square_of(p, row, lane, first, last, at, values, width, s)
        G_row = real(0)
        if lane == _zero:
            G_row = accumulate(real(square / np.float64(width)), load(G + row * itemsize), s)
            store(G + row * itemsize, G_row)
            if G_row == infinity:
                mark(infinite, np.int32(1))
        G_row = cuda.shfl_sync(ALL, G_row, 0)
        j = lane
        while j < width:
            place = (row * width + j) * itemsize
            p_j = load(p + place)
            g = prepare(gather(j, first, last, at, values, width), p_j, s)
            p_j, rest = advance(p_j, g, G_row, load_slots(v + place), s)
            store(p + place, p_j)
            store_slots(v + place, rest)
            j += _lanes

    update = update_row if by_row else update_elements

    def row_update(p, G, v, rows, starts, at, values, groups, width, infinite, s):
        k, lane = np.uint64(cuda.grid(1)) // _lanes, np.uint64(cuda.laneid)
        if k < groups:
            row = load_word(rows + k * _word)
            first, last = load_word(starts + k * _word), load_word(starts + (k + _one) * _word)
            update(p, G, v, row, lane, first, last, at, values, width, infinite, s)

    arguments = (*[types.uint64] * 10, scalars_type(rule, dtype))
    name = f"{rule.name}_{motion}_{'lean' if lean else 'full'}_rows_{'row' if by_row else 'element'}_{dtype}"
    return compile_kernel(name, row_update, arguments, cc)
