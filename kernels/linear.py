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

from .element import Element, make_element
from .examples import LAYOUTS, Layout
from .jit import compiled, welded
from .lazy import make_catch_up, missed_alike
from .losses import pointwise, softmax
from .memory import borrowed, unpack
from .motion import SLOTS
from .prefetch import prefetch
from .scoring import make_score
from .slots import make_behind, make_first, make_slots

AHEAD = 48  # columns, across examples


class Weights(NamedTuple):
    """Weights (features,) or (features, classes) and their slots; the intercept's are those of one feature."""

    p: np.ndarray
    slots: tuple


class Rates(NamedTuple):
    """Rows of the rule's scalars."""

    features: np.ndarray  # in the weights' dtype, as all arithmetic of a step
    intercept: np.ndarray
    exact: np.ndarray  # of the features in float64, to catch up with


class Work(NamedTuple):
    """Scratch arrays, allocated once for many epochs; all zero between calls, except slopes."""

    scores: np.ndarray  # (classes,)
    slopes: np.ndarray  # (classes,) float64
    gradient: np.ndarray  # of a batch, shaped as the weights
    intercept_gradient: np.ndarray
    touched: np.ndarray  # columns of the batch so far
    seen: np.ndarray  # (features,) whether it is among them
    last: np.ndarray  # (features,) steps in this epoch that it has had


def make_work(weights: Weights, *, batch: bool, sweep: bool, exact: bool) -> Work:
    """Scratch for one way of training: by `batch`, which may `sweep` over all features; `exact` loops."""
    p = weights.p
    classes = p.shape[1] if p.ndim == 2 else 1
    features = len(p)
    return Work(
        np.zeros(classes, p.dtype),
        np.zeros(classes),
        np.zeros(p.shape if batch else (0, *p.shape[1:]), p.dtype),
        np.zeros((1, *p.shape[1:]), p.dtype),
        np.zeros(features if batch and not sweep else 0, np.int64),
        np.zeros(features if batch and not sweep else 0, np.bool_),
        np.zeros(features if exact else 0, np.int64),
    )


class Outputs(NamedTuple):
    """Compilable treatment of one output or of several.

    A slope is a number or, for several, the array work.scores.
    """

    slope: object  # (kind, score, label, share, work) -> loss, slope of the batch's mean loss
    step: object  # (weights, j, x, slope, s): step weight j, or its row, with gradient slope * x
    step_with: object  # (weights, j, gradient, s): the same with gradient[j], which becomes 0
    add: object  # (gradient, j, x, slope)
    catch_up: object  # (weights, j, missed, s)


def _make_element_step(element: Element):
    step_of, load, store = element.step, element.slots.load, element.slots.store

    @welded
    def step(p, slots, i, g, s):
        p_i, slots_i = step_of(p[i], g, load(slots, i), s)
        p[i] = p_i
        store(slots, i, slots_i)

    return step


def _make_element_catch_up(rule, motion, element: Element):
    catch_up, count, load = make_catch_up(rule, motion), len(rule.slots), element.slots.load
    own_of, moved_of, store = make_first(count), make_behind(count), make_slots(len(SLOTS[motion])).store

    @welded
    def element_catch_up(p, slots, i, missed, s):
        values = load(slots, i)
        p_i, moved = catch_up(p[i], own_of(values), moved_of(values), missed, s)
        p[i] = p_i
        store(moved_of(slots), i, moved)

    return element_catch_up


def _make_one_output(real, step_element, catch_up_element) -> Outputs:
    def slope(kind, score, label, share, work):
        value, derivative = pointwise(kind, score, label)
        return value, real(derivative) / share

    def step(w, j, x, slope, s):
        step_element(w.p, w.slots, j, slope * x, s)

    def step_with(w, j, gradient, s):
        step_element(w.p, w.slots, j, gradient[j], s)
        gradient[j] = real(0)

    def add(gradient, j, x, slope):
        gradient[j] += slope * x

    def catch_up(w, j, missed, s):
        catch_up_element(w.p, w.slots, j, missed, s)

    return Outputs(*map(welded, (slope, step, step_with, add, catch_up)))


def _make_many_outputs(real, step_element, catch_up_element) -> Outputs:
    def slope(kind, scores, label, share, work):
        value = softmax(scores, np.int64(label), work.slopes)
        for k in range(scores.size):
            scores[k] = real(work.slopes[k]) / share
        return value, scores

    def step(w, j, x, slopes, s):
        for k in range(slopes.size):
            step_element(w.p, w.slots, (j, k), slopes[k] * x, s)

    def step_with(w, j, gradient, s):
        for k in range(gradient.shape[1]):
            step_element(w.p, w.slots, (j, k), gradient[j, k], s)
            gradient[j, k] = real(0)

    def add(gradient, j, x, slopes):
        for k in range(slopes.size):
            gradient[j, k] += slopes[k] * x

    def catch_up(w, j, missed, s):
        for k in range(w.p.shape[1]):
            catch_up_element(w.p, w.slots, (j, k), missed, s)

    return Outputs(*map(welded, (slope, step, step_with, add, catch_up)))


class _Recall(NamedTuple):
    """Compilable ways to bring weights up to the state before step `now`, and to have them at hand by then.

    Most features of most examples are either in every example or long unseen, so that whether one has missed a
    step is a branch that the processor cannot predict: missing none is a number of steps like another.
    """

    begin: object  # (examples, order, w, last) -> cursor
    row: object  # (examples, n, order, cursor, now, w, last, s) -> cursor: the features of row n
    all: object  # (now, w, last, s): every feature, which then starts to count from 0


def _make_recall(layout: Layout, outputs: Outputs) -> _Recall:
    span, column, catch_up = layout.span, layout.column, outputs.catch_up

    @welded
    def fetch_next(x, order, cursor, w, last):
        """Ask for the weight at `cursor`, place, t and end of a row of `order`, and move on to the next."""
        at, t, stop = cursor
        while t == stop:
            at += 1
            if at >= order.size:
                return at, t, stop
            first, end = span(x, order[at])
            t, stop = np.int64(first), np.int64(end)
        j = column(x, t)
        prefetch(last, j)
        prefetch(w.p, j)
        prefetch(w.slots[0], j)
        return at, t + 1, stop

    @welded
    def begin(x, order, w, last):
        cursor = (-1, 0, 0)
        for _ in range(AHEAD):
            cursor = fetch_next(x, order, cursor, w, last)
        return cursor

    @welded
    def recall_one(j, now, next_, w, last, s):
        catch_up(w, j, missed_alike(max(now - last[j], 0), s), s)
        last[j] = next_

    @welded
    def recall_row(x, n, order, cursor, now, w, last, s):
        start, stop = span(x, n)
        for t in range(start, stop):
            cursor = fetch_next(x, order, cursor, w, last)
            recall_one(column(x, t), now, now + 1, w, last, s)
        return cursor

    @welded
    def recall_all(now, w, last, s):
        for j in range(last.size):
            recall_one(j, now, 0, w, last, s)

    return _Recall(begin, recall_row, recall_all)


@welded
def _begin_nothing(x, order, w, last):
    return None


@welded
def _recall_nothing(x, n, order, cursor, now, w, last, s):
    return None


@welded
def _recall_nothing_at_all(now, w, last, s):
    pass


_NO_RECALL = _Recall(_begin_nothing, _recall_nothing, _recall_nothing_at_all)


class Loops(NamedTuple):
    """Compiled epochs over the examples in the order given; both return the sum of the losses before each update.

    ``online(kind, examples, order, weights, intercept, rates, work)`` steps after each example,
    ``batches(size, sweep, kind, ...)`` after each `size` of them; `sweep` steps every weight, not only
    those of the batch's features.
    """

    online: Any
    batches: Any


@cache
def make_loops(rule, motion: str, lean: bool, layout: str, classes: bool, exact: bool, dtype: np.dtype) -> Loops:
    """Loops for one method and variant; `exact` ones let a feature catch up on the steps it missed."""
    element = make_element(rule, motion, lean)
    real, version, Scalars = dtype.type, element.fingerprint, rule.Scalars
    span, value_at, column, _, fetch_ahead = LAYOUTS[layout]
    score = make_score(LAYOUTS[layout], real, classes)
    pieces = (real, _make_element_step(element), _make_element_catch_up(rule, motion, element))
    outputs = _make_many_outputs(*pieces) if classes else _make_one_output(*pieces)
    slope_of, step, step_with, add, _ = outputs
    begin, recall, recall_all = _make_recall(LAYOUTS[layout], outputs) if exact else _NO_RECALL

    @compiled
    def online(kind, examples, order, weights, intercept, rates, work):
        version  # noqa: B018  part of the key of the disk cache
        s, s_intercept = unpack(Scalars, rates.features), unpack(Scalars, rates.intercept)
        s_exact = unpack(Scalars, rates.exact)
        examples, order, weights, intercept, work = borrowed((examples, order, weights, intercept, work))
        total, cursor = 0.0, begin(examples, order, weights, work.last)
        for i in range(order.size):
            fetch_ahead(examples, order, i)
            n = order[i]
            cursor = recall(examples, n, order, cursor, i, weights, work.last, s_exact)
            z = score(examples, n, weights.p, intercept.p, work.scores)
            value, slope = slope_of(kind, z, examples.labels[n], real(1), work)
            total += value
            start, stop = span(examples, n)
            for t in range(start, stop):
                step(weights, column(examples, t), value_at(examples, n, t), slope, s)
            step(intercept, 0, real(1), slope, s_intercept)
        recall_all(order.size, weights, work.last, s_exact)
        return total

    @welded
    def note_touched(examples, n, work, count):
        start, stop = span(examples, n)
        for t in range(start, stop):
            j = column(examples, t)
            if not work.seen[j]:
                work.seen[j] = True
                work.touched[count] = j
                count += 1
        return count

    @welded
    def step_touched(weights, work, count, s):
        for c in range(count):
            j = work.touched[c]
            step_with(weights, j, work.gradient, s)
            work.seen[j] = False

    @compiled
    def batches(size, sweep, kind, examples, order, weights, intercept, rates, work):
        version  # noqa: B018  part of the key of the disk cache
        s, s_intercept = unpack(Scalars, rates.features), unpack(Scalars, rates.intercept)
        s_exact = unpack(Scalars, rates.exact)
        examples, order, weights, intercept, work = borrowed((examples, order, weights, intercept, work))
        total, steps, cursor = 0.0, 0, begin(examples, order, weights, work.last)
        for start in range(0, order.size, size):
            stop = min(start + size, order.size)
            count = 0
            for i in range(start, stop):
                fetch_ahead(examples, order, i)
                n = order[i]
                cursor = recall(examples, n, order, cursor, steps, weights, work.last, s_exact)
                z = score(examples, n, weights.p, intercept.p, work.scores)
                value, slope = slope_of(kind, z, examples.labels[n], real(stop - start), work)
                total += value
                if not sweep:
                    count = note_touched(examples, n, work, count)
                first, last = span(examples, n)
                for t in range(first, last):
                    add(work.gradient, column(examples, t), value_at(examples, n, t), slope)
                add(work.intercept_gradient, 0, real(1), slope)
            if sweep:
                for j in range(len(weights.p)):
                    step_with(weights, j, work.gradient, s)
            else:
                step_touched(weights, work, count, s)
            step_with(intercept, 0, work.intercept_gradient, s_intercept)
            steps += 1
        recall_all(steps, weights, work.last, s_exact)
        return total

    return Loops(online, batches)
