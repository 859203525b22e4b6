"""What a GPU finds out about steps for which the host does not wait."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from ..kernels.cuda.memory import MARK
from .arrays import zeros
from .backend import Backend


class Deferred:
    """Notes on n parameters that the GPU writes to the host's memory, while it makes steps or leaves them out.

    Whether a step is left out is decided on the GPU, by two int32 in its own memory, `noticed` and `stopped` (see
    `fastadagrad.kernels.cuda.finite`). What is seldom written is in page-locked memory, where the host reads it at any
    time: a count of steps that were left out and, for each parameter, int32 at `found`, of a gradient that is not
    finite, and at `infinite`, of an accumulator that has become infinite.
    """

    def __init__(self, backend: Backend, n: int) -> None:
        self._backend = backend
        [self._decision] = zeros(backend, [((2,), np.int32)])
        self._notes = backend.page_locked((1 + 2 * n) * MARK).view(np.int32)
        self._notes[...] = 0
        self._found, self._infinite = self._notes[1 : 1 + n], self._notes[1 + n :]
        self._count = memoryview(cast(Any, self._notes))  # of which an item is read several times as quickly
        self.found, self.infinite = self._found.ctypes.data, self._infinite.ctypes.data
        # The guards of checks and of updates that decide.
        self.of_checks = self._decision.address, self._decision.address + MARK
        self.of_updates = *self.of_checks, self._notes.ctypes.data

    @property
    def left_some_out(self) -> bool:
        """Whether the GPU has left a step out, as far as it has got."""
        return bool(self._count[0])

    def begin(self) -> None:
        """Have the next step made whatever has become of those before it."""
        self._backend.clear(self._decision.address, self._decision.nbytes)

    def wait(self) -> None:
        """Wait for the steps so far."""
        self._backend.read(self._decision.address, np.zeros(2, np.int32))

    def take(self) -> tuple[int, int]:
        """How many of the steps waited for were left out, and the first parameter whose gradient was not finite."""
        count, found = int(self._count[0]), int(np.argmax(self._found))
        if count:
            self._notes[: 1 + self._found.size] = 0
            self.begin()
        return count, found

    def take_infinite(self) -> Any:
        """A mark for each parameter, whether its accumulator has become infinite since the last look."""
        marks = self._infinite.copy()
        self._infinite[...] = 0
        return marks
