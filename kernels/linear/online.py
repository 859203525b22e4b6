"""One pass of online learning over sparse examples, by any method that is plain or places its parameters.

Each example is a step. Only the features that it has are touched: before they are read, what time has done to them is
made good, by a parameter's place as of the step before, or by the steps of gradient 0 that it missed. All of it is
float64.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ..element import make_element
from ..jit import compiled, forceinlined, jitable
from ..memory.headers import borrowed, unpack
from ..memory.slots import make_slots
from ..missed import make_catch_up, missed_steps
from ..rules import places
from .layouts import LAYOUTS
from .switch import slope_of


def _make_recall(rule):
    """Compilable ``recall(p, slots, j, now, last, s_before, thresholds)``: weight j as of step `now`."""
    slots = make_slots(len(rule.slots))
    load, real = slots.load, np.float64
    if places(rule):
        place, scale = jitable(rule.place), jitable(rule.scale)

        @forceinlined
        def recall(p, slots, j, now, last, s_before, thresholds):
            if now > 0:
                own = load(slots, j)
                p[j] = place(real(0), scale(own, s_before), own, s_before)

        return recall
    catch_up = make_catch_up(rule, "plain")

    @forceinlined
    def recall_by_steps(p, slots, j, now, last, s_before, thresholds):
        missed = missed_steps(now - last[j], thresholds[now] - thresholds[last[j]], 0.0)
        p[j] = catch_up(p[j], load(slots, j), (), missed, s_before)[0]

    return recall_by_steps


@cache
def make_online(rule: Any):
    """Compiled ``(loss, examples, order, scalars, thresholds, p, slots, last) -> mistakes``.

    Parameters of the compiled function
    -----------------------------------
    loss : see :class:`.switch.Chosen`
    scalars : (steps, scalars) float64, or (1, scalars) where they do not change
    thresholds : (steps + 1,) float64, sums of a*l1 before each step, and of all
    last : (features,) int64 zeros, of the steps that each weight has had
    """
    element = make_element(rule, "plain", False)
    step, store, load = element.step, element.slots.store, element.slots.load
    span, value_at, column, _, fetch_ahead = LAYOUTS["sparse"]
    recall, Scalars = _make_recall(rule), rule.Scalars

    @compiled
    def online(loss, examples, order, scalars, thresholds, p, slots, last):
        mistakes, row_of_last = 0, scalars.shape[0] - 1
        examples, order, scalars, thresholds, p, slots, last = borrowed(
            (examples, order, scalars, thresholds, p, slots, last)
        )
        before = unpack(Scalars, scalars[0])
        for now in range(order.size):
            fetch_ahead(examples, order, now)
            n, s = order[now], unpack(Scalars, scalars[min(now, row_of_last)])
            score, (start, stop) = 0.0, span(examples, n)
            for t in range(start, stop):
                j = column(examples, t)
                recall(p, slots, j, now, last, before, thresholds)
                last[j] = now
                score += value_at(examples, n, t) * p[j]
            mistakes += score * examples.labels[n] <= 0.0
            slope, _ = slope_of(loss, score, examples.labels[n])
            for t in range(start, stop):
                j = column(examples, t)
                p[j], new = step(p[j], slope * value_at(examples, n, t), load(slots, j), s)
                store(slots, j, new)
                last[j] = now + 1
            before = s
        for j in range(p.size):
            recall(p, slots, j, order.size, last, before, thresholds)
            last[j] = 0
        return mistakes

    return online
