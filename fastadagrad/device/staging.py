"""Messages from and to arrays in a GPU's memory: through page-locked memory of the host, or by a CUDA-aware MPI."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.place import array_of
from ..engine.rows import rows_of
from .arrays import ALIGNMENT, DeviceArray, zeros
from .backend import Backend


class Flat(DeviceArray):
    """A device array of one axis, of which ``flat[start:stop]`` are some elements."""

    def __getitem__(self, part: slice) -> DeviceArray:
        start, stop, _ = part.indices(len(self))
        return self.rows(start, max(start, stop))


class DeviceStaging:
    """The `fastadagrad.engine.place.Staging` of arrays in the memory of one GPU.

    Work of other libraries on any stream is waited for before gradients are read, and the copies are there when
    `settle` returns.
    """

    def __init__(self, backend: Backend, arrays: Sequence[DeviceArray], straight: Collection[int]) -> None:
        self._backend, self._parameters, self._straight = backend, arrays, frozenset(straight)
        self.arrays = _page_locked(backend, arrays)
        self._sums = dict[tuple[int, int], DeviceArray]()  # by turn and position

    def reserve(self, parts: Sequence[DeviceArray]) -> None:
        self._take(0, dict(enumerate(parts)))

    def _take(self, turn: int, like: Mapping[int, Any]) -> None:
        made = zeros(self._backend, [(array.shape, array.dtype) for array in like.values()])
        self._sums.update(zip([(turn, i) for i in like], made, strict=True))

    def gradients(self, gradients: Mapping[int, Any]) -> Mapping[int, Any]:
        self._backend.synchronize()
        found = {i: self._read(i, array_of("gradient", gradient)) for i, gradient in gradients.items()}
        self._backend.synchronize()
        return found

    def _read(self, position: int, gradient: Any) -> NDArray[Any]:
        if isinstance(gradient, np.ndarray):  # zeros, of a process that has no sample
            return gradient
        self._backend.read(gradient.address, self.arrays[position], wait=False)
        return self.arrays[position]

    def memory(self, size: int, dtype: Any) -> NDArray[Any]:
        return self._backend.page_locked(size * np.dtype(dtype).itemsize).view(dtype)

    def sums(self, turn: int, sums: Mapping[int, NDArray[Any]]) -> Mapping[int, Any]:
        new = {i: values for i, values in sums.items() if (turn, i) not in self._sums}
        if new:
            self._take(turn, new)
        there = {i: self._sums[turn, i] for i in sums}
        for i, values in sums.items():
            self._backend.write(there[i].address, values)
        return there

    def straight(self, position: int) -> Any:
        if position not in self._straight:
            return None
        self._backend.synchronize()
        array = self._parameters[position]
        return Flat(array.address, (array.size,), array.dtype, array)

    def fetch(self, positions: Sequence[int], cuts: Sequence[Sequence[int]], rank: int) -> None:
        for i, cut in zip(positions, cuts, strict=True):
            for part, host in self._parts(i, [(cut[rank], cut[rank + 1])]):
                self._backend.read(part.address, host, wait=False)
        self._backend.synchronize()

    def store(self, positions: Sequence[int], cuts: Sequence[Sequence[int]], rank: int) -> None:
        for i, cut in zip(positions, cuts, strict=True):
            for part, host in self._parts(i, [(0, cut[rank]), (cut[rank + 1], cut[-1])]):
                self._backend.write(part.address, host)

    def _parts(self, position: int, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[DeviceArray, NDArray[Any]]]:
        """Rows of a parameter, and of its array on the host, where there are any."""
        whole, host = self._parameters[position], rows_of(self.arrays[position])
        for start, stop in spans:
            if start < stop:
                yield whole.rows(start, stop), host[start:stop]

    def settle(self) -> None:
        self._backend.synchronize()


def _page_locked(backend: Backend, arrays: Sequence[DeviceArray]) -> list[NDArray[Any]]:
    """Arrays of these shapes and dtypes in one block of the host's memory, which is not set."""
    starts = [0]
    for array in arrays:
        starts.append(starts[-1] + -(-array.nbytes // ALIGNMENT) * ALIGNMENT)
    block = backend.page_locked(starts[-1])
    return [
        block[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        for array, start in zip(arrays, starts, strict=False)
    ]
