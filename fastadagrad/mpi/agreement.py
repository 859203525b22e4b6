"""What processes agree on: whether a step is made, and sums over whole parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..engine.comm import in_order
from .processes import Processes

KINDS = (FloatingPointError, IndexError, TypeError, ValueError, MemoryError, RuntimeError)  # the first that fits


class Agreement:
    """A `Comm` of processes; see `fastadagrad.engine.comm`."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def agreed(self, check: Callable[[], bool]) -> bool:
        error, passed = None, False
        try:
            passed = check()
        except Exception as raised:
            error = raised
        kind = next((kind.__name__ for kind in KINDS if isinstance(error, kind)), "RuntimeError")
        outcomes = self._processes.all_of(passed if error is None else (kind, str(error)))
        if error is not None:
            raise error
        for rank, outcome in enumerate(outcomes):
            if isinstance(outcome, tuple):
                name, message = outcome
                raise next(kind for kind in KINDS if kind.__name__ == name)(f"in process {rank}: {message}")
        return all(outcomes)

    def whole_sums(self, parts: Sequence[NDArray[np.float64]]) -> list[float]:
        by_rank = self._processes.all_of([*parts])
        return [in_order(np.concatenate([of_rank[i] for of_rank in by_rank])) for i in range(len(parts))]
