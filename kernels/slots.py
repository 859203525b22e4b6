"""Tuples of slot arrays, by how many there are: compiled code cannot loop over a tuple."""

from __future__ import annotations

from typing import NamedTuple

from .jit import inlined
from .memory import array_at
from .table import VELOCITY


class Slots(NamedTuple):
    """Compilable access to the arrays of a tuple, all at once."""

    load: object  # (arrays, i) -> values
    store: object  # (arrays, i, values)
    cut: object  # (arrays, start, stop) -> arrays
    at: object  # (table row, offset in bytes, n, dtype) -> arrays
    flat: object  # (arrays) -> one-dimensional views of C-contiguous arrays


def _load0(arrays, i):
    return ()


def _store0(arrays, i, values):
    pass


def _cut0(arrays, start, stop):
    return ()


def _at0(row, offset, n, dtype):
    return ()


def _flat0(arrays):
    return ()


def _load1(arrays, i):
    return (arrays[0][i],)


def _store1(arrays, i, values):
    arrays[0][i] = values[0]


def _cut1(arrays, start, stop):
    return (arrays[0][start:stop],)


def _at1(row, offset, n, dtype):
    return (array_at(row[VELOCITY] + offset, n, dtype),)


def _flat1(arrays):
    return (arrays[0].ravel(),)


BY_COUNT = (
    Slots(*map(inlined, (_load0, _store0, _cut0, _at0, _flat0))),
    Slots(*map(inlined, (_load1, _store1, _cut1, _at1, _flat1))),
)
