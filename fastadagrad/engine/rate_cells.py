"""Scalars that go by a learning rate which is set before a step: where drivers read them, and writing them there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from .arena import Arena
from .tuning import Cell, OwnCells, own_scalars_are_apart
from .unit import Unit


class RateCells:
    """What a learning rate that `Engine.set_rate` sets goes into, of scalars that do not change from step to step.

    Attributes
    ----------
    written : float or None
        The rate that is there: that very object, as it is compared by identity.
    only : (memory, index) or None
        The one cell, if one is all, and it is the rate itself: whoever is in a hurry writes that, and `written`.
    """

    def __init__(self) -> None:
        self._cells: list[tuple[Any, Any, float, float]] | None = None  # plain tuples, which unpack faster
        self._own_cells: list[OwnCells] = []  # of methods that form scalars of their own from it
        self.written: float | None = None
        self.only: tuple[Any, Any] | None = None

    def forget(self) -> None:
        """Look for the cells anew when next asked: units, settings or what follows them are others."""
        self._cells = self.only = self.written = None

    def write(self, rate: float, arena: Arena, active: Collection[int], units: Sequence[Unit]) -> None:
        """Let the units that step the `active` positions, and what lags behind there, go by a rate."""
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
