"""Examples of a linear model as compiled loops see them: rows of a matrix, dense or CSR.

Row n is a range of positions t: its value ``value(x, n, t)`` is that of the column ``column(x, t)``. The dot product of
a row and the weights has one order: a CSR row adds left to right; in a dense row column j goes to lane j mod 16, each
lane adding in increasing j, and the lanes fold 8+8, 4+4, 2+2, 1+1. With several outputs each score adds left to right.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..jit import compiled, forceinlined
from ..memory.headers import on_stack
from ..memory.prefetch import EXAMPLES_AHEAD, prefetch, prefetch_elements
from ..reduce import make_fold

LANES = 16
fold = make_fold(LANES)


class Dense(NamedTuple):
    """C-contiguous values (examples, features) and a label each."""

    values: np.ndarray
    labels: np.ndarray


class Sparse(NamedTuple):
    """CSR with unsigned columns and starts, the columns in range and distinct within a row, and a label each."""

    values: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    labels: np.ndarray


class WeighedDense(NamedTuple):
    """`Dense`, with the importance of each example, a factor of its slope and its loss."""

    values: np.ndarray
    labels: np.ndarray
    importance: np.ndarray


class WeighedSparse(NamedTuple):
    """`Sparse`, with the importance of each example, a factor of its slope and its loss."""

    values: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    labels: np.ndarray
    importance: np.ndarray


class Layout(NamedTuple):
    """Compilable access to a row and its part in a score."""

    span: object  # (examples, n) -> start, stop
    value: object  # (examples, n, t)
    column: object  # (examples, t)
    dot: object  # (examples, n, weights) -> their sum of products
    prefetch_row: object  # (examples, order, i): prefetch a row that comes soon


def _dense_span(x, n):
    return 0, x.values.shape[1]


def _dense_value(x, n, t):
    return x.values[n, t]


def _dense_column(x, t):
    return t


def _dense_dot(x, n, weights):
    lanes = on_stack(LANES, weights.dtype)
    for j in range(LANES):
        lanes[j] = lanes.dtype.type(0)
    whole = weights.size // LANES
    for b in range(whole):
        for j in range(LANES):
            lanes[j] += x.values[n, b * LANES + j] * weights[b * LANES + j]
    for t in range(whole * LANES, weights.size):
        lanes[t - whole * LANES] += x.values[n, t] * weights[t]
    return fold(lanes)


def _dense_prefetch(x, order, i):
    if i + EXAMPLES_AHEAD < order.size:
        prefetch(x.values, order[i + EXAMPLES_AHEAD])
        prefetch(x.labels, order[i + EXAMPLES_AHEAD])


def _sparse_span(x, n):
    return x.starts[n], x.starts[n + 1]


def _sparse_value(x, n, t):
    return x.values[t]


def _sparse_column(x, t):
    return x.columns[t]


def _sparse_dot(x, n, weights):
    total = weights.dtype.type(0)
    for t in range(x.starts[n], x.starts[n + 1]):
        total += x.values[t] * weights[x.columns[t]]
    return total


def _sparse_prefetch(x, order, i):
    if i + 2 * EXAMPLES_AHEAD < order.size:
        prefetch(x.starts, order[i + 2 * EXAMPLES_AHEAD])
    if i + EXAMPLES_AHEAD < order.size:
        n = order[i + EXAMPLES_AHEAD]
        start, stop = np.int64(x.starts[n]), np.int64(x.starts[n + 1])
        prefetch_elements(x.values, x.columns, start, stop)
        prefetch(x.labels, n)


DENSE = (_dense_span, _dense_value, _dense_column, _dense_dot, _dense_prefetch)
SPARSE = (_sparse_span, _sparse_value, _sparse_column, _sparse_dot, _sparse_prefetch)
LAYOUTS = {"dense": Layout(*map(forceinlined, DENSE)), "sparse": Layout(*map(forceinlined, SPARSE))}


@compiled
def largest_of_columns(values, columns, largest):
    """Raise each column's entry of `largest` to the largest absolute value in it."""
    for t in range(values.size):
        largest[columns[t]] = max(largest[columns[t]], abs(values[t]))


@compiled
def shuffle(uniforms, order):
    """Fill `order` with a random permutation of its positions, from as many random numbers in [0, 1).

    It is the shuffle of Fisher and Yates from the inside out: i takes a random place of the first i + 1, and the number
    that was in this place takes the last of them.
    """
    for i in range(order.size):
        j = np.uint64(uniforms[i] * (i + 1))
        order[i] = order[j]
        order[j] = i
