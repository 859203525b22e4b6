"""What some methods measure before a step: sums over all elements, in the order of :mod:`.reduce`, in float64."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import prange

from .element import fingerprint, make_element
from .jit import Pair, compiled, inlined, parallel
from .memory import array_at, unpack
from .reduce import BLOCK, LANES, fold
from .slots import make_slots, make_widened
from .survey import total
from .table import FIRST_BLOCK, FIRST_SLOT, GRADIENT, PARAMETER, SIZE, make_walk


def make_terms(rule):
    """Compilable ``(p, g, own, s)``: an element's part of what the method measures, in float64."""
    prepare, widened = make_element(rule, "plain", False).prepare, make_widened(len(rule.slots))
    accumulate, scale, measure = inlined(rule.accumulate), inlined(rule.scale), inlined(rule.measure)

    @inlined
    def terms(p, g, own, s):
        g, p, own = np.float64(prepare(g, p, s)), np.float64(p), widened(own)
        ahead = accumulate(p, g, g * g, own, s)
        return measure(p, g, own, scale(own, s), scale(ahead, s), s)

    return terms


def _make_block_sum(terms, j: int, slots):
    """Compilable sum of the j-th term over at most 4,096 elements, with room for 32 lanes."""
    load, cut = slots.load, slots.cut

    @inlined
    def block_sum(p, g, own, s, lanes):
        lanes[:] = 0.0
        whole = g.size // LANES
        for row in range(whole):
            start, stop = row * LANES, row * LANES + LANES
            p_row, g_row, own_row = p[start:stop], g[start:stop], cut(own, start, stop)
            for i in range(LANES):
                lanes[i] += terms(p_row[i], g_row[i], load(own_row, i), s)[j]
        for i in range(whole * LANES, g.size):
            lanes[i - whole * LANES] += terms(p[i], g[i], load(own, i), s)[j]
        return fold(lanes)

    return block_sum


def _make_block_sums(terms, count: int, slots):
    """Compilable ``(p, g, own, s, lanes, sums, b)``: the sums of all terms, which become ``sums[:, b]``."""
    if count == 0:
        return inlined(lambda p, g, own, s, lanes, sums, b: None)
    last, before = _make_block_sum(terms, count - 1, slots), _make_block_sums(terms, count - 1, slots)

    @inlined
    def block_sums(p, g, own, s, lanes, sums, b):
        before(p, g, own, s, lanes, sums, b)
        sums[count - 1, b] = last(p, g, own, s, lanes)

    return block_sums


@cache
def make_measure(rule: Any, dtype: np.dtype[Any]) -> Pair:
    """Compiled ``(spans, table, scalars, block_sums, sums)``: those of each tensor of a table become ``sums[:, i]``."""
    slots, real, itemsize, Scalars = make_slots(len(rule.slots), FIRST_SLOT), dtype.type, dtype.itemsize, rule.Scalars
    sum_block, at, count = _make_block_sums(make_terms(rule), len(rule.measured), slots), slots.at, len(rule.measured)
    version = fingerprint(rule.accumulate, rule.scale, rule.measure)

    @inlined
    def visit(table, i, low, high, arguments):
        (scalars, block_sums), row, lanes = arguments, table[i], np.empty(LANES)
        s = unpack(Scalars, scalars[i])
        for b in range(low, high):
            n, offset = min(BLOCK, row[SIZE] - b * BLOCK), b * BLOCK * itemsize
            p, g = array_at(row[PARAMETER] + offset, n, real), array_at(row[GRADIENT] + offset, n, real)
            sum_block(p, g, at(row, offset, n, real), s, lanes, block_sums, row[FIRST_BLOCK] + b)
        return 0

    walk = make_walk(visit, FIRST_BLOCK)

    @inlined
    def add_up(table, block_sums, sums):
        for j in range(count):
            for i in range(table.shape[0] - 1):
                sums[j, i] = total(table, i, block_sums[j])

    @compiled
    def serial(spans, table, scalars, block_sums, sums):
        version  # noqa: B018  part of the key of the disk cache
        walk(table, 0, table[-1, FIRST_BLOCK], (scalars, block_sums))
        add_up(table, block_sums, sums)

    @parallel
    def threaded(spans, table, scalars, block_sums, sums):
        version  # noqa: B018  part of the key of the disk cache
        blocks = table[-1, FIRST_BLOCK]
        for t in prange(spans):
            walk(table, t * blocks // spans, (t + 1) * blocks // spans, (scalars, block_sums))
        add_up(table, block_sums, sums)

    return Pair(serial, threaded, f"what {rule.name} measures ({dtype})")
