"""Weights of a sparse row in groups of sixteen: gathered, brought up to date, stepped, and scattered again.

One unit of a processor does roots and quotients, and does sixteen at once in hardly more time than one. They are done
in memory of which the compiler cannot know that it holds no weight: otherwise it would gather with the instructions
for it, which wait for the row before to have been written.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from .element import Element
from .examples import Layout
from .jit import welded
from .lazy import make_by_l1_alone, make_catch_up, missed_alike
from .motion import slot_names
from .row_weights import RowSteps
from .slots import make_behind, make_first

ABREAST = 16  # weights
# Mixed with a plain number an unsigned one would become float64. Each is one object, which the disk cache tells apart
# from another like it.
_ABREAST, _ONE = np.uint64(ABREAST), np.uint64(1)


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


def whole_groups(features: int) -> int:
    """So many features, and those that the last group lacks."""
    return -(-features // ABREAST) * ABREAST


def room_for(features: int, slots: int) -> int:
    """Elements that the gathered weights of so many features take: a value, a weight and its slots for each."""
    return whole_groups(features) * (2 + slots)


def _make_caught_up(rule: Any, motion: str, real: Any):
    """Compilable ``(values, steps, s)``: a weight and its slots after missed steps."""
    catch_up, n = make_catch_up(rule, motion), len(rule.slots)
    own_of, moved_of = make_first(1 + n), make_behind(1 + n)

    @welded
    def caught_up(values, steps, s):
        own = own_of(values)
        p, moved = catch_up(own[0], own[1:], moved_of(values), missed_alike(steps, s), s)
        return (real(p),) + own[1:] + moved

    return caught_up


def make_gathered_steps(
    rule: Any, motion: str, layout: Layout, element: Element, exact: bool, dtype: np.dtype
) -> RowSteps:
    """Steps of single weights; what belongs to a feature lies together, in `Weights.together`."""
    span, value_at, column, step = layout.span, layout.value, layout.column, element.step
    slots = len(slot_names(rule, motion))
    width, a_group = np.uint64(1 + slots), np.uint64(room_for(ABREAST, slots))
    load, store = _make_values(1 + slots, _ONE)
    load_gathered, store_gathered = _make_values(1 + slots, _ABREAST)
    caught_up, by_l1_alone = _make_caught_up(rule, motion, dtype.type), make_by_l1_alone(rule.Scalars)
    vectorisable = motion == "plain"

    @welded
    def gather(x, n, t, w, gathered, at):
        """The column of a value, and its part of the score."""
        j = column(x, t)
        value, values = value_at(x, n, t), load(w.together, j * width)
        gathered[at] = value
        store_gathered(gathered, at + _ABREAST, values)
        return j, value * values[0]

    @welded
    def score(x, n, now, w, intercept, work, s):
        (first, stop), at, total = span(x, n), np.uint64(0), w.p.dtype.type(0)
        while first < stop:
            for k in range(min(_ABREAST, stop - first)):
                total += gather(x, n, first + k, w, work.gathered, at + k)[1]
            first += _ABREAST
            at += a_group
        return total + intercept.p[0]

    @welded
    def catch_up(count, work, s):
        """Weights of `count` features, and those that the last group lacks."""
        done, at, gathered = np.uint64(0), np.uint64(0), work.gathered
        room = np.uint64(gathered.size)  # a number known to be 16 would be written out as 16 single ones
        while done < count:
            for k in range(min(_ABREAST, room)):
                values = load_gathered(gathered, at + _ABREAST + k)
                store_gathered(gathered, at + _ABREAST + k, caught_up(values, work.missed[done + k], s))
            done += _ABREAST
            at += a_group

    @welded
    def score_up_to_date(x, n, now, w, intercept, work, s):
        (start, stop), at, total = span(x, n), np.uint64(0), w.p.dtype.type(0)
        first = start
        while first < stop:
            for k in range(min(_ABREAST, stop - first)):
                j, _ = gather(x, n, first + k, w, work.gathered, at + k)
                work.missed[first - start + k] = max(now - work.last[j], 0)
                work.last[j] = now + 1
            first += _ABREAST
            at += a_group
        if vectorisable and s.l2_step == s.zero and s.keep == s.one:
            catch_up(stop - start, work, by_l1_alone(s))
        else:
            catch_up(stop - start, work, s)
        first, at = start, np.uint64(0)
        while first < stop:
            for k in range(min(_ABREAST, stop - first)):
                total += work.gathered[at + k] * work.gathered[at + _ABREAST + k]
            first += _ABREAST
            at += a_group
        return total + intercept.p[0]

    @welded
    def step_row(x, n, w, slope, s, work):
        (first, stop), gathered, at = span(x, n), work.gathered, np.uint64(0)
        room = np.uint64(gathered.size)  # as above
        while first < stop:
            for k in range(min(_ABREAST, room)):  # those that the last group lacks are stepped too, and left
                values = load_gathered(gathered, at + _ABREAST + k)
                p, own = step(values[0], slope * gathered[at + k], values[1:], s)
                store_gathered(gathered, at + _ABREAST + k, (p,) + own)
            for k in range(min(_ABREAST, stop - first)):
                store(w.together, column(x, first + k) * width, load_gathered(gathered, at + _ABREAST + k))
            first += _ABREAST
            at += a_group

    return RowSteps(score_up_to_date if exact else score, step_row)
