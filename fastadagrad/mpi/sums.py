"""Dense gradients of all processes, added up for the rows that this process steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..engine.parameters import FloatArray
from ..host.launch import launch, usable_threads
from ..kernels.cpu.adding_up import make_add_up
from ..kernels.memory.storage import precision_of
from ..kernels.reduce import BLOCK
from .buckets import Bucket
from .cost import goes_in_pieces, piece_bytes
from .processes import Lockstep, Message

PARALLEL_FROM = 64 * BLOCK  # elements of a sum from which several threads are faster than one


class Summed(NamedTuple):
    """The sum of the gradients of a bucket, in this process's part of its layout."""

    bucket: Bucket
    own: FloatArray
    is_finite: bool


class _Piece(NamedTuple):
    """Some elements of each process's part of a gradient, which go to that process in one message."""

    layout: _Layout
    first: int  # of the elements, counted from the first that each process steps
    stop: int
    before: int  # bytes that the processes which step these elements are sent before them


class _Layout:
    """The gradients of a bucket as one flat array, and where the sum of this process's part of it is to stand."""

    def __init__(self, bucket: Bucket, flat: FloatArray, total: FloatArray) -> None:
        self.bucket, self.flat, self.total = bucket, flat, total
        self.is_finite = True

    def parts(self, piece: _Piece) -> Message:
        """The elements of a piece that go to each process, and those that this process keeps."""
        bounds = pairwise(self.bucket.bounds)
        return [self.flat[begin + piece.first : min(begin + piece.stop, end)] for begin, end in bounds]


class Sums:
    """Adds gradients up as they come; those of later pieces are under way while earlier ones are added up.

    Parameters
    ----------
    in_float64 : bool
        Whether gradients of all dtypes are added up in float64.
    threads : int, optional
        How many threads add up; None: all that there are.
    memory : callable, optional
        Makes memory for sums, which is not set, of a size and a dtype.
    """

    def __init__(
        self,
        processes: Lockstep,
        in_float64: bool,
        threads: int | None,
        memory: Callable[[int, Any], FloatArray] = np.empty,
    ) -> None:
        self._processes, self._in_float64, self._threads = processes, in_float64, usable_threads(threads)
        self._memory = memory
        self._totals = dict[tuple[int, ...], FloatArray]()

    def of(
        self, buckets: Sequence[Bucket], gradients: Mapping[int, Any], turn: int, weights: Sequence[float], divisor: int
    ) -> list[Summed]:
        """The sums of the gradients of each bucket, multiplied by the weights of the processes, over the divisor.

        Parameters
        ----------
        gradients : dict
            By position.
        turn : int
            How many times gradients have been added up in this step before.
        """
        layouts = [self._layout(bucket, gradients, turn) for bucket in buckets]
        waiting = deque[_Piece]()
        for came in self._processes.exchanged(self._sent(layouts, waiting)):
            piece = waiting.popleft()
            total = piece.layout.total[piece.first : piece.stop]
            piece.layout.is_finite &= self._add_up(came, total, weights, divisor)
        return [self._finished(layout) for layout in layouts]

    def _layout(self, bucket: Bucket, gradients: Mapping[int, Any], turn: int) -> _Layout:
        arrays = [gradients[i] for i in bucket.positions]
        alone = len(arrays) == 1
        flat = arrays[0].reshape(-1) if alone else bucket.packed(arrays, range(self._processes.size))
        return _Layout(bucket, flat, self._memory_of_total(bucket, flat.dtype, turn))

    def _memory_of_total(self, bucket: Bucket, of_gradients: np.dtype[Any], turn: int) -> FloatArray:
        """Where a gradient is summed, kept from step to step: the first write to new memory takes as long as the sum.

        Gradients of 16 bits are summed in float32: each sum would be rounded, and might overflow before the mean is
        formed.
        """
        rank, key = self._processes.rank, (turn, *bucket.positions)
        if key not in self._totals:
            dtype = np.float64 if self._in_float64 else precision_of(of_gradients).real
            self._totals[key] = self._memory(bucket.bounds[rank + 1] - bucket.bounds[rank], dtype)
        return self._totals[key]

    def _sent(self, layouts: Sequence[_Layout], waiting: deque[_Piece]) -> Iterator[Message]:
        for piece in self._pieces(layouts):
            waiting.append(piece)
            yield piece.layout.parts(piece)

    def _pieces(self, layouts: Sequence[_Layout]) -> list[_Piece]:
        """The pieces of all gradients, in the same order in all processes.

        It is the order in which each process would be sent its part if all were sent at one speed, as no process is to
        wait while another one, which steps the whole of an array, is sent all of it.
        """
        size, found, sent = self._processes.size, list[_Piece](), [0] * self._processes.size
        for layout in layouts:
            item = layout.flat.itemsize
            counts = [end - begin for begin, end in pairwise(layout.bucket.bounds)]
            length = piece_bytes(size) // item if goes_in_pieces(size) else max(counts)
            for first in range(0, max(counts), max(length, 1)):
                least = min(before for before, count in zip(sent, counts, strict=True) if count > first)
                found.append(_Piece(layout, first, first + length, least + first * item))
            sent = [before + count * item for before, count in zip(sent, counts, strict=True)]
        return sorted(found, key=lambda piece: piece.before)

    def _add_up(self, parts: Message, total: FloatArray, weights: Sequence[float], divisor: int) -> bool:
        """Add up the parts of all processes, in the order of the processes; whether the sum is finite."""
        if not total.size:
            return True
        dtype, threads = total.dtype, self._threads if total.size >= PARALLEL_FROM else 1
        addresses = np.array([part.ctypes.data for part in parts])
        factors, bits = (np.array(weights, dtype), dtype.type(divisor)), total.view(precision_of(dtype).integer)
        return not launch(make_add_up(parts[0].dtype, dtype), threads, addresses, *factors, total, bits)

    def _finished(self, layout: _Layout) -> Summed:
        """The sum in the dtype of the gradients, which may not hold what is finite in another one."""
        with np.errstate(all="ignore"):
            own: FloatArray = layout.total.astype(layout.flat.dtype, copy=False)
        return Summed(layout.bucket, own, layout.is_finite and own is layout.total)
