"""Rows of a parameter that a sparse gradient names: up to a warp for each; repeated values are added up first.

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

_one, _word = map(np.uint64, (1, 8))


def share_of(width: int, kind: str = "element") -> int:
    """Logarithm to base 2 of the threads that a row gets.

    That is a warp, unless the row has fewer elements and no sum over them is taken.
    """
    threads = LANES if kind == "row" else min(LANES, max(width, 1))
    return (threads - 1).bit_length()


def blocks_of(rows: int, share: int) -> int:
    """Blocks of THREADS for so many rows."""
    return -(-(rows << share) // THREADS)


@inlined
def row_and_lane(share):
    """Number of the row that this thread is of, the thread's among those that have the row, and how many they are."""
    thread, team = np.uint64(cuda.grid(1)), _one << share
    return thread >> share, thread & (team - _one), team


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
    """Compilable ``(j, team, p, G, v, width, source, infinite, s)``: step of a row, by the j-th thread of its team.

    Each element has its own accumulator.
    """
    update = make_element_update(element, motion, True, dtype, gradient)

    @inlined
    def elements_step(j, team, p, G, v, width, source, infinite, s):
        while j < width:
            update(j, p, source, G, v, infinite, s)
            j += team

    return elements_step


def _make_tensor_step(element, motion: str, dtype: np.dtype[Any], gradient):
    """The same by the tensor's accumulator, up to date."""
    update, load = make_shared_update(element, motion, dtype, gradient), make_access(dtype).load

    @inlined
    def tensor_step(j, team, p, G, v, width, source, infinite, s):
        accumulator = load(G)
        while j < width:
            update(j, accumulator, p, v, source, s)
            j += team

    return tensor_step


def _make_shared_step(element, motion: str, dtype: np.dtype[Any], gradient):
    """The same by an accumulator of the row, which takes a whole warp."""
    row_step = make_row_step(element, motion, dtype, gradient)
    return inlined(lambda j, team, p, G, v, width, source, infinite, s: row_step(p, G, v, width, source, infinite, s))


_STEPS = {"element": _make_elements_step, "row": _make_shared_step, "tensor": _make_tensor_step}


@cache
def make_row_update(rule: Any, motion: str, kind: str, lean: bool, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(p, G, v, rows, starts, at, values, groups, width, share, infinite, s)``, for a kind of accumulator."""
    step = _STEPS[kind](make_element(rule, motion, lean), motion, dtype, make_gradient(dtype))
    itemsize, by_row, shared = np.uint64(dtype.itemsize), kind == "row", kind == "tensor"

    def row_update(p, G, v, rows, starts, at, values, groups, width, share, infinite, s):
        k, j, team = row_and_lane(share)
        if k < groups:
            row = load_word(rows + k * _word)
            source = load_word(starts + k * _word), load_word(starts + (k + _one) * _word), at, values, width
            offset = row * width * itemsize
            of_row = row * itemsize if by_row else offset
            step(j, team, p + offset, G if shared else G + of_row, v + offset, width, source, infinite, s)

    arguments = (*[types.uint64] * 11, scalars_type(rule, dtype))
    variant = motion, "lean" if lean else "full", "rows", kind
    return compile_kernel(kernel_name(rule, *variant, dtype), row_update, arguments, cc)


@cache
def make_row_gradients(dense: bool, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(rows, starts, at, values, groups, width, share, out)`` that writes the rows' gradients.

    Row k of `out` is of group k, or, if that is the whole `dense` gradient, row rows[k] is.
    """
    gradient, store, itemsize = make_gradient(dtype), make_access(dtype).store, np.uint64(dtype.itemsize)

    def row_gradients(rows, starts, at, values, groups, width, share, out):
        k, j, team = row_and_lane(share)
        if k < groups:
            source = load_word(starts + k * _word), load_word(starts + (k + _one) * _word), at, values, width
            to = (load_word(rows + k * _word) if dense else k) * width
            while j < width:
                store(out + (to + j) * itemsize, gradient(j, source))
                j += team

    name = f"{'dense' if dense else 'row'}_gradients_{dtype}"
    return compile_kernel(name, row_gradients, (types.uint64,) * 8, cc)


@cache
def make_gather(dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(p, keys, n, width, share, out)``: row k of `out` is the row of the k-th key of :mod:`.coalesce`."""
    load, store, *_ = make_access(dtype)
    itemsize, position = np.uint64(dtype.itemsize), np.uint64(POSITION)

    def gather(p, keys, n, width, share, out):
        k, j, team = row_and_lane(share)
        if k < n:
            row = load_word(keys + k * _word) >> position
            while j < width:
                store(out + (k * width + j) * itemsize, load(p + (row * width + j) * itemsize))
                j += team

    return compile_kernel(f"gather_{dtype}", gather, (types.uint64,) * 6, cc)
