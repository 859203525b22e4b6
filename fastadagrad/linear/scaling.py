"""Scaling of features: AdaGrad's steps do not depend on a feature's scale, but the size of the best weight does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..data.tables import CSR, cast
from ..kernels.linear.layouts import largest_of_columns

SCALES = ("auto", "standard", "maxabs", "none")
SMALLEST_EXPONENT = -1000  # 2**1000, by which numbers are then multiplied, is finite
UNIT = 1e-3  # by which the squared length of a row may differ from 1 for the row to be of unit length
FULL = 0.5  # share of stored values above which features are dense
_CHUNK = 1 << 20  # elements of a dense matrix that are copied at a time
_FEW = 1 << 16  # elements of a vector that are treated at a time


@dataclass(frozen=True)
class Scaling:
    """The scaling of features x to (x - shift) / size, both (features,) float64; None stands for no change."""

    shift: NDArray[np.float64] | None
    size: NDArray[np.float64] | None

    def apply(self, features: NDArray[Any] | CSR, dtype: DTypeLike) -> NDArray[Any] | CSR:
        """Scale finite features in float64, then round them to dtype; ValueError for one that dtype cannot hold."""
        dtype = np.dtype(dtype)
        if self.size is None or ((self.shift is None or not self.shift.any()) and np.all(self.size == 1)):
            same = (features.data if isinstance(features, CSR) else features).dtype == dtype
            return features if same else cast(features, dtype)
        with np.errstate(over="ignore", under="ignore"):  # `cast` raises an error that names the non-finite value
            if isinstance(features, CSR):
                scaled = np.empty(features.data.size, dtype)
                for start in range(0, scaled.size, _CHUNK):
                    part = slice(start, start + _CHUNK)
                    scaled[part] = features.data[part] / self.size[features.indices[part]]
                return cast(features._replace(data=scaled), dtype)
            scaled = np.empty(features.shape, dtype)
            for rows in _chunks(features):
                scaled[rows] = (features[rows] - (0.0 if self.shift is None else self.shift)) / self.size
        return cast(scaled, dtype)

    def copy(self) -> Scaling:
        """The same scaling in arrays of its own."""
        return Scaling(*(None if each is None else each.copy() for each in (self.shift, self.size)))

    def unfold(self, weights: NDArray[Any], intercept: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Weights and intercept, in float64, for unscaled features.

        The weights of a model with one output are written over `size`, which is lost.
        """
        if self.size is None:
            raw = weights.astype(np.float64)
        elif weights.ndim == 1:
            raw = np.divide(weights, self.size, out=self.size)
        else:
            raw = weights.astype(np.float64)
            np.divide(raw.T, self.size, out=raw.T)
        return raw, intercept.astype(np.float64) - (0.0 if self.shift is None else self.shift @ raw)


def only_finite(*arrays: NDArray[Any]) -> bool:
    """Whether all numbers of some arrays are finite, found out part by part to save memory."""
    return all(
        bool(np.isfinite(each[part]).all()) for each in map(np.atleast_1d, arrays) for part in parts_of(len(each))
    )


def parts_of(length: int) -> Iterator[slice]:
    """Slices of a vector, so small that temporary arrays of the size of a slice do not matter."""
    for start in range(0, length, _FEW):
        yield slice(start, start + _FEW)


def exponents_of(largest: Any) -> Any:
    """Exponents of the powers of two next to the largest magnitudes given.

    If numbers are divided by such a power, no square overflows, and no sum of squares underflows to 0. Dividing by a
    power of two rounds nothing.
    """
    return np.maximum(np.frexp(largest)[1], SMALLEST_EXPONENT)


def _chunks(features: NDArray[Any]) -> list[slice]:
    """Slices of rows, so small that float64 copies of a slice do not matter."""
    rows = max(1, _CHUNK // max(1, features.shape[1]))
    return [slice(start, start + rows) for start in range(0, len(features), rows)]


def measure(
    scale: str, features: NDArray[Any] | CSR, centre: bool, weights: NDArray[np.float64] | None = None
) -> Scaling:
    """The scaling that follows from the training features; without `centre` nothing is shifted.

    A shift needs an intercept. An example of weight 2 counts as two examples.
    """
    if scale == "auto":
        scale = _best_scale(features)
    shift = None
    if scale == "none":
        return Scaling(None, None)
    if scale == "standard":
        if isinstance(features, CSR):
            raise ValueError('scale="standard" would make a sparse X dense: use "maxabs" or "none"')
        shift, size = moments(features, centre, weights)
    else:
        size = _largest(features)
    for part in parts_of(size.size):
        size[part][size[part] == 0] = 1.0
    return Scaling(shift, size)


def _best_scale(features: NDArray[Any] | CSR) -> str:
    """The scaling that suits features of a kind.

    Rows of texts by tf-idf have length 1, and their rare words count more than frequent ones already. Dividing each
    word by its largest value would make those of rare words far larger still.
    """
    if not isinstance(features, CSR):
        return "standard"
    return "none" if of_unit_length(features) else "maxabs"


def of_unit_length(features: CSR) -> bool | None:
    """Whether all rows that have values have length 1; None if no row has any."""
    filled = np.flatnonzero(np.diff(features.indptr))
    if not len(filled):
        return None
    for rows in np.array_split(filled, min(len(filled), 1 + features.data.size // _FEW)):
        first, last = features.indptr[rows[0]], features.indptr[rows[-1] + 1]
        with np.errstate(over="ignore"):
            squares = np.square(features.data[first:last], dtype=np.float64)
        if np.abs(np.add.reduceat(squares, features.indptr[rows] - first) - 1).max() > UNIT:
            return False
    return True


def without_zeros_left_out(features: NDArray[Any] | CSR) -> NDArray[Any] | CSR:
    """Sparse features of which more than half are stored as a dense array, which takes less memory; else as they are.

    The svmlight format has no other way of writing dense data, which train better with the mean of each column at 0.
    """
    full = isinstance(features, CSR) and features.data.size > FULL * math.prod(features.shape)
    return as_dense(features) if full else features


def as_dense(features: NDArray[Any] | CSR) -> NDArray[Any]:
    if not isinstance(features, CSR):
        return features
    dense = np.zeros(features.shape, features.data.dtype)
    dense[np.repeat(np.arange(features.shape[0]), np.diff(features.indptr)), features.indices] = features.data
    return dense


def moments(
    features: NDArray[Any], centre: bool, weights: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of each column (0 without `centre`), and root mean square distance from it, 0 for a constant column."""
    n, mean, squares = len(features), np.zeros(features.shape[1]), np.zeros(features.shape[1])
    shares = None if weights is None else (weights / weights.sum())[:, None]

    def mean_of(rows: slice, values: NDArray[Any]) -> Any:
        return values.sum(axis=0) / n if shares is None else (shares[rows] * values).sum(axis=0)

    lowest, highest = (each.astype(np.float64) for each in (features.min(axis=0), features.max(axis=0)))
    exponent = exponents_of(np.maximum(-lowest, highest))
    unit = np.ldexp(1.0, -exponent)
    if centre:
        for rows in _chunks(features):
            mean += mean_of(rows, features[rows] * unit)
    for rows in _chunks(features):
        squares += mean_of(rows, np.square(features[rows] * unit - mean))
    shift, size = np.ldexp(mean, exponent), np.ldexp(np.sqrt(squares), exponent)
    if centre:  # else the rounded mean would give a constant column a size of about its last bit, not 0
        constant = lowest == highest
        shift, size = np.where(constant, lowest, shift), np.where(constant, 0.0, size)
    return shift, size


def _largest(features: NDArray[Any] | CSR) -> NDArray[np.float64]:
    if not isinstance(features, CSR):
        return np.asarray(np.abs(features).max(axis=0, initial=0), np.float64)
    largest = np.zeros(features.shape[1])
    largest_of_columns(features.data, features.indices.view(np.uint32), largest)
    return largest
