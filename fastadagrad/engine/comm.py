"""Sums over all parameters of a step, and who else has some of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Comm(Protocol):
    """Those who step one model together, each its own parameters, with the same number of steps."""

    def totals(self, parts: Sequence[Sequence[float]], width: int) -> list[float]:
        """Sums over the parameters of all of them: the first numbers of all parts, the second, and so on.

        `parts` are those of this process, one a parameter, each of `width` numbers. Whoever gathers them adds them to
        0.0 in the order of the parameters of all, one after the other: so the bits do not depend on who has which.
        """


class Alone:
    """One process, which has all parameters."""

    def totals(self, parts: Sequence[Sequence[float]], width: int) -> list[float]:
        sums = [0.0] * width
        for part in parts:
            sums = [x + y for x, y in zip(sums, part, strict=True)]
        return sums


ALONE: Comm = Alone()
