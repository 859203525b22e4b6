"""Arrays of other libraries in the computer's own memory, as NumPy's arrays of the same memory: nothing is copied."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

HOST_MEMORY = (1, 3, 11)  # of DLPack: a CPU's, and such as CUDA or ROCm have made fast for their transfers


def as_host_array(array: Any) -> NDArray[Any] | None:
    """A view of an array that has ``__dlpack__`` or ``__array_interface__`` and lies in the host's memory; else None.

    The view keeps the memory from being given back. Of a tensor of torch that requires a gradient it has the values.

    Raises
    ------
    TypeError
        If it is such an array, but cannot be read as one of NumPy's.
    """
    if type(array) is np.ndarray or isinstance(array, np.ndarray):
        return array
    if array is None or isinstance(array, np.generic):
        return None
    try:
        return _viewed(array)
    except Exception as error:  # other libraries have all kinds of reasons, and errors
        raise TypeError(f"this {type(array).__name__} cannot be read as an array of NumPy's: {error}") from error


def _viewed(array: Any) -> NDArray[Any] | None:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(array, torch.Tensor):  # whose DLPack NumPy 2.0 takes for read-only
        found: NDArray[Any] | None = array.detach().numpy() if getattr(array, "is_cpu", False) else None
        return found
    if hasattr(array, "__dlpack__") and hasattr(array, "__dlpack_device__"):
        return np.from_dlpack(array) if array.__dlpack_device__()[0] in HOST_MEMORY else None
    return np.asarray(array) if hasattr(array, "__array_interface__") else None
