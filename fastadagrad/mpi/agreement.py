"""What processes agree on: whether a step is made, and sums over whole parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..engine.comm import in_order
from .processes import Processes

KINDS = (
    FloatingPointError,
    IndexError,
    TypeError,
    ValueError,
    MemoryError,
    OSError,
    RuntimeError,
)  # the first that fits
AGREED = "raised in all processes"  # attribute of errors that are


class Agreement:
    """A `Comm` of processes; see `fastadagrad.engine.comm`."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def agreed(self, check: Callable[[], bool]) -> bool:
        error, passed = None, False
        try:
            passed = check()
        except BaseException as raised:
            error = raised
        outcomes = self._processes.all_of(passed if error is None else _told(error))
        refusals = [(rank, outcome) for rank, outcome in enumerate(outcomes) if isinstance(outcome, tuple)]
        if not refusals:
            return all(outcomes)
        if error is None:
            rank, (name, message) = refusals[0]
            error = next(kind for kind in KINDS if kind.__name__ == name)(f"in process {rank}: {message}")
        vars(error)[AGREED] = True
        raise error

    def whole_sums(self, parts: Sequence[NDArray[np.float64]]) -> list[float]:
        by_rank = self._processes.all_of([*parts])
        return [in_order(np.concatenate([of_rank[i] for of_rank in by_rank])) for i in range(len(parts))]


def agreed_on(error: ValueError) -> ValueError:
    """An error that all processes raise alike."""
    vars(error)[AGREED] = True
    return error


def is_agreed(error: BaseException) -> bool:
    """Whether an error is raised in all processes, so that none waits for another one."""
    return AGREED in vars(error)


def _told(error: BaseException) -> tuple[str, str]:
    """The kind of error for the other processes, and its message."""
    kind = next((kind.__name__ for kind in KINDS if isinstance(error, kind)), "")
    try:
        message = str(error)
    except Exception:
        message = "(its message cannot be shown)"
    return (kind, message) if kind else ("RuntimeError", f"{type(error).__name__}: {message}")
