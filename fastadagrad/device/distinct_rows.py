"""The rows that a row-sparse gradient on a GPU names, each once."""

from __future__ import annotations

from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from ..engine.place import array_of
from ..engine.rows import INDEX_DTYPES, Rows, outside
from ..kernels.cpu.coalesce import LARGEST, POSITION
from ..kernels.cuda import coalesce
from .arrays import DeviceArray, zeros
from .backend import Backend
from .gradients import device_gradient

WORD = np.dtype(np.uint64)


class Groups(NamedTuple):
    """Addresses of the distinct rows and of the places of their values, as :mod:`..kernels.cuda.rows` takes them.

    There are as many as the word at the address `count_at` says, or `most` if that is 0.
    """

    rows: int
    starts: int
    at: int
    most: int
    count_at: int


NOTHING = Groups(0, 0, 0, 0, 0)


class Swept:
    """Memory for what the tiles of :mod:`..kernels.cuda.blocks` say, which is 0 before they say it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        [self._words] = zeros(backend, [((0,), WORD)])

    def cleared(self, *sizes: int) -> list[int]:
        """The addresses of parts of so many words each, all of which are 0."""
        size = sum(sizes)
        if self._words.size < size:
            [self._words] = zeros(self._backend, [((max(size, 2 * self._words.size),), WORD)])
        else:
            self._backend.clear(self._words.address, size * WORD.itemsize)
        return [self._words.address + before * WORD.itemsize for before in accumulate((0, *sizes[:-1]))]


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
        [self._found] = zeros(backend, [((2,), WORD)])  # how many rows, and whether an index is that of no row
        self._looks, self._outside = outside is None, outside or self._found.address + WORD.itemsize
        self._swept = Swept(backend)
        self._room = -1

    def group(self, what: str, indices: DeviceArray, unique: bool) -> Groups:
        """The distinct rows in ascending order or, if they are `unique`, in the order given.

        Raises
        ------
        IndexError
            If there is no such row. The call waits for the GPU to find that out, unless the caller looks. It is
            raised in any case if there are no rows at all.
        """
        n = indices.size
        if not n:
            return NOTHING
        if not self._n_rows:
            self.refuse(what, indices)
        if unique:
            rows, starts = self.rows(indices), self._places.address
            groups = Groups(rows.address, starts, starts, n, 0)
        else:
            groups = self._sorted(indices)
        if self._looks:
            found = np.zeros(self._found.shape, WORD)
            self._backend.read(self._found.address, found)
            if found[1]:
                self._backend.clear(self._found.address, self._found.nbytes)
                self.refuse(what, indices)
        return groups

    def rows(self, indices: DeviceArray) -> DeviceArray:
        """The indices as words, in their order."""
        n = indices.size
        self._make_room(n)
        kernel, blocks = self._kernels.pack_rows[str(indices.dtype)], -(-n // coalesce.THREADS)
        self._launch(kernel, blocks, indices, n, self._n_rows, self._rows, self._outside)
        return self._rows

    def _sorted(self, indices: DeviceArray) -> Groups:
        n, digits, kernels = indices.size, coalesce.digits_of(self._n_rows), self._kernels
        tiles, values = coalesce.tiles_of(n), coalesce.VALUES
        self._make_room(n)
        counts, tickets, said, *of_rows = self._swept.cleared(
            digits * values, digits, digits * tiles * values, 1, tiles
        )
        keys, others = self._keys
        pack = kernels.pack_keys[str(indices.dtype)]
        self._launch(pack, tiles, indices, n, self._n_rows, keys, digits, counts, self._outside)
        for digit in range(digits):
            parts = (counts, values), (tickets, 1), (said, tiles * values)
            of_digit = [start + digit * size * WORD.itemsize for start, size in parts]
            shift = POSITION + digit * coalesce.DIGIT
            self._launch(kernels.sweep, tiles, keys, n, shift, *of_digit, others)
            keys, others = others, keys
        results = self._at, self._rows, self._starts, self._found
        self._launch(kernels.write, tiles, keys, n, *of_rows, *results)
        return Groups(self._rows.address, self._starts.address, self._at.address, n, self._found.address)

    def refuse(self, what: str, indices: DeviceArray) -> None:
        """Raise IndexError for the first of the indices that is not that of a row, unless all are."""
        numbers = indices.to_host()
        places = np.flatnonzero((numbers < 0) | (numbers >= self._n_rows))
        if places.size:
            raise outside(what, int(places[0]), numbers[places[0]], self._n_rows)

    def _make_room(self, n: int) -> None:
        if n <= self._room:
            return
        room = max(n, 2 * self._room)
        sizes = room, room, room, room, room + 1, room + 1
        keys, others, *memory = zeros(self._backend, [((size,), WORD) for size in sizes])
        self._keys, (self._at, self._rows, self._starts, self._places) = (keys, others), memory
        self._backend.write(self._places.address, np.arange(room + 1, dtype=WORD))  # where rows are in the order given
        self._room = room

    def _launch(self, kernel: Any, blocks: int, *arguments: int | DeviceArray) -> None:
        addresses = [x.address if isinstance(x, DeviceArray) else x for x in arguments]
        self._backend.launch(kernel, blocks, coalesce.THREADS, addresses)


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
