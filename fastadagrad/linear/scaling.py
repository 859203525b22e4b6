"""Bringing features to one scale: AdaGrad's steps do not depend on it, but the distances to go do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..data.tables import CSR, cast
from ..kernels.linear.layouts import largest_of_columns

SCALES = ("auto", "standard", "maxabs", "none")
SMALLEST_EXPONENT = -1000  # the power of two of the opposite sign is finite
_CHUNK = 1 << 20  # elements
_FEW = 1 << 16


@dataclass(frozen=True)
class Scaling:
    """Features are trained on as (x - shift) / size, both (features,) float64; None changes nothing."""

    shift: NDArray[np.float64] | None
    size: NDArray[np.float64] | None

    def apply(self, features: NDArray[Any] | CSR, dtype: DTypeLike) -> NDArray[Any] | CSR:
        """Finite features scaled in float64, then rounded to dtype; ValueError for one that it cannot hold."""
        dtype = np.dtype(dtype)
        if self.size is None or ((self.shift is None or not self.shift.any()) and np.all(self.size == 1)):
            same = (features.data if isinstance(features, CSR) else features).dtype == dtype
            return features if same else cast(features, dtype)
        with np.errstate(over="ignore", under="ignore"):  # `cast` names what is not finite
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
        """The same, in arrays of its own."""
        return Scaling(*(None if each is None else each.copy() for each in (self.shift, self.size)))

    def unfold(self, weights: NDArray[Any], intercept: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Weights and intercept, in float64, that score features as they come.

        Those of one output take the place of the sizes, which are lost.
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
    """Whether all numbers are, be the arrays contiguous or not; there is no array of as many truth values."""
    return all(
        bool(np.isfinite(each[part]).all()) for each in map(np.atleast_1d, arrays) for part in parts_of(len(each))
    )


def parts_of(length: int) -> Iterator[slice]:
    """Slices that are small enough for arrays beside them."""
    for start in range(0, length, _FEW):
        yield slice(start, start + _FEW)


def exponents_of(largest: Any) -> Any:
    """Exponents of powers of two, about the largest magnitudes given.

    Of numbers that are divided by such a power no square overflows, and no sum of squares vanishes. It rounds nothing.
    """
    return np.maximum(np.frexp(largest)[1], SMALLEST_EXPONENT)


def _chunks(features: NDArray[Any]) -> list[slice]:
    """Slices of rows that are small enough for float64 copies."""
    rows = max(1, _CHUNK // max(1, features.shape[1]))
    return [slice(start, start + rows) for start in range(0, len(features), rows)]


def measure(
    scale: str, features: NDArray[Any] | CSR, centre: bool, weights: NDArray[np.float64] | None = None
) -> Scaling:
    """Scaling by the training features; without `centre` nothing is shifted, as there is no intercept.

    An example of weight 2 is of the same account as two.
    """
    sparse = isinstance(features, CSR)
    if scale == "auto":
        scale = "maxabs" if sparse else "standard"
    shift = None
    if scale == "none":
        return Scaling(None, None)
    if scale == "standard":
        if isinstance(features, CSR):
            raise ValueError('scale="standard" would make a sparse X dense: use "maxabs" or "none"')
        shift, size = _moments(features, centre, weights)
    else:
        size = _largest(features)
    for part in parts_of(size.size):
        size[part][size[part] == 0] = 1.0
    return Scaling(shift, size)


def _moments(
    features: NDArray[Any], centre: bool, weights: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (or 0) and root mean square distance from it; the latter is 0 for a constant column."""
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
    if centre:  # rounding of the mean would leave a constant column a size of about its last bit
        constant = lowest == highest
        shift, size = np.where(constant, lowest, shift), np.where(constant, 0.0, size)
    return shift, size


def _largest(features: NDArray[Any] | CSR) -> NDArray[np.float64]:
    if not isinstance(features, CSR):
        return np.asarray(np.abs(features).max(axis=0, initial=0), np.float64)
    largest = np.zeros(features.shape[1])
    largest_of_columns(features.data, features.indices.view(np.uint32), largest)
    return largest
