"""Dense updates of one array, callable from Python and from a user's own nopython loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from ..element import make_element
from ..jit import compiled, jitable, parallel
from ..memory.storage import Precision, precision_of
from ..reduce import make_ordered_sum
from .dense import make_own_accumulators, make_row_accumulators, make_shared_accumulator


class ArrayUpdate(NamedTuple):
    """`serial(p, g, slots, s)` and `threaded(p, g, slots, s, spans)`; slots are the rule's, then the motion's."""

    serial: Callable[..., Any]
    threaded: Callable[..., Any]


def _make_share(element, kind, precision: Precision):
    """Compilable update of share t of `spans` of flat arrays."""
    own = make_own_accumulators(element, precision)
    by_row = make_row_accumulators(element, precision)
    shared = make_shared_accumulator(element, precision)
    cut, cut_rest, load_first = element.slots.cut, element.rest.cut, element.first.load

    def elements(t, spans, p, g, slots, s):
        a, b = t * p.size // spans, (t + 1) * p.size // spans
        own(p[a:b], g[a:b], cut(slots, a, b), s)

    def rows(t, spans, p, g, slots, s):
        G = slots[0]
        width = p.size // max(1, G.size)
        a, b = t * G.size // spans, (t + 1) * G.size // spans
        i, j = a * width, b * width
        if width > 0:
            by_row(p[i:j], g[i:j], G[a:b], cut_rest(slots[1:], i, j), width, s)

    def tensor(t, spans, p, g, slots, s):
        a, b = t * p.size // spans, (t + 1) * p.size // spans
        shared(p[a:b], g[a:b], load_first(slots[0], 0), cut_rest(slots[1:], a, b), s)

    return jitable({"element": elements, "row": rows, "tensor": tensor}[kind])


@cache
def make_array_update(rule: Any, motion: str, kind: str, lean: bool, dtype: np.dtype[Any]) -> ArrayUpdate:
    """Compiled updates of a parameter and gradient of this dtype, whose arrays are as its storage has them."""
    element, precision = make_element(rule, motion, lean), precision_of(dtype)
    accumulate, flat, load, store = element.accumulate, element.slots.flat, element.first.load, element.first.store
    share, real = _make_share(element, kind, precision), precision.real
    ordered_sum = make_ordered_sum(element.prepare, precision.storage)
    by_tensor = kind == "tensor"

    def accumulate_all(p, g, slots, s):
        if p.size:
            G = slots[0]
            store(G, 0, accumulate(real(ordered_sum(g, p, s)), load(G, 0), s))

    begin = jitable(accumulate_all if by_tensor else (lambda p, g, slots, s: None))

    @compiled
    def serial(p, g, slots, s):
        p, g, slots = p.ravel(), g.ravel(), flat(slots)
        begin(p, g, slots, s)
        share(0, 1, p, g, slots, s)

    @parallel
    def threaded(p, g, slots, s, spans):
        p, g, slots = p.ravel(), g.ravel(), flat(slots)
        begin(p, g, slots, s)
        for t in prange(spans):
            share(t, spans, p, g, slots, s)

    return ArrayUpdate(serial, threaded)
