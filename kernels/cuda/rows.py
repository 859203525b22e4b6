"""Rows of a parameter that a sparse gradient names: a warp for each, in which repeated values are added up first.

The gradient is in groups, one a row: group k is of row rows[k], and its values are the rows at[starts[k]:starts[k + 1]]
of `values`, in the order in which they came, as :mod:`.coalesce` puts them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import cuda, types

from ..coalesce import POSITION
from ..element import make_element
from ..jit import inlined
from ..reduce import LANES
from .compiling import Capability, Kernel, compile_kernel, kernel_name, scalars_type
from .dense import make_element_update
from .memory import load_word, make_access
from .shared import make_row_step, make_shared_update

THREADS = 256  # a block

_one, _lanes, _word = map(np.uint64, (1, LANES, 8))


def make_gradient(dtype: np.dtype[Any]):
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


def _make_tensor_step(element, motion: str, dtype: np.dtype[Any], gradient):
    """Compilable ``(p, G, v, width, source, infinite, s)``: step of a row by the tensor's accumulator, up to date."""
    update, load = make_shared_update(element, motion, dtype, gradient), make_access(dtype).load

    @inlined
    def tensor_step(p, G, v, width, source, infinite, s):
        j, accumulator = np.uint64(cuda.laneid), load(G)
        while j < width:
            update(j, accumulator, p, v, source, s)
            j += _lanes

    return tensor_step


_STEPS = {"element": _make_elements_step, "row": make_row_step, "tensor": _make_tensor_step}


@cache
def make_row_update(rule: Any, motion: str, kind: str, lean: bool, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(p, G, v, rows, starts, at, values, groups, width, infinite, s)``, for a kind of accumulator."""
    step = _STEPS[kind](make_element(rule, motion, lean), motion, dtype, make_gradient(dtype))
    itemsize, by_row, shared = np.uint64(dtype.itemsize), kind == "row", kind == "tensor"

    def row_update(p, G, v, rows, starts, at, values, groups, width, infinite, s):
        k = np.uint64(cuda.grid(1)) // _lanes
        if k < groups:
            row = load_word(rows + k * _word)
            source = load_word(starts + k * _word), load_word(starts + (k + _one) * _word), at, values, width
            offset = row * width * itemsize
            of_row = row * itemsize if by_row else offset
            step(p + offset, G if shared else G + of_row, v + offset, width, source, infinite, s)

    arguments = (*[types.uint64] * 10, scalars_type(rule, dtype))
    variant = motion, "lean" if lean else "full", "rows", kind
    return compile_kernel(kernel_name(rule, *variant, dtype), row_update, arguments, cc)


@cache
def make_row_gradients(dense: bool, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(rows, starts, at, values, groups, width, out)`` that writes the rows' gradients.

    Row k of `out` is of group k, or, if that is the whole `dense` gradient, row rows[k] is.
    """
    gradient, store, itemsize = make_gradient(dtype), make_access(dtype).store, np.uint64(dtype.itemsize)

    def row_gradients(rows, starts, at, values, groups, width, out):
        k = np.uint64(cuda.grid(1)) // _lanes
        if k < groups:
            source = load_word(starts + k * _word), load_word(starts + (k + _one) * _word), at, values, width
            to, j = (load_word(rows + k * _word) if dense else k) * width, np.uint64(cuda.laneid)
            while j < width:
                store(out + (to + j) * itemsize, gradient(j, source))
                j += _lanes

    name = f"{'dense' if dense else 'row'}_gradients_{dtype}"
    return compile_kernel(name, row_gradients, (types.uint64,) * 7, cc)


@cache
def make_gather(dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(p, keys, n, width, out)``: row k of `out` is the row of the k-th key of :mod:`.coalesce`."""
    load, store, *_ = make_access(dtype)
    itemsize, position = np.uint64(dtype.itemsize), np.uint64(POSITION)

    def gather(p, keys, n, width, out):
        k = np.uint64(cuda.grid(1)) // _lanes
        if k < n:
            row, j = load_word(keys + k * _word) >> position, np.uint64(cuda.laneid)
            while j < width:
                store(out + (k * width + j) * itemsize, load(p + (row * width + j) * itemsize))
                j += _lanes

    return compile_kernel(f"gather_{dtype}", gather, (types.uint64,) * 5, cc)
