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
from ..memory.headers import borrowed
from ..missed import make_with_scalars
from ..motion import slot_names
from .heads import Outputs, make_outputs
from .layouts import LAYOUTS, Layout
from .rates import Reading, make_reading, way_to_catch_up
from .row_weights import CatchUp, RowSteps, make_catch_up_rows, make_prefetch_next, make_steps_in_place, prefetch_none
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


class Pieces(NamedTuple):
    """The pieces that loops over examples are made of."""

    real: Any
    rows: Layout
    outputs: Outputs
    next_row: Any  # (examples, order, i, weights, work) -> n: order[i]; rows to come are prefetched
    catch_up: CatchUp
    in_place: RowSteps
    row_steps: RowSteps  # the same, or a faster form with the same results
    reading: Reading
    intercept: _Intercept
    weigh: Any  # (examples, n, slope) -> slope, multiplied by the importance of example n if examples are weighed
    tell: Any  # (loss, score, label, parts): the number that the loop adds up, a loss or a count of mistakes
    told: Any  # (examples, n, number) -> the number, multiplied by that importance
    implicit: Any  # (s, s_intercept, loss, z, examples, n, slope, weighed, weights, intercept, work) -> s, s_intercept


class _Intercept(NamedTuple):
    """Compilable steps of the intercept, or nothing where it is to stay 0."""

    step: Any  # (intercept, slope, s)
    ahead: Any  # (intercept, slope, moved, s) -> moved, to which what `step` would add to the score is added
    add: Any  # (gradient, slope)
    step_with: Any  # (intercept, gradient, s)


def _make_intercept(real, outputs: Outputs) -> _Intercept:
    step, ahead, add, step_with = outputs.step, outputs.ahead, outputs.add, outputs.step_with
    return _Intercept(
        forceinlined(lambda intercept, slope, s: step(intercept, 0, real(1), slope, s)),
        forceinlined(lambda intercept, slope, moved, s: ahead(intercept, 0, real(1), slope, moved, s)),
        forceinlined(lambda gradient, slope: add(gradient, 0, real(1), slope)),
        forceinlined(lambda intercept, gradient, s: step_with(intercept, 0, gradient, s)),
    )


NO_INTERCEPT = _Intercept(
    forceinlined(lambda intercept, slope, s: None),
    forceinlined(lambda intercept, slope, moved, s: moved),
    forceinlined(lambda gradient, slope: None),
    forceinlined(lambda intercept, gradient, s: None),
)


@forceinlined
def _mistake(loss, score, label, parts):
    """1 where the sign of a score is not that of a label -1 or 1; a score of 0 is a mistake."""
    return 1.0 if score * label <= 0.0 else 0.0


@forceinlined
def _as_it_is(examples, n, what):
    return what


@forceinlined
def _share(examples, n, what):
    return examples.importance[n] * what


def _make_weigh(outputs: Outputs):
    weigh = outputs.weigh
    return forceinlined(lambda examples, n, slope: weigh(slope, examples.importance[n]))


def _make_tell(outputs: Outputs, mistakes: bool):
    value = outputs.value
    return _mistake if mistakes else forceinlined(lambda loss, score, label, parts: value(loss, parts))


@forceinlined
def _explicit(s, s_intercept, loss, z, examples, n, slope, weighed, weights, intercept, work):
    return s, s_intercept


def _make_implicit(Scalars, real, outputs: Outputs, row_steps: RowSteps, ahead_of_intercept):
    """The scalars of an implicit step: the learning rate is multiplied by the share of the explicit step to be made.

    All features, and the intercept, make the same share of their steps.
    """
    ahead_of_row, share_of_step = row_steps.ahead, outputs.share
    at_rate = make_with_scalars(Scalars, learning_rate=lambda s, share: s.learning_rate * real(share))

    @forceinlined
    def implicit(s, s_intercept, loss, z, examples, n, slope, weighed, weights, intercept, work):
        moved = ahead_of_row(examples, n, weights, weighed, s, work)
        moved = ahead_of_intercept(intercept, weighed, moved, s_intercept)
        share = share_of_step(loss, z, examples.labels[n], slope, moved, work)
        return at_rate(s, share), at_rate(s_intercept, share)

    return implicit


def make_loops(
    rule,
    motion: str,
    lean: bool,
    layout: str,
    classes: bool,
    exact: bool,
    dtype: np.dtype,
    *,
    timed: bool = False,
    intercept: bool = True,
    mistakes: bool = False,
    weighed: bool = False,
    implicit: bool = False,
) -> Loops:
    """Loops for one form of a method and one variant.

    Parameters
    ----------
    exact : bool
        Whether a feature catches up on the steps that it missed.
    timed : bool
        Whether each step has its own scalars, `rates` being `RatesOfSteps`.
    intercept : bool
        Whether the model has an intercept; if not, the number in its place stays as it is.
    mistakes : bool
        Whether wrong signs are counted, in the place of the sum of the losses.
    weighed : bool
        Whether examples have an importance, a factor of their slopes and of the numbers that are added up.
    implicit : bool
        Whether the online loop makes implicit steps (:mod:`.implicit`), for a rule with the trait `along_gradient`.
    """
    return _make_loops(rule, motion, lean, layout, classes, exact, dtype, timed, intercept, mistakes, weighed, implicit)


@cache  # here and not on `make_loops`: the same arguments in another order, or by keyword, would be another key
def _make_loops(*variant) -> Loops:
    pieces = make_pieces(*variant)
    return Loops(_make_online(pieces), _make_batches(pieces))


def make_pieces(
    rule, motion, lean, layout, classes, exact, dtype, timed, intercept, mistakes, weighed, implicit
) -> Pieces:
    """The pieces of one variant; the arguments are those of `make_loops`."""
    way = way_to_catch_up(rule, exact, timed)
    element, rows, real = make_element(rule, motion, lean), LAYOUTS[layout], dtype.type
    outputs, score = make_outputs(rule, motion, element, real, classes), make_score(rows, real, classes)
    sparse, prefetch_row = layout == "sparse", rows.prefetch_row
    gathers = sparse and not classes and way in ("not", "alike")
    slots_apart = sparse and classes and len(slot_names(rule, motion)) > 0
    counts = way in ("alike", "sums")
    prefetch_next = make_prefetch_next(rows, slots_apart, counts) if sparse else prefetch_none
    catch_up = make_catch_up_rows(rows, outputs.catch_up, way)
    in_place = make_steps_in_place(rows, catch_up.row, score, outputs)
    row_steps = make_gathered_steps(rule, motion, rows, element, exact, dtype) if gathers else in_place

    of_intercept = _make_intercept(real, outputs) if intercept else NO_INTERCEPT

    @forceinlined
    def next_row(examples, order, i, weights, work):
        prefetch_row(examples, order, i)
        prefetch_next(examples, order, i, weights, work.last)
        return order[i]

    return Pieces(
        real,
        rows,
        outputs,
        next_row,
        catch_up,
        in_place,
        row_steps,
        make_reading(rule.Scalars, timed, way),
        of_intercept,
        _make_weigh(outputs) if weighed else _as_it_is,
        _make_tell(outputs, mistakes),
        _share if weighed else _as_it_is,
        _make_implicit(rule.Scalars, real, outputs, row_steps, of_intercept.ahead) if implicit else _explicit,
    )


def _make_online(pieces: Pieces):
    real, slope_of, weigh, tell, told = pieces.real, pieces.outputs.slope, pieces.weigh, pieces.tell, pieces.told
    begin, at, end = pieces.reading
    step_intercept = pieces.intercept.step
    next_row, (score_row, step_row, _), catch_up_all = pieces.next_row, pieces.row_steps, pieces.catch_up.all
    implicit = pieces.implicit

    @compiled
    def online(loss, examples, order, weights, intercept, rates, work):
        examples, order, weights, intercept, rates, work = borrowed((examples, order, weights, intercept, rates, work))
        scalars = begin(rates)
        total = 0.0
        for i in range(order.size):
            scalars = at(rates, i, scalars)
            s, s_intercept, s_missed = scalars
            n = next_row(examples, order, i, weights, work)
            z = score_row(examples, n, i, weights, intercept, work, s_missed)
            slope, parts = slope_of(loss, z, examples.labels[n], real(1), work)
            weighed = weigh(examples, n, slope)
            s, s_intercept = implicit(s, s_intercept, loss, z, examples, n, slope, weighed, weights, intercept, work)
            step_row(examples, n, weights, weighed, s, work)
            step_intercept(intercept, weighed, s_intercept)
            total += told(examples, n, tell(loss, z, examples.labels[n], parts))
        catch_up_all(order.size, weights, work.last, end(rates, order.size, scalars))
        return total

    return online


def make_add_up(pieces: Pieces):
    """Compilable ``(total, loss, examples, order, start, stop, size, step, weights, intercept, s, work)``.

    It scores examples ``order[start:stop]`` of a batch of `size`, with weights as of a step of the call, and adds their
    slopes up in the gradient of `work`; `s` are the scalars to catch up with. It returns the total with their losses.
    """
    real, slope_of, weigh, tell, told = pieces.real, pieces.outputs.slope, pieces.weigh, pieces.tell, pieces.told
    span, value_at, column, add = pieces.rows.span, pieces.rows.value, pieces.rows.column, pieces.outputs.add
    next_row, score_row, add_to_intercept = pieces.next_row, pieces.in_place.score, pieces.intercept.add

    @forceinlined
    def add_row(examples, n, work, slope):
        start, stop = span(examples, n)
        for t in range(start, stop):
            add(work.gradient, column(examples, t), value_at(examples, n, t), slope)
        add_to_intercept(work.intercept_gradient, slope)

    @forceinlined
    def add_up(total, loss, examples, order, start, stop, size, step, weights, intercept, s, work):
        for i in range(start, stop):
            n = next_row(examples, order, i, weights, work)
            z = score_row(examples, n, step, weights, intercept, work, s)
            slope, parts = slope_of(loss, z, examples.labels[n], real(size), work)
            add_row(examples, n, work, weigh(examples, n, slope))
            total += told(examples, n, tell(loss, z, examples.labels[n], parts))
        return total

    return add_up


def _make_batches(pieces: Pieces):
    begin, at, end = pieces.reading
    step_with, added = pieces.outputs.step_with, pieces.outputs.added
    span, column = pieces.rows.span, pieces.rows.column
    add_up, catch_up_all, step_intercept_with = make_add_up(pieces), pieces.catch_up.all, pieces.intercept.step_with

    @forceinlined
    def step_row(examples, n, weights, work, s):
        start, stop = span(examples, n)
        for t in range(start, stop):
            j = column(examples, t)
            if added(work.gradient, j):  # else an earlier row of the batch has j as well, and has stepped its weight
                step_with(weights, j, work.gradient, s)

    @compiled
    def batches(size, sweep, loss, examples, order, weights, intercept, rates, work):
        examples, order, weights, intercept, rates, work = borrowed((examples, order, weights, intercept, rates, work))
        scalars = begin(rates)
        total, steps = 0.0, 0
        for start in range(0, order.size, size):
            stop = min(start + size, order.size)
            scalars = at(rates, steps, scalars)
            s, s_intercept, s_missed = scalars
            total = add_up(
                total, loss, examples, order, start, stop, stop - start, steps, weights, intercept, s_missed, work
            )
            if sweep:
                for j in range(len(weights.p)):
                    step_with(weights, j, work.gradient, s)
            else:
                for i in range(start, stop):
                    step_row(examples, order[i], weights, work, s)
            step_intercept_with(intercept, work.intercept_gradient, s_intercept)
            steps += 1
        catch_up_all(steps, weights, work.last, end(rates, steps, scalars))
        return total

    return batches
