"""Loops that step whole arrays, shared by all drivers: with an accumulator an element, a row, or a tensor."""

from __future__ import annotations

import numpy as np

from ..element import Element
from ..jit import forceinlined, jitable
from ..memory.storage import Precision
from ..reduce import make_ordered_sum


def make_own_accumulators(element: Element, precision: Precision, watchful: bool = True):
    """Compilable update of arrays with slots for each element; True if one of the first slot became infinite.

    If not `watchful`, infinite slots go unnoticed, which saves a tenth of the time on arrays as short as a vector
    register.
    """
    step, is_infinite, load_slots, store_slots = element.step, element.infinite, element.slots.load, element.slots.store
    real, load, store = precision.real, precision.storage.load, precision.storage.store

    @forceinlined
    def own_accumulators(p, g, slots, s):
        infinite = False
        infinity = real(np.inf)
        for i in range(p.size):
            p_i, slots_i = step(load(p, i), load(g, i), load_slots(slots, i), s)
            if watchful:
                infinite |= is_infinite(slots_i, infinity)
            store(p, i, p_i)
            store_slots(slots, i, slots_i)
        return infinite

    return own_accumulators


def make_shared_accumulator(element: Element, precision: Precision):
    """Compilable update of arrays whose elements share the accumulator G, which has already had the step."""
    prepare, advance, load_rest, store_rest = element.prepare, element.advance, element.rest.load, element.rest.store
    load, store = precision.storage.load, precision.storage.store

    @jitable
    def shared_accumulator(p, g, G, rest, s):
        for i in range(p.size):
            p_i = load(p, i)
            p_i, rest_i = advance(p_i, prepare(load(g, i), p_i, s), G, load_rest(rest, i), s)
            store(p, i, p_i)
            store_rest(rest, i, rest_i)

    return shared_accumulator


def make_row_step(element: Element, precision: Precision):
    """Compilable ``(p, g, square, G, rest, s)``: step of a row with one accumulator G; returns the new G.

    `square` is the row's sum of squares, the mean of which is accumulated.
    """
    accumulate, real = element.accumulate, precision.real
    shared_accumulator = make_shared_accumulator(element, precision)

    @jitable
    def row_step(p, g, square, G, rest, s):
        G = accumulate(real(square / p.size), G, s)
        shared_accumulator(p, g, G, rest, s)
        return G

    return row_step


def make_row_accumulators(element: Element, precision: Precision):
    """Compilable update of G.size rows, each with an accumulator of its own; True if one became infinite."""
    row_step, cut, load, store = (
        make_row_step(element, precision),
        element.rest.cut,
        element.first.load,
        element.first.store,
    )
    ordered_sum, real = make_ordered_sum(element.prepare, precision.storage), precision.real

    @jitable
    def row_accumulators(p, g, G, rest, width, s):
        infinite = False
        for r in range(G.size):
            start, stop = r * width, r * width + width
            p_r, g_r = p[start:stop], g[start:stop]
            G_r = row_step(p_r, g_r, ordered_sum(g_r, p_r, s), load(G, r), cut(rest, start, stop), s)
            infinite |= G_r == real(np.inf)
            store(G, r, G_r)
        return infinite

    return row_accumulators
