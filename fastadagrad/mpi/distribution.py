"""New values of dense parameters on their way to all processes, while other parameters are still being stepped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from ..engine.place import Staging
from .buckets import Bucket
from .processes import Lockstep


class Distribution:
    """Sends each bucket once all of its parameters have been stepped, in the same order in all processes."""

    def __init__(self, processes: Lockstep, staging: Staging, buckets: Iterable[Bucket]) -> None:
        self._processes, self._staging, self._waiting = processes, staging, deque(buckets)
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
        self._staging.settle()

    def _sent(self, bucket: Bucket) -> Callable[[], None]:
        staging, positions, own = self._staging, bucket.positions, self._processes.rank
        alone = len(positions) == 1
        straight = staging.straight(positions[0]) if alone else None
        if straight is not None:
            return self._processes.complete(straight, bucket.bounds)
        arrays = [staging.arrays[i] for i in positions]
        staging.fetch(positions, bucket.cuts, own)
        flat = arrays[0].reshape(-1) if alone else bucket.packed(arrays, [own])
        finish = self._processes.complete(flat, bucket.bounds)

        def unpack() -> None:
            finish()
            if not alone:
                bucket.unpack(flat, arrays, [rank for rank in range(self._processes.size) if rank != own])
            staging.store(positions, bucket.cuts, own)

        return unpack
