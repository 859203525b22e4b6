"""Sources of batches: arrays that are cut into batches, an iterable of batches, or a callable that returns one."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..support.asking import UNREADABLE, refuse_unreadable, shown
from ..support.memory_maps import refuse_closed

Batch = Any  # a tuple or a dict of arrays, depending on the inputs
Key = slice | npt.NDArray[np.integer[Any]]


class Arrays:
    """Arrays that are cut into batches along one axis."""

    def __init__(self, step: int, axis: int, by_batch: bool, arrays: Mapping[Any, Any], named: bool) -> None:
        self._pickers = {key: picker(array, axis, f"inputs[{key!r}]") for key, array in arrays.items()}
        self._named = named
        lengths = {key: int(array.shape[axis]) for key, array in arrays.items()}
        self._samples = next(iter(lengths.values()))
        if set(lengths.values()) != {self._samples}:
            raise ValueError(f"inputs: expected equal lengths along axis {axis}, got {lengths}")
        if self._samples == 0:
            raise ValueError(f"inputs: expected at least one sample, got length 0 along axis {axis}")
        self._step = step if step > 0 else self._samples
        self._starts: Sequence[int] = range(0, self._samples, self._step)
        self._by_batch = by_batch
        self.size: int | None = len(self._starts)
        self.traits: dict[str, Any] = {"kind": "arrays", "samples": self._samples, "batch_size": self._step}

    def __len__(self) -> int:
        return len(self._starts)

    def resized(self, iteration_size: int | None) -> Source:
        """A source of the same batches for epochs of another size."""
        return self

    def walk(self, start: int, random: np.random.Generator | None) -> Iterator[Batch]:
        """Draw the order of a pass (None: storage order), and yield its batches from number `start` on."""
        step, starts = self._step, self._starts
        if random is not None and self._by_batch:
            starts = random.permutation(np.array(starts)).tolist()
        if random is None or self._by_batch:
            return (self._batch(slice(i, i + step)) for i in starts[start:])
        order = random.permutation(self._samples)
        return (self._batch(order[i : i + step]) for i in starts[start:])

    def _batch(self, key: Key) -> Batch:
        parts = {name: pick(key) for name, pick in self._pickers.items()}
        return parts if self._named else tuple(parts.values())


class Batches:
    """An iterable of batches, which is iterated over anew for each pass."""

    size: int | None = None  # batches in a pass, if the number is known beforehand

    def __init__(self, inputs: Any) -> None:
        self._inputs = inputs
        self.traits: dict[str, Any] = {"kind": "iterable"}

    def __len__(self) -> int:
        return len(self._inputs)

    def resized(self, iteration_size: int | None) -> Source:
        """What gives the same batches in epochs of so many."""
        return self

    def walk(self, start: int, random: np.random.Generator | None) -> Iterator[Batch]:
        count = 0
        for count, batch in enumerate(self._inputs, 1):
            if count > start:
                yield _as_batch(batch)
        if count < start or count == 0:
            raise ValueError(f"inputs: expected over {start} batches, {described(self._inputs)} gave {count}")


class Calls(Batches):
    """A callable that returns a batch, and is called `iteration_size` times a pass."""

    def __init__(self, function: Any, iteration_size: int | None) -> None:
        super().__init__(function)
        self.size = operator.length_hint(function, 100) if iteration_size is None else iteration_size
        self.traits = {"kind": "callable"}

    def resized(self, iteration_size: int | None) -> Calls:
        return Calls(self._inputs, iteration_size)

    def walk(self, start: int, random: np.random.Generator | None) -> Iterator[Batch]:
        return (self._call() for _ in range(start, self.size or 0))

    def _call(self) -> Batch:
        """One batch: arrays as other sources have them, or any object that the loss knows."""
        batch = self._inputs()
        if batch is None:
            raise TypeError(f"inputs: {described(self._inputs)} returned None, no batch")
        return _as_batch(batch, or_any=True)


Source = Arrays | Batches


def source_of(inputs: Any, iteration_size: int | None, arrays: Callable[..., Arrays]) -> Source:
    """The source of the batches of `inputs`; `arrays` makes it if inputs are arrays that are to be cut."""
    if is_array(inputs):
        return arrays({0: inputs}, named=False)
    if isinstance(inputs, list | tuple | Mapping):
        named = isinstance(inputs, Mapping)
        items = dict(inputs if named else enumerate(inputs))
        if not items:
            raise ValueError(f"inputs: expected at least one array, got an empty {type(inputs).__name__}")
        lists_batches = not named and not any(map(is_array, inputs))
        empty = all(isinstance(batch, list | tuple) and not batch for batch in inputs)  # for a loss without data
        if lists_batches and (empty or all(any(map(is_array, parts_of(batch))) for batch in inputs)):
            return Batches(inputs)
        for key, item in items.items():
            if not is_array(item):
                expected = "an array (see numpy.asarray), or every item to be a tuple, list or dict of arrays"
                raise TypeError(f"inputs[{key!r}]: expected {expected}, got {described(item)}")
        return arrays(items, named=named)
    if callable(inputs):
        return Calls(inputs, iteration_size)
    if not isinstance(inputs, Iterable) or isinstance(inputs, str | bytes | np.ndarray):
        raise TypeError(f"inputs: expected arrays, a callable or batches, got {described(inputs)}")
    if isinstance(inputs, Iterator):
        raise TypeError(f"inputs: {described(inputs)} can be read only once; pass a list, or a callable")
    return Batches(inputs)


def picker(array: Any, axis: int, label: str) -> Callable[[Key], Any]:
    """A function that takes part of an array along `axis`: a view for a slice, a copy for indices."""
    ndim = len(array.shape)
    if not -ndim <= axis < ndim:
        raise ValueError(f"axis: expected an axis of {label}, {described(array)}, got {axis}")
    if hasattr(array, "iloc"):
        return partial(_indexed, array.iloc, axis % ndim)
    if hasattr(array, "tocsr"):
        _refuse_closed_parts(array, label)
        sliceable = array.tocsc() if axis % ndim else array.tocsr()
        kept = array.format if array.format in ("csr", "csc") else sliceable.format
        return partial(_sparse_part, sliceable, axis % ndim, kept, label)
    if isinstance(array, np.ndarray):
        return partial(_part, array.view(np.ndarray) if isinstance(array, np.memmap) else array, axis % ndim, label)
    return _Foreign(array, axis % ndim)


class _Foreign:
    """Takes parts of another library's array, also of one that takes only ascending indices, as h5py's do."""

    def __init__(self, array: Any, axis: int) -> None:
        self._array, self._axis, self._wants_ascending = array, axis, False

    def __call__(self, key: Key) -> Any:
        if not isinstance(key, np.ndarray) or not self._wants_ascending:
            try:
                return _indexed(self._array, self._axis, key)
            except (IndexError, NotImplementedError, TypeError, ValueError):
                if not isinstance(key, np.ndarray) or np.all(key[1:] > key[:-1]):
                    raise
        part = self._sorted_and_back(key)
        self._wants_ascending = True
        return part

    def _sorted_and_back(self, key: npt.NDArray[np.integer[Any]]) -> Any:
        order = np.argsort(key)
        place = np.empty_like(order)
        place[order] = np.arange(order.size)
        part = _indexed(_indexed(self._array, self._axis, key[order]), self._axis, place)
        return np.ascontiguousarray(part) if type(part) is np.ndarray else part


def _part(array: Any, axis: int, label: str, key: Key) -> Any:
    refuse_closed(label, array)
    gathered = isinstance(key, np.ndarray) and type(array) is np.ndarray
    if gathered and array.flags.c_contiguous and array.flags.aligned:
        return array.take(key, axis=axis)  # twice as fast as indexing, but `take` copies the whole of other arrays
    part = _indexed(array, axis, key)
    return np.ascontiguousarray(part) if gathered else part


def _sparse_part(matrix: Any, axis: int, kept: str, label: str, key: Key) -> Any:
    _refuse_closed_parts(matrix, label)
    return _indexed(matrix, axis, key).asformat(kept)


def _refuse_closed_parts(matrix: Any, label: str) -> None:
    for name in ("data", "indices", "indptr", "row", "col", "offsets"):
        refuse_closed(label, getattr(matrix, name, None))


def _indexed(array: Any, axis: int, key: Key) -> Any:
    return array[(slice(None),) * axis + (key,) if axis else key]


def is_array(value: Any) -> bool:
    """Whether a value has a shape of at least one axis."""
    return isinstance(getattr(value, "shape", None), tuple) and len(value.shape) > 0


def parts_of(batch: Any) -> Iterable[Any]:
    """The arrays of a batch, or the objects in their place."""
    if isinstance(batch, Mapping):
        return batch.values()
    return batch if isinstance(batch, list | tuple) else (batch,)


def _as_batch(batch: Any, or_any: bool = False) -> Batch:
    """A batch as a dict or a tuple; another object as it is, or an error unless there may be `or_any`."""
    try:
        if isinstance(batch, Mapping):
            return dict(batch)
        if isinstance(batch, list | tuple) or is_array(batch):
            return tuple(parts_of(batch))
    except UNREADABLE as error:
        refuse_unreadable("a batch of inputs", error)
        raise
    if or_any:
        return batch
    raise TypeError(f"inputs: expected batches: an array, tuple, list or dict each, got {described(batch)}")


def described(value: Any) -> str:
    """Description of a value that was given, for a message."""
    if callable(getattr(value, "collect", None)) and not is_array(value):
        return f"a {type(value).__name__}, which has not been computed yet: pass its collect()"
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__} {shown(value) if shape is None else f'of shape {tuple(shape)}'}"
