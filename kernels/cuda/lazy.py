"""Rows of a parameter brought up to date with steps that they missed, as :mod:`..lazy` does: up to a warp for each."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import cuda, types

from ..jit import inlined
from ..lazy import history_missed, make_catch_up, missed_alike, missed_steps, shrunk_by_history
from ..motion import SLOTS
from .compiling import Capability, Kernel, compile_kernel, kernel_name, scalars_type
from .memory import load_double, load_word, make_access, make_slots, store_double, store_word
from .reduce import ALL
from .rows import row_and_lane

_zero, _word, _two_words = map(np.uint64, (0, 8, 16))


def _make_advance(rule: Any, motion: str, kind: str, dtype: np.dtype[Any]):
    """Compilable ``(j, team, p, G, v, width, missed, s)``: advance the j-th element of a row and every team-th."""
    catch_up, access, real = make_catch_up(rule, motion), make_access(dtype), dtype.type
    load, store, itemsize = access.load, access.store, np.uint64(dtype.itemsize)
    slots, own = make_slots(access, len(SLOTS[motion])), kind == "element"
    load_slots, store_slots = slots.load, slots.store
    cast = inlined(lambda rest: (real(rest[0]),)) if SLOTS[motion] else inlined(lambda rest: ())

    @inlined
    def advance(j, team, p, G, v, width, missed, s):
        while j < width:
            at = j * itemsize
            p_j, rest = catch_up(load(p + at), load_slots(v + at), load(G + at if own else G), missed, s)
            store(p + at, real(p_j))
            store_slots(v + at, cast(rest))
            j += team

    return advance


def _make_advance_by_history(dtype: np.dtype[Any]):
    """Compilable ``(j, team, p, width, factor, threshold)``."""
    access, real, itemsize = make_access(dtype), dtype.type, np.uint64(dtype.itemsize)
    load, store = access.load, access.store

    @inlined
    def advance(j, team, p, width, factor, threshold):
        while j < width:
            at = j * itemsize
            store(p + at, real(shrunk_by_history(load(p + at), factor, threshold)))
            j += team

    return advance


@inlined
def _of_the_first(value, j):
    """The value that the first thread of the team has: so all have it before that one writes to where it is from."""
    return cuda.shfl_sync(ALL, value, cuda.laneid - np.int32(j))


@cache
def make_recall(rule: Any, motion: str, kind: str, how: str, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(p, G, v, rows, n, width, share, last, marks, now, next, totals, totals_after, s)`` for n rows.

    They are the first n if `rows` is 0. `how` says what their missed steps follow from: "steps", their number alone;
    "sums", the difference between the two totals and their marks; "history", for H that changes. Afterwards the rows
    have had `next` steps, and have `totals_after` for marks. Scalars and totals are float64.
    """
    advance, advance_by_history = _make_advance(rule, motion, kind, dtype), _make_advance_by_history(dtype)
    itemsize, by_row, shared = np.uint64(dtype.itemsize), kind == "row", kind == "tensor"
    marked, by_history = how != "steps", how == "history"

    def recall(p, G, v, rows, n, width, share, last, marks, now, next_, total0, total1, after0, after1, s):
        k, j, team = row_and_lane(share)
        row, first = k, k < n and j == _zero
        if k < n and rows != _zero:
            row = load_word(rows + k * _word)
        offset, mark = row * width * itemsize, marks + row * _two_words
        accumulator = G if shared else G + (row * itemsize if by_row else offset)
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
                factor, threshold = history_missed((total0, total1), (mark0, mark1))
                advance_by_history(j, team, p + offset, width, factor, threshold)
            elif marked:
                alike = missed_steps(missed, total0 - mark0, total1 - mark1)
                advance(j, team, p + offset, accumulator, v + offset, width, alike, s)
            else:
                advance(j, team, p + offset, accumulator, v + offset, width, missed_alike(missed, s), s)
        if first:
            store_word(last + row * _word, next_)
            if marked:
                store_double(mark, after0)
                store_double(mark + _word, after1)

    arguments = (*[types.uint64] * 11, *[types.float64] * 4, scalars_type(rule, np.dtype(np.float64)))
    name = kernel_name(rule, motion, kind, "recall", how, dtype)
    return compile_kernel(name, recall, arguments, cc, exact=False)
