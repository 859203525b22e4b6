"""Which columns of a table with named columns are what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are what.

    Parameters
    ----------
    numbers, categories : tuple of str
        Names of the features that are numbers, and of those that are strings.
    target, weight : str or None
        Names of the columns of labels and of the examples' weights.
    fill : mapping of str to float, or None
        The number that stands for a missing one, by column; None: missing numbers are refused.
    """

    numbers: tuple[str, ...]
    categories: tuple[str, ...] = ()
    target: str | None = None
    weight: str | None = None
    fill: Mapping[str, float] | None = None

    @property
    def all(self) -> list[str]:
        """The names of all columns that are read."""
        more = [name for name in (self.target, self.weight) if name is not None]
        return [*self.numbers, *self.categories, *more]
