"""The rows that a sparse gradient names, each once: values of a row that is named several times are added up."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..engine.parameters import FloatArray, guard_of
from ..engine.rows import row_layout
from ..kernels.cpu.coalesce import LARGEST, WORD, inspect, make_sum_groups, sort_rows
from ..kernels.memory.storage import precision_of
from .launch import launch
from .sparse_gradients import NO_BITS, CheckedRows, Indices, checked_sparse, inspect_only

IN_PLACE = np.zeros(0, np.int64)  # row k's gradient is row k of the source
ROWS_AN_INDEX = 256  # rows an index, up to which a bit for each row is worth its memory, 4 times that of the indices


class Gathered(NamedTuple):
    """A gradient by rows: that of ``rows[k]`` is row ``at[k]`` of `source`, or row k if `at` is empty."""

    rows: Indices
    at: Indices
    source: FloatArray  # (some, values a row)


class Coalescer:
    """Adds up the values of rows that are named more than once, in arrays that it keeps for the next time.

    Parameters
    ----------
    dtype : dtype
        Of the values: one that parameters may have.
    n_rows, width : int
        Number of rows of the parameter, and of values in a row.
    ordered : bool
        Whether the rows of the result have to ascend.
    parallel_from : int
        Number of values, or of indices, from which several threads are faster than one.
    """

    def __init__(self, dtype: np.dtype[Any], n_rows: int, width: int, ordered: bool, parallel_from: int) -> None:
        self._dtype, self._n_rows, self._width = dtype, n_rows, width
        self._ordered, self._parallel_from = ordered, parallel_from
        self._seen = NO_BITS
        self._at, self._rows, self._starts = (np.zeros(0, np.int64) for _ in range(3))
        self._sums: FloatArray = np.zeros(0, dtype)

    def _spans(self, indices: Indices, threads: int) -> int:
        """How many threads to use for these indices.

        A parallel loop waits for threads that may be asleep or without a core at that time, which few indices are not
        worth.
        """
        return threads if 4 * indices.size >= self._parallel_from else 1

    def inspect(self, threads: int, indices: Indices, n_rows: int, search: bool) -> int:
        """What `kernels.cpu.coalesce.inspect` says of row indices.

        Repeated ones are not searched for where a sort will find them, or where a bit for each row would take far more
        memory than the indices.
        """
        spans, seen = self._spans(indices, threads), NO_BITS
        if search and not self._ordered and n_rows * spans <= ROWS_AN_INDEX * indices.size:
            shape = spans, -(-n_rows // WORD)
            if self._seen.shape != shape:
                self._seen = np.empty(shape, np.uint64)
            seen = self._seen
        elif spans > 1:
            seen = np.zeros((spans, 0), np.uint64)
        code: int = launch(inspect, spans, indices, n_rows, seen)
        return code

    def gather(self, given: CheckedRows, threads: int) -> Gathered:
        """The gradient with no row twice."""
        n, width = given.indices.size, self._width
        values = given.values.reshape(n, width)
        if given.ascending or (given.distinct and not self._ordered):
            return Gathered(given.indices, IN_PLACE, values)
        groups = self._sort(given.indices, self._spans(given.indices, threads))
        rows, at = self._rows[:groups], self._at[:n]
        if groups == n:
            return Gathered(rows, at, values)
        if self._sums.size < groups * width:
            self._sums = np.empty(groups * width, self._dtype)
        sums = self._sums[: groups * width].reshape(groups, width)
        kernel = make_sum_groups(precision_of(self._dtype))
        spans = threads if n * max(1, width) >= self._parallel_from else 1
        launch(kernel, spans, groups, at, self._starts, values.ctypes.data, width, sums.ctypes.data)
        return Gathered(rows, IN_PLACE, sums)

    def _sort(self, indices: Indices, spans: int) -> int:
        n = indices.size
        if self._starts.size <= n:
            self._at, self._rows, self._starts = (np.empty(n + 1, np.int64) for _ in range(3))
        if max(n, self._n_rows) <= LARGEST:
            groups: int = launch(sort_rows, spans, indices, self._n_rows, self._at, self._rows, self._starts)
            return groups
        order = np.argsort(indices, kind="stable")
        rows, starts = np.unique(indices[order], return_index=True)
        self._at[:n], self._rows[: rows.size], self._starts[: rows.size] = order, rows, starts
        self._starts[rows.size] = n
        return rows.size


def sums_of_rows(name: str, gradient: Any, parameter: FloatArray) -> FloatArray:
    """The gradients of the rows that a sparse gradient names, each row once; it raises what `checked_sparse` raises."""
    given = checked_sparse(name, gradient, parameter, guard_of([]), False, inspect_only)
    coalescer = Coalescer(parameter.dtype, *row_layout(parameter, by_element=False), True, 0)
    return coalescer.gather(given, threads=1).source
