"""Catching rows of a parameter up with steps that they missed, by :mod:`..missed`: up to a warp works on each row."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types

from ..jit import jitable
from ..memory.slots import make_behind, make_first
from ..missed import history_missed, make_catch_up, missed_alike, missed_steps, shrunk_by_history
from ..motion import SLOTS, slot_names
from . import threads
from .compiling import Capability, Kernel, compile_kernel, kernel_name, scalars_type
from .memory import addresses_type, load_double, load_word, make_access, make_slots, store_double, store_word
from .rows import number_of, row_and_lane

_zero, _word, _two_words = map(np.uint64, (0, 8, 16))


def _make_advance(rule: Any, motion: str, kind: str, dtype: np.dtype[Any]):
    """Compilable ``(j, team, row, p, slots, width, missed, s)``: each team-th element of a row, from the j-th on."""
    catch_up, access, real = make_catch_up(rule, motion), make_access(dtype), dtype.type
    load, store, itemsize, zero = access.load, access.store, np.uint64(dtype.itemsize), np.uint64(0)
    count, moving = len(rule.slots), make_slots(access, len(SLOTS[motion]))
    own_of, moved_of, load_own = make_first(count), make_behind(count), make_slots(access, count).load
    load_moved, store_moved, each, by_row = moving.load, moving.store, kind == "element", kind == "row"
    cast = jitable(lambda moved: (real(moved[0]),)) if SLOTS[motion] else jitable(lambda moved: ())

    @jitable
    def advance(j, team, row, p, slots, width, missed, s):
        own, moved, offset = own_of(slots), moved_of(slots), row * width * itemsize
        while j < width:
            at = offset + j * itemsize
            values = load_own(own, at if each else (row * itemsize if by_row else zero))
            p_j, moved_j = catch_up(load(p + at), values, load_moved(moved, at), missed, s)
            store(p + at, real(p_j))
            store_moved(moved, at, cast(moved_j))
            j += team

    return advance


def _make_advance_by_history(dtype: np.dtype[Any]):
    """Compilable ``(j, team, row, p, width, factor, threshold)``."""
    access, real, itemsize = make_access(dtype), dtype.type, np.uint64(dtype.itemsize)
    load, store = access.load, access.store

    @jitable
    def advance(j, team, row, p, width, factor, threshold):
        offset = row * width * itemsize
        while j < width:
            at = offset + j * itemsize
            store(p + at, real(shrunk_by_history(load(p + at), factor, threshold)))
            j += team

    return advance


@jitable
def _of_the_first(value, j):
    """The value of the team's first thread; all have it before that thread overwrites the memory it was read from."""
    return threads.value_of(value, threads.lane() - j)


@cache
def make_row_catch_up(rule: Any, motion: str, kind: str, how: str, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(p, slots, rows, most, count_at, width, share, last, marks, now, next, totals, totals_after, s)``.

    It is for as many rows as the word at the address `count_at` says, or `most` if that is 0: the first ones if the
    address `rows` is 0. `how` says how the missed steps are known: "steps", by their number alone; "sums", by the
    difference between the two totals and the row's marks; "history", likewise where H changes with every step (see
    :func:`..missed.make_row_catch_up`). Afterwards the rows have had `next` steps, and have `totals_after` for marks.
    Scalars and totals are float64.
    """
    advance, advance_by_history = _make_advance(rule, motion, kind, dtype), _make_advance_by_history(dtype)
    marked, by_history = how != "steps", how == "history"

    def catch_up_row(
        p, slots, rows, most, count_at, width, share, last, marks, now, next_, all0, all1, after0, after1, s
    ):
        k, j, team = row_and_lane(share)
        is_one = k < number_of(most, count_at)
        row, first = k, is_one and j == _zero
        if is_one and rows != _zero:
            row = load_word(rows + k * _word)
        mark = marks + row * _two_words
        missed, mark0, mark1 = np.int64(0), 0.0, 0.0
        if first:
            missed = np.int64(now - load_word(last + row * _word))
            if marked:
                mark0, mark1 = load_double(mark), load_double(mark + _word)
        missed = _of_the_first(missed, j)
        if marked:
            mark0, mark1 = _of_the_first(mark0, j), _of_the_first(mark1, j)
        if missed > 0:
            if by_history:
                factor, threshold = history_missed((all0, all1), (mark0, mark1))
                advance_by_history(j, team, row, p, width, factor, threshold)
            elif marked:
                alike = missed_steps(missed, all0 - mark0, all1 - mark1)
                advance(j, team, row, p, slots, width, alike, s)
            else:
                advance(j, team, row, p, slots, width, missed_alike(missed, s), s)
        if first:
            store_word(last + row * _word, next_)
            if marked:
                store_double(mark, after0)
                store_double(mark + _word, after1)

    a, slots = types.uint64, addresses_type(len(slot_names(rule, motion)))
    arguments = (a, slots, *[a] * 9, *[types.float64] * 4, scalars_type(rule, np.dtype(np.float64)))
    name = kernel_name(rule, motion, kind, "catch_up", how, dtype)
    return compile_kernel(name, catch_up_row, arguments, cc)
