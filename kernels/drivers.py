"""Drivers over a table of tensors: one call checks the gradients, measures them and steps every tensor.

All run the same phases over units of work; they differ in who does the units: one thread, Numba's
threads, or any caller that splits the units itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from .dense import make_own_accumulators, make_row_accumulators, make_shared_accumulator
from .element import make_element, untouched
from .jit import compiled, inlined, parallel
from .memory import array_at, unpack
from .reduce import BLOCK, LANES, make_block_sum
from .table import (
    ACCUMULATOR,
    FIRST_BLOCK,
    FIRST_UNIT,
    GRADIENT,
    NON_FINITE,
    PARAMETER,
    SIZE,
    UNIT,
    WIDTH,
    complaint,
    make_walk,
    read_gradients,
)

# What a call is to do, as a sum.
HEADERS, FINITE, NORMS, UPDATE = 1, 2, 4, 8


class Precision(NamedTuple):
    """What the drivers must know of a dtype at compile time."""

    real: type
    bits: type
    magnitude: int
    infinity: int


PRECISIONS = {
    np.dtype(np.float32): Precision(np.float32, np.int32, 0x7FFFFFFF, 0x7F800000),
    np.dtype(np.float64): Precision(np.float64, np.int64, 0x7FFFFFFFFFFFFFFF, 0x7FF0000000000000),
}


def _make_finite_check(precision):
    _, bits, magnitude, infinity = precision
    magnitude, infinity = bits(magnitude), bits(infinity)
    itemsize = bits().itemsize

    def check(table, i, low, high, scalars, scratch):
        row = table[i]
        for b in range(low, high):
            start = b * BLOCK
            g = array_at(row[GRADIENT] + start * itemsize, min(BLOCK, row[SIZE] - start), bits)
            largest = bits(0)
            for j in range(g.size):
                largest = max(largest, g[j] & magnitude)
            if largest >= infinity:
                return i + 1
        return 0

    return inlined(check)


def _make_block_sums(prepare, real, Scalars):
    block_sum = make_block_sum(prepare)
    itemsize = real().itemsize

    def block_sums(table, i, low, high, scalars, scratch):
        row, lanes = table[i], np.empty(LANES)
        s = unpack(Scalars, scalars[i])
        for b in range(low, high):
            start = b * BLOCK
            n = min(BLOCK, row[SIZE] - start)
            g = array_at(row[GRADIENT] + start * itemsize, n, real)
            p = array_at(row[PARAMETER] + start * itemsize, n, real)
            scratch[row[FIRST_BLOCK] + b] = block_sum(g, p, s, lanes)
        return 0

    return inlined(block_sums)


def _make_update(element, kind, real, Scalars):
    """Compilable visit of units [low, high) of a tensor; tensor index + 1 if an accumulator became infinite."""
    own = make_own_accumulators(element)
    shared = make_shared_accumulator(element)
    by_row = make_row_accumulators(element)
    rest_at = element.slots.at
    itemsize = real().itemsize

    def arrays(table, i, low, high):
        row = table[i]
        start = low * row[UNIT]
        n = min(high * row[UNIT], row[SIZE]) - start
        offset = start * itemsize
        p, g = array_at(row[PARAMETER] + offset, n, real), array_at(row[GRADIENT] + offset, n, real)
        return p, g, rest_at(row, offset, n, real), start

    arrays = inlined(arrays)

    def update_elements(table, i, low, high, scalars, scratch):
        s = unpack(Scalars, scalars[i])
        p, g, rest, start = arrays(table, i, low, high)
        G = array_at(table[i, ACCUMULATOR] + start * itemsize, p.size, real)
        return i + 1 if own(p, g, G, rest, s) else 0

    def update_rows(table, i, low, high, scalars, scratch):
        s = unpack(Scalars, scalars[i])
        p, g, rest, start = arrays(table, i, low, high)
        width = table[i, WIDTH]
        G = array_at(table[i, ACCUMULATOR] + start // width * itemsize, p.size // width, real)
        return i + 1 if by_row(p, g, G, rest, width, s) else 0

    def update_tensor(table, i, low, high, scalars, scratch):
        s = unpack(Scalars, scalars[i])
        p, g, rest, _ = arrays(table, i, low, high)
        G = array_at(table[i, ACCUMULATOR], 1, real)[0]
        shared(p, g, G, rest, s)
        return i + 1 if real(np.inf) == G else 0

    return inlined({"element": update_elements, "row": update_rows, "tensor": update_tensor}[kind])


@inlined
def _total(table, i, blocks):
    total = 0.0
    for b in range(table[i, FIRST_BLOCK], table[i + 1, FIRST_BLOCK]):
        total += blocks[b]
    return total


class Driver(NamedTuple):
    """Compiled calls for one method, variant and dtype.

    `serial(work, gradients, table, scalars, guard, scratch, sums)` and, with `spans` behind `work`,
    `threaded` return 0, a negative code for `table.decode`, or index + 1 of a tensor with an infinite
    accumulator.
    """

    serial: Callable[..., Any]
    threaded: Callable[..., Any]


@cache
def make_driver(rule: Any, motion: str, kind: str, lean: bool, dtype: np.dtype[Any]) -> Driver:
    element = make_element(rule, motion, lean)
    precision = PRECISIONS[dtype]
    real, itemsize = precision.real, dtype.itemsize
    accumulate, version = element.accumulate, element.fingerprint
    Scalars = rule.Scalars
    by_tensor = kind == "tensor"

    check = make_walk(_make_finite_check(precision), FIRST_BLOCK)
    measure = make_walk(_make_block_sums(inlined(untouched), real, Scalars), FIRST_BLOCK)
    square = make_walk(_make_block_sums(element.prepare, real, Scalars), FIRST_BLOCK)
    update = make_walk(_make_update(element, kind, real, Scalars), FIRST_UNIT)

    @inlined
    def first_complaint(work, table, scratch, sums, found):
        """Non-finite gradients, from the check or from the norms that took its place."""
        if work & NORMS:
            for i in range(table.shape[0] - 1):
                sums[i] = _total(table, i, scratch)
                if work & FINITE and found == 0 and not sums[i] < np.inf:
                    found = i + 1
        return complaint(found - 1, NON_FINITE) if found else 0

    @inlined
    def accumulate_tensors(table, scalars, scratch):
        for i in range(table.shape[0] - 1):
            if table[i, SIZE] > 0:
                s = unpack(Scalars, scalars[i])
                G = array_at(table[i, ACCUMULATOR], 1, real)
                G[0] = accumulate(real(_total(table, i, scratch)), G[0], s)

    @compiled
    def serial(work, gradients, table, scalars, guard, scratch, sums):
        version  # noqa: B018  part of the key of the disk cache
        blocks, units = table[-1, FIRST_BLOCK], table[-1, FIRST_UNIT]
        if work & HEADERS:
            code = read_gradients(gradients, table, guard, itemsize)
            if code != 0:
                return code
        if work & (FINITE | NORMS):
            if work & NORMS:
                found = measure(table, 0, blocks, scalars, scratch)
            else:
                found = check(table, 0, blocks, scalars, scratch)
            code = first_complaint(work, table, scratch, sums, found)
            if code != 0:
                return code
        if not work & UPDATE:
            return 0
        if by_tensor:
            square(table, 0, blocks, scalars, scratch)
            accumulate_tensors(table, scalars, scratch)
        return update(table, 0, units, scalars, scratch)

    @parallel
    def threaded(work, spans, gradients, table, scalars, guard, scratch, sums):
        version  # noqa: B018  part of the key of the disk cache
        blocks, units = table[-1, FIRST_BLOCK], table[-1, FIRST_UNIT]
        if work & HEADERS:
            code = read_gradients(gradients, table, guard, itemsize)
            if code != 0:
                return code
        found = 0
        if work & NORMS:
            for t in prange(spans):
                measure(table, t * blocks // spans, (t + 1) * blocks // spans, scalars, scratch)
        elif work & FINITE:
            for t in prange(spans):
                found = max(found, check(table, t * blocks // spans, (t + 1) * blocks // spans, scalars, scratch))
        code = first_complaint(work, table, scratch, sums, found)
        if code != 0 or not work & UPDATE:
            return code
        if by_tensor:
            for t in prange(spans):
                square(table, t * blocks // spans, (t + 1) * blocks // spans, scalars, scratch)
            accumulate_tensors(table, scalars, scratch)
        infinite = 0
        for t in prange(spans):
            infinite = max(infinite, update(table, t * units // spans, (t + 1) * units // spans, scalars, scratch))
        return infinite

    return Driver(serial, threaded)
