"""Checks of gradients before anything is written: whether they are finite, and their sums of squares.

They depend on no method. So they are functions of their own, which are compiled once for all drivers of a dtype.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from ..element import untouched
from ..finite import make_holds_non_finite
from ..jit import Pair, compiled, jitable, parallel
from ..memory.addresses import FIRST_BLOCK, GRADIENT, NON_FINITE, SIZE, complaint, make_walk
from ..memory.headers import array_at, borrowed
from ..memory.storage import Precision
from ..reduce import BLOCK, make_block_sum


class Checks(NamedTuple):
    """Compiled checks of gradients of one dtype.

    `find_non_finite` returns 1 + the index of a tensor whose gradient has NaN or infinity in blocks [low, high), or 0
    if there is none. `sum_squares` fills `block_sums` with the sum of squares of each of these blocks.
    `holds_non_finite` says whether there is any NaN or infinity.
    """

    find_non_finite: Any  # (table, low, high)
    sum_squares: Any  # (table, low, high, block_sums)
    holds_non_finite: Pair  # (spans, table)


def _make_find(precision: Precision):
    holds_non_finite, integer = make_holds_non_finite(precision), precision.integer
    size, real = precision.storage.size, precision.real

    @jitable
    def check(table, i, low, high, arguments):
        row = table[i]
        for b in range(low, high):
            start = b * BLOCK
            n = min(BLOCK, row[SIZE] - start)
            if holds_non_finite(array_at(row[GRADIENT] + size(start, real), n, integer)):
                return i + 1
        return 0

    walk = make_walk(check, FIRST_BLOCK)

    @compiled
    def find_non_finite(table, low, high):
        return walk(borrowed(table), low, high, ())

    return find_non_finite


def _make_sum_squares(precision: Precision):
    sum_of_squares = make_block_sum(jitable(untouched), precision.storage)
    at, real = precision.storage.at, precision.real

    @jitable
    def measure(table, i, low, high, arguments):
        row, sums = table[i], arguments[0]
        for b in range(low, high):
            start = b * BLOCK
            g = at(row[GRADIENT], start, min(BLOCK, row[SIZE] - start), real)
            sums[row[FIRST_BLOCK] + b] = sum_of_squares(g, g, ())
        return 0

    walk = make_walk(measure, FIRST_BLOCK)

    @compiled
    def sum_squares(table, low, high, block_sums):
        walk(borrowed(table), low, high, (borrowed(block_sums),))

    return sum_squares


@cache
def make_checks(precision: Precision) -> Checks:
    find_non_finite = _make_find(precision)

    @compiled
    def serial(spans, table):
        return find_non_finite(table, 0, table[-1, FIRST_BLOCK]) != 0

    @parallel
    def threaded(spans, table):
        blocks, found = table[-1, FIRST_BLOCK], 0
        for t in prange(spans):
            share = find_non_finite(table, t * blocks // spans, (t + 1) * blocks // spans)
            found = max(found, share)
        return found != 0

    holds_non_finite = Pair(serial, threaded, "the check of gradients")
    return Checks(find_non_finite, _make_sum_squares(precision), holds_non_finite)


@jitable
def total(table, i, block_sums):
    """Sum over the blocks of tensor i, left to right."""
    result = 0.0
    for b in range(table[i, FIRST_BLOCK], table[i + 1, FIRST_BLOCK]):
        result += block_sums[b]
    return result


@compiled
def sum_tensors(table, block_sums, sums, check):
    """Fill `sums` with each tensor's sum of squares; returns a complaint if `check` and one is not finite, else 0."""
    code = 0
    table, block_sums, sums = borrowed((table, block_sums, sums))
    for i in range(table.shape[0] - 1):
        sums[i] = total(table, i, block_sums)
        if check and code == 0 and not sums[i] < np.inf:
            code = complaint(i, NON_FINITE)
    return code
