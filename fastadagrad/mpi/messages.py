"""Messages by mpi4py, and the end of the whole job if one process fails."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from itertools import accumulate, pairwise
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support.extras import needed

_ends_the_job = False  # whether an exception that nobody catches ends the whole job


class Messages:
    """`Processes` by a communicator of mpi4py, of which this is a copy, so that the user's own messages stay apart."""

    def __init__(self, comm: Any) -> None:
        self._comm = comm.Dup()
        self.rank: int = self._comm.Get_rank()
        self.size: int = self._comm.Get_size()
        _end_the_job_at_errors()

    def all_of(self, value: Any) -> list[Any]:
        found: list[Any] = self._comm.allgather(value)
        return found

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
        counts = [stop - start for start, stop in pairwise(bounds)]
        mpi = needed("mpi4py.MPI", "comm=")
        self._comm.Allgatherv(mpi.IN_PLACE, [_bytes(array), (counts, [*bounds[:-1]]), _rows_of(array)])


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """The memory of a C-contiguous array."""
    return array.reshape(-1).view(np.uint8)


def _rows_of(array: NDArray[Any]) -> Any:
    """MPI's datatype of a row of an array."""
    return _datatype(array.dtype.itemsize * int(np.prod(array.shape[1:], dtype=np.int64)))


@cache
def _datatype(size: int) -> Any:
    return needed("mpi4py.MPI", "comm=").BYTE.Create_contiguous(size).Commit()


def _end_the_job_at_errors() -> None:
    """Have an exception that nobody catches end all processes, of which the others would wait for this one for ever."""
    global _ends_the_job
    if _ends_the_job:
        return
    _ends_the_job = True
    show = sys.excepthook

    def show_and_abort(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        show(kind, error, trace)
        sys.stdout.flush()
        sys.stderr.flush()
        needed("mpi4py.MPI", "comm=").COMM_WORLD.Abort(1)

    sys.excepthook = show_and_abort
