"""Drivers over a table of tensors: one call checks the gradients, measures them and steps every tensor.

Every driver runs the same phases over units of work, in one thread or shared among Numba's threads.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import prange

from ..element import make_element
from ..jit import Pair, compiled, forceinlined, jitable, parallel
from ..memory.addresses import (
    FIRST_BLOCK,
    FIRST_SLOT,
    FIRST_UNIT,
    GRADIENT,
    INFINITE,
    NON_FINITE,
    PARAMETER,
    SIZE,
    UNIT,
    WIDTH,
    complaint,
    count_update,
    make_walk,
    read_gradients,
)
from ..memory.headers import borrowed, unpack
from ..memory.storage import Precision, precision_of
from ..reduce import BLOCK, make_block_sum
from .dense import make_own_accumulators, make_row_accumulators, make_shared_accumulator
from .gradient_checks import make_checks, sum_tensors, total

# The parts of a call's work; the argument `work` is the sum of those that are wanted.
HEADERS, FINITE, NORMS, UPDATE = 1, 2, 4, 8


def _make_block_sums(prepare, precision: Precision, Scalars):
    block_sum, real, at = make_block_sum(prepare, precision.storage), precision.real, precision.storage.at

    def block_sums(table, i, low, high, arguments):
        table, (scalars, sums) = borrowed((table, arguments))
        row = table[i]
        s = unpack(Scalars, scalars[i])
        for b in range(low, high):
            start = b * BLOCK
            n = min(BLOCK, row[SIZE] - start)
            g, p = at(row[GRADIENT], start, n, real), at(row[PARAMETER], start, n, real)
            sums[row[FIRST_BLOCK] + b] = block_sum(g, p, s)
        return 0

    return jitable(block_sums)


@jitable
def note_infinity(table, i, infinite):
    if infinite:
        table[i, INFINITE] = 1
    return 1 if infinite else 0


def _make_update(element, kind, precision: Precision, Scalars):
    """Compilable update of units [low, high) of a tensor; 1 if an accumulator became infinite, else 0."""
    own = make_own_accumulators(element, precision)
    shared = make_shared_accumulator(element, precision)
    by_row = make_row_accumulators(element, precision)
    slots_at, first = (element.slots if kind == "element" else element.rest).at, element.first
    first_at, load_first = first.at, first.load
    real, at = precision.real, precision.storage.at

    def arrays(table, i, low, high):
        row = borrowed(table)[i]
        start = low * row[UNIT]
        n = min(high * row[UNIT], row[SIZE]) - start
        p, g = at(row[PARAMETER], start, n, real), at(row[GRADIENT], start, n, real)
        return p, g, slots_at(row, start, n, real), start

    def scalars_at(i, arguments):
        return unpack(Scalars, borrowed(arguments[0])[i])

    arrays, scalars_at = forceinlined(arrays), forceinlined(scalars_at)

    def update_elements(table, i, low, high, arguments):
        s = scalars_at(i, arguments)
        p, g, slots, _ = arrays(table, i, low, high)
        return note_infinity(table, i, own(p, g, slots, s))

    def update_rows(table, i, low, high, arguments):
        s = scalars_at(i, arguments)
        p, g, rest, start = arrays(table, i, low, high)
        width = table[i, WIDTH]
        G = first_at(table[i, FIRST_SLOT], start // width, p.size // width, real)
        return note_infinity(table, i, by_row(p, g, G, rest, width, s))

    def update_tensor(table, i, low, high, arguments):
        s = scalars_at(i, arguments)
        p, g, rest, _ = arrays(table, i, low, high)
        G = load_first(first_at(table[i, FIRST_SLOT], 0, 1, real), 0)
        shared(p, g, G, rest, s)
        return note_infinity(table, i, real(np.inf) == G)

    return forceinlined({"element": update_elements, "row": update_rows, "tensor": update_tensor}[kind])


@jitable
def complaint_of(found):
    return complaint(found - 1, NON_FINITE) if found else 0


def _make_accumulate_tensors(element, real, Scalars):
    """Compilable step of accumulators that whole tensors share, given the sums of squares of their blocks."""
    accumulate, first_at, load, store = element.accumulate, element.first.at, element.first.load, element.first.store

    @jitable
    def accumulate_tensors(table, scalars, block_sums):
        for i in range(table.shape[0] - 1):
            if table[i, SIZE] > 0:
                s = unpack(Scalars, scalars[i])
                G = first_at(table[i, FIRST_SLOT], 0, 1, real)
                store(G, 0, accumulate(real(total(table, i, block_sums)), load(G, 0), s))

    return accumulate_tensors


@cache
def make_driver(rule: Any, motion: str, kind: str, lean: bool, dtype: np.dtype[Any]) -> Pair:
    """Compiled ``(spans, work, gradients, table, scalars, guard, block_sums, sums)``.

    Returns 0, a negative code for `addresses.decode`, or 1 if some accumulators became infinite, whose tensors are then
    marked in the table.
    """
    element, precision, by_tensor = make_element(rule, motion, lean), precision_of(dtype), kind == "tensor"
    real, size, Scalars = precision.real, precision.storage.size, rule.Scalars
    find_non_finite, sum_squares, _ = make_checks(precision)
    accumulate_tensors = _make_accumulate_tensors(element, real, Scalars)
    square = make_walk(_make_block_sums(element.prepare, precision, Scalars), FIRST_BLOCK)
    update = make_walk(_make_update(element, kind, precision, Scalars), FIRST_UNIT)

    @compiled
    def serial(spans, work, gradients, table, scalars, guard, block_sums, sums):
        table, scalars, guard, block_sums, sums = borrowed((table, scalars, guard, block_sums, sums))
        blocks, code = table[-1, FIRST_BLOCK], 0
        if work & HEADERS:
            code = read_gradients(gradients, table, guard, size(1, real))
        if work & NORMS and code == 0:
            sum_squares(table, 0, blocks, block_sums)
            code = sum_tensors(table, block_sums, sums, work & FINITE)
        elif work & FINITE and code == 0:
            code = complaint_of(find_non_finite(table, 0, blocks))
        if code != 0 or not work & UPDATE:
            return code
        count_update(table)
        if by_tensor:
            square(table, 0, blocks, (scalars, block_sums))
            accumulate_tensors(table, scalars, block_sums)
        return update(table, 0, table[-1, FIRST_UNIT], (scalars, block_sums))

    @parallel
    def threaded(spans, work, gradients, table, scalars, guard, block_sums, sums):
        blocks, units, code = table[-1, FIRST_BLOCK], table[-1, FIRST_UNIT], 0
        if work & HEADERS:
            code = read_gradients(gradients, table, guard, size(1, real))
        if work & NORMS and code == 0:
            for t in prange(spans):
                sum_squares(table, t * blocks // spans, (t + 1) * blocks // spans, block_sums)
            code = sum_tensors(table, block_sums, sums, work & FINITE)
        elif work & FINITE and code == 0:
            found = 0
            for t in prange(spans):
                share = find_non_finite(table, t * blocks // spans, (t + 1) * blocks // spans)
                found = max(found, share)
            code = complaint_of(found)
        if code != 0 or not work & UPDATE:
            return code
        count_update(table)
        if by_tensor:
            for t in prange(spans):
                square(table, t * blocks // spans, (t + 1) * blocks // spans, (scalars, block_sums))
            accumulate_tensors(table, scalars, block_sums)
        infinite = 0
        for t in prange(spans):
            share = update(table, t * units // spans, (t + 1) * units // spans, (scalars, block_sums))
            infinite = max(infinite, share)
        return infinite

    return Pair(serial, threaded, f"the {dtype} {rule.name} kernel ({motion}, {kind})")
