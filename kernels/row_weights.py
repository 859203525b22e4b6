"""The weights of an example's features: asked for ahead of use, brought up to date, and stepped.

One unit of a processor does roots and quotients, and does sixteen at once in hardly more time than one. So the
weights of a sparse row and their slots are gathered in groups of sixteen, stepped there, and scattered again.
That is done in memory of which the compiler cannot know that it holds no weight: otherwise it would gather with
the instructions for it, which wait for the row before to have been written.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from .element import Element
from .examples import Layout
from .jit import welded
from .lazy import missed_alike
from .prefetch import prefetch

ABREAST = 16  # weights
NEAR = 1 << 14  # weights that the nearest caches hold in any case
_ABREAST = np.uint64(ABREAST)  # mixed with a plain number an unsigned one would become float64


class RowSteps(NamedTuple):
    """Compilable score of a row, and steps of all its weights."""

    score: object  # (examples, n, weights, intercept, work)
    step: object  # (examples, n, weights, slope, s, work), after `score` and before any other row


def make_steps_in_place(layout: Layout, score, step) -> RowSteps:
    """Steps of one feature after the other."""
    span, value_at, column = layout.span, layout.value, layout.column

    @welded
    def score_row(x, n, w, intercept, work):
        return score(x, n, w.p, intercept.p, work.scores)

    @welded
    def step_row(x, n, w, slope, s, work):
        start, stop = span(x, n)
        for t in range(start, stop):
            step(w, column(x, t), value_at(x, n, t), slope, s)

    return RowSteps(score_row, step_row)


@cache
def _make_values(count: int, apart: np.uint64):
    """Compilable ``load(array, at)`` and ``store(array, at, values)`` of `count` values so many elements apart."""
    if count == 0:
        return welded(lambda array, at: ()), welded(lambda array, at, values: None)
    load_rest, store_rest = _make_values(count - 1, apart)

    @welded
    def load(array, at):
        return (array[at],) + load_rest(array, at + apart)

    @welded
    def store(array, at, values):
        array[at] = values[0]
        store_rest(array, at + apart, values[1:])

    return load, store


def room_for(features: int, slots: int) -> int:
    """Elements that the gathered weights of so many features take: a value, a weight and its slots for each."""
    return -(-features // ABREAST) * ABREAST * (2 + slots)


def make_gathered_steps(layout: Layout, element: Element, slots: int) -> RowSteps:
    """Steps of single weights, in groups; what belongs to a feature lies together, in `Weights.together`."""
    span, value_at, column, step = layout.span, layout.value, layout.column, element.step
    width, a_group = np.uint64(1 + slots), np.uint64(room_for(ABREAST, slots))
    load, store = _make_values(1 + slots, np.uint64(1))
    load_gathered, store_gathered = _make_values(1 + slots, _ABREAST)

    @welded
    def score_row(x, n, w, intercept, work):
        (first, stop), gathered, at = span(x, n), work.gathered, np.uint64(0)
        total = gathered.dtype.type(0)
        while first < stop:
            for k in range(min(_ABREAST, stop - first)):
                value, values = value_at(x, n, first + k), load(w.together, column(x, first + k) * width)
                gathered[at + k] = value
                store_gathered(gathered, at + _ABREAST + k, values)
                total += value * values[0]
            first += _ABREAST
            at += a_group
        return total + intercept.p[0]

    @welded
    def step_row(x, n, w, slope, s, work):
        (first, stop), gathered, at = span(x, n), work.gathered, np.uint64(0)
        room = np.uint64(gathered.size)  # a number known to be 16 would be written out as 16 single steps
        while first < stop:
            for k in range(min(_ABREAST, room)):  # those that the last group lacks are stepped too, and left
                values = load_gathered(gathered, at + _ABREAST + k)
                p, own = step(values[0], slope * gathered[at + k], values[1:], s)
                store_gathered(gathered, at + _ABREAST + k, (p,) + own)
            for k in range(min(_ABREAST, stop - first)):
                store(w.together, column(x, first + k) * width, load_gathered(gathered, at + _ABREAST + k))
            first += _ABREAST
            at += a_group

    return RowSteps(score_row, step_row)


ask_for_none = welded(lambda x, order, i, w, last: None)


def make_ask_for_next(layout: Layout, slots_apart: bool, exact: bool):
    """Compilable ``(examples, order, i, weights, last)``: ask for the weights of the example after the i-th.

    Of a small model they are at hand.
    """
    span, column = layout.span, layout.column

    @welded
    def ask_for_next(x, order, i, w, last):
        if w.p.size > NEAR and i + 1 < order.size:
            start, stop = span(x, order[i + 1])
            for t in range(start, stop):
                prefetch(w.p, column(x, t))
                if slots_apart:
                    prefetch(w.slots[0], column(x, t))
                if exact:
                    prefetch(last, column(x, t))

    return ask_for_next


class Recall(NamedTuple):
    """Compilable ways to bring weights up to the state before step `now`.

    Most features of most examples are either in every example or long unseen, so that whether one has missed a
    step is a branch that the processor cannot predict: missing none is a number of steps like another.
    """

    row: object  # (examples, n, now, weights, last, s): the features of row n
    all: object  # (now, weights, last, s): every feature, which then starts to count from 0


NO_RECALL = Recall(welded(lambda x, n, now, w, last, s: None), welded(lambda now, w, last, s: None))


def make_recall(layout: Layout, catch_up) -> Recall:
    span, column = layout.span, layout.column

    @welded
    def recall_one(j, now, next_, w, last, s):
        catch_up(w, j, missed_alike(max(now - last[j], 0), s), s)
        last[j] = next_

    @welded
    def recall_row(x, n, now, w, last, s):
        start, stop = span(x, n)
        for t in range(start, stop):
            recall_one(column(x, t), now, now + 1, w, last, s)

    @welded
    def recall_all(now, w, last, s):
        for j in range(last.size):
            recall_one(j, now, 0, w, last, s)

    return Recall(recall_row, recall_all)
