"""The rows that a sparse gradient names, each once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .kernels.coalesce import LARGEST, WORD, has_repeats, sort_rows, sum_groups
from .launch import launch
from .parameters import FloatArray, guard_of
from .rows import CheckedRows, Indices, checked_sparse, row_layout

IN_PLACE = np.zeros(0, np.int64)  # row k's gradient is row k of the source
ROWS_AN_INDEX = 256  # up to which a bit for each row is worth its memory, four times that of the indices


class Gathered(NamedTuple):
    """A gradient by rows: that of ``rows[k]`` is row ``at[k]`` of `source`, or row k if `at` is empty."""

    rows: Indices
    at: Indices
    source: FloatArray  # (some, values a row)


class Coalescer:
    """Adds up the values of rows that are named more than once, in arrays that it keeps for the next time.

    Parameters
    ----------
    dtype : float32 or float64
        Of the values.
    width : int
        Values a row.
    parallel_from : int
        Values, or indices, from which more than one thread is worth its while.
    """

    def __init__(self, dtype: np.dtype[Any], width: int, parallel_from: int) -> None:
        self._dtype, self._width, self._parallel_from = dtype, width, parallel_from
        self._seen = np.zeros(0, np.uint64)
        self._at, self._rows, self._starts = (np.zeros(0, np.int64) for _ in range(3))
        self._sums: FloatArray = np.zeros(0, dtype)

    def gather(self, given: CheckedRows, n_rows: int, ordered: bool, threads: int) -> Gathered:
        """The gradient with no row twice; `ordered` asks for ascending rows."""
        n, width = given.indices.size, self._width
        values = given.values.reshape(n, width)
        # Parallel parts wait for threads that may be asleep or have no core just then: few indices are not worth that.
        spans = threads if 4 * n >= self._parallel_from else 1
        if given.ascending or (not ordered and (given.distinct or self._are_distinct(given.indices, n_rows, spans))):
            return Gathered(given.indices, IN_PLACE, values)
        groups = self._sort(given.indices, n_rows, spans)
        rows, at = self._rows[:groups], self._at[:n]
        if groups == n:
            return Gathered(rows, at, values)
        if self._sums.size < groups * width:
            self._sums = np.empty(groups * width, self._dtype)
        sums = self._sums[: groups * width].reshape(groups, width)
        kernel = sum_groups[self._dtype.type]
        spans = threads if n * max(1, width) >= self._parallel_from else 1
        launch(kernel, spans, groups, at, self._starts, values.ctypes.data, width, sums.ctypes.data)
        return Gathered(rows, IN_PLACE, sums)

    def _are_distinct(self, indices: Indices, n_rows: int, spans: int) -> bool:
        """Whether they are known to be: found out only where a bit for each row is little beside the indices."""
        if n_rows * spans > ROWS_AN_INDEX * indices.size:
            return False
        words = -(-n_rows // WORD)
        if self._seen.size < spans * words:
            self._seen = np.empty(spans * words, np.uint64)
        return not launch(has_repeats, spans, indices, self._seen[: spans * words].reshape(spans, words))

    def _sort(self, indices: Indices, n_rows: int, spans: int) -> int:
        n = indices.size
        if self._starts.size <= n:
            self._at, self._rows, self._starts = (np.empty(n + 1, np.int64) for _ in range(3))
        if max(n, n_rows) <= LARGEST:
            groups: int = launch(sort_rows, spans, indices, n_rows, self._at, self._rows, self._starts)
            return groups
        order = np.argsort(indices, kind="stable")
        rows, starts = np.unique(indices[order], return_index=True)
        self._at[:n], self._rows[: rows.size], self._starts[: rows.size] = order, rows, starts
        self._starts[rows.size] = n
        return rows.size


def sums_of_rows(name: str, gradient: Any, parameter: FloatArray) -> FloatArray:
    """The gradients of the rows that a sparse gradient names, each once; errors as of `checked_sparse`."""
    given = checked_sparse(name, gradient, parameter, guard_of([]), by_element=False)
    n_rows, width = row_layout(parameter, by_element=False)
    return Coalescer(parameter.dtype, width, 0).gather(given, n_rows, ordered=True, threads=1).source
