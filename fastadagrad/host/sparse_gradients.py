"""Checks of sparse gradients in the host's memory, and sparse matrices taken as rows or as elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..engine.gradients import overlap_refusal
from ..engine.parameters import COMPUTED, FloatArray
from ..engine.rows import INDEX_DTYPES, Rows, outside
from ..kernels.cpu.coalesce import ASCENDING, DISTINCT, inspect
from ..support.asking import asking, whether
from ..support.memory_maps import refuse_closed
from .gradients import form_refusal, host_form
from .launch import launch

Indices = NDArray[np.int64]
# (indices, number of rows, search for repeats): what `kernels.cpu.coalesce.inspect` says of the indices.
Inspect = Callable[[Indices, int, bool], int]
NO_BITS = np.zeros((1, 0), np.uint64)


def inspect_only(indices: Indices, n_rows: int, search: bool = False) -> int:
    """An `Inspect` that never searches for repeats."""
    code: int = launch(inspect, 1, indices, n_rows, NO_BITS)
    return code


class CheckedRows(NamedTuple):
    """Indices and values of rows that have been found to fit a parameter."""

    indices: Indices
    values: FloatArray
    distinct: bool  # no row is named twice, as was found or as the user says
    ascending: bool


def checked_indices(
    what: str, indices: Any, n_rows: int, search: bool = False, look: Inspect = inspect_only
) -> tuple[Indices, int]:
    """Indices as int64, and what `look` found; raises TypeError, ValueError or IndexError if they are no rows."""
    indices = host_form(what, indices)
    if type(indices) not in (np.ndarray, np.memmap):
        raise TypeError(
            f"{what} must be a plain numpy.ndarray of int32 or int64, not {type(indices).__name__}; pass "
            "numpy.asarray(indices)"
        )
    if indices.ndim != 1:
        raise ValueError(f"{what} must have one dimension, not shape {indices.shape}; pass indices.ravel()")
    if indices.dtype not in INDEX_DTYPES:
        raise TypeError(f"{what} must have dtype int32 or int64, not {indices.dtype}; pass indices.astype(numpy.int64)")
    usable = type(indices) is np.ndarray and indices.dtype == np.int64 and indices.flags.carray
    # The array has to be writable: Numba has another type for read-only arrays, and would compile again for it.
    numbers = indices if usable else np.require(np.asarray(indices), np.int64, ["C", "A", "W"])
    found = look(numbers, n_rows, search)
    if found >= 0:
        raise outside(what, found, numbers[found], n_rows)
    return numbers, found


def checked_rows(
    name: str, gradient: Rows, parameter: FloatArray, guard: NDArray[np.int64], look: Inspect
) -> CheckedRows:
    """The parts of a row-sparse gradient; raises TypeError, ValueError or IndexError if it does not fit."""
    where = f"gradient of {name!r}"
    if parameter.ndim == 0:
        raise ValueError(f"{where}: the parameter is 0-dimensional and has no rows; pass an array of shape ()")
    indices, values = gradient.indices, host_form(f"{where}: values", gradient.values)
    unique = gradient.assume_unique
    if type(unique) is not bool:
        unique = whether(f"{where}: assume_unique", unique)
    numbers, found = checked_indices(f"{where}: indices", indices, len(parameter), not unique, look)
    _refuse_overlap(f"{where} (its indices)", numbers, guard)
    shape = (numbers.size, *parameter.shape[1:])
    it = "values" if values is gradient.values else "numpy.asarray(values)"
    refusal = form_refusal(f"{where}: values", it, values, shape, parameter.dtype)
    if refusal:
        raise refusal
    _refuse_overlap(f"{where} (its values)", values, guard)
    return CheckedRows(numbers, values, unique or found in (ASCENDING, DISTINCT), found == ASCENDING)


def _refuse_overlap(what: str, array: NDArray[Any], guard: NDArray[np.int64]) -> None:
    refusal = overlap_refusal(what, array, guard)
    if refusal:
        raise refusal


def _checked_entries(name: str, matrix: Any, parameter: FloatArray) -> tuple[Indices, Indices, FloatArray]:
    """Rows, columns and values of the elements that a sparse matrix stores, in the order in which they are stored."""
    where = f"gradient of {name!r}"
    if parameter.ndim != 2:
        raise ValueError(
            f"{where} is a sparse matrix, but the parameter has shape {parameter.shape}; pass Rows or a dense gradient"
        )
    if matrix.shape != parameter.shape:
        raise ValueError(f"{where} must have shape {parameter.shape}, not {matrix.shape}")
    if parameter.dtype not in COMPUTED:
        raise TypeError(
            f"{where} is a sparse matrix, which scipy.sparse has not of {parameter.dtype}, as its parameter is; pass "
            "Rows or a dense gradient"
        )
    if matrix.dtype != parameter.dtype:
        raise TypeError(
            f"{where} must have dtype {parameter.dtype}, not {matrix.dtype}; pass gradient.astype({parameter.dtype})"
        )
    form = matrix.format
    if form not in ("csr", "csc", "coo"):
        raise TypeError(f"{where} must be a CSR, CSC or COO matrix, not {form.upper()}; pass gradient.tocsr()")
    if form == "coo":
        rows, columns, values = (_part(where, matrix, name) for name in ("row", "col", "data"))
        if not len(rows) == len(columns) == len(values):
            raise ValueError(
                f"{where}: row, col and data must be equally long, not {len(rows)}, {len(columns)} and {len(values)}"
            )
    else:
        starts, major = _part(where, matrix, "indptr"), parameter.shape[0 if form == "csr" else 1]
        ordered = starts.shape == (major + 1,) and starts[0] == 0 and bool(np.all(np.diff(starts) >= 0))
        if not ordered or starts[-1] > min(len(matrix.indices), len(matrix.data)):
            raise ValueError(f"{where}: indptr must ascend from 0 to the number of entries, one for each row or column")
        outer = np.repeat(np.arange(major, dtype=np.int64), np.diff(starts))
        inner, values = (_part(where, matrix, name)[: outer.size] for name in ("indices", "data"))
        rows, columns = (outer, inner) if form == "csr" else (inner, outer)
    rows, _ = checked_indices(f"{where}: row indices", rows, parameter.shape[0])
    columns, _ = checked_indices(f"{where}: column indices", columns, parameter.shape[1])
    return rows, columns, np.ascontiguousarray(values)


def _part(where: str, matrix: Any, name: str) -> NDArray[Any]:
    part = np.asarray(getattr(matrix, name))
    refuse_closed(f"{where}: {name}", part)
    return part


def checked_elements(
    name: str, matrix: Any, parameter: FloatArray, guard: NDArray[np.int64], look: Inspect
) -> CheckedRows:
    """A sparse matrix as the gradient of single elements, which count as rows of the flattened parameter."""
    rows, columns, values = _checked_entries(name, matrix, parameter)
    _refuse_overlap(f"gradient of {name!r} (its values)", values, guard)
    flat = rows * parameter.shape[1] + columns
    found = look(flat, parameter.size, True)
    return CheckedRows(flat, values, found in (ASCENDING, DISTINCT), found == ASCENDING)


def rows_of_matrix(name: str, matrix: Any, parameter: FloatArray) -> Rows:
    """A sparse matrix as the gradient of whole rows, with zeros for elements that it does not store."""
    rows, columns, values = _checked_entries(name, matrix, parameter)
    different, group = np.unique(rows, return_inverse=True)
    dense = np.zeros((len(different), parameter.shape[1]), parameter.dtype)
    with np.errstate(all="ignore"):
        np.add.at(dense, (group, columns), values)
    return Rows(different, dense, assume_unique=True)


def checked_sparse(
    name: str, gradient: Any, parameter: FloatArray, guard: NDArray[np.int64], by_element: bool, look: Inspect
) -> CheckedRows:
    """The parts of any sparse gradient; with `by_element`, those of a matrix are single elements.

    Raises
    ------
    TypeError, ValueError, IndexError
        If the gradient does not fit; the message names the parameter.
    """
    if type(gradient) is Rows:
        return checked_rows(name, gradient, parameter, guard, look)
    with asking(f"gradient of {name!r}"):
        if by_element:
            return checked_elements(name, gradient, parameter, guard, look)
        rows = rows_of_matrix(name, gradient, parameter)
    return checked_rows(name, rows, parameter, guard, look)
