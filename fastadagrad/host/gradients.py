"""The errors for dense gradients in the host's memory that do not fit their parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.gradients import missing_gradient, overlap_refusal, refusal_of_array
from ..engine.parameters import FloatArray, interval
from ..engine.place import array_of


def gradient_refusal(
    name: str, gradient: Any, parameter: FloatArray, guard: NDArray[np.int64], it: str = "gradient"
) -> Exception | None:
    """The error for a gradient that does not fit; None for one that can be used as it is.

    `it` is its name in the code that the message advises.
    """
    where = f"gradient of {name!r}"
    if gradient is None:
        return missing_gradient(name, parameter)
    refusal = form_refusal(where, it, gradient, parameter.shape, parameter.dtype)
    if refusal is None and interval(gradient)[0] != interval(parameter)[0]:
        return overlap_refusal(where, gradient, guard)
    return refusal


def host_form(what: str, array: Any) -> Any:
    """An array of another library as NumPy's view of its memory, if that is the host's; all else as it is."""
    if type(array) is np.ndarray and array.base is None:
        return array
    found = array_of(what, array)
    return found if isinstance(found, np.ndarray) else array


def form_refusal(where: str, it: str, array: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Exception | None:
    """The error for an object that is no array of this shape and dtype in C order; None if it is one.

    `it` is its name in the code that the message advises.
    """
    if type(array) not in (np.ndarray, np.memmap):
        if isinstance(array, np.ndarray):
            return TypeError(
                f"{where} must be a plain numpy.ndarray, not {type(array).__name__}; pass numpy.asarray({it})"
            )
        if array_of(where, array) is not None:
            return TypeError(
                f"{where} must be a host array, as its parameter is, not a device array; copy it to the host"
            )
        return TypeError(f"{where} must be a plain numpy.ndarray, not {type(array).__name__}; pass numpy.asarray({it})")
    return refusal_of_array(where, it, array, shape, [dtype], f"numpy.ascontiguousarray({it})")
