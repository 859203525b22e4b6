"""Scalars that depend on a learning rate which is set before a step: where drivers read them, and how to write them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from .arena import Arena
from .tuning import Cell, OwnCells, own_scalars_are_apart
from .unit import Unit


class RateCells:
    """The scalars that `Engine.set_rate` changes, where scalars do not change from step to step anyway.

    Attributes
    ----------
    written : float or None
        The rate that has been written. It is the object that was set, since rates are compared by identity.
    only : (memory, index) or None
        The one cell, if there is no other and it has the rate itself. A step may write the rate there, and to
        `written`, without a call of `write`.
    """

    def __init__(self) -> None:
        self._cells: list[tuple[Any, Any, float, float]] | None = None  # plain tuples, which unpack faster
        self._own_cells: list[OwnCells] = []  # scalars that methods form from the learning rate themselves
        self.written: float | None = None
        self.only: tuple[Any, Any] | None = None

    def forget(self) -> None:
        """Have the cells looked for anew at the next `write`: units, settings or followers have changed."""
        self._cells = self.only = self.written = None

    def write(self, rate: float, arena: Arena, active: Collection[int], units: Sequence[Unit]) -> None:
        """Write a rate into the scalars of the units that step `active` positions, and of their rows that lag."""
        if self._cells is None:
            self._own_cells = [*_own_cells(arena, active, units)]
            self._cells = [(*cell,) for cell in _cells(arena, active, units)]
            alone = len(self._cells) == 1 and not self._own_cells and self._cells[0][2:] == (0.0, 1.0)
            self.only = self._cells[0][:2] if alone else None
        for cells in self._own_cells:
            cells.write(rate)
        for memory, index, base, factor in self._cells:
            memory[index] = base + factor * rate
        self.written = rate


def _own_cells(arena: Arena, active: Collection[int], units: Sequence[Unit]) -> Iterable[OwnCells]:
    own = [arena.unsettled[i] for i in active]
    if not all(s.scheduled or own_scalars_are_apart(s) for s in own):
        for unit in units:
            yield from unit.own_cells(arena.followers)


def _cells(arena: Arena, active: Collection[int], units: Sequence[Unit]) -> Iterable[Cell]:
    for unit in units:
        yield from unit.rate_cells(arena.followers)
    for i in active:
        if i in arena.lags and i in arena.followers:
            yield from arena.lags[i].rate_cells()
