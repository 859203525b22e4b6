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
from ..reduce import LANES
from .compiling import Capability, Kernel, compile_kernel, scalars_type
from .memory import make_access, make_slots
from .shared import make_row_step

THREADS = 256  # a block

_one, _lanes, _word = map(np.uint64, (1, LANES, 8))
_load_word = make_access(np.dtype(np.uint64)).load


def _make_gradient(dtype: np.dtype[Any]):
    """Compilable ``(j, source)``: element j of a row's gradient, 0.0 + first + second + ..."""
    load, real, itemsize = make_access(dtype).load, dtype.type, np.uint64(dtype.itemsize)

    @inlined
    def gradient(j, source):
        k, last, at, values, width = source
        g = real(0)
        while k < last:
            g += load(values + (_load_word(at + k * _word) * width + j) * itemsize)
            k += _one
        return g

    return gradient


def _make_elements_step(element, motion: str, dtype: np.dtype[Any], gradient):
    """Compilable ``(p, G, v, width, source, infinite, s)``: step of a row, each element with its own accumulator."""
    access, mark = make_access(dtype), make_access(np.dtype(np.int32)).store
    load, store, slots, step = access.load, access.store, make_slots(access, len(SLOTS[motion])), element.step
    load_slots, store_slots = slots.load, slots.store
    itemsize, infinity = np.uint64(dtype.itemsize), dtype.type(np.inf)

    @inlined
    def elements_step(p, G, v, width, source, infinite, s):
        j = np.uint64(cuda.laneid)
        while j < width:
            at = j * itemsize
            p_j, G_j, rest = step(load(p + at), gradient(j, source), load(G + at), load_slots(v + at), s)
            if G_j == infinity:
                mark(infinite, np.int32(1))
            store(G + at, G_j)
            store(p + at, p_j)
            store_slots(v + at, rest)
            j += _lanes

    return elements_step


@cache
def make_row_update(rule: Any, motion: str, by_row: bool, lean: bool, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(p, G, v, rows, starts, at, values, groups, width, infinite, s)``.

    With `by_row` a row has one accumulator, of the mean square, else each element has its own.
    """
    make_step = make_row_step if by_row else _make_elements_step
    step = make_step(make_element(rule, motion, lean), motion, dtype, _make_gradient(dtype))
    itemsize = np.uint64(dtype.itemsize)

    def row_update(p, G, v, rows, starts, at, values, groups, width, infinite, s):
        k = np.uint64(cuda.grid(1)) // _lanes
        if k < groups:
            row = _load_word(rows + k * _word)
            source = _load_word(starts + k * _word), _load_word(starts + (k + _one) * _word), at, values, width
            offset = row * width * itemsize
            of_row = row * itemsize if by_row else offset
            step(p + offset, G + of_row, v + offset, width, source, infinite, s)

    arguments = (*[types.uint64] * 10, scalars_type(rule, dtype))
    name = f"{rule.name}_{motion}_{'lean' if lean else 'full'}_rows_{'row' if by_row else 'element'}_{dtype}"
    return compile_kernel(name, row_update, arguments, cc)
