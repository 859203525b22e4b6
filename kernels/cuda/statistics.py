"""What some methods measure before a step, as :mod:`..cpu.statistics` does: a warp for each block of the order."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types

from ..cpu.statistics import make_terms
from ..jit import jitable
from ..memory import addresses
from ..reduce import LANES
from . import threads
from .compiling import Capability, Kernel, compile_kernel, kernel_name
from .memory import make_access, make_load_scalars, make_slots, store_double
from .reduce import make_warp_sum
from .tensors import make_load_column, make_load_columns, part_of

_zero, _lanes, _double = map(np.uint64, (0, LANES, 8))


def _make_warp_sums(value, count: int):
    """Compilable ``(n, source, sums, stride)``, which writes the sums of all terms to `sums`, `stride` bytes apart."""
    if count == 0:
        return jitable(lambda n, source, sums, stride: None)
    j = count - 1
    before, at = _make_warp_sums(value, j), np.uint64(j)
    last = make_warp_sum(jitable(lambda i, source: value(i, source)[j]))

    @jitable
    def warp_sums(n, source, sums, stride):
        before(n, source, sums, stride)
        total = last(n, source)
        if threads.lane() == _zero:
            store_double(sums + at * stride, total)

    return warp_sums


@cache
def make_measure(rule: Any, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(rows, tensors, blocks, scalars, sums)``: sums of the blocks of all tensors of a table of addresses.

    The sums of one term lie one after the other, and behind them those of the next term.
    """
    n_slots, itemsize = len(rule.slots), np.uint64(dtype.itemsize)
    access, terms, load_scalars = make_access(dtype), make_terms(rule), make_load_scalars(rule, dtype)
    load, slots, slots_at = access.load, make_slots(access, n_slots), make_load_columns(addresses.FIRST_SLOT, n_slots)
    load_slots, moved = slots.load, slots.moved
    parameter, gradient = make_load_column(addresses.PARAMETER), make_load_column(addresses.GRADIENT)
    size_of_scalars = np.uint64(len(rule.Scalars._fields) * dtype.itemsize)

    @jitable
    def value(i, source):
        p, g, own, s = source
        at = i * itemsize
        return terms(load(p + at), load(g + at), load_slots(own, at), s)

    warp_sums = _make_warp_sums(value, len(rule.measured))

    def measure(rows, tensors, blocks, scalars, sums):
        block = threads.thread() // _lanes
        if block < blocks:
            i, row, start, n = part_of(block, rows, tensors)
            offset = start * itemsize
            own, s = moved(slots_at(row), offset), load_scalars(scalars + i * size_of_scalars)
            source = parameter(row) + offset, gradient(row) + offset, own, s
            warp_sums(n, source, sums + block * _double, blocks * _double)

    return compile_kernel(kernel_name(rule, "measure", dtype), measure, (types.uint64,) * 5, cc)
