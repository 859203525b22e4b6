"""Weights of a sparse row go in groups of sixteen: they are gathered, caught up, stepped, and scattered again.

A processor core has one unit for square roots and quotients, which takes hardly longer for sixteen of them than for
one. The groups are gathered into an array of which LLVM cannot know that it does not overlap the weights. If LLVM knew,
it would read the weights with gather instructions, and these wait until the row before has been written to memory.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ..element import Element
from ..jit import forceinlined
from ..memory.slots import make_behind, make_first
from ..missed import make_by_l1_alone, make_catch_up, missed_alike
from ..motion import slot_names
from .layouts import Layout
from .row_weights import RowSteps

ABREAST = 16  # weights
# Numba makes a float64 of a uint64 and a plain integer, so that constants are uint64. Each of them is made once,
# because the key of the disk cache tells two objects of one value apart.
_ABREAST, _ONE = np.uint64(ABREAST), np.uint64(1)


@cache
def _make_values(count: int, apart: np.uint64):
    """Compilable ``load(array, at)`` and ``store(array, at, values)`` of `count` values, `apart` elements apart."""
    if count == 0:
        return forceinlined(lambda array, at: ()), forceinlined(lambda array, at, values: None)
    load_rest, store_rest = _make_values(count - 1, apart)

    @forceinlined
    def load(array, at):
        return (array[at],) + load_rest(array, at + apart)

    @forceinlined
    def store(array, at, values):
        array[at] = values[0]
        store_rest(array, at + apart, values[1:])

    return load, store


def whole_groups(features: int) -> int:
    """The number of features rounded up to whole groups."""
    return -(-features // ABREAST) * ABREAST


def room_for(features: int, slots: int) -> int:
    """Elements that the gathered weights of so many features take: a value, a weight, slots and a move of each."""
    return whole_groups(features) * (3 + slots)


class _Group(NamedTuple):
    """How weights and their slots lie: those of a feature together, gathered ones as arrays of sixteen."""

    width: np.uint64  # elements of a feature in `Weights.together`
    size: np.uint64  # elements of a group in `Work.gathered`: values, weights, each slot, and moves
    load: Any  # (together, at) -> weight and slots
    store: Any  # (together, at, values)
    load_gathered: Any
    store_gathered: Any


def _make_group(slots: int) -> _Group:
    n = 1 + slots
    size = np.uint64(room_for(ABREAST, slots))
    return _Group(np.uint64(n), size, *_make_values(n, _ONE), *_make_values(n, _ABREAST))


def _make_gather(layout: Layout, group: _Group):
    """Compilable ``(x, n, t, w, gathered, at) -> j, part``: a value's column, and its part of the score."""
    value_at, column = layout.value, layout.column
    width, load, store_gathered = group.width, group.load, group.store_gathered

    @forceinlined
    def gather(x, n, t, w, gathered, at):
        j = column(x, t)
        value, values = value_at(x, n, t), load(w.together, j * width)
        gathered[at] = value
        store_gathered(gathered, at + _ABREAST, values)
        return j, value * values[0]

    return gather


def _make_score(layout: Layout, group: _Group):
    span, gather, size = layout.span, _make_gather(layout, group), group.size

    @forceinlined
    def score(x, n, now, w, intercept, work, s):
        (first, stop), at, total = span(x, n), np.uint64(0), w.p.dtype.type(0)
        while first < stop:
            for k in range(min(_ABREAST, stop - first)):
                total += gather(x, n, first + k, w, work.gathered, at + k)[1]
            first += _ABREAST
            at += size
        return total + intercept.p[0]

    return score


def _make_catch_up_groups(rule: Any, motion: str, real: Any, group: _Group):
    """Compilable ``(count, work, s)``: the gathered weights of `count` features after the steps that they missed."""
    catch_up, n = make_catch_up(rule, motion), len(rule.slots)
    own_of, moved_of = make_first(1 + n), make_behind(1 + n)
    size, load_gathered, store_gathered = group.size, group.load_gathered, group.store_gathered

    @forceinlined
    def catch_up_groups(count, work, s):
        done, at, gathered = np.uint64(0), np.uint64(0), work.gathered
        # Read from the array, so that LLVM does not see the constant 16: it would unroll the loop into scalar steps and
        # not vectorise it.
        room = np.uint64(gathered.size)
        while done < count:
            for k in range(min(_ABREAST, room)):  # also places behind the last feature, whose results are not used
                values = load_gathered(gathered, at + _ABREAST + k)
                own, missed = own_of(values), missed_alike(work.missed[done + k], s)
                p, moved = catch_up(own[0], own[1:], moved_of(values), missed, s)
                store_gathered(gathered, at + _ABREAST + k, (real(p),) + own[1:] + moved)
            done += _ABREAST
            at += size

    return catch_up_groups


def _make_score_up_to_date(rule: Any, motion: str, layout: Layout, real: Any, group: _Group):
    span, gather, size = layout.span, _make_gather(layout, group), group.size
    catch_up, by_l1_alone = _make_catch_up_groups(rule, motion, real, group), make_by_l1_alone(rule.Scalars)
    vectorisable = motion == "plain"

    @forceinlined
    def score_up_to_date(x, n, now, w, intercept, work, s):
        (start, stop), at, total = span(x, n), np.uint64(0), w.p.dtype.type(0)
        first = start
        while first < stop:
            for k in range(min(_ABREAST, stop - first)):
                j, _ = gather(x, n, first + k, w, work.gathered, at + k)
                work.missed[first - start + k] = max(now - work.last[j], 0)
                work.last[j] = now + 1
            first += _ABREAST
            at += size
        if vectorisable and s.l2_step == s.zero and s.keep == s.one:
            catch_up(stop - start, work, by_l1_alone(s))
        else:
            catch_up(stop - start, work, s)
        first, at = start, np.uint64(0)
        while first < stop:
            for k in range(min(_ABREAST, stop - first)):
                total += work.gathered[at + k] * work.gathered[at + _ABREAST + k]
            first += _ABREAST
            at += size
        return total + intercept.p[0]

    return score_up_to_date


def _make_step_row(layout: Layout, element: Element, group: _Group):
    span, column, step = layout.span, layout.column, element.step
    width, size, _, store, load_gathered, store_gathered = group

    @forceinlined
    def step_row(x, n, w, slope, s, work):
        (first, stop), gathered, at = span(x, n), work.gathered, np.uint64(0)
        room = np.uint64(gathered.size)  # so that LLVM does not see the constant 16, as above
        while first < stop:
            for k in range(min(_ABREAST, room)):  # also places behind the last feature, whose results are not used
                values = load_gathered(gathered, at + _ABREAST + k)
                p, own = step(values[0], slope * gathered[at + k], values[1:], s)
                store_gathered(gathered, at + _ABREAST + k, (p,) + own)
            for k in range(min(_ABREAST, stop - first)):
                store(w.together, column(x, first + k) * width, load_gathered(gathered, at + _ABREAST + k))
            first += _ABREAST
            at += size

    return step_row


def _make_ahead_of_row(layout: Layout, element: Element, group: _Group):
    span, displacement = layout.span, element.displacement
    size, load_gathered, moves = group.size, group.load_gathered, group.size - _ABREAST

    @forceinlined
    def ahead_of_row(x, n, w, slope, s, work):
        (first, stop), gathered, at, moved = span(x, n), work.gathered, np.uint64(0), 0.0
        room = np.uint64(gathered.size)  # so that LLVM does not see the constant 16, as above
        while first < stop:
            for k in range(min(_ABREAST, room)):  # also places behind the last feature, whose results are not used
                values, value = load_gathered(gathered, at + _ABREAST + k), gathered[at + k]
                gathered[at + moves + k] = value * displacement(values[0], slope * value, values[1:], s)
            for k in range(min(_ABREAST, stop - first)):
                moved += np.float64(gathered[at + moves + k])
            first += _ABREAST
            at += size
        return moved

    return ahead_of_row


def make_gathered_steps(
    rule: Any, motion: str, layout: Layout, element: Element, exact: bool, dtype: np.dtype
) -> RowSteps:
    """Steps of single weights; the weight and the slots of a feature lie side by side, in `Weights.together`."""
    group = _make_group(len(slot_names(rule, motion)))
    score = _make_score_up_to_date(rule, motion, layout, dtype.type, group) if exact else _make_score(layout, group)
    return RowSteps(score, _make_step_row(layout, element, group), _make_ahead_of_row(layout, element, group))
