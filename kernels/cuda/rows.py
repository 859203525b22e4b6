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
from ..reduce import LANES
from .compiling import Capability, Kernel, compile_kernel, kernel_name, scalars_type
from .dense import make_element_update
from .memory import load_word, make_access
from .shared import make_row_step

THREADS = 256  # a block

_one, _lanes, _word = map(np.uint64, (1, LANES, 8))


def _make_gradient(dtype: np.dtype[Any]):
    """Compilable ``(j, source)``: element j of a row's gradient, 0.0 + first + second + ..."""
    load, real, itemsize = make_access(dtype).load, dtype.type, np.uint64(dtype.itemsize)

    @inlined
    def gradient(j, source):
        k, last, at, values, width = source
        g = real(0)
        while k < last:
            g += load(values + (load_word(at + k * _word) * width + j) * itemsize)
            k += _one
        return g

    return gradient


def _make_elements_step(element, motion: str, dtype: np.dtype[Any], gradient):
    """Compilable ``(p, G, v, width, source, infinite, s)``: step of a row, each element with its own accumulator."""
    update = make_element_update(element, motion, True, dtype, gradient)

    @inlined
    def elements_step(p, G, v, width, source, infinite, s):
        j = np.uint64(cuda.laneid)
        while j < width:
            update(j, p, source, G, v, infinite, s)
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
            row = load_word(rows + k * _word)
            source = load_word(starts + k * _word), load_word(starts + (k + _one) * _word), at, values, width
            offset = row * width * itemsize
            of_row = row * itemsize if by_row else offset
            step(p + offset, G + of_row, v + offset, width, source, infinite, s)

    arguments = (*[types.uint64] * 10, scalars_type(rule, dtype))
    variant = motion, "lean" if lean else "full", "rows", "row" if by_row else "element"
    return compile_kernel(kernel_name(rule, *variant, dtype), row_update, arguments, cc)
