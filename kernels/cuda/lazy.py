"""Rows of a parameter brought up to date with steps that they missed, as :mod:`..lazy` does: a warp for each."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import cuda, types

from ..jit import inlined
from ..lazy import history_missed, make_catch_up, missed_alike, missed_steps, shrunk_by_history
from ..motion import SLOTS
from ..reduce import LANES
from .compiling import Capability, Kernel, compile_kernel, kernel_name, scalars_type
from .memory import load_double, load_word, make_access, make_slots, store_double, store_word
from .reduce import ALL

THREADS = 256  # a block

_zero, _lanes, _word = map(np.uint64, (0, LANES, 8))
_two_words = np.uint64(16)


def _make_advance(rule: Any, motion: str, kind: str, dtype: np.dtype[Any]):
    """Compilable ``(p, G, v, width, missed, s)``: advance the elements of a row, by one warp."""
    catch_up, access, real = make_catch_up(rule, motion), make_access(dtype), dtype.type
    load, store, itemsize = access.load, access.store, np.uint64(dtype.itemsize)
    slots, own = make_slots(access, len(SLOTS[motion])), kind == "element"
    load_slots, store_slots = slots.load, slots.store
    cast = inlined(lambda rest: (real(rest[0]),)) if SLOTS[motion] else inlined(lambda rest: ())

    @inlined
    def advance(p, G, v, width, missed, s):
        j = np.uint64(cuda.laneid)
        while j < width:
            at = j * itemsize
            p_j, rest = catch_up(load(p + at), load_slots(v + at), load(G + at if own else G), missed, s)
            store(p + at, real(p_j))
            store_slots(v + at, cast(rest))
            j += _lanes

    return advance


def _make_advance_by_history(dtype: np.dtype[Any]):
    """Compilable ``(p, width, factor, threshold)``."""
    access, real, itemsize = make_access(dtype), dtype.type, np.uint64(dtype.itemsize)
    load, store = access.load, access.store

    @inlined
    def advance(p, width, factor, threshold):
        j = np.uint64(cuda.laneid)
        while j < width:
            at = j * itemsize
            store(p + at, real(shrunk_by_history(load(p + at), factor, threshold)))
            j += _lanes

    return advance


@inlined
def _first_lane(value):
    """The value that the first thread of the warp has: so all have it before that one writes to where it is from."""
    return cuda.shfl_sync(ALL, value, 0)


@cache
def make_recall(rule: Any, motion: str, kind: str, how: str, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(p, G, v, rows, n, width, last, marks, now, next, totals, totals_after, s)`` for n rows.

    They are the first n if `rows` is 0. `how` says what their missed steps follow from: "steps", their number alone;
    "sums", the difference between the two totals and their marks; "history", for H that changes. Afterwards the rows
    have had `next` steps, and have `totals_after` for marks. Scalars and totals are float64.
    """
    advance, advance_by_history = _make_advance(rule, motion, kind, dtype), _make_advance_by_history(dtype)
    itemsize, by_row, shared = np.uint64(dtype.itemsize), kind == "row", kind == "tensor"
    marked, by_history = how != "steps", how == "history"

    def recall(p, G, v, rows, n, width, last, marks, now, next_, total0, total1, after0, after1, s):
        k = np.uint64(cuda.grid(1)) // _lanes
        if k < n:
            row = k if rows == _zero else load_word(rows + k * _word)
            offset, mark = row * width * itemsize, marks + row * _two_words
            accumulator = G if shared else G + (row * itemsize if by_row else offset)
            missed, mark0, mark1 = np.int64(0), 0.0, 0.0
            if cuda.laneid == 0:
                missed = np.int64(now - load_word(last + row * _word))
                if marked:
                    mark0, mark1 = load_double(mark), load_double(mark + _word)
            missed = _first_lane(missed)
            if marked:
                mark0, mark1 = _first_lane(mark0), _first_lane(mark1)
            if missed > 0:
                if by_history:
                    factor, threshold = history_missed((total0, total1), (mark0, mark1))
                    advance_by_history(p + offset, width, factor, threshold)
                elif marked:
                    alike = missed_steps(missed, total0 - mark0, total1 - mark1)
                    advance(p + offset, accumulator, v + offset, width, alike, s)
                else:
                    advance(p + offset, accumulator, v + offset, width, missed_alike(missed, s), s)
            if cuda.laneid == 0:
                store_word(last + row * _word, next_)
                if marked:
                    store_double(mark, after0)
                    store_double(mark + _word, after1)

    arguments = (*[types.uint64] * 10, *[types.float64] * 4, scalars_type(rule, np.dtype(np.float64)))
    name = kernel_name(rule, motion, kind, "recall", how, dtype)
    return compile_kernel(name, recall, arguments, cc, exact=False)
