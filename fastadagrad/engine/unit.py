"""A unit, the parameters that one driver steps together: their table of addresses, and their scalars."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..kernels.memory import addresses
from ..kernels.memory.storage import computed_in
from ..kernels.rules import COMMON
from .options import Settings, cast_scalars
from .parameters import interval
from .state import State, accumulator_shape
from .tuning import Cell, OwnCells, by_rate

# Parts of a step beside those that `kernels.cpu.tensors` names, for units that `may_defer`.
DECIDE = 16  # the GPU looks whether all gradients are finite; if not, it makes neither this step nor those after it
DECIDE_ALONE = 32  # it does the same for this step alone
DECISIONS = DECIDE | DECIDE_ALONE

FEW = 4  # so many scalars are written one by one in less time than NumPy takes to write them at once


class OtherKind(Exception):
    """A gradient is dense where a sparse one was expected, or the other way round. For internal use."""


def norm_scale(limit: NDArray[np.float64] | float, squares: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Factor that brings a gradient with this sum of squares to at most a norm of `limit`."""
    with np.errstate(all="ignore"):
        return np.minimum(1.0, limit / np.sqrt(squares))


class Unit(ABC):
    """Parameters of one dtype and variant: those at some positions, with their settings."""

    may_defer = False  # whether `run` takes DECIDE, so that nobody waits to see whether gradients are finite

    def __init__(self, state: State, members: dict[int, Settings], kind: str) -> None:
        rule, params = self._rule, self._params = state.rule, state.params
        settings = list(members.values())
        self._form: Any = settings[0].form
        self.positions = list(members)
        self._state = state
        arrays = [params.arrays[i] for i in members]
        self._dtype = np.dtype(arrays[0].dtype.type)  # the object that nearly all arrays share; its address is compared
        self._real = computed_in(self._dtype)
        self.clips = settings[0].norm_limit > 0
        shapes = [accumulator_shape(a, kind) for a in arrays]
        widths = [a.size // max(1, math.prod(shape)) for a, shape in zip(arrays, shapes, strict=True)]
        self.table = addresses.make_table([a.size for a in arrays], widths, self._dtype, state.updates)
        for row, i, array in zip(self.table, members, arrays, strict=False):
            slots = state[params.names[i]]
            row[addresses.POSITION], row[addresses.OBJECT], row[addresses.PARAMETER] = i, id(array), interval(array)[0]
            for column, slot in enumerate(settings[0].slots, addresses.FIRST_SLOT):
                row[column] = interval(slots[slot])[0]
        self._scalars = np.zeros((len(members), len(rule.Scalars._fields)), self._real)
        self.sums = np.zeros(len(members))  # of squares, of the gradients
        self.take_settings(members)

    def take_settings(self, settings: Mapping[int, Settings] | Sequence[Settings]) -> None:
        """Use other settings, given by position, which may differ only in numbers from those before."""
        own, alike = [settings[i] for i in self.positions], dict[tuple[int, int], list[int]]()
        late = [self._state.late.get(self._params.names[i], 0) for i in self.positions]
        for row, key in enumerate(zip(map(id, own), late, strict=True)):
            alike.setdefault(key, []).append(row)
        self._alike = [(own[rows[0]], late[rows[0]], rows) for rows in alike.values()]
        self._norm_limits = np.array([s.norm_limit for s in own])

    def own_cells(self, positions: Collection[int]) -> list[OwnCells]:
        """Where drivers read the method's own scalars of some positions."""
        memory, width = self._scalar_memory(), self._scalars.shape[1]
        return [
            OwnCells(memory, [row * width + len(COMMON) for row in rows], settings, late)
            for settings, late, rows in self._alike
            if self.positions[rows[0]] in positions
        ]

    def _scalar_memory(self) -> memoryview:
        return memoryview(cast(Any, self._scalars)).cast("B").cast(cast(Any, self._real.char))

    def rate_cells(self, positions: Collection[int]) -> list[Cell]:
        """Where drivers read the scalars of some positions that depend on the learning rate."""
        cells, names, width = list[Cell](), self._rule.Scalars._fields, self._scalars.shape[1]
        memory = self._scalar_memory()
        for settings, _, rows in self._alike:
            if self.positions[rows[0]] not in positions:
                continue
            for name, line in by_rate(settings.options).items():
                column = names.index(name)
                if len(rows) > FEW:
                    cells.append(Cell(self._scalars[:, column], np.array(rows), *line))
                else:
                    cells += [Cell(memory, row * width + column, *line) for row in rows]
        return cells

    def set_scalars(self, t: int, asked: dict[int, float], learned: Sequence[float] = ()) -> None:
        for settings, late, rows in self._alike:
            self._scalars[rows] = cast_scalars(settings, t, self._real, asked, learned, late)

    def set_own_scalars(self, t: int, asked: dict[int, float], learned: Sequence[float]) -> None:
        """Set the method's own scalars again, as the method has learned new numbers since `set_scalars`."""
        own = slice(len(COMMON), None)
        for settings, late, rows in self._alike:
            self._scalars[rows, own] = cast_scalars(settings, t, self._real, asked, learned, late)[own]

    def set_gradient_scale(self, scale: NDArray[np.float64] | float) -> None:
        self._scalars[:, self._rule.Scalars._fields.index("gradient_scale")] = scale

    def clip_each(self) -> None:
        """Scale each gradient by its own norm."""
        self.set_gradient_scale(norm_scale(self._norm_limits, self.sums))

    def take_infinite(self) -> list[int]:
        """Positions whose accumulators the last steps have made infinite."""
        marks = self.table[:-1, addresses.INFINITE]
        found = [i for i, mark in zip(self.positions, marks.tolist(), strict=True) if mark]
        marks[...] = 0
        return found

    def poll(self) -> bool:
        """Look for accumulators that have become infinite, where steps do not wait to see; whether there may be any."""
        return False

    replayed = False  # whether a CUDA graph may make such steps at any time

    def left_out(self, wait: bool) -> tuple[int, int, bool]:
        """Tell of steps that the GPU has decided not to make.

        Returns
        -------
        tuple of int, int and bool
            Their number; the place among the positions of the parameter whose gradient was not finite; and whether a
            graph has left steps out, which are not among the number. With `wait` that is so of all steps, else of those
            that the GPU has got to.
        """
        return 0, 0, False

    @abstractmethod
    def run(self, work: int, gradients: list[Any], guard: NDArray[np.int64], threads: int) -> int:
        """Do the parts of a step in `work`: 0, 1 if accumulators became infinite, or a complaint of a non-finite one.

        Raises
        ------
        TypeError, ValueError, IndexError
            If a gradient does not fit.
        OtherKind
            If a gradient is not of the kind, dense or sparse, that this unit is for.
        """

    def _by_member(self, blocks: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Numbers of all blocks of 4,096 elements, by parameter."""
        return np.split(blocks[: self.table[-1, addresses.FIRST_BLOCK]], self.table[1:-1, addresses.FIRST_BLOCK])

    def _refuse_changed_parameters(self) -> None:
        for i in self.positions:
            self._params.refuse_changed(i)
