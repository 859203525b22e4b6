"""Training loops of linear models, fused with the update: the gradient of an example is never stored.

    score     s_n = b + sum_j w_j * x_nj
    gradient  g_j = sum_n slope(s_n)/B * x_nj      over the B examples of a batch, in their order

and then one step of :mod:`.element` for each weight, the batch's weights being those before the step.
With B = 1 (`online`) each g_j is formed where it is used; a larger batch sums them in one scratch array.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ..element import make_element
from ..jit import compiled, forceinlined
from ..memory.headers import borrowed, unpack
from .heads import Outputs, make_outputs
from .layouts import LAYOUTS, Layout
from .row_weights import NO_RECALL, RowSteps, ask_for_none, make_ask_for_next, make_recall, make_steps_in_place
from .scoring import make_score
from .sixteen import make_gathered_steps


class Loops(NamedTuple):
    """Compiled epochs over the examples in the order given; both return the sum of the losses before each update.

    ``online(loss, examples, order, weights, intercept, rates, work)`` steps after each example,
    ``batches(size, sweep, loss, ...)`` after each `size` of them; `sweep` steps every weight, not only
    those of the batch's features.
    """

    online: Any
    batches: Any


class _Pieces(NamedTuple):
    """What both loops are put together from."""

    real: Any
    rows: Layout
    outputs: Outputs
    next_row: Any  # (examples, order, i, weights, work) -> n: the i-th of the order
    recall_all: Any  # (now, weights, last, s)
    in_place: RowSteps
    row_steps: RowSteps  # the same, or faster
    scalars: Any  # (rates) -> those of features, of the intercept, and of features in float64


def _make_pieces(rule, motion: str, lean: bool, layout: str, classes: bool, exact: bool, dtype: np.dtype) -> _Pieces:
    element, rows, real = make_element(rule, motion, lean), LAYOUTS[layout], dtype.type
    outputs, score = make_outputs(rule, motion, element, real, classes), make_score(rows, real, classes)
    sparse, fetch_ahead = layout == "sparse", rows.fetch_ahead
    gathers = sparse and not classes
    ask_for_next = make_ask_for_next(rows, not gathers, exact) if sparse else ask_for_none
    recall, recall_all = make_recall(rows, outputs.catch_up) if exact else NO_RECALL
    in_place = make_steps_in_place(rows, recall, score, outputs.step)
    row_steps = make_gathered_steps(rule, motion, rows, element, exact, dtype) if gathers else in_place

    @forceinlined
    def next_row(examples, order, i, weights, work):
        fetch_ahead(examples, order, i)
        ask_for_next(examples, order, i, weights, work.last)
        return order[i]

    Scalars = rule.Scalars

    @forceinlined
    def scalars(rates):
        return unpack(Scalars, rates.features), unpack(Scalars, rates.intercept), unpack(Scalars, rates.exact)

    return _Pieces(real, rows, outputs, next_row, recall_all, in_place, row_steps, scalars)


def _make_online(pieces: _Pieces):
    real, scalars = pieces.real, pieces.scalars
    slope_of, value_of, step = pieces.outputs.slope, pieces.outputs.value, pieces.outputs.step
    next_row, (score_row, step_row), recall_all = pieces.next_row, pieces.row_steps, pieces.recall_all

    @compiled
    def online(loss, examples, order, weights, intercept, rates, work):
        s, s_intercept, s_exact = scalars(rates)
        examples, order, weights, intercept, work = borrowed((examples, order, weights, intercept, work))
        total = 0.0
        for i in range(order.size):
            n = next_row(examples, order, i, weights, work)
            z = score_row(examples, n, i, weights, intercept, work, s_exact)
            slope, parts = slope_of(loss, z, examples.labels[n], real(1), work)
            step_row(examples, n, weights, slope, s, work)
            step(intercept, 0, real(1), slope, s_intercept)
            total += value_of(loss, parts)
        recall_all(order.size, weights, work.last, s_exact)
        return total

    return online


def _make_batches(pieces: _Pieces):
    real, scalars = pieces.real, pieces.scalars
    slope_of, value_of = pieces.outputs.slope, pieces.outputs.value
    step_with, add, added = pieces.outputs.step_with, pieces.outputs.add, pieces.outputs.added
    span, value_at, column = pieces.rows.span, pieces.rows.value, pieces.rows.column
    next_row, score_row, recall_all = pieces.next_row, pieces.in_place.score, pieces.recall_all

    @forceinlined
    def add_row(examples, n, work, slope):
        start, stop = span(examples, n)
        for t in range(start, stop):
            add(work.gradient, column(examples, t), value_at(examples, n, t), slope)
        add(work.intercept_gradient, 0, real(1), slope)

    @forceinlined
    def step_row(examples, n, weights, work, s):
        start, stop = span(examples, n)
        for t in range(start, stop):
            j = column(examples, t)
            if added(work.gradient, j):  # else a row before had it, too
                step_with(weights, j, work.gradient, s)

    @compiled
    def batches(size, sweep, loss, examples, order, weights, intercept, rates, work):
        s, s_intercept, s_exact = scalars(rates)
        examples, order, weights, intercept, work = borrowed((examples, order, weights, intercept, work))
        total, steps = 0.0, 0
        for start in range(0, order.size, size):
            stop = min(start + size, order.size)
            for i in range(start, stop):
                n = next_row(examples, order, i, weights, work)
                z = score_row(examples, n, steps, weights, intercept, work, s_exact)
                slope, parts = slope_of(loss, z, examples.labels[n], real(stop - start), work)
                add_row(examples, n, work, slope)
                total += value_of(loss, parts)
            if sweep:
                for j in range(len(weights.p)):
                    step_with(weights, j, work.gradient, s)
            else:
                for i in range(start, stop):
                    step_row(examples, order[i], weights, work, s)
            step_with(intercept, 0, work.intercept_gradient, s_intercept)
            steps += 1
        recall_all(steps, weights, work.last, s_exact)
        return total

    return batches


@cache
def make_loops(rule, motion: str, lean: bool, layout: str, classes: bool, exact: bool, dtype: np.dtype) -> Loops:
    """Loops for one method and variant; `exact` ones let a feature catch up on the steps it missed."""
    pieces = _make_pieces(rule, motion, lean, layout, classes, exact, dtype)
    return Loops(_make_online(pieces), _make_batches(pieces))
