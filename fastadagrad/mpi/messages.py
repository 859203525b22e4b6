"""Messages by mpi4py."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support.extras import needed
from .cost import MOST_IN_PIECES
from .ending import end_at_errors, end_at_long_waits


class Messages:
    """`Processes` by a communicator of mpi4py, of which this has a copy, so that the user's own messages stay apart."""

    def __init__(self, comm: Any) -> None:
        self._comm = _copy_of(comm)
        self.rank: int = self._comm.Get_rank()
        self.size: int = self._comm.Get_size()
        self.waiting_since: float | None = None
        end_at_errors()
        end_at_long_waits(self)

    def all_of(self, value: Any) -> list[Any]:
        self.waiting_since = time.monotonic()
        try:
            found: list[Any] = self._comm.allgather(value)
            return found
        finally:
            self.waiting_since = None

    def exchange(self, array: NDArray[Any], bounds: Sequence[int], expected: Sequence[int]) -> NDArray[Any]:
        received = np.empty((sum(expected), *array.shape[1:]), array.dtype)
        kind = _rows_of(array)
        sent = [stop - start for start, stop in pairwise(bounds)]
        starts = [0, *accumulate(expected)][:-1]
        self._comm.Alltoallv(
            [_bytes(array), (sent, [*bounds[:-1]]), kind], [_bytes(received), ([*expected], starts), kind]
        )
        return received

    def complete(self, array: NDArray[Any], bounds: Sequence[int]) -> None:
        mpi, kind, memory, size = needed("mpi4py.MPI", "comm="), _rows_of(array), _bytes(array), array[:1].nbytes
        counts = [stop - start for start, stop in pairwise(bounds)]
        if self.size > MOST_IN_PIECES:
            self._comm.Allgatherv(mpi.IN_PLACE, [memory, (counts, [*bounds[:-1]]), kind])
            return
        # Few processes send to each other at once, as MPICH's all-gather goes round in messages of 32 kB.
        rows = [[memory[start * size : stop * size], stop - start, kind] for start, stop in pairwise(bounds)]
        others = [rank for rank in range(self.size) if rank != self.rank]
        requests = [self._comm.Irecv(rows[rank], rank) for rank in others if counts[rank]]
        requests += [self._comm.Isend(rows[self.rank], rank) for rank in others if counts[self.rank]]
        mpi.Request.Waitall(requests)


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """The memory of a C-contiguous array."""
    return array.reshape(-1).view(np.uint8)


def _rows_of(array: NDArray[Any]) -> Any:
    """MPI's datatype of a row of an array."""
    return _datatype(array.dtype.itemsize * int(np.prod(array.shape[1:], dtype=np.int64)))


@cache
def _datatype(size: int) -> Any:
    return needed("mpi4py.MPI", "comm=").BYTE.Create_contiguous(size).Commit()


@cache
def _key() -> int:
    """The key under which a communicator keeps its copy."""
    key: int = needed("mpi4py.MPI", "comm=").Comm.Create_keyval()
    return key


def _copy_of(comm: Any) -> Any:
    """A copy of a communicator, the same for all optimizers, as MPI has no more than some thousand of them."""
    found = comm.Get_attr(_key())
    if found is None:
        found = comm.Dup()
        comm.Set_attr(_key(), found)
    return found
