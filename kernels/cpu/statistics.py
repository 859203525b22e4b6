"""What some methods measure before a step: sums over all elements, in the order of :mod:`..reduce`, in float64."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import prange

from ..element import make_element
from ..jit import Pair, compiled, forceinlined, jitable, parallel
from ..memory.addresses import FIRST_BLOCK, FIRST_SLOT, GRADIENT, PARAMETER, SIZE, make_walk
from ..memory.headers import borrowed, unpack
from ..memory.slots import make_slots, make_widened
from ..memory.storage import Storage, precision_of, storages_of
from ..reduce import BLOCK, make_block_total
from .gradient_checks import total


def make_terms(rule):
    """Compilable ``(p, g, own, s)``: an element's part of what the method measures, in float64."""
    prepare, widened = make_element(rule, "plain", False).prepare, make_widened(len(rule.slots))
    accumulate, scale, measure = jitable(rule.accumulate), jitable(rule.scale), jitable(rule.measure)

    @jitable
    def terms(p, g, own, s):
        g, p, own = np.float64(prepare(g, p, s)), np.float64(p), widened(own)
        ahead = accumulate(p, g, g * g, own, s)
        return measure(p, g, own, scale(own, s), scale(ahead, s), s)

    return terms


def _make_block_sums(terms, count: int, storages: tuple[Storage, ...]):
    """Compilable ``(arrays, s, sums, b)``, which fills ``sums[:, b]`` with the sums of all terms over one block.

    The arrays are the parameter, the gradient and the slots; their storages are given in this order.
    """
    if count == 0:
        return jitable(lambda arrays, s, sums, b: None)
    j, before = count - 1, _make_block_sums(terms, count - 1, storages)
    term = forceinlined(lambda values, s: terms(values[0], values[1], values[2:], s)[j])
    last = make_block_total(term, storages)

    @jitable
    def block_sums(arrays, s, sums, b):
        before(arrays, s, sums, b)
        sums[j, b] = last(arrays, s)

    return block_sums


@cache
def make_measure(rule: Any, dtype: np.dtype[Any]) -> Pair:
    """Compiled ``(spans, table, scalars, block_sums, sums)``, which fills ``sums[:, i]`` for tensor i of a table."""
    count, Scalars, precision, storages = (
        len(rule.measured),
        rule.Scalars,
        precision_of(dtype),
        storages_of(rule, rule.slots),
    )
    real, storage = precision.real, precision.storage
    at, slots_at = storage.at, make_slots(storages, FIRST_SLOT).at
    sum_block = _make_block_sums(make_terms(rule), count, (storage, storage, *storages))

    @jitable
    def visit(table, i, low, high, arguments):
        table, (scalars, block_sums) = borrowed((table, arguments))
        row = table[i]
        s = unpack(Scalars, scalars[i])
        for b in range(low, high):
            start = b * BLOCK
            n = min(BLOCK, row[SIZE] - start)
            p, g = at(row[PARAMETER], start, n, real), at(row[GRADIENT], start, n, real)
            arrays = (p, g) + slots_at(row, start, n, real)
            sum_block(arrays, s, block_sums, row[FIRST_BLOCK] + b)
        return 0

    walk = make_walk(visit, FIRST_BLOCK)

    @jitable
    def add_up(table, block_sums, sums):
        for j in range(count):
            for i in range(table.shape[0] - 1):
                sums[j, i] = total(table, i, block_sums[j])

    @compiled
    def serial(spans, table, scalars, block_sums, sums):
        table, scalars, block_sums, sums = borrowed((table, scalars, block_sums, sums))
        walk(table, 0, table[-1, FIRST_BLOCK], (scalars, block_sums))
        add_up(table, block_sums, sums)

    @parallel
    def threaded(spans, table, scalars, block_sums, sums):
        blocks = table[-1, FIRST_BLOCK]
        for t in prange(spans):
            walk(table, t * blocks // spans, (t + 1) * blocks // spans, (scalars, block_sums))
        add_up(table, block_sums, sums)

    return Pair(serial, threaded, f"what {rule.name} measures ({dtype})")
