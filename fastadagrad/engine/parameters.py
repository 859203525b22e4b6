"""Registration of the user's arrays: their names, their structure and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..device.arrays import DeviceArray, as_device_array
from ..device.backend import Backend
from ..support.read_only import ReadOnly

FloatArray = NDArray[np.floating[Any]]
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def interval(array: NDArray[Any] | DeviceArray) -> tuple[int, int]:
    """First address of a C-contiguous array's data and the one behind its last."""
    start: int = array.address if isinstance(array, DeviceArray) else array.ctypes.data
    return start, start + array.nbytes


def _refusal(array: Any) -> str | None:
    """What keeps an object from being a parameter and how to mend it; None if nothing does."""
    if isinstance(array, DeviceArray):
        return _refusal_of_form(array, "a contiguous copy", "a copy")
    if isinstance(array, Mapping | list | tuple) and _holds_arrays(array):
        return (
            f"is a {type(array).__name__} of arrays, but params are one array, a list or a dict of arrays, not nested: "
            "give each a name of its own, as in {'layer.weights': weights, 'layer.bias': bias}"
        )
    if not isinstance(array, np.ndarray):
        return f"must be a numpy.ndarray, not {type(array).__name__}; pass numpy.asarray(...) and keep that array"
    if type(array) not in (np.ndarray, np.memmap):
        return f"must be a plain numpy.ndarray or memmap, not {type(array).__name__}; pass its .view(numpy.ndarray)"
    if not array.dtype.isnative:
        return f"has the foreign byte order of {array.dtype}; pass array.astype(array.dtype.newbyteorder('='))"
    return _refusal_of_form(array, "numpy.ascontiguousarray(array)", "array.copy() or open it writable")


def _holds_arrays(values: Any) -> bool:
    """Whether there are arrays somewhere in nested containers."""
    if isinstance(values, Mapping):
        values = values.values()
    elif not isinstance(values, list | tuple):
        return hasattr(values, "dtype") and hasattr(values, "shape")
    return any(map(_holds_arrays, values))


def _refusal_of_form(array: NDArray[Any] | DeviceArray, contiguous: str, writable: str) -> str | None:
    if array.dtype not in DTYPES:
        return f"must be float32 or float64, not {array.dtype}; pass array.astype(numpy.float32)"
    if not array.flags.c_contiguous:
        return f"must be C-contiguous, its strides are {array.strides}; pass {contiguous}"
    if not array.flags.aligned:
        return "is not aligned in memory; pass array.copy()"
    if not array.flags.writeable:
        return f"is read-only and cannot be updated in place; pass {writable}"
    return None


def guard_of(arrays: Sequence[FloatArray | DeviceArray]) -> NDArray[np.int64]:
    """Sorted address intervals of arrays that do not overlap, empty ones left out."""
    return np.array(sorted(interval(a) for a in arrays if a.size), np.int64).reshape(-1, 2)


class Parameters:
    """The arrays that an optimizer updates in place, in the structure they were given in.

    Attributes
    ----------
    owners : list
        The arrays as the user has them.
    arrays : list
        What is updated: the same, or a `DeviceArray` for each.
    backend : Backend, optional
        The GPU that has them, if one has.

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
            self.names, self.owners = list(params), list(params.values())
        elif self._listed:
            self.names = [f"param{i}" for i in range(len(params))]
            self.owners = list(params)
        else:
            self.names, self.owners = ["param0"], [params]
        if not self.owners:
            raise ValueError("params must hold at least one array, it is empty")
        self.arrays: list[Any] = []
        for name, owner in zip(self.names, self.owners, strict=True):
            array = device_array(f"parameter {name!r}", owner)
            refusal = _refusal(owner if array is None else array)
            if refusal:
                is_array = array is not None or isinstance(owner, np.ndarray)
                raise (ValueError if is_array else TypeError)(f"parameter {name!r} {refusal}")
            self.arrays.append(owner if array is None else array)
        self.backend = self._common_backend()
        self._refuse_overlap()
        self._registered = [(interval(array)[0], array.shape, array.dtype) for array in self.arrays]

    def _common_backend(self) -> Backend | None:
        """The GPU that has all arrays; None if they are the host's."""
        places = {isinstance(array, DeviceArray): name for name, array in self}
        if len(places) == 2:
            raise ValueError(
                f"parameter {places[True]!r} is a device array and {places[False]!r} a host array: parameters of one "
                "optimizer must be in one place; move one of them, or make an optimizer for each"
            )
        if True not in places:
            return None
        first, array = max(self, key=lambda pair: pair[1].size > 0)
        backend: Backend = array.backend
        for name, array in self:
            if array.size and not backend.holds(array.address):
                raise ValueError(f"parameters {first!r} and {name!r} are on different GPUs: make an optimizer for each")
        return backend

    def refuse_moved(self) -> None:
        """Raise ValueError if a device array is where another one was when it was registered."""
        if self.backend is not None:
            for position in range(len(self)):
                self.refuse_changed(position)

    def refuse_changed(self, position: int) -> Any:
        """The array as it is now; ValueError if that is no longer as it was when it was registered."""
        array = self.arrays[position]
        if isinstance(array, DeviceArray):
            array = device_array(f"parameter {self.names[position]!r}", self.owners[position])
        as_before = array is not None and (interval(array)[0], array.shape, array.dtype) == self._registered[position]
        if not as_before or not array.flags.writeable or not array.flags.c_contiguous:
            raise ValueError(
                f"parameter {self.names[position]!r} was moved in memory, reshaped or made read-only since it was "
                "registered: make a new optimizer"
            )
        return array

    def refuse_unlike(self, given: Any) -> None:
        """Raise ValueError for parameters that cannot stand in for these, TypeError for what can be none."""
        other = Parameters(given)
        if other.names != self.names:
            raise ValueError(f"params must be named as they are here, {self.names}, not {other.names}")
        for (name, here), (_, there) in zip(self, other, strict=True):
            if (here.shape, here.dtype) != (there.shape, there.dtype):
                raise ValueError(
                    f"parameter {name!r} must be {here.dtype} of shape {here.shape}, as it is here, not {there.dtype} "
                    f"of shape {there.shape}"
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
            return ReadOnly(dict(zip(self.names, arrays, strict=True)))
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
        """List of `values` in the parameters' order: given in their structure or, of named ones, in that order."""
        if self._keyed and not isinstance(values, list | tuple):
            if not isinstance(values, Mapping):
                raise TypeError(
                    f"{what} must be a dict like params, or a list in their order, not {type(values).__name__}"
                )
            if len(values) != len(self.names) or any(name not in values for name in self.names):
                missing = [name for name in self.names if name not in values]
                extra = [name for name in values if name not in self.names]
                raise ValueError(f"{what} must have the names of params; missing: {missing}, unknown: {extra}")
            return [values[name] for name in self.names]
        if self._listed or self._keyed:
            if not isinstance(values, list | tuple):
                raise TypeError(f"{what} must be a list like params, not {type(values).__name__}")
            if len(values) != len(self.arrays):
                raise ValueError(f"{what} must hold {len(self.arrays)} arrays, one a parameter, not {len(values)}")
            return [*values]
        return [values]


def in_structure(given: Any, arrays: list[Any]) -> Any:
    """Arrays in the structure, and in the containers, that others were given in."""
    if isinstance(given, Mapping):
        return dict(zip(given, arrays, strict=True))
    if isinstance(given, list | tuple):
        return type(given)(*arrays) if hasattr(given, "_fields") else type(given)(arrays)
    return arrays[0]


def device_array(what: str, array: Any) -> DeviceArray | None:
    """See `as_device_array`, whose error names nothing."""
    try:
        return as_device_array(array)
    except TypeError as error:
        raise TypeError(f"{what}: {error}") from None


def device_gradient(
    what: str, it: str, array: Any, shape: tuple[int, ...], dtypes: Sequence[np.dtype[Any]], backend: Backend
) -> DeviceArray:
    """A device array of this shape and one of these dtypes in C order, or the error that it deserves."""
    found = device_array(what, array)
    if found is None:
        raise TypeError(
            f"{what} must be a device array, as its parameter is, not {type(array).__name__}; copy it to the GPU first"
        )
    refusal = _refusal_of_array(what, it, found, shape, dtypes, "a contiguous copy")
    if refusal:
        raise refusal
    if found.size and not backend.holds(found.address):
        raise ValueError(f"{what} must be on the GPU that has its parameter; copy it there")
    return found


def gradient_refusal(name: str, gradient: Any, parameter: FloatArray, guard: NDArray[np.int64]) -> Exception | None:
    """The error that a gradient deserves, None for one that can be used as it is."""
    where = f"gradient of {name!r}"
    if gradient is None:
        return missing_gradient(name, parameter)
    refusal = form_refusal(where, "gradient", gradient, parameter.shape, parameter.dtype)
    if refusal is None and interval(gradient)[0] != interval(parameter)[0]:
        return overlap_refusal(where, gradient, guard)
    return refusal


def missing_gradient(name: str, parameter: FloatArray | DeviceArray) -> TypeError:
    return TypeError(
        f"gradient of {name!r} is missing (None): pass an array of shape {parameter.shape}, or freeze {name!r}"
    )


def form_refusal(where: str, it: str, array: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Exception | None:
    """The error for what is no array of this shape and dtype in C order; `it` is its name in what mends it."""
    if type(array) not in (np.ndarray, np.memmap):
        if device_array(where, array) is not None:
            return TypeError(
                f"{where} must be a host array, as its parameter is, not a device array; copy it to the host"
            )
        return TypeError(f"{where} must be a plain numpy.ndarray, not {type(array).__name__}; pass numpy.asarray({it})")
    return _refusal_of_array(where, it, array, shape, [dtype], f"numpy.ascontiguousarray({it})")


def _refusal_of_array(
    where: str,
    it: str,
    array: NDArray[Any] | DeviceArray,
    shape: tuple[int, ...],
    dtypes: Sequence[np.dtype[Any]],
    contiguous: str,
) -> Exception | None:
    if array.shape != shape:
        return ValueError(f"{where} must have shape {shape}, not {array.shape}")
    if array.dtype not in dtypes:
        wanted = " or ".join(map(str, dtypes))
        return TypeError(f"{where} must have dtype {wanted}, not {array.dtype}; pass {it}.astype({dtypes[-1]})")
    if not array.flags.c_contiguous:
        return ValueError(f"{where} must be C-contiguous, not have strides {array.strides}; pass {contiguous}")
    if not array.flags.aligned:
        return ValueError(f"{where} must be aligned in memory; pass {it}.copy()")
    return None


def overlap_refusal(what: str, array: NDArray[Any] | DeviceArray, guard: NDArray[np.int64]) -> ValueError | None:
    """The error for what a step would write while it is read."""
    start, stop = interval(array)
    next_one = int(guard[:, 1].searchsorted(start, side="right"))
    if array.size and next_one < len(guard) and guard[next_one, 0] < stop:
        return ValueError(
            f"{what} overlaps the memory of a parameter or of the optimizer's state, which the step writes; pass a copy"
        )
    return None
