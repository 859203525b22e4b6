"""Arrays of other libraries in the computer's own memory, as NumPy's arrays of the same memory: nothing is copied."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

_MS_ASYNC = 1  # a flag: do not wait
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
    interface = getattr(array, "__array_interface__", None)
    return None if interface is None else _by_interface(array, dict(interface))


class _Lent:
    """An interface that has been asked for once, with the object that keeps its memory."""

    def __init__(self, interface: dict[str, Any], owner: Any) -> None:
        self.__array_interface__, self.owner = interface, owner


def _by_interface(array: Any, interface: dict[str, Any]) -> NDArray[Any]:
    data = interface.get("data")
    if not isinstance(data, tuple):  # an object that knows how much memory it has: this one, if none is named
        data = interface["data"] = memoryview(array if data is None else data)
    found = np.asarray(_Lent(interface, array))
    if found.dtype.hasobject:
        raise TypeError("it holds Python objects")
    first, behind = np.lib.array_utils.byte_bounds(found)
    if isinstance(data, memoryview) and data.nbytes < behind - first:
        raise TypeError(f"it says that it has {behind - first} bytes, and there are {data.nbytes}")
    if found.size and not _is_mapped(first, behind):
        raise TypeError(f"there is no memory where it says that it lies, from {first:#x} to {behind:#x}")
    return found


def _is_mapped(first: int, behind: int) -> bool:
    """Whether there is memory between two addresses, as far as the system can be asked."""
    if os.name != "posix":
        return True
    start = first - first % mmap.PAGESIZE
    return _msync()(start, behind - start, _MS_ASYNC) == 0


@cache
def _msync() -> Callable[[int, int, int], int]:
    """The system's function that writes back what has been mapped; where nothing is mapped it fails."""
    function = ctypes.CDLL(None).msync
    function.argtypes, function.restype = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int), ctypes.c_int
    return cast(Callable[[int, int, int], int], function)
