"""The messages that processes exchange, as the rest of this package knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

Message = Sequence[NDArray[Any]]  # what goes to each process, by rank, and what is kept: flat arrays of one dtype


class Processes(Protocol):
    """Processes with numbers from 0 to size - 1, which all call the same methods in the same order."""

    @property
    def rank(self) -> int:
        """The number of this process."""

    @property
    def size(self) -> int:
        """How many processes there are."""

    @property
    def is_cuda_aware(self) -> bool:
        """Whether `complete` takes the elements of arrays in a GPU's memory; ValueError if that cannot be found out."""

    def all_of(self, value: Any) -> list[Any]:
        """What each process gives here, in the order of the ranks: small objects that can be pickled."""

    def exchange(self, array: NDArray[Any], bounds: Sequence[int], expected: Sequence[int]) -> NDArray[Any]:
        """Rows ``[bounds[r], bounds[r + 1])`` of an array go to rank r; returns the rows that come, by rank.

        `expected` says how many rows come from each rank. All arrays have one dtype and rows of one shape.
        """

    def exchanged(self, messages: Iterable[Message]) -> Iterator[Message]:
        """What comes from each process, by rank, and what is kept, for one message of all processes after the other.

        From every process come as many elements as are kept. Messages are sent before those that precede them have
        come.
        """

    def complete(self, array: NDArray[Any], bounds: Sequence[int]) -> Callable[[], None]:
        """Fill an array in all processes, of which each has rows ``[bounds[rank], bounds[rank + 1])`` already.

        The array is full, and may be changed again, once what is returned has been called. Until then other arrays may
        be filled, in the same order in all processes.
        """


class Lockstep:
    """Processes that find out, before they would wait for one another for ever, that they make different calls.

    Every exchange begins with `all_of`, which says what it is about.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes, self.rank, self.size = processes, processes.rank, processes.size
        self._lost: str | None = None  # what is said once they have made different calls

    def all_of(self, about: str, value: Any = None) -> list[Any]:
        """What each process gives here, in the order of the ranks.

        Raises
        ------
        RuntimeError
            If another process exchanges something else; from then on, always.
        """
        if self._lost is not None:
            raise RuntimeError(self._lost)
        found = self._processes.all_of((about, value))
        if any(other != about for other, _ in found):
            calls = ", ".join(f"{other} in process {rank}" for rank, (other, _) in enumerate(found))
            self._lost = f"the processes make different calls ({calls}): all must make the same ones in the same order"
            raise RuntimeError(self._lost)
        return [each for _, each in found]

    def exchange(self, array: NDArray[Any], bounds: Sequence[int], expected: Sequence[int]) -> NDArray[Any]:
        return self._processes.exchange(array, bounds, expected)

    def exchanged(self, messages: Iterable[Message]) -> Iterator[Message]:
        return self._processes.exchanged(messages)

    def complete(self, array: NDArray[Any], bounds: Sequence[int]) -> Callable[[], None]:
        return self._processes.complete(array, bounds)

    @property
    def is_cuda_aware(self) -> bool:
        return self._processes.is_cuda_aware

    @property
    def leads(self) -> bool:
        """Whether this is process 0, which does what is done once."""
        return self.rank == 0
