"""Notes that a GPU keeps on steps of which it decides itself whether they are made."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from ..kernels.cuda.memory import MARK
from .arrays import zeros
from .backend import Backend


class Deferred:
    """The notes on the steps of n parameters.

    The GPU has an int32 for each of: `noticed`, a gradient of this step is not finite; `stopped`, a step has been left
    out; and `found`, the gradient of this parameter was the reason (see `fastadagrad.kernels.cuda.finite`). It counts
    the steps that it leaves out in page-locked memory of the host, which reads the count at any time without waiting.
    """

    def __init__(self, backend: Backend, n: int) -> None:
        self._backend = backend
        [self._notes] = zeros(backend, [((2 + n,), np.int32)])
        self._counted = backend.page_locked(MARK).view(np.int32)
        self._counted[...] = 0
        self._count = memoryview(cast(Any, self._counted))  # of which an item is read several times as quickly
        noticed, count = self._notes.address, self._counted.ctypes.data
        self.found = noticed + 2 * MARK
        self.flags_of_checks = noticed, noticed + MARK  # what the kernels that check are launched with
        self.flags_of_updates = *self.flags_of_checks, count

    @property
    def left_some_out(self) -> bool:
        """Whether the GPU has left a step out, as far as it has got."""
        return bool(self._count[0])

    def begin_anew(self) -> None:
        """Let the GPU decide about the next step by its gradients alone."""
        self._backend.clear(self._notes.address, 2 * MARK)

    def take(self) -> tuple[int, int]:
        """Wait for all steps; return how many were left out, and the first parameter that was the reason."""
        notes = np.zeros(self._notes.shape, np.int32)
        self._backend.read(self._notes.address, notes)
        count = self._count[0]
        if count or notes.any():
            self._backend.clear(self._notes.address, self._notes.nbytes)
            self._count[0] = 0
        return count, int(np.argmax(notes[2:]))
