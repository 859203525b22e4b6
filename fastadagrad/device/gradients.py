"""Checks of arrays on a GPU that have to fit a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.gradients import refusal_of_array
from ..engine.place import array_of
from .arrays import DeviceArray
from .backend import Backend


def device_gradient(
    what: str, it: str, array: Any, shape: tuple[int, ...], dtypes: Sequence[np.dtype[Any]], backend: Backend
) -> DeviceArray:
    """A device array of this shape and one of these dtypes in C order; raises an error for any other object."""
    found = array_of(what, array)
    if not isinstance(found, DeviceArray):
        raise TypeError(
            f"{what} must be a device array, as its parameter is, not {type(array).__name__}; copy it to the GPU first"
        )
    refusal = refusal_of_array(what, it, found, shape, dtypes, "a contiguous copy")
    if refusal:
        raise refusal
    if found.size and not backend.holds(found.address):
        raise ValueError(f"{what} must be on the GPU that has its parameter; copy it there")
    return found
