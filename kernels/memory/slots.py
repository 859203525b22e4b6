"""Tuples of slot arrays, by how many there are: compiled code cannot loop over a tuple."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from ..jit import forceinlined, jitable
from .headers import array_at


class Slots(NamedTuple):
    """Compilable access to the arrays of a tuple, all at once."""

    load: object  # (arrays, i) -> values
    store: object  # (arrays, i, values)
    cut: object  # (arrays, start, stop) -> arrays
    at: object  # (row, offset in bytes, n, dtype) -> arrays at the addresses in neighbouring columns of a table's row
    flat: object  # (arrays) -> one-dimensional views of C-contiguous arrays


_NONE = Slots(
    jitable(lambda arrays, i: ()),
    jitable(lambda arrays, i, values: None),
    jitable(lambda arrays, start, stop: ()),
    jitable(lambda row, offset, n, dtype: ()),
    jitable(lambda arrays: ()),
)


@cache
def make_slots(count: int, column: int = 0) -> Slots:
    """Access to `count` arrays; the address of the first is in this column."""
    if count == 0:
        return _NONE
    load_rest, store_rest, cut_rest, at_rest, flat_rest = make_slots(count - 1, column + 1)

    @jitable
    def load(arrays, i):
        return (arrays[0][i],) + load_rest(arrays[1:], i)

    @jitable
    def store(arrays, i, values):
        arrays[0][i] = values[0]
        store_rest(arrays[1:], i, values[1:])

    @jitable
    def cut(arrays, start, stop):
        return (arrays[0][start:stop],) + cut_rest(arrays[1:], start, stop)

    @jitable
    def at(row, offset, n, dtype):
        return (array_at(row[column] + offset, n, dtype),) + at_rest(row, offset, n, dtype)

    @jitable
    def flat(arrays):
        return (arrays[0].ravel(),) + flat_rest(arrays[1:])

    return Slots(load, store, cut, at, flat)


@cache
def make_first(count: int):
    """Compilable ``(values)``: the first `count` of a tuple."""
    if count == 0:
        return jitable(lambda values: ())
    rest = make_first(count - 1)
    return jitable(lambda values: (values[0],) + rest(values[1:]))


@cache
def make_behind(count: int):
    """Compilable ``(values)``: those behind the first `count`."""
    if count == 0:
        return jitable(lambda values: values)
    rest = make_behind(count - 1)
    return jitable(lambda values: rest(values[1:]))


@cache
def make_widened(count: int):
    """Compilable ``(values)``: so many of a tuple, in float64."""
    if count == 0:
        return forceinlined(lambda values: ())
    rest = make_widened(count - 1)
    return forceinlined(lambda values: (np.float64(values[0]),) + rest(values[1:]))
