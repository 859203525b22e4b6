"""What users give in the place of an array, as an array of NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.finite import all_finite

NUMERIC = "biuf"  # kinds of dtypes


def as_array(value: Any, name: str) -> NDArray[Any]:
    """An array of whatever dtype; of objects where it has whole numbers that no other dtype can hold."""
    if callable(getattr(value, "collect", None)) and not hasattr(value, "shape"):
        raise TypeError(f"{name} is a {type(value).__name__}, not computed yet: pass {name}.collect()")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array: fill it first, as in {name}.filled(0)")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be rectangular: {error}") from None
    except OverflowError:
        return np.asarray(value, dtype=object)


def is_missing(value: Any) -> bool:
    """Whether it stands for what is not known: None, and pandas' own."""
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def first_not_finite(values: NDArray[Any]) -> int | None:
    """Position of the first number that is NaN or infinite; None if all are finite."""
    if values.dtype in (np.float32, np.float64) and all_finite(np.ascontiguousarray(values)):
        return None
    finite = np.isfinite(values)
    return None if finite.all() else int(np.argmin(finite))
