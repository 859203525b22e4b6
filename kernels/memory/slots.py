"""Access to tuples of slot arrays, made anew for each number of slots: compiled code cannot loop over a tuple."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from ..jit import forceinlined, jitable
from .prefetch import prefetch_lines
from .storage import AS_COMPUTED, Storage


class Slots(NamedTuple):
    """Compilable access to the arrays of a tuple, all at once."""

    load: object  # (arrays, i) -> values
    store: object  # (arrays, i, values)
    cut: object  # (arrays, start, stop) -> arrays
    at: object  # (row, start, n, real) -> n elements of each from `start` on, at the addresses in columns of a table
    prefetch: object  # (row, start, n, real): of the same elements
    flat: object  # (arrays) -> one-dimensional views of C-contiguous arrays


_NONE = Slots(
    jitable(lambda arrays, i: ()),
    jitable(lambda arrays, i, values: None),
    jitable(lambda arrays, start, stop: ()),
    jitable(lambda row, start, n, real: ()),
    jitable(lambda row, start, n, real: None),
    jitable(lambda arrays: ()),
)


def as_computed(count: int) -> tuple[Storage, ...]:
    """Storages of `count` arrays that all have the dtype that is computed in."""
    return (AS_COMPUTED,) * count


@cache
def make_slots(storages: tuple[Storage, ...], column: int = 0) -> Slots:
    """Access to arrays with these storages.

    In a row of a table of addresses, that of the first array is in `column`, and the others are in the columns after.
    """
    if not storages:
        return _NONE
    first = storages[0]
    size, array_of_first, load_first, store_first = first.size, first.at, first.load, first.store
    load_rest, store_rest, cut_rest, at_rest, prefetch_rest, flat_rest = make_slots(storages[1:], column + 1)

    @jitable
    def load(arrays, i):
        return (load_first(arrays[0], i),) + load_rest(arrays[1:], i)

    @jitable
    def store(arrays, i, values):
        store_first(arrays[0], i, values[0])
        store_rest(arrays[1:], i, values[1:])

    @jitable
    def cut(arrays, start, stop):
        return (arrays[0][start:stop],) + cut_rest(arrays[1:], start, stop)

    @jitable
    def at(row, start, n, real):
        return (array_of_first(row[column], start, n, real),) + at_rest(row, start, n, real)

    @jitable
    def prefetch(row, start, n, real):
        prefetch_lines(row[column] + size(start, real), size(n, real))
        prefetch_rest(row, start, n, real)

    @jitable
    def flat(arrays):
        return (arrays[0].ravel(),) + flat_rest(arrays[1:])

    return Slots(load, store, cut, at, prefetch, flat)


@cache
def make_first(count: int):
    """Compilable ``(values)``: the first `count` of a tuple."""
    if count == 0:
        return jitable(lambda values: ())
    rest = make_first(count - 1)
    return jitable(lambda values: (values[0],) + rest(values[1:]))


@cache
def make_behind(count: int):
    """Compilable ``(values)``: the members of a tuple behind the first `count`."""
    if count == 0:
        return jitable(lambda values: values)
    rest = make_behind(count - 1)
    return jitable(lambda values: rest(values[1:]))


@cache
def make_widened(count: int):
    """Compilable ``(values)``: the first `count` of a tuple, in float64."""
    if count == 0:
        return forceinlined(lambda values: ())
    rest = make_widened(count - 1)
    return forceinlined(lambda values: (np.float64(values[0]),) + rest(values[1:]))
