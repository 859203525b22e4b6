"""The rows that a row-sparse gradient on a GPU names, each once."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..engine.place import array_of
from ..engine.rows import INDEX_DTYPES, Rows, outside
from ..kernels.cpu.coalesce import LARGEST, POSITION
from ..kernels.cuda import coalesce
from ..kernels.reduce import LANES
from .arrays import DeviceArray, zeros
from .backend import Backend
from .gradients import device_gradient

WORD = np.dtype(np.uint64)


class Groups(NamedTuple):
    """Addresses of the distinct rows and of the places of their values, as :mod:`..kernels.cuda.rows` takes them."""

    rows: int
    starts: int
    at: int
    n: int


class DeviceCoalescer:
    """Sorts row indices on a GPU, in memory that it keeps for the next time.

    Parameters
    ----------
    n_rows : int
        Number of rows of the parameter.
    outside : int, optional
        Address of an int32 which becomes 1 if an index is that of no row: the caller looks, and calls `refuse`. Without
        it the methods look themselves, for which they wait.
    """

    def __init__(self, backend: Backend, n_rows: int, outside: int | None = None) -> None:
        self._backend, self._n_rows = backend, n_rows
        self._kernels = coalesce.make_sort(backend.capability)
        [self._found] = zeros(backend, [((2,), WORD)])  # a total, and whether an index is that of no row
        self._looks, self._outside = outside is None, outside or self._found.address + WORD.itemsize
        self._room = -1

    def group(self, what: str, indices: DeviceArray, unique: bool) -> Groups:
        """The distinct rows in ascending order or, if they are `unique`, in the order given.

        Raises
        ------
        IndexError
            If there is no such row. The call waits for the GPU to find that out.
        """
        n = indices.size
        if not n:
            return Groups(0, 0, 0, 0)
        if unique:
            self._make_room(n)
            self._pack(self._kernels.pack_rows, indices, self._rows)
            if self._looks:
                self._look(what, indices)
            return Groups(self._rows.address, self._places.address, self._places.address, n)
        keys = self._sort(self.pack(indices), n)
        tiles = coalesce.tiles_of(n)
        self._launch(self._kernels.count_heads, tiles * LANES, keys, n, tiles, self._counts)
        self.scan(self._counts, tiles)
        n_groups = self._look(what, indices)
        rows, starts, at = (array.address for array in (self._rows, self._starts, self._at))
        self._launch(self._kernels.write, tiles * LANES, keys, n, tiles, self._counts, at, rows, starts)
        return Groups(rows, starts, at, n_groups)

    def pack(self, indices: DeviceArray) -> DeviceArray:
        """Sort keys of the indices, in the order of the indices."""
        self._make_room(indices.size)
        self._pack(self._kernels.pack, indices, self._keys[0])
        return self._keys[0]

    def _pack(self, kernels: dict[str, Any], indices: DeviceArray, words: DeviceArray) -> None:
        arguments = indices, indices.size, self._n_rows, words, self._outside
        self._launch(kernels[str(indices.dtype)], indices.size, *arguments)

    def _look(self, what: str, indices: DeviceArray) -> int:
        """The total of the counts that were scanned last; IndexError for indices of no row, unless the caller looks."""
        found = self._read()
        if found[1]:
            self._backend.clear(self._found.address, self._found.nbytes)
            self.refuse(what, indices)
        return int(found[0])

    def refuse(self, what: str, indices: DeviceArray) -> NoReturn:
        """Raise IndexError for the first of the indices that is not that of a row."""
        numbers = indices.to_host()
        [place, *_] = np.flatnonzero((numbers < 0) | (numbers >= self._n_rows)).tolist()
        raise outside(what, place, numbers[place], self._n_rows)

    def _make_room(self, n: int) -> None:
        if n <= self._room:
            return
        room = max(n, 2 * self._room)
        counts = coalesce.VALUES * coalesce.tiles_of(room)
        levels = [coalesce.spans_of(max(counts, room))]
        while levels[-1] > 1:
            levels.append(coalesce.spans_of(levels[-1]))
        sizes = room, room, room, room, room + 1, room + 1, counts, *levels[:-1]
        keys, others, *memory = zeros(self._backend, [((size,), WORD) for size in sizes])
        self._keys = keys, others
        self._at, self._rows, self._starts, self._places, self._counts, *self._totals_of_spans = memory
        self._backend.write(self._places.address, np.arange(room + 1, dtype=WORD))  # where rows are in the order given
        self._room = room

    def _sort(self, keys: DeviceArray, n: int) -> DeviceArray:
        other, tiles = self._keys[1], coalesce.tiles_of(n)
        for shift in range(POSITION, POSITION + (self._n_rows - 1).bit_length(), coalesce.DIGIT):
            self._launch(self._kernels.count, tiles * LANES, keys, n, shift, tiles, self._counts)
            self.scan(self._counts, coalesce.VALUES * tiles)
            self._launch(self._kernels.distribute, tiles * LANES, keys, n, shift, tiles, self._counts, other)
            keys, other = other, keys
        return keys

    def scan(self, counts: DeviceArray, size: int, level: int = 0) -> None:
        """Replace each count by the sum of the counts before it; there is room for as many counts as indices."""
        spans = coalesce.spans_of(size)
        totals = self._found if spans == 1 else self._totals_of_spans[level]
        self._launch(self._kernels.scan, spans * LANES, counts, size, spans, totals)
        if spans > 1:
            self.scan(totals, spans, level + 1)
            self._launch(self._kernels.add, size, counts, size, totals)

    def total(self) -> int:
        """The total of the counts that were scanned last; the call waits for the GPU."""
        return int(self._read()[0])

    def _read(self) -> NDArray[np.uint64]:
        found = np.zeros(self._found.shape, WORD)
        self._backend.read(self._found.address, found)
        return found

    def _launch(self, kernel: Any, threads: int, *arguments: int | DeviceArray) -> None:
        addresses = [x.address if isinstance(x, DeviceArray) else x for x in arguments]
        self._backend.launch(kernel, coalesce.blocks_of(threads), coalesce.THREADS, addresses)


def checked_device_indices(what: str, indices: Any, n_rows: int, backend: Backend) -> DeviceArray:
    """Row indices on a GPU, whose values the host has not seen; raises an error if the array cannot hold indices."""
    found = array_of(what, indices)
    if isinstance(found, DeviceArray) and found.ndim != 1:
        raise ValueError(f"{what} must have one dimension, not shape {found.shape}; pass indices.ravel()")
    shape = found.shape if isinstance(found, DeviceArray) else ()
    found = device_gradient(what, "indices", indices if found is None else found, shape, INDEX_DTYPES, backend)
    if max(found.size, n_rows) > LARGEST:
        raise ValueError(f"{what}: on a GPU there can be {LARGEST} rows and indices, not {max(found.size, n_rows)}")
    return found


def checked_device_rows(
    name: str, gradient: Rows, parameter: DeviceArray, backend: Backend
) -> tuple[DeviceArray, DeviceArray]:
    """Indices and values of a row-sparse gradient on a GPU; raises an error if their arrays do not fit."""
    where = f"gradient of {name!r}"
    if parameter.ndim == 0:
        raise ValueError(f"{where}: the parameter is 0-dimensional and has no rows; pass an array of shape ()")
    indices = checked_device_indices(f"{where}: indices", gradient.indices, len(parameter), backend)
    shape = (indices.size, *parameter.shape[1:])
    values = device_gradient(f"{where}: values", "values", gradient.values, shape, [parameter.dtype], backend)
    return indices, values
