"""Examples of a linear model as compiled loops see them: rows of a matrix, dense or CSR.

A row is its values and their columns; `column` says where value i belongs. The dot product of a row
and the weights has one order: a CSR row adds left to right; in a dense row column j goes to lane
j mod 16, each adding in increasing j, and the lanes fold 8+8, 4+4, 2+2, 1+1. With several outputs
each score adds left to right.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .jit import inlined
from .prefetch import prefetch

LANES = 16
AHEAD = 4  # rows
LINE = 16  # values of 4 bytes in a cache line
FIRST_LINES = 4  # of a row; the processor itself goes on from there


class Dense(NamedTuple):
    """C-contiguous values (examples, features) and a label each."""

    values: np.ndarray
    labels: np.ndarray


class Sparse(NamedTuple):
    """CSR with unsigned column numbers, all in range and distinct within a row, and a label each."""

    values: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    labels: np.ndarray


class Layout(NamedTuple):
    """Compilable access to a row and its part in a score."""

    row: object  # (examples, n) -> values, columns
    column: object  # (columns, i) -> j
    dot: object  # (values, columns, weights, lanes) -> their sum of products
    fetch_ahead: object  # (examples, order, i): ask for a row that comes soon


def _dense_row(x, n):
    row = x.values[n]
    return row, row


def _dense_column(columns, i):
    return i


def _dense_dot(values, columns, weights, lanes):
    lanes[:] = lanes.dtype.type(0)
    whole = values.size // LANES
    for b in range(whole):
        x = values[b * LANES : b * LANES + LANES]
        w = weights[b * LANES : b * LANES + LANES]
        for j in range(LANES):
            lanes[j] += x[j] * w[j]
    for i in range(whole * LANES, values.size):
        lanes[i - whole * LANES] += values[i] * weights[i]
    half = LANES // 2
    while half:
        for j in range(half):
            lanes[j] += lanes[j + half]
        half //= 2
    return lanes[0]


def _dense_fetch_ahead(x, order, i):
    pass


def _sparse_row(x, n):
    start, stop = x.starts[n], x.starts[n + 1]
    return x.values[start:stop], x.columns[start:stop]


def _sparse_column(columns, i):
    return columns[i]


def _sparse_dot(values, columns, weights, lanes):
    total = weights.dtype.type(0)
    for i in range(values.size):
        total += values[i] * weights[columns[i]]
    return total


def _sparse_fetch_ahead(x, order, i):
    if i + 2 * AHEAD < order.size:
        prefetch(x.starts, order[i + 2 * AHEAD])
    if i + AHEAD < order.size:
        n = order[i + AHEAD]
        start, stop = x.starts[n], x.starts[n + 1]
        for at in range(start, min(stop, start + FIRST_LINES * LINE), LINE):
            prefetch(x.values, at)
            prefetch(x.columns, at)
        prefetch(x.values, stop - 1)
        prefetch(x.columns, stop - 1)
        prefetch(x.labels, n)


LAYOUTS = {
    "dense": Layout(*map(inlined, (_dense_row, _dense_column, _dense_dot, _dense_fetch_ahead))),
    "sparse": Layout(*map(inlined, (_sparse_row, _sparse_column, _sparse_dot, _sparse_fetch_ahead))),
}
