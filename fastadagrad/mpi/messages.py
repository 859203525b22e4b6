"""Messages by mpi4py."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support.extras import needed
from .cost import goes_in_pieces
from .cuda_aware import is_cuda_aware
from .ending import end_at_errors, end_at_long_waits
from .processes import Message

UNDER_WAY = 1 << 22  # bytes of messages that are under way at a time, or two messages

# Messages that an error has left under way: their memory is kept, as MPI may still write into it.
_abandoned: list[_UnderWay] = []


class Messages:
    """`Processes` by a communicator of mpi4py, of which this has a copy, so that the user's own messages stay apart."""

    def __init__(self, comm: Any) -> None:
        self._given, self._comm = comm, _copy_of(comm)
        self.rank: int = self._comm.Get_rank()
        self.size: int = self._comm.Get_size()
        self.waiting_since: float | None = None
        end_at_errors()
        end_at_long_waits(self)

    @property
    def is_cuda_aware(self) -> bool:
        return is_cuda_aware(self._given)

    def all_of(self, value: Any) -> list[Any]:
        with self._waiting():
            found: list[Any] = self._comm.allgather(value)
        return found

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """A block in which this process waits for the others, which is ended if it takes too long."""
        self.waiting_since = time.monotonic()
        try:
            yield
        finally:
            self.waiting_since = None

    def exchange(self, array: NDArray[Any], bounds: Sequence[int], expected: Sequence[int]) -> NDArray[Any]:
        received = np.empty((sum(expected), *array.shape[1:]), array.dtype)
        kind = _rows_of(array)
        sent = [stop - start for start, stop in pairwise(bounds)]
        starts = [0, *accumulate(expected)][:-1]
        with self._waiting():
            self._comm.Alltoallv(
                [_bytes(array), (sent, [*bounds[:-1]]), kind], [_bytes(received), ([*expected], starts), kind]
            )
        return received

    def exchanged(self, messages: Iterable[Message]) -> Iterator[Message]:
        under_way, size = deque[_UnderWay](), 0
        try:
            for message in messages:
                under_way.append(self._begun(message))
                size += under_way[-1].size
                while len(under_way) > 1 and size > UNDER_WAY:
                    size -= under_way[0].size
                    yield under_way.popleft().finished()
            while under_way:
                yield under_way.popleft().finished()
        finally:
            _abandoned.extend(under_way)

    def _begun(self, message: Message) -> _UnderWay:
        own = message[self.rank]
        if not goes_in_pieces(self.size):
            return self._begun_by_all_at_once(message)
        parts = [own if rank == self.rank else np.empty_like(own) for rank in range(self.size)]
        return _UnderWay(self._waiting, parts, self._begun_by_pairs(parts, message))

    def _begun_by_all_at_once(self, message: Message) -> _UnderWay:
        """A message that MPI's own all-to-all carries, which knows better than to send to each of many at once."""
        own, item = message[self.rank], _datatype(message[0].itemsize)
        counts = [len(part) for part in message]
        starts, expected = [0, *accumulate(counts)][:-1], [len(own)] * self.size
        sent, came = _joined(message), np.empty(len(own) * self.size, own.dtype)
        places = [each * len(own) for each in range(self.size)]
        request = self._comm.Ialltoallv(
            [_bytes(sent), (counts, starts), item], [_bytes(came), (expected, places), item]
        )
        return _UnderWay(self._waiting, [*came.reshape(self.size, -1)], [request], sent)

    def _begun_by_pairs(self, received: Message, sent: Message) -> list[Any]:
        """Requests of messages from and to each other process; nothing is sent that is empty."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        requests = [self._comm.Irecv(_buffer(received[rank]), rank) for rank in others if len(received[rank])]
        return requests + [self._comm.Isend(_buffer(sent[rank]), rank) for rank in others if len(sent[rank])]

    def complete(self, array: NDArray[Any], bounds: Sequence[int]) -> Callable[[], None]:
        parts = [array[start:stop] for start, stop in pairwise(bounds)]
        if not goes_in_pieces(self.size):
            mpi, counts = needed("mpi4py.MPI", "comm="), [len(part) for part in parts]
            whole = [_bytes(array), (counts, [*bounds[:-1]]), _rows_of(array)]
            requests = [self._comm.Iallgatherv(mpi.IN_PLACE, whole)]
        else:  # few send to each other at once, as MPICH's all-gather goes round in messages of 32 kB
            requests = self._begun_by_pairs(parts, [parts[self.rank]] * self.size)
        return _UnderWay(self._waiting, parts, requests).finish


class _UnderWay:
    """Messages under way, and the memory that they need until they have come."""

    def __init__(
        self,
        waiting: Callable[[], AbstractContextManager[None]],
        parts: Message,
        requests: list[Any],
        sent: NDArray[Any] | None = None,
    ) -> None:
        self._waiting, self._parts, self._requests, self._sent = waiting, parts, requests, sent
        self.size = sum(part.nbytes for part in parts)

    def finish(self) -> None:
        with self._waiting():
            needed("mpi4py.MPI", "comm=").Request.Waitall(self._requests)

    def finished(self) -> Message:
        self.finish()
        return self._parts


def _joined(parts: Message) -> NDArray[Any]:
    """Flat arrays as one, which is no copy if they lie one behind the other."""
    held = [part for part in parts if len(part)]
    if held and all(a.ctypes.data + a.nbytes == b.ctypes.data for a, b in pairwise(held)):
        return np.lib.stride_tricks.as_strided(held[0], (sum(map(len, held)),), writeable=False)
    return np.concatenate(parts)


def _buffer(rows: NDArray[Any]) -> list[Any]:
    return [_bytes(rows), len(rows), _rows_of(rows)]


def _bytes(array: NDArray[Any]) -> Any:
    """The memory of a C-contiguous array; that of a GPU is described by the array itself."""
    return array.reshape(-1).view(np.uint8) if isinstance(array, np.ndarray) else array


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
