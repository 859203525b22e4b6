"""New values of dense parameters on their way to all processes, while other parameters are still being stepped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ..engine.parameters import FloatArray
from .buckets import Bucket
from .processes import Lockstep


class Distribution:
    """Sends each bucket once all of its parameters have been stepped, in the same order in all processes."""

    def __init__(self, processes: Lockstep, arrays: Sequence[FloatArray], buckets: Iterable[Bucket]) -> None:
        self._processes, self._arrays, self._waiting = processes, arrays, deque(buckets)
        self._unstepped = {i for bucket in self._waiting for i in bucket.positions}
        self._under_way: list[Callable[[], None]] = []

    def stepped(self, positions: Iterable[int]) -> None:
        """Send the buckets that are complete now that the parameters at these positions have been stepped."""
        self._unstepped.difference_update(positions)
        while self._waiting and self._unstepped.isdisjoint(self._waiting[0].positions):
            self._under_way.append(self._sent(self._waiting.popleft()))

    def finish(self) -> None:
        """Wait until all have come."""
        for finish in self._under_way:
            finish()

    def _sent(self, bucket: Bucket) -> Callable[[], None]:
        arrays = [self._arrays[i] for i in bucket.positions]
        if len(arrays) == 1:
            return self._processes.complete(arrays[0].reshape(-1), bucket.bounds)
        own = self._processes.rank
        flat = bucket.packed(arrays, [own])
        finish = self._processes.complete(flat, bucket.bounds)

        def unpack() -> None:
            finish()
            bucket.unpack(flat, arrays, [rank for rank in range(self._processes.size) if rank != own])

        return unpack
