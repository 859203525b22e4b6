"""What a step asks of the other processes that step the same model, each its own part of every parameter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Comm(Protocol):
    """The processes that step one model together, all with the same number of steps."""

    def agreed(self, check: Callable[[], bool]) -> bool:
        """Whether a check, which every process makes of its own part, passes in all of them.

        If it raises in one process, it raises in all: in the others an error of the same kind, which names the process.
        """

    def whole_sums(self, parts: Sequence[NDArray[np.float64]]) -> list[float]:
        """Sums over all of each parameter, given the sums over those of its blocks of 4,096 that this process has.

        The sums of the blocks are added to 0.0 one after the other, in the order of the blocks, so that the bits do not
        depend on which process has which blocks.
        """


class Alone:
    """One process, which has all of every parameter."""

    def agreed(self, check: Callable[[], bool]) -> bool:
        return check()

    def whole_sums(self, parts: Sequence[NDArray[np.float64]]) -> list[float]:
        return [in_order(part) for part in parts]


ALONE: Comm = Alone()


def in_order(numbers: NDArray[np.float64]) -> float:
    """The sum of numbers that are added to 0.0 one after the other; Python's and NumPy's sums add in other ways."""
    return float(np.add.accumulate(numbers)[-1]) + 0.0 if numbers.size else 0.0


def totals(parts: Sequence[Sequence[float]], width: int) -> list[float]:
    """Sums over parameters: of the first numbers of all parts, of the second, and so on, in the order of the parts."""
    sums = [0.0] * width
    for part in parts:
        sums = [x + y for x, y in zip(sums, part, strict=True)]
    return sums
