"""Examples that are chosen at random while a stream is read, and held in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.tables import CSR, Table, in_one
from ..support.log import logger
from .splits import rows_of

FOR_RATES, FOR_VALIDATION = 5, 6  # what numbers are drawn for, so that one choice does not depend on another
MOST_VALUES = 1 << 22  # of the rows of a choice


def numbers_of(table: Table, seed: int, use: int) -> NDArray[np.float64]:
    """A random number in [0, 1) for each row of a block of a stream, the same whenever the block is read."""
    assert table.first is not None  # as a stream says it
    return np.random.default_rng([seed, use, table.first]).random(len(table.labels))


class Sample:
    """The rows that have the lowest of random numbers: so many rows at most, and so many values.

    Parameters
    ----------
    rows, values : int
    below : float
        Rows whose number is not below this are never taken.
    """

    def __init__(self, rows: int | None, values: int = MOST_VALUES, below: float = 1.0) -> None:
        self._most_rows, self._most_values = rows, values
        self.below = below  # lower than at first, if rows have been left out for want of room
        self._parts, self._numbers = list[Table](), list[NDArray[np.float64]]()
        self._rows = self._values = 0

    def add(self, table: Table, numbers: NDArray[np.float64]) -> None:
        """Take those rows of a block whose numbers are low enough, except such of weight 0."""
        low = numbers < self.below
        chosen = np.flatnonzero(low if table.weights is None else low & (table.weights > 0))
        if not chosen.size:
            return
        part = rows_of(table, chosen)
        self._parts.append(part)
        self._numbers.append(numbers[chosen])
        self._rows += len(chosen)
        self._values += int(_values_of_rows(part).sum())
        if self._is_beyond(2):
            self._thin()

    def table(self) -> Table | None:
        """The rows in the order of the stream; None if there are none."""
        if self._is_beyond(1):
            self._thin()
        return in_one(self._parts) if self._parts else None

    def _is_beyond(self, times: int) -> bool:
        rows = self._most_rows is not None and self._rows > times * self._most_rows
        return rows or self._values > times * self._most_values

    def _thin(self) -> None:
        """Leave out the rows with the highest numbers, as many as are too many, but keep two."""
        table, numbers = in_one(self._parts), np.concatenate(self._numbers)
        order, values = np.argsort(numbers), _values_of_rows(table)
        count = int(np.searchsorted(np.cumsum(values[order]), self._most_values, "right"))
        count = min(max(count, 2), len(order) - 1, self._most_rows or len(order))
        self.below = float(numbers[order[count]])
        kept = np.flatnonzero(numbers < self.below)
        self._parts, self._numbers = [rows_of(table, kept)], [numbers[kept]]
        self._rows, self._values = len(kept), int(values[kept].sum())


def _values_of_rows(table: Table) -> NDArray[Any]:
    """The number of values that each row stores."""
    features = table.features
    return np.diff(features.indptr) if isinstance(features, CSR) else np.full(len(features), features.shape[1])


class Aside:
    """The fraction of a stream's examples that is set aside for validation, as far as memory is to hold them.

    Examples beyond that are trained on.
    """

    def __init__(self, fraction: float, seed: int, values: int = MOST_VALUES) -> None:
        self._fraction, self._seed = fraction, seed
        self._sample = Sample(None, values, fraction)
        self._seen = 0

    def numbers_of(self, table: Table) -> NDArray[np.float64]:
        """The numbers by which the rows of a block are set aside."""
        return numbers_of(table, self._seed, FOR_VALIDATION)

    def add(self, table: Table, numbers: NDArray[np.float64]) -> None:
        """Take the rows of a block that are to be set aside."""
        self._seen += len(numbers)
        self._sample.add(table, numbers)

    def never_in(self, table: Table, numbers: NDArray[np.float64]) -> Table:
        """The rows of a block that are surely not set aside, whatever comes."""
        return _rows_from(table, numbers, self._fraction)

    def left_of(self, table: Table) -> Table:
        """The rows of a block that are not set aside, once all blocks have been added."""
        return _rows_from(table, self.numbers_of(table), self._sample.below)

    def table(self) -> Table:
        """The examples that have been set aside.

        Raises
        ------
        ValueError
            If there are none, or if none are left to train on.
        """
        held_out = self._sample.table()
        count = 0 if held_out is None else len(held_out.labels)
        if held_out is None or count == self._seen:
            what = "sets none aside" if held_out is None else "leaves none to train on"
            raise ValueError(
                f"validation={self._fraction:g} of {self._seen} examples {what}: give the examples for validation "
                "themselves (--valid FILE)"
            )
        bounded = ", as many as memory is to hold" if self._sample.below < self._fraction else ""
        logger.info("%d of %d examples are set aside for validation%s", count, self._seen, bounded)
        return held_out


def _rows_from(table: Table, numbers: NDArray[np.float64], lowest: float) -> Table:
    """The rows of a block whose numbers are not below the lowest."""
    return replace(rows_of(table, np.flatnonzero(numbers >= lowest)), first=table.first)
