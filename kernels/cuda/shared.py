"""Dense updates of arrays whose elements share accumulators: a warp for each row, or one for the whole array."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types

from ..element import make_element
from ..jit import jitable
from ..motion import SLOTS
from ..reduce import LANES
from . import threads
from .compiling import Capability, Kernel, compile_kernel, kernel_name, scalars_type
from .memory import addresses_type, load_double, make_access, make_dense_gradient, make_slots, mark
from .reduce import make_square, make_warp_sum

_zero, _lanes = np.uint64(0), np.uint64(LANES)


def make_shared_update(element, motion: str, dtype: np.dtype[Any], gradient):
    """Compilable ``(j, G, p, rest, source, s)``: update of element j, with an accumulator that has had the step.

    `rest` is the tuple of the addresses of the other slots.
    """
    access = make_access(dtype)
    load, store, itemsize = access.load, access.store, np.uint64(dtype.itemsize)
    slots = make_slots(access, len(SLOTS[motion]))
    load_slots, store_slots, prepare, advance = slots.load, slots.store, element.prepare, element.advance

    @jitable
    def update(j, G, p, rest, source, s):
        at = j * itemsize
        p_j = load(p + at)
        new, rest_j = advance(p_j, prepare(gradient(j, source), p_j, s), G, load_slots(rest, at), s)
        store(p + at, new)
        store_slots(rest, at, rest_j)

    return update


def make_row_step(element, motion: str, dtype: np.dtype[Any], gradient):
    """Compilable ``(p, G, rest, width, source, infinite, s)``: step of a row with one accumulator, by one warp.

    The addresses are those of the row. ``gradient(j, source)`` is element j of its gradient.
    """
    load, store, *_ = make_access(dtype)
    prepare, accumulate, real = element.prepare, element.accumulate, dtype.type
    itemsize, infinity = np.uint64(dtype.itemsize), real(np.inf)
    update = make_shared_update(element, motion, dtype, gradient)

    @jitable
    def prepared(j, where):
        p, source, s = where
        return prepare(gradient(j, source), load(p + j * itemsize), s)

    warp_sum = make_warp_sum(make_square(prepared))

    @jitable
    def row_step(p, G, rest, width, source, infinite, s):
        square, lane = warp_sum(width, (p, source, s)), threads.lane()
        new = real(0)
        if lane == _zero:
            new = accumulate(real(square / np.float64(width)), load(G), s)
            store(G, new)
            if new == infinity:
                mark(infinite)
        new = threads.value_of(new, 0)
        j = lane
        while j < width:
            update(j, new, p, rest, source, s)
            j += _lanes

    return row_step


@cache
def make_rows(rule: Any, motion: str, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(p, g, G, rest, rows, width, infinite, s)`` for arrays with an accumulator a row, of the mean square."""
    element, itemsize = make_element(rule, motion, False), np.uint64(dtype.itemsize)
    row_step = make_row_step(element, motion, dtype, make_dense_gradient(dtype))

    n_rest = len(SLOTS[motion])
    moved = make_slots(make_access(dtype), n_rest).moved

    def rows(p, g, G, rest, n, width, infinite, s):
        row = threads.thread() // _lanes
        if row < n:
            offset = row * width * itemsize
            row_step(p + offset, G + row * itemsize, moved(rest, offset), width, g + offset, infinite, s)

    a = types.uint64
    arguments = a, a, a, addresses_type(n_rest), a, a, a, scalars_type(rule, dtype)
    return compile_kernel(kernel_name(rule, motion, "row", dtype), rows, arguments, cc)


class Tensor(NamedTuple):
    """Kernels for arrays with one accumulator, of the sum of squares."""

    accumulate: Kernel  # (square, G, infinite, s), of one thread
    update: Kernel  # (p, g, G, rest, n, s), of a thread an element


@cache
def make_tensor(rule: Any, motion: str, dtype: np.dtype[Any], cc: Capability) -> Tensor:
    """Kernels that step the shared accumulator, by the sum of squares that :mod:`.reduce` forms, and the elements."""
    element = make_element(rule, motion, False)
    update_one = make_shared_update(element, motion, dtype, make_dense_gradient(dtype))
    load, store, *_ = make_access(dtype)
    real, add = dtype.type, element.accumulate
    infinity = real(np.inf)

    def accumulate(square, G, infinite, s):
        new = add(real(load_double(square)), load(G), s)
        store(G, new)
        if new == infinity:
            mark(infinite)

    def update(p, g, G, rest, n, s):
        i = threads.thread()
        if i < n:
            update_one(i, load(G), p, rest, g, s)

    a, scalars, name = types.uint64, scalars_type(rule, dtype), kernel_name(rule, motion, "tensor", dtype)
    return Tensor(
        compile_kernel(f"{name}_accumulate", accumulate, (*[types.uint64] * 3, scalars), cc),
        compile_kernel(f"{name}_update", update, (a, a, a, addresses_type(len(SLOTS[motion])), a, scalars), cc),
    )
