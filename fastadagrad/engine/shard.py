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

    Parameters
    ----------
    rows : ndarray of shape (stop - start, ...)
        The rows that this process has; they can be written.
    shape : tuple of int
        The shape of the whole array.
    bounds : list of int
        Rows ``[bounds[r], bounds[r + 1])`` are those of process r.
    rank : int
        The number of this process.

    Raises
    ------
    TypeError, IndexError
        By ``shard[indices]``, for what are no row numbers, and for a row of another process that has not been fetched.

    Examples
    --------
    >>> import numpy as np
    >>> from fastadagrad import Shard
    >>> shard = Shard(np.array([[4.0, 5.0]]), shape=(3, 2), bounds=[0, 2, 3], rank=1)
    >>> shard
    <Shard: rows 2 to 2 of 3, float64 of shape (3, 2)>
    >>> shard[[2, 2]]
    array([[4., 5.],
           [4., 5.]])
    """

    _fetched: tuple[NDArray[np.int64], NDArray[Any]]  # numbers, sorted, and rows of other processes

    __iter__ = None  # else Python would take it for a sequence, of which there are some members only

    def __init__(self, rows: NDArray[Any], shape: tuple[int, ...], bounds: list[int], rank: int) -> None:
        self.rows, self.shape, self.bounds, self.rank = rows, shape, bounds, rank
        forget_rows(self)

    @property
    def start(self) -> int:
        """The number of the first row of this process."""
        return self.bounds[self.rank]

    @property
    def stop(self) -> int:
        """The number behind that of the last row of this process."""
        return self.bounds[self.rank + 1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the array."""
        return self.rows.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions of the array."""
        return len(self.shape)

    @property
    def is_divided(self) -> bool:
        """Whether there are several processes, in all of which this is the same."""
        return len(self.bounds) > 2

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        which = f"rows {self.start:,} to {self.stop - 1:,}" if len(self.rows) else "no rows"
        return f"<Shard: {which} of {self.shape[0]:,}, {self.dtype} of shape {self.shape}>"

    def __array__(self, *arguments: Any, **keywords: Any) -> NDArray[Any]:
        """The array, if this process has all of it; else TypeError."""
        if self.is_divided:
            raise TypeError("no process has all rows of a shard: take some by number, or this process's as .rows")
        return np.asarray(self.rows, *arguments, **keywords)

    def __getitem__(self, indices: Any) -> NDArray[Any]:
        """Copies of rows that are here; see the class."""
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
        if not own.all():
            found[~own] = self._of_others(numbers[~own])
        return found

    def _of_others(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """Rows of other processes that have been fetched."""
        fetched, values = self._fetched
        at = np.searchsorted(fetched, numbers)
        here = at < len(fetched)
        here[here] = fetched[at[here]] == numbers[here]
        if not here.all():
            raise IndexError(
                f"row {numbers[~here][0]} is another process's: name the rows that the loss reads in touches=, or read "
                "them by opt.read_rows"
            )
        of_others: NDArray[Any] = values[at]
        return of_others

    def copy(self) -> Shard:
        """A shard of the same rows, with memory of its own.

        Returns
        -------
        Shard
            One that has no rows of other processes.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad import Shard
        >>> shard = Shard(np.zeros((2, 3)), shape=(2, 3), bounds=[0, 2], rank=0)
        >>> other = shard.copy()
        >>> other.rows[0] = 1.0
        >>> shard.rows[0]
        array([0., 0., 0.])
        """
        return Shard(np.array(self.rows), self.shape, self.bounds, self.rank)


def note_rows(shard: Shard, numbers: NDArray[np.int64], values: NDArray[Any]) -> None:
    """Let a shard have rows of other processes, which replace those that it had before."""
    order = np.argsort(numbers, kind="stable")
    shard._fetched = numbers[order], values[order]


def forget_rows(shard: Shard) -> None:
    """Let a shard have no rows of other processes any more, as these may change them."""
    shard._fetched = np.zeros(0, np.int64), shard.rows[:0]
