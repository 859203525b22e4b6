"""Registration of the user's arrays: their names, their structure and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def interval(array: NDArray[Any]) -> tuple[int, int]:
    """First address of a C-contiguous array's data and the one behind its last."""
    start: int = array.ctypes.data
    return start, start + array.nbytes


def _refusal(array: Any) -> str | None:
    """What keeps an object from being a parameter and how to mend it; None if nothing does."""
    if not isinstance(array, np.ndarray):
        if hasattr(array, "__cuda_array_interface__"):
            return "is a device array, and this version updates host arrays only; pass a NumPy array"
        return f"must be a numpy.ndarray, not {type(array).__name__}; pass numpy.asarray(...) and keep that array"
    if type(array) not in (np.ndarray, np.memmap):
        return f"must be a plain numpy.ndarray or memmap, not {type(array).__name__}; pass its .view(numpy.ndarray)"
    if not array.dtype.isnative:
        return f"has the foreign byte order of {array.dtype}; pass array.astype(array.dtype.newbyteorder('='))"
    if array.dtype not in DTYPES:
        return f"must be float32 or float64, not {array.dtype}; pass array.astype(numpy.float32)"
    if not array.flags.c_contiguous:
        return f"must be C-contiguous, its strides are {array.strides}; pass numpy.ascontiguousarray(array)"
    if not array.flags.aligned:
        return "is not aligned in memory; pass array.copy()"
    if not array.flags.writeable:
        return "is read-only and cannot be updated in place; pass array.copy() or open it writable"
    return None


def guard_of(arrays: Sequence[FloatArray]) -> NDArray[np.int64]:
    """Sorted address intervals of arrays that do not overlap, empty ones left out."""
    return np.array(sorted(interval(a) for a in arrays if a.size), np.int64).reshape(-1, 2)


class Parameters:
    """The arrays that an optimizer updates in place, in the structure they were given in.

    Raises
    ------
    TypeError, ValueError
        For an array that cannot be updated in place, naming it and the fix.
    """

    def __init__(self, params: Any) -> None:
        self.given = params
        self._keyed, self._listed = isinstance(params, Mapping), isinstance(params, list | tuple)
        if self._keyed:
            for name in params:
                if not isinstance(name, str):
                    raise TypeError(f"params must have strings for names, not {name!r}")
            self.names, self.arrays = list(params), list(params.values())
        elif self._listed:
            self.names = [f"param{i}" for i in range(len(params))]
            self.arrays = list(params)
        else:
            self.names, self.arrays = ["param0"], [params]
        if not self.arrays:
            raise ValueError("params must hold at least one array, it is empty")
        for name, array in zip(self.names, self.arrays, strict=True):
            refusal = _refusal(array)
            if refusal:
                raise (ValueError if isinstance(array, np.ndarray) else TypeError)(f"parameter {name!r} {refusal}")
        self._refuse_overlap()
        self._registered = [(interval(array)[0], array.shape) for array in self.arrays]

    def refuse_changed(self, position: int) -> None:
        """Raise ValueError for an array that is no longer as it was when it was registered."""
        array = self.arrays[position]
        if (interval(array)[0], array.shape) != self._registered[position] or not array.flags.writeable:
            raise ValueError(
                f"parameter {self.names[position]!r} was moved in memory, reshaped or made read-only since it was "
                "registered: make a new optimizer"
            )

    def _refuse_overlap(self) -> None:
        spans = sorted((*interval(a), name) for name, a in self if a.size)
        for (_, stop, name), (start, _, other) in pairwise(spans):
            if start < stop:
                raise ValueError(
                    f"parameters {name!r} and {other!r} share memory, so that one would be updated twice; "
                    "pass one of them, or a copy"
                )

    def __iter__(self) -> Any:
        return iter(zip(self.names, self.arrays, strict=True))

    def __len__(self) -> int:
        return len(self.arrays)

    def restructure(self, arrays: Sequence[Any]) -> Any:
        """Arrays in the structure that the parameters were given in, in a container that cannot change."""
        if self._keyed:
            return MappingProxyType(dict(zip(self.names, arrays, strict=True)))
        if self._listed:
            return tuple(arrays)
        return arrays[0]

    def for_autograd(self) -> Any:
        """The parameters in containers and of types that autograd knows."""
        arrays = [array.view(np.ndarray) for array in self.arrays]
        if self._keyed:
            return dict(zip(self.names, arrays, strict=True))
        if self._listed:
            return arrays if isinstance(self.given, list) else tuple(arrays)
        return arrays[0]

    def flatten(self, values: Any, what: str = "gradients") -> list[Any]:
        """List of `values`, given in the structure of the parameters, in the parameters' order."""
        if self._keyed:
            if not isinstance(values, Mapping):
                raise TypeError(f"{what} must be a dict like params, not {type(values).__name__}")
            if len(values) != len(self.names) or any(name not in values for name in self.names):
                missing = [name for name in self.names if name not in values]
                extra = [name for name in values if name not in self.names]
                raise ValueError(f"{what} must have the names of params; missing: {missing}, unknown: {extra}")
            return [values[name] for name in self.names]
        if self._listed:
            if not isinstance(values, list | tuple):
                raise TypeError(f"{what} must be a list like params, not {type(values).__name__}")
            if len(values) != len(self.arrays):
                raise ValueError(f"{what} must hold {len(self.arrays)} arrays, one a parameter, not {len(values)}")
            return [*values]
        return [values]


def gradient_refusal(name: str, gradient: Any, parameter: FloatArray, guard: NDArray[np.int64]) -> Exception | None:
    """The error that a gradient deserves, None for one that can be used as it is."""
    where = f"gradient of {name!r}"
    if gradient is None:
        return TypeError(f"{where} is missing (None): pass an array of shape {parameter.shape}, or freeze {name!r}")
    refusal = form_refusal(where, "gradient", gradient, parameter.shape, parameter.dtype)
    if refusal is None and interval(gradient)[0] != interval(parameter)[0]:
        return overlap_refusal(where, gradient, guard)
    return refusal


def form_refusal(where: str, it: str, array: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Exception | None:
    """The error for what is no array of this shape and dtype in C order; `it` is its name in what mends it."""
    if type(array) not in (np.ndarray, np.memmap):
        return TypeError(f"{where} must be a plain numpy.ndarray, not {type(array).__name__}; pass numpy.asarray({it})")
    if array.shape != shape:
        return ValueError(f"{where} must have shape {shape}, not {array.shape}")
    if array.dtype != dtype:
        return TypeError(f"{where} must have dtype {dtype}, not {array.dtype}; pass {it}.astype({dtype})")
    if not array.flags.c_contiguous:
        return ValueError(
            f"{where} must be C-contiguous, not have strides {array.strides}; pass numpy.ascontiguousarray({it})"
        )
    if not array.flags.aligned:
        return ValueError(f"{where} must be aligned in memory; pass {it}.copy()")
    return None


def overlap_refusal(what: str, array: NDArray[Any], guard: NDArray[np.int64]) -> ValueError | None:
    """The error for what a step would write while it is read."""
    start, stop = interval(array)
    next_one = int(guard[:, 1].searchsorted(start, side="right"))
    if array.size and next_one < len(guard) and guard[next_one, 0] < stop:
        return ValueError(
            f"{what} overlaps the memory of a parameter or of the optimizer's state, which the step writes; pass a copy"
        )
    return None
