"""The loop over batches, cut where processes exchange what they have summed, each of its share of a batch's examples.

    share     a process scores its examples and sums their gradient, of which it then takes the sums out
    step      each process adds the sums of all processes, in their order, and steps all of its weights alike

So all processes have the same weights and slots, to the bit. Sums go as a list of columns with a sum for each (a row of
sums where there are several outputs). The sum of the intercept goes with them, as of the column after the last.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from ..jit import compiled
from ..memory.headers import borrowed
from .passes import Pieces, make_add_up, make_pieces


class Shares(NamedTuple):
    """Compiled parts of the loop over batches; `now` is a step of the call, counted from 0.

    ``score(now, size, loss, examples, order, weights, intercept, rates, work)`` returns the sum of the losses of
    examples `order`, a share of a batch of `size`, and leaves their gradient in `work`. Then either
    ``take(examples, order, weights, columns, sums, work)`` takes it out, and returns how many columns it has, and
    ``step(now, columns, sums, weights, intercept, rates, work)`` steps what the sums of all processes name; or
    ``sweep(now, weights, intercept, rates, work)`` steps all weights by the gradient in `work`. At last
    ``end(steps, weights, rates, work)`` catches all features up, after so many steps.
    """

    score: Any
    take: Any
    step: Any
    sweep: Any
    end: Any


def make_shares(
    rule,
    motion: str,
    lean: bool,
    layout: str,
    classes: bool,
    exact: bool,
    dtype,
    *,
    timed: bool = False,
    intercept: bool = True,
    weighed: bool = False,
) -> Shares:
    """The parts of one variant; the arguments are those of :func:`.passes.make_loops`."""
    return _make_shares(rule, motion, lean, layout, classes, exact, dtype, timed, intercept, weighed)


@cache
def _make_shares(rule, motion, lean, layout, classes, exact, dtype, timed, intercept, weighed) -> Shares:
    variant = rule, motion, lean, layout, classes, exact, dtype, timed, intercept
    pieces = make_pieces(*variant, mistakes=False, weighed=weighed, implicit=False)
    return Shares(_make_score(pieces), _make_take(pieces), _make_step(pieces), _make_sweep(pieces), _make_end(pieces))


def _make_score(pieces: Pieces):
    begin, at, _ = pieces.reading
    add_up = make_add_up(pieces)

    @compiled
    def score(now, size, loss, examples, order, weights, intercept, rates, work):
        examples, order, weights, intercept, rates, work = borrowed((examples, order, weights, intercept, rates, work))
        _, _, s = at(rates, now, begin(rates))
        return add_up(0.0, loss, examples, order, 0, order.size, size, now, weights, intercept, s, work)

    return score


def _make_take(pieces: Pieces):
    span, column, added, take_sum = pieces.rows.span, pieces.rows.column, pieces.outputs.added, pieces.outputs.take

    @compiled
    def take(examples, order, weights, columns, sums, work):
        examples, order, weights, columns, sums, work = borrowed((examples, order, weights, columns, sums, work))
        count = 0
        for i in range(order.size):
            start, stop = span(examples, order[i])
            for t in range(start, stop):
                j = column(examples, t)
                if added(work.gradient, j):  # else an earlier row of the share has j as well
                    columns[count] = j
                    take_sum(work.gradient, j, sums, count)
                    count += 1
        columns[count] = len(weights.p)
        take_sum(work.intercept_gradient, 0, sums, count)
        return count + 1

    return take


def _make_step(pieces: Pieces):
    real, (begin, at, _) = pieces.real, pieces.reading
    add, added, step_with = pieces.outputs.add, pieces.outputs.added, pieces.outputs.step_with
    catch_up_one, intercept_of = pieces.catch_up.one, pieces.intercept
    add_to_intercept, step_intercept_with = intercept_of.add, intercept_of.step_with

    @compiled
    def step(now, columns, sums, weights, intercept, rates, work):
        columns, sums, weights, intercept, rates, work = borrowed((columns, sums, weights, intercept, rates, work))
        s, s_intercept, s_missed = at(rates, now, begin(rates))
        features = len(weights.p)
        for i in range(columns.size):
            if columns[i] < features:
                add(work.gradient, columns[i], real(1), sums[i])
            else:
                add_to_intercept(work.intercept_gradient, sums[i])
        for i in range(columns.size):
            j = columns[i]
            if j < features and added(work.gradient, j):  # else another process has named it, too
                catch_up_one(j, now, weights, work.last, s_missed)
                step_with(weights, j, work.gradient, s)
        step_intercept_with(intercept, work.intercept_gradient, s_intercept)

    return step


def _make_sweep(pieces: Pieces):
    begin, at, _ = pieces.reading
    step_with, step_intercept_with = pieces.outputs.step_with, pieces.intercept.step_with

    @compiled
    def sweep(now, weights, intercept, rates, work):
        weights, intercept, rates, work = borrowed((weights, intercept, rates, work))
        s, s_intercept, _ = at(rates, now, begin(rates))
        for j in range(len(weights.p)):
            step_with(weights, j, work.gradient, s)
        step_intercept_with(intercept, work.intercept_gradient, s_intercept)

    return sweep


def _make_end(pieces: Pieces):
    begin, _, catching_up_at_end = pieces.reading
    catch_up_all = pieces.catch_up.all

    @compiled
    def end(steps, weights, rates, work):
        weights, rates, work = borrowed((weights, rates, work))
        catch_up_all(steps, weights, work.last, catching_up_at_end(rates, steps, begin(rates)))

    return end
