"""Registration of the user's arrays: their names, their structure, and the errors for arrays that are refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.memory.storage import PRECISIONS, precision_of
from ..support import trees
from ..support.asking import UNREADABLE, asking, refuse_unreadable, shown
from ..support.memory_maps import map_of, refuse_closed
from ..support.read_only import ReadOnly
from .place import array_of, place_of
from .shard import Shard

FloatArray = NDArray[np.floating[Any]]
COMPUTED = (np.dtype(np.float32), np.dtype(np.float64))  # the dtypes that kernels compute in, and GPUs take alone


def holds_floats(array: Any) -> bool:
    """Whether an array has floats: NumPy's, or those of another package that parameters may have."""
    return array.dtype.kind == "f" or array.dtype.name in PRECISIONS


def precision_at_one(dtype: np.dtype[Any]) -> float:
    """The distance of 1 from the next number of a dtype that parameters may have."""
    bits = np.ones(1, dtype).view(precision_of(dtype).integer) + 1
    return float(bits.view(dtype)[0]) - 1


def interval(array: Any) -> tuple[int, int]:
    """First address of a C-contiguous array's data and the address behind the last, on the host or on a GPU."""
    start: int = array.ctypes.data if isinstance(array, np.ndarray) else array.address
    return start, start + array.nbytes


def _own_array(what: str, owner: Any) -> Any:
    return owner.rows if type(owner) is Shard else array_of(what, owner)


def _refusal(array: Any, owner: Any) -> str | None:
    """What keeps a user's object from being a parameter, and how to mend that; None if nothing does.

    `array` is the object as the engine knows arrays, or None if it is no array.
    """
    if array is None:
        return _refusal_of_others(owner)
    if not isinstance(array, np.ndarray):
        if array.dtype not in COMPUTED:
            taken = " (float16 and bfloat16 are taken in the host's memory alone)" * (array.dtype.name in PRECISIONS)
            return f"must be float32 or float64 on a GPU, not {array.dtype}{taken}; pass one of dtype float32"
        return _refusal_of_form(array, "a contiguous copy", "a copy")
    if not isinstance(owner, np.ndarray):  # of another library: jax's cannot be written
        return _refusal_of_form(array, "a contiguous copy", "numpy.array(array)", "one of dtype float32")
    if type(array) not in (np.ndarray, np.memmap):
        return f"must be a plain numpy.ndarray or memmap, not {type(array).__name__}; pass its .view(numpy.ndarray)"
    if not array.dtype.isnative:
        return f"has the foreign byte order of {array.dtype}; pass array.astype(array.dtype.newbyteorder('='))"
    return _refusal_of_form(array, "numpy.ascontiguousarray(array)", "array.copy() or open it writable")


def _refusal_of_others(array: Any) -> str:
    return (
        f"must be a numpy.ndarray (or an array of another library that has __dlpack__), not {type(array).__name__}; "
        "pass numpy.asarray(...) and keep that array"
    )


def _looks_like_an_array(value: Any) -> bool:
    """Whether an object is an array of any library, or a number of NumPy's, by what it has."""
    return hasattr(value, "__array_interface__") or hasattr(value, "__dlpack__") or hasattr(value, "shape")


def _refusal_of_form(
    array: Any, contiguous: str, writable: str, floats: str = "array.astype(numpy.float32)"
) -> str | None:
    if array.dtype.name not in PRECISIONS:
        return f"must be {_either(PRECISIONS)}, not {array.dtype}; pass {floats}"
    if not array.flags.c_contiguous:
        return f"must be C-contiguous, its strides are {array.strides}; pass {contiguous}"
    if not array.flags.aligned:
        return "is not aligned in memory; pass array.copy()"
    if not array.flags.writeable:
        return f"is read-only and cannot be updated in place; pass {writable}"
    return None


def _either(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"


def _held_open(arrays: Iterable[Any]) -> list[memoryview]:
    """Views of the memory maps of files that arrays are in, which cannot be closed or resized as long as there are any.

    Without them a map could be closed although an array of NumPy's is in it, and to read the array would be a crash.
    """
    maps = {id(found): found for array in arrays if (found := map_of(array)) is not None}
    return [memoryview(found) for found in maps.values()]


def guard_of(arrays: Sequence[Any]) -> NDArray[np.int64]:
    """Sorted address intervals of arrays that do not overlap, empty ones left out."""
    return np.array(sorted(interval(a) for a in arrays if a.size), np.int64).reshape(-1, 2)


class Parameters:
    """The arrays that an optimizer updates in place, in the structure they were given in.

    That is one array, a list or a dict of arrays, or a tree of dicts and lists, whose arrays have names as `layer1/W`.

    Attributes
    ----------
    owners : list
        The arrays as the user has them.
    arrays : list
        The arrays that are updated: the same, or descriptions of arrays on a GPU.
    shapes : list of tuple of int
        The shapes of the arrays; of a `Shard`, whose array has some rows, that of the whole.
    place : Place
        The memory in which the arrays lie.

    Raises
    ------
    TypeError, ValueError
        For an array that cannot be updated in place, naming it and the fix.
    """

    def __init__(self, params: Any) -> None:
        with asking("params", params):
            self._take(params)

    def _take(self, params: Any) -> None:
        self.given = params
        self._nested = trees.is_nested(params, _looks_like_an_array)
        self._keyed = isinstance(params, Mapping) and not self._nested
        self._listed = isinstance(params, list | tuple) and not self._nested
        self._several = self._keyed or self._listed or self._nested
        self._shape: trees.Shape = None  # of nested ones
        if self._nested:
            by_name = trees.named(params, _looks_like_an_array, "params")
            self._shape = trees.shape_of(params, _looks_like_an_array)
            self.names, self.owners = list(by_name), list(by_name.values())
        elif self._keyed:
            for name in params:
                if not isinstance(name, str):
                    raise TypeError(f"params must have strings for names, not {shown(name)}")
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
            array = _own_array(f"parameter {name!r}", owner)
            refusal = _refusal(array, array if type(owner) is Shard else owner)
            if refusal:
                raise (TypeError if array is None else ValueError)(f"parameter {name!r} {refusal}")
            self.arrays.append(array)
            if isinstance(array, np.ndarray):
                refuse_closed(f"parameter {name!r}", array)
        self.shapes = [
            owner.shape if type(owner) is Shard else array.shape
            for owner, array in zip(self.owners, self.arrays, strict=True)
        ]
        self._maps = _held_open(self.arrays)
        self.place = place_of(dict(self))
        self._refuse_overlap()
        self._registered = [(interval(array)[0], array.shape, array.dtype) for array in self.arrays]

    def refuse_moved(self) -> None:
        """Raise ValueError if an array is no longer as it was when it was registered."""
        for position in range(len(self)):
            self.refuse_changed(position)

    def refuse_changed(self, position: int) -> Any:
        """The array at a position; ValueError if it is no longer as it was when it was registered."""
        array = _own_array(f"parameter {self.names[position]!r}", self.owners[position])
        as_before = array is not None and (interval(array)[0], array.shape, array.dtype) == self._registered[position]
        if not as_before or not array.flags.writeable or not array.flags.c_contiguous:
            raise ValueError(
                f"parameter {self.names[position]!r} was moved in memory, reshaped or made read-only since it was "
                "registered: make a new optimizer"
            )
        return array

    def zeros(self, like: Sequence[Any], shapes: Sequence[tuple[int, ...]], dtypes: Sequence[Any]) -> list[Any]:
        """Zeros of the given shapes and dtypes, in the memory of the parameters."""
        return self.place.allocate(like, shapes, dtypes) if shapes else []

    def refuse_unlike(self, given: Any) -> None:
        """Raise ValueError for parameters that differ from these in structure, shape or dtype, TypeError for others."""
        other = Parameters(given)
        if other.names != self.names:
            raise ValueError(f"params must be named as they are here, {self.names}, not {other.names}")
        if other._shape != self._shape:
            raise ValueError(f"params must be nested as they are here, {self._outline()}, not {other._outline()}")
        for (name, here), (_, there) in zip(self, other, strict=True):
            if (here.shape, here.dtype) != (there.shape, there.dtype):
                raise ValueError(
                    f"parameter {name!r} must be {here.dtype} of shape {here.shape}, as it is here, not {there.dtype} "
                    f"of shape {there.shape}"
                )

    def _outline(self) -> Any:
        """The structure of the parameters, with names in the place of the arrays."""
        return trees.in_structure(self.given, self.names)

    def shard_at(self, position: int) -> Shard | None:
        """The parameter at a position, if it is a `Shard` of several processes."""
        owner = self.owners[position]
        return owner if type(owner) is Shard and owner.is_divided else None

    def refuse_shards(self, what: str) -> None:
        """Raise ValueError if no process has all of a parameter; `what` cannot do with its rows."""
        for position, name in enumerate(self.names):
            if self.shard_at(position) is not None:
                raise ValueError(f"parameter {name!r} is divided among processes, and {what}")

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
        """Arrays in the structure that the parameters were given in, in containers that cannot change."""
        if self._nested:
            return trees.in_structure(self.given, arrays, ReadOnly, lambda _, members: tuple(members))
        if self._keyed:
            return ReadOnly(dict(zip(self.names, arrays, strict=True)))
        if self._listed:
            return tuple(arrays)
        return arrays[0]

    def for_autograd(self) -> Any:
        """The parameters in containers and of types that autograd knows."""
        self.refuse_shards("autograd derives gradients of whole arrays only: let loss return (value, gradients)")
        arrays = [array.view(np.ndarray) for array in self.arrays]
        if self._nested:
            return trees.in_structure(self.given, arrays, sequence=_known_to_autograd)
        if self._keyed:
            return dict(zip(self.names, arrays, strict=True))
        if self._listed:
            return arrays if isinstance(self.given, list) else tuple(arrays)
        return arrays[0]

    def flatten(self, values: Any, what: str = "gradients") -> list[Any]:
        """List of `values` in the order of the parameters.

        They are given in the structure of the parameters or, if these are a dict, as a list in their order. For nested
        parameters a flat dict by their names will do as well.
        """
        try:
            return self._flattened(values, what)
        except UNREADABLE as error:
            refuse_unreadable(what, error)
            raise

    def _flattened(self, values: Any, what: str) -> list[Any]:
        if self._keyed and not isinstance(values, list | tuple):
            if not isinstance(values, Mapping):
                raise TypeError(
                    f"{what} must be a dict like params, or a list in their order, not {type(values).__name__}"
                )
            return self._by_name(values, what)
        if self._several:
            if self._nested and not (isinstance(self._shape, dict) and isinstance(values, list | tuple)):
                return self._from_tree(values, what)
            if not isinstance(values, list | tuple):
                raise TypeError(f"{what} must be a list like params, not {type(values).__name__}")
            if len(values) != len(self.arrays):
                raise ValueError(f"{what} must hold {len(self.arrays)} arrays, one a parameter, not {len(values)}")
            return [*values]
        return [values]

    def _by_name(self, values: Mapping[Any, Any], what: str) -> list[Any]:
        if len(values) != len(self.names) or any(name not in values for name in self.names):
            missing = [name for name in self.names if name not in values]
            extra = [name for name in values if name not in self.names]
            raise ValueError(f"{what} must have the names of params; missing: {missing}, unknown: {extra}")
        return [values[name] for name in self.names]

    def _from_tree(self, values: Any, what: str) -> list[Any]:
        """List of nested values, or of those of a flat dict, which has names that lead into a container."""
        shape = self._shape
        assert shape is not None
        as_given = isinstance(shape, dict) and isinstance(values, Mapping) and values.keys() == shape.keys()
        flat = isinstance(values, Mapping) and not as_given
        if flat and any(name in values for name in self.names if name not in shape):
            return self._by_name(values, what)
        return trees.leaves_by_shape(shape, values, what, "params")


def _known_to_autograd(given: Sequence[Any], members: list[Any]) -> Any:
    return members if isinstance(given, list) else tuple(members)
