"""The weights of an example's features: they are prefetched, caught up, scored and stepped."""

from __future__ import annotations

from typing import NamedTuple

from ..jit import forceinlined
from ..memory.prefetch import NEAR_WEIGHTS, prefetch
from ..missed import missed_alike, missed_steps
from .heads import Outputs
from .layouts import Layout


class RowSteps(NamedTuple):
    """Compilable score of a row, and steps of all its weights."""

    score: object  # (examples, n, now, weights, intercept, work, s): with its weights as of step `now`
    step: object  # (examples, n, weights, slope, s, work), after `score` and before any other row
    ahead: object  # (examples, n, weights, slope, s, work), between them: the move of the score that `step` would make


def make_steps_in_place(layout: Layout, catch_up_row, score, outputs: Outputs) -> RowSteps:
    """Steps of one feature after the other."""
    step, begin_ahead, ahead = outputs.step, outputs.begin_ahead, outputs.ahead
    span, value_at, column = layout.span, layout.value, layout.column

    @forceinlined
    def score_row(x, n, now, w, intercept, work, s):
        catch_up_row(x, n, now, w, work.last, s)
        return score(x, n, w.p, intercept.p, work.scores)

    @forceinlined
    def step_row(x, n, w, slope, s, work):
        start, stop = span(x, n)
        for t in range(start, stop):
            step(w, column(x, t), value_at(x, n, t), slope, s)

    @forceinlined
    def ahead_of_row(x, n, w, slope, s, work):
        moved, (start, stop) = begin_ahead(work), span(x, n)
        for t in range(start, stop):
            moved = ahead(w, column(x, t), value_at(x, n, t), slope, moved, s)
        return moved

    return RowSteps(score_row, step_row, ahead_of_row)


prefetch_none = forceinlined(lambda x, order, i, w, last: None)


def make_prefetch_next(layout: Layout, slots_apart: bool, exact: bool):
    """Compilable ``(examples, order, i, weights, last)``: prefetch the weights of the example after the i-th.

    Those of a small model are not prefetched, as the nearest caches hold them anyway.
    """
    span, column = layout.span, layout.column

    @forceinlined
    def prefetch_next(x, order, i, w, last):
        if w.p.size > NEAR_WEIGHTS and i + 1 < order.size:
            start, stop = span(x, order[i + 1])
            for t in range(start, stop):
                prefetch(w.p, column(x, t))
                if slots_apart:
                    prefetch(w.slots[0], column(x, t))
                if exact:
                    prefetch(last, column(x, t))

    return prefetch_next


class CatchUp(NamedTuple):
    """Compilable ways to catch weights up to the state before step `now`.

    There is no branch on whether a feature has missed a step: an example mixes features of every example with some not
    seen for long, so that the processor could not predict it. Catching up with 0 steps changes nothing.
    """

    row: object  # (examples, n, now, weights, last, s): the features of row n
    one: object  # (j, now, weights, last, s): feature j, which may be caught up already
    all: object  # (now, weights, last, s): every feature; their counts of steps then start from 0 again


NO_CATCH_UP = CatchUp(
    forceinlined(lambda x, n, now, w, last, s: None),
    forceinlined(lambda j, now, w, last, s: None),
    forceinlined(lambda now, w, last, s: None),
)


@forceinlined
def _missed_by_sums(since, now, s):
    """What was missed since a step, where each step had its own rate, and the scalars; `s` is (scalars, sums)."""
    since, sums = min(since, now), s[1]
    return missed_steps(now - since, sums[now, 0] - sums[since, 0], sums[now, 1] - sums[since, 1]), s[0]


@forceinlined
def _missed_alike(since, now, s):
    return missed_alike(max(now - since, 0), s), s


def make_catch_up_rows(layout: Layout, catch_up, way: str) -> CatchUp:
    """Catching weights up in one of the ways of :func:`.rates.way_to_catch_up`."""
    if way == "not":
        return NO_CATCH_UP
    if way == "place":
        return _make_catch_up_by_place(layout, catch_up)
    span, column = layout.span, layout.column
    missed = _missed_by_sums if way == "sums" else _missed_alike

    @forceinlined
    def catch_up_to(j, now, next_, w, last, s):
        steps, scalars = missed(last[j], now, s)
        catch_up(w, j, steps, scalars)
        last[j] = next_

    @forceinlined
    def catch_up_one(j, now, w, last, s):
        catch_up_to(j, now, now + 1, w, last, s)

    @forceinlined
    def catch_up_row(x, n, now, w, last, s):
        start, stop = span(x, n)
        for t in range(start, stop):
            catch_up_to(column(x, t), now, now + 1, w, last, s)

    @forceinlined
    def catch_up_all(now, w, last, s):
        for j in range(last.size):
            catch_up_to(j, now, 0, w, last, s)

    return CatchUp(catch_up_row, catch_up_one, catch_up_all)


def _make_catch_up_by_place(layout: Layout, catch_up) -> CatchUp:
    """Weights that follow from their slots are placed anew, whether they have missed a step or not."""
    span, column = layout.span, layout.column

    @forceinlined
    def catch_up_one(j, now, w, last, s):
        catch_up(w, j, None, s)

    @forceinlined
    def catch_up_row(x, n, now, w, last, s):
        start, stop = span(x, n)
        for t in range(start, stop):
            catch_up(w, column(x, t), None, s)

    @forceinlined
    def catch_up_all(now, w, last, s):
        for j in range(len(w.p)):
            catch_up(w, j, None, s)

    return CatchUp(catch_up_row, catch_up_one, catch_up_all)
