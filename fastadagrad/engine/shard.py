"""Arrays of which each of several processes has some rows, and none has all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support.asking import shown


class Shard:
    """Rows of an array that is divided among processes, those of this process, as `fastadagrad.shard` makes it.

    ``shard[indices]`` gives copies of rows by their numbers in the whole array: of those that this process has, and of
    those that an optimizer has fetched from others for the batch at hand (see ``touches`` of `Optimizer.iterate`).

    Attributes
    ----------
    rows : ndarray of shape (stop - start, ...)
        The rows that this process has; they can be written.
    start, stop : int
        Their numbers in the whole array.
    shape : tuple of int
        The shape of the whole array.
    bounds : list of int
        Rows ``[bounds[r], bounds[r + 1])`` are those of process r.
    """

    def __init__(self, rows: NDArray[Any], shape: tuple[int, ...], bounds: list[int], rank: int) -> None:
        self.rows, self.shape, self.bounds, self._rank = rows, shape, bounds, rank
        self.forget()

    @property
    def start(self) -> int:
        return self.bounds[self._rank]

    @property
    def stop(self) -> int:
        return self.bounds[self._rank + 1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.rows.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def is_divided(self) -> bool:
        """Whether there are several processes, in all of which this is the same."""
        return len(self.bounds) > 2

    @property
    def rank(self) -> int:
        """The number of this process."""
        return self._rank

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        which = f"rows {self.start:,} to {self.stop - 1:,}" if len(self.rows) else "no rows"
        return f"<Shard: {which} of {self.shape[0]:,}, {self.dtype} of shape {self.shape}>"

    __iter__ = None  # else Python would take it for a sequence, of which there are some members only

    def __array__(self, *arguments: Any, **keywords: Any) -> NDArray[Any]:
        """The array, if this process has all of it.

        Raises
        ------
        TypeError
            If other processes have rows.
        """
        if self.is_divided:
            raise TypeError("no process has all rows of a shard: take some by number, or this process's as .rows")
        return np.asarray(self.rows, *arguments, **keywords)

    def __getitem__(self, indices: Any) -> NDArray[Any]:
        """Copies of rows that are here.

        Raises
        ------
        TypeError
            If the indices are no whole numbers.
        IndexError
            If there is no such row, or another process has it and it has not been fetched.
        """
        numbers = np.asarray(indices)
        if isinstance(indices, tuple) or (numbers.dtype.kind not in "iu" and numbers.size):
            raise TypeError(f"rows of a shard are taken by their numbers, an array or a list, not by {shown(indices)}")
        numbers = numbers.astype(np.int64)
        wrong = (numbers >= self.shape[0]) | (numbers < -self.shape[0])
        if wrong.any():
            raise IndexError(f"row {numbers[wrong][0]} is out of range: the array has {self.shape[0]} rows")
        numbers = np.where(numbers < 0, numbers + self.shape[0], numbers)
        own = (numbers >= self.start) & (numbers < self.stop)
        found = np.empty((*numbers.shape, *self.shape[1:]), self.dtype)
        found[own] = self.rows[numbers[own] - self.start]
        others = numbers[~own]
        if others.size:
            fetched, values = self._fetched
            at = np.searchsorted(fetched, others)
            here = at < len(fetched)
            here[here] = fetched[at[here]] == others[here]
            if not here.all():
                raise IndexError(
                    f"row {others[~here][0]} is another process's: name the rows that the loss reads in touches=, or "
                    "read them by opt.read_rows"
                )
            found[~own] = values[at]
        return found

    def note(self, numbers: NDArray[np.int64], values: NDArray[Any]) -> None:
        """Note rows of other processes, which replace those that were noted before."""
        order = np.argsort(numbers, kind="stable")
        self._fetched = numbers[order], values[order]

    def forget(self) -> None:
        """Forget the rows of other processes, which have been stepped since."""
        self._fetched = np.zeros(0, np.int64), self.rows[:0]

    def copy(self) -> Shard:
        """A shard of the same rows with memory of its own."""
        return Shard(np.array(self.rows), self.shape, self.bounds, self._rank)
