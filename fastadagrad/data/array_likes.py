"""Conversion of objects that users give as arrays to NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.place import readable
from ..kernels.finite import all_finite
from ..support.asking import asking

NUMERIC = "biuf"  # kinds of numeric dtypes


def as_array(value: Any, name: str) -> NDArray[Any]:
    """An array of any dtype; the dtype is object if there are whole numbers that no other dtype can hold."""
    value = readable(name, value)
    with asking(name):
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
    """Whether a value marks a missing one: None, or pandas' NA and NaT."""
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def first_not_finite(values: NDArray[Any]) -> int | None:
    """Position of the first number that is NaN or infinite; None if all are finite."""
    if values.dtype in (np.float32, np.float64) and all_finite(np.ascontiguousarray(values)):
        return None
    finite = np.isfinite(values)
    return None if finite.all() else int(np.argmin(finite))
