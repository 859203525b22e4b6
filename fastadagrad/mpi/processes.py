"""The messages that processes exchange, as the rest of this package knows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray

Value = TypeVar("Value")


class Processes(Protocol):
    """Processes with numbers from 0 to size - 1, which all call the same methods in the same order."""

    @property
    def rank(self) -> int:
        """The number of this process."""

    @property
    def size(self) -> int:
        """How many processes there are."""

    def all_of(self, value: Any) -> list[Any]:
        """What each process gives here, in the order of the ranks: small objects that can be pickled."""

    def exchange(self, array: NDArray[Any], bounds: Sequence[int], expected: Sequence[int]) -> NDArray[Any]:
        """Rows ``[bounds[r], bounds[r + 1])`` of an array go to rank r; returns the rows that come, by rank.

        `expected` says how many rows come from each rank. All arrays have one dtype and rows of one shape.
        """

    def complete(self, array: NDArray[Any], bounds: Sequence[int]) -> None:
        """Fill an array in all processes, of which each has rows ``[bounds[rank], bounds[rank + 1])`` already."""


class Led:
    """Processes of which number 0 leads, as those that write checkpoints together (see `numbered_files.Processes`)."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    @property
    def leads(self) -> bool:
        return self._processes.rank == 0

    def of_leader(self, value: Value) -> Value:
        found: Value = self._processes.all_of(value)[0]
        return found
