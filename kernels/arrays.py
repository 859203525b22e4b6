"""Dense updates of one array, callable from Python and from a user's own nopython loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from .dense import make_own_accumulators, make_row_accumulators, make_shared_accumulator
from .element import make_element
from .jit import compiled, inlined, parallel
from .reduce import LANES, make_ordered_sum


class ArrayUpdate(NamedTuple):
    """`serial(p, g, slots, s)` and `threaded(p, g, slots, s, spans)`; slots is (accumulator,) or has a velocity too."""

    serial: Callable[..., Any]
    threaded: Callable[..., Any]


def _make_share(element, kind):
    """Compilable update of share t of `spans` of flat arrays."""
    own = make_own_accumulators(element)
    by_row = make_row_accumulators(element)
    shared = make_shared_accumulator(element)
    cut = element.slots.cut

    def elements(t, spans, p, g, G, rest, s):
        a, b = t * p.size // spans, (t + 1) * p.size // spans
        own(p[a:b], g[a:b], G[a:b], cut(rest, a, b), s)

    def rows(t, spans, p, g, G, rest, s):
        width = p.size // max(1, G.size)
        a, b = t * G.size // spans, (t + 1) * G.size // spans
        i, j = a * width, b * width
        if width > 0:
            by_row(p[i:j], g[i:j], G[a:b], cut(rest, i, j), width, s)

    def tensor(t, spans, p, g, G, rest, s):
        a, b = t * p.size // spans, (t + 1) * p.size // spans
        shared(p[a:b], g[a:b], G[0], cut(rest, a, b), s)

    return inlined({"element": elements, "row": rows, "tensor": tensor}[kind])


@cache
def make_array_update(rule: Any, motion: str, kind: str, lean: bool) -> ArrayUpdate:
    element = make_element(rule, motion, lean)
    accumulate, flat, version = element.accumulate, element.slots.flat, element.fingerprint
    share = _make_share(element, kind)
    ordered_sum = make_ordered_sum(element.prepare)
    by_tensor = kind == "tensor"

    @inlined
    def begin(p, g, G, s):
        if by_tensor and p.size:
            G[0] = accumulate(p.dtype.type(ordered_sum(g, p, s, np.empty(LANES))), G[0], s)

    @compiled
    def serial(p, g, slots, s):
        version  # noqa: B018  part of the key of the disk cache
        p, g, G, rest = p.ravel(), g.ravel(), slots[0].ravel(), flat(slots[1:])
        begin(p, g, G, s)
        share(0, 1, p, g, G, rest, s)

    @parallel
    def threaded(p, g, slots, s, spans):
        version  # noqa: B018  part of the key of the disk cache
        p, g, G, rest = p.ravel(), g.ravel(), slots[0].ravel(), flat(slots[1:])
        begin(p, g, G, s)
        for t in prange(spans):
            share(t, spans, p, g, G, rest, s)

    return ArrayUpdate(serial, threaded)
