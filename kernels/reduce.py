"""Sums of squares in one fixed order, so that every driver and every thread count has the same bits.

Squares are float64. Element i of a block of 4,096 goes to lane i mod 32, in increasing i; the lanes
fold 16+16, 8+8, 4+4, 2+2, 1+1; block sums add left to right.
"""

from __future__ import annotations

import numpy as np

from .jit import forceinlined, jitable
from .memory.headers import on_stack
from .memory.slots import make_slots
from .memory.storage import Storage

LANES = 32
BLOCK = 4096


def make_fold(lanes: int):
    """Compilable sum of so many lanes, a power of two: the upper half is added to the lower until one is left."""
    if lanes == 1:
        return jitable(lambda lanes: lanes[0])
    half = lanes // 2
    rest = make_fold(half)

    @jitable
    def fold(lanes):
        for j in range(half):  # `half` is a constant, so that LLVM unrolls the loop
            lanes[j] += lanes[j + half]
        return rest(lanes)

    return fold


fold = make_fold(LANES)


def make_block_total(term, storages: tuple[Storage, ...]):
    """Compilable ``(arrays, s)``: sum of term(values, s) over the elements, at most 4,096, of arrays of one size.

    `values` has one element of each array, loaded by the array's storage.
    """
    slots = make_slots(storages)
    load, cut = slots.load, slots.cut

    @forceinlined
    def block_total(arrays, s):
        lanes = on_stack(LANES, np.float64)
        lanes[:] = 0.0
        n = arrays[0].size
        whole = n // LANES
        for row in range(whole):
            part = cut(arrays, row * LANES, row * LANES + LANES)
            for j in range(LANES):
                lanes[j] += term(load(part, j), s)
        for i in range(whole * LANES, n):
            lanes[i - whole * LANES] += term(load(arrays, i), s)
        return fold(lanes)

    return block_total


def make_block_sum(prepare, storage: Storage):
    """Compilable sum of the squares of prepare(g, p, s) over at most 4,096 elements of arrays with this storage."""

    @jitable
    def square(values, s):
        x = np.float64(prepare(values[0], values[1], s))
        return x * x

    block_total = make_block_total(square, (storage, storage))
    return jitable(lambda g, p, s: block_total((g, p), s))


def make_ordered_sum(prepare, storage: Storage):
    """Compilable sum of squares over arrays of any size."""
    block_sum = make_block_sum(prepare, storage)

    @jitable
    def ordered_sum(g, p, s):
        total = 0.0
        for start in range(0, g.size, BLOCK):
            total += block_sum(g[start : start + BLOCK], p[start : start + BLOCK], s)
        return total

    return ordered_sum
