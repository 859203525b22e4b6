"""Dense updates of arrays whose elements share accumulators: a warp for each row, or one for the whole array."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import cuda, types

from ..element import make_element
from ..jit import inlined
from ..motion import SLOTS
from ..reduce import LANES
from .compiling import Capability, Kernel, compile_kernel, scalars_type
from .memory import make_access, make_slots
from .reduce import ALL, make_warp_sum

_lanes = np.uint64(LANES)


def _make_update(element, dtype: np.dtype[Any], count: int):
    """Compilable ``(i, G, p, g, v, s)``: update of the element at i, with an accumulator that is up to date."""
    access = make_access(dtype)
    load, store, itemsize = access.load, access.store, np.uint64(dtype.itemsize)
    slots = make_slots(access, count)
    load_slots, store_slots, prepare, advance = slots.load, slots.store, element.prepare, element.advance

    @inlined
    def update(i, G, p, g, v, s):
        at = i * itemsize
        p_i = load(p + at)
        new, rest = advance(p_i, prepare(load(g + at), p_i, s), G, load_slots(v + at), s)
        store(p + at, new)
        store_slots(v + at, rest)

    return update


def _kernel_name(rule: Any, motion: str, kind: str, dtype: np.dtype[Any]) -> str:
    return f"{rule.name}_{motion}_{kind}_{dtype}"


@cache
def make_rows(rule: Any, motion: str, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(p, g, G, v, rows, width, infinite, s)`` for arrays with an accumulator a row, of the mean square."""
    element = make_element(rule, motion, False)
    update, warp_sum = _make_update(element, dtype, len(SLOTS[motion])), make_warp_sum(element.prepare, dtype)
    load, store, mark = make_access(dtype).load, make_access(dtype).store, make_access(np.dtype(np.int32)).store
    accumulate, real, itemsize = element.accumulate, dtype.type, np.uint64(dtype.itemsize)
    infinity = real(np.inf)

    def rows(p, g, G, v, n, width, infinite, s):
        row, lane = np.uint64(cuda.grid(1)) // _lanes, np.uint64(cuda.laneid)
        if row < n:
            offset = row * width * itemsize
            p, g, v = p + offset, g + offset, v + offset
            square = warp_sum(g, p, width, s)
            G_row = real(0)
            if lane == np.uint64(0):
                G_row = accumulate(real(square / np.float64(width)), load(G + row * itemsize), s)
                store(G + row * itemsize, G_row)
                if G_row == infinity:
                    mark(infinite, np.int32(1))
            G_row = cuda.shfl_sync(ALL, G_row, 0)
            i = lane
            while i < width:
                update(i, G_row, p, g, v, s)
                i += _lanes

    arguments = (*[types.uint64] * 7, scalars_type(rule, dtype))
    return compile_kernel(_kernel_name(rule, motion, "row", dtype), rows, arguments, cc)


class Tensor(NamedTuple):
    """Kernels for arrays with one accumulator, of the sum of squares."""

    accumulate: Kernel  # (square, G, infinite, s), of one thread
    update: Kernel  # (p, g, G, v, n, s), of a thread an element


@cache
def make_tensor(rule: Any, motion: str, dtype: np.dtype[Any], cc: Capability) -> Tensor:
    """Kernels that go by the sum of squares of :mod:`.reduce`."""
    element = make_element(rule, motion, False)
    update_one = _make_update(element, dtype, len(SLOTS[motion]))
    load64, mark = make_access(np.dtype(np.float64)).load, make_access(np.dtype(np.int32)).store
    load, store, real, add = make_access(dtype).load, make_access(dtype).store, dtype.type, element.accumulate
    infinity = real(np.inf)

    def accumulate(square, G, infinite, s):
        new = add(real(load64(square)), load(G), s)
        store(G, new)
        if new == infinity:
            mark(infinite, np.int32(1))

    def update(p, g, G, v, n, s):
        i = np.uint64(cuda.grid(1))
        if i < n:
            update_one(i, load(G), p, g, v, s)

    scalars, name = scalars_type(rule, dtype), _kernel_name(rule, motion, "tensor", dtype)
    return Tensor(
        compile_kernel(f"{name}_accumulate", accumulate, (*[types.uint64] * 3, scalars), cc),
        compile_kernel(f"{name}_update", update, (*[types.uint64] * 5, scalars), cc),
    )
