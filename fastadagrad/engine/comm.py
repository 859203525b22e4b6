"""Sums over all parameters of a step, also where other processes have some of the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Comm(Protocol):
    """The processes that step one model together, each its own parameters, all with the same number of steps."""

    def totals(self, parts: Sequence[Sequence[float]], width: int) -> list[float]:
        """Sums over the parameters of all processes: of the first numbers of all parts, of the second, and so on.

        `parts` are those of this process, one a parameter, each of `width` numbers. The parts of all processes are
        added to 0.0 one after the other, in the order of all parameters, so that the bits do not depend on which
        process has which parameter.
        """


class Alone:
    """One process, which has all parameters."""

    def totals(self, parts: Sequence[Sequence[float]], width: int) -> list[float]:
        sums = [0.0] * width
        for part in parts:
            sums = [x + y for x, y in zip(sums, part, strict=True)]
        return sums


ALONE: Comm = Alone()
