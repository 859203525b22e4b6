"""Row-sparse gradients."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support.asking import OF_ARGUMENTS
from .parameters import FloatArray

INDEX_DTYPES = (np.dtype(np.int32), np.dtype(np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The gradient of some rows of a parameter; that of all others is 0.

    Passed to a step in place of a dense gradient: row ``indices[k]`` of the parameter has the gradient ``values[k]``.
    Values of a row that is named more than once add up, 0.0 + first + second + ..., so that the step has the bits of
    the dense one on ``numpy.add.at(zeros, indices, values)``. The cost of a step depends on the rows named, not on the
    size of the parameter.

    Parameters
    ----------
    indices : ndarray of int32 or int64, shape (n,)
        Along axis 0 of the parameter, in any order, from 0 up.
    values : ndarray, shape ``(n, *parameter.shape[1:])``
        C-contiguous, in the parameter's dtype, in which values of one row are added up. Not written.
    assume_unique : bool, default False
        True: no row is named twice, do not look. If one is, which of its updates lasts is not specified.

    Notes
    -----
    Arrays of a library that has ``__dlpack__``, such as torch's and JAX's, are taken too and not copied. The arrays are
    checked when a step is made, which raises TypeError, ValueError or IndexError.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> table = np.zeros((1000, 2))
    >>> opt = fa.ADAGRAD(params=table, learning_rate=0.5)
    >>> opt.step(fa.Rows(np.array([7, 3, 7]), np.array([[1.0, 2.0], [0.0, -1.0], [1.0, 2.0]])))
    >>> table[[3, 7]].round(6)
    array([[ 0. ,  0.5],
           [-0.5, -0.5]])
    """

    indices: Any
    values: Any
    assume_unique: bool = False


def rows_of(array: NDArray[Any]) -> NDArray[Any]:
    """An array whose first axis can be cut: one without dimensions has one row."""
    return array.reshape(1) if array.ndim == 0 else array


def row_layout(array: FloatArray, by_element: bool) -> tuple[int, int]:
    """How many rows a parameter has, and how many elements each; with `by_element`, each element counts as a row."""
    if by_element or array.ndim == 0:
        return array.size, 1
    return len(array), math.prod(array.shape[1:])


def is_scipy(gradient: Any) -> bool:
    """Whether a gradient is a matrix or an array of scipy.sparse, found out without importing scipy."""
    sparse = sys.modules.get("scipy.sparse")
    try:
        return sparse is not None and bool(sparse.issparse(gradient))
    except OF_ARGUMENTS:  # an object that raises when it is asked for its class
        return False


def is_sparse(gradient: Any) -> bool:
    return type(gradient) is Rows or (type(gradient) is not np.ndarray and is_scipy(gradient))


def outside(what: str, place: int, number: Any, n_rows: int) -> IndexError:
    """The error for an index, `number` at position `place`, which is not one of the `n_rows` rows."""
    there_are = f"there are rows 0 to {n_rows - 1} only" if n_rows else "there are no rows"
    return IndexError(f"{what}: number {place} is {number}, but {there_are}")
