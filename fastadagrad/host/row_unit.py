"""Steps with sparse gradients in the host's memory: of the rows named, or as a dense step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.missed import no_closed_form
from ..engine.options import Settings
from ..engine.parameters import FloatArray
from ..engine.rows import row_layout
from ..engine.state import State
from ..engine.unit import Unit
from ..kernels import missed
from ..kernels.cpu.gradient_checks import make_checks
from ..kernels.cpu.rows import make_block_sums, make_sum_of_squares, make_update
from ..kernels.cpu.tensors import FINITE, HEADERS, NORMS, UPDATE
from ..kernels.memory import addresses
from ..kernels.memory.storage import precision_of, storage_of
from ..kernels.reduce import BLOCK
from ..support.interrupts import whole
from .distinct_rows import Coalescer, Gathered
from .launch import launch
from .missed import HostLagging
from .sparse_gradients import checked_sparse

NO_LAG = missed.Lag(0, np.zeros(0, np.int64), np.zeros(2), np.zeros(2), np.zeros((0, 0)))


class RowUnit(Unit):
    """One parameter with a sparse gradient, stepped in the rows that the gradient names.

    Parameters
    ----------
    by_element : bool
        For sparse matrices only: step the elements that are stored, not whole rows.
    ordered : bool
        Sort the rows in any case: squares of the gradient are summed, in ascending order of rows.
    lags : dict, optional
        Given if rows that a gradient does not name move: the notes of how far they lag behind, by position.
    watchful : bool
        Accumulators that become infinite are to be noticed.
    parallel_from : int
        Number of values from which several threads are faster than one.
    """

    def __init__(
        self,
        state: State,
        position: int,
        settings: Settings,
        kind: str,
        lean: bool,
        *,
        by_element: bool,
        ordered: bool,
        lags: dict[int, HostLagging] | None,
        watchful: bool,
        parallel_from: int,
    ) -> None:
        super().__init__(state, {position: settings}, kind)
        rule, self._kind = self._rule, kind
        self._name, self._array = self._params.names[position], self._params.arrays[position]
        self._accumulator: Any = state[self._name][settings.slots[0]] if kind != "element" else None
        self._by_element, self._parallel_from = by_element, parallel_from
        self._n_rows, self._width = row_layout(self._array, by_element)
        self.table[0, addresses.WIDTH] = self._width
        self._ordered = ordered or kind == "tensor"
        variant = settings.motion, kind, lean, lags is not None, watchful or kind != "element"
        self._driver = make_update(self._form, *variant, self._dtype)
        self._norm = make_sum_of_squares(self._form, False, True, self._dtype)
        self._finite_check = make_checks(precision_of(self._dtype)).holds_non_finite
        self._prepared_norm = make_sum_of_squares(self._form, True, lean, self._dtype)
        self._coalescer = Coalescer(self._dtype, self._n_rows, self._width, self._ordered, parallel_from)
        self._values = addresses.make_table([0], [1], self._dtype)
        self._gathered: Gathered | None = None
        self._unused = np.zeros(len(rule.Scalars._fields))
        self.lagging: HostLagging | None = None
        if lags is not None:
            notes_of = rule, settings, kind, self.table, self._n_rows, self._dtype, parallel_from
            self.lagging = lags[position] = lags.get(position) or HostLagging(*notes_of)

    def set_scalars(self, t: int, asked: dict[int, float], learned: Sequence[float] = ()) -> None:
        super().set_scalars(t, asked, learned)
        if self.lagging:
            self.lagging.set_scalars(t, asked)

    def run(self, work: int, gradients: list[Any], guard: NDArray[np.int64], threads: int) -> int:
        if work & HEADERS:
            self._take(gradients[self.positions[0]], guard, threads)
        assert self._gathered is not None
        large = self._gathered.rows.size * self._width >= self._parallel_from
        spans = threads if large else 1
        if work & NORMS:
            self.sums[0] = self._sum_squares(self._norm, self._gathered, spans)
            finite = not work & FINITE or self.sums[0] < math.inf
        else:
            finite = not work & FINITE or not self._holds_non_finite(self._gathered, spans)
        if not finite:
            self._gathered = None
            return int(addresses.complaint(0, addresses.NON_FINITE))
        return self._update(self._gathered, spans, threads) if work & UPDATE and self._array.size else 0

    def _take(self, gradient: Any, guard: NDArray[np.int64], threads: int) -> None:
        """Check the gradient, and add up the values of rows that it names more than once."""
        self._refuse_changed_parameters()
        look = partial(self._coalescer.inspect, threads)
        given = checked_sparse(self._name, gradient, self._array, guard, self._by_element, look)
        if self.lagging and self.lagging.refusal:
            raise no_closed_form(self._name, self.lagging.refusal)
        self._gathered = self._coalescer.gather(given, threads)

    def _sum_squares(self, norm: Any, gathered: Gathered, spans: int) -> float:
        rows, at, source = gathered
        return float(launch(norm, spans, rows, at, source.ctypes.data, self.table, self._scalars[0]))

    def block_sums(self) -> list[NDArray[np.float64]]:
        """The sums of squares of the blocks of 4,096 in which the gradient of the last `run` has rows."""
        assert self._gathered is not None
        rows, at, source = self._gathered
        sums = np.empty(rows.size * (self._width // BLOCK + 2))  # one row has elements of so many blocks at most
        arguments = rows, at, source.ctypes.data, self.table, self._scalars[0], sums
        return [sums[: launch(make_block_sums(self._form, self._dtype), 1, *arguments)]]

    def _holds_non_finite(self, gathered: Gathered, spans: int) -> bool:
        size = gathered.rows.size * self._width
        row, sentinel = self._values
        row[addresses.GRADIENT], row[addresses.SIZE] = gathered.source.ctypes.data, size
        sentinel[addresses.FIRST_BLOCK] = -(-size // BLOCK)
        return bool(launch(self._finite_check, spans, self._values))

    def _update(self, gathered: Gathered, spans: int, threads: int) -> int:
        rows, at, source = gathered
        exact = self.lagging.exact if self.lagging else self._unused
        arguments = rows, at, source.ctypes.data, self.table, self._scalars[0], exact
        if self.lagging is None and self._kind != "tensor":
            infinite: int = launch(self._driver, spans, *arguments, NO_LAG)
        else:
            with whole():
                outer, self._state.in_flux = self._state.in_flux, True
                try:
                    infinite = self._update_with_notes(gathered, spans, threads, arguments)
                finally:
                    self._state.in_flux = outer
        if infinite:
            self.table[0, addresses.INFINITE] = 1
        self._gathered = None
        return infinite

    def _update_with_notes(self, gathered: Gathered, spans: int, threads: int, arguments: tuple[Any, ...]) -> int:
        """Update rows, and what the rows share: an accumulator, or notes of the rows that lag behind."""
        G = self._accumulate(gathered, spans) if self._kind == "tensor" else None
        if self.lagging is None:
            return int(launch(self._driver, spans, *arguments, NO_LAG))
        self.lagging.begin(G)
        infinite = int(launch(self._driver, spans, *arguments, self.lagging.notes()))
        self.lagging.end(threads)
        return infinite

    def _accumulate(self, gathered: Gathered, spans: int) -> Any:
        """Step the accumulator that all elements share, by the sum of squares of the gradient."""
        G, kept = self._accumulator, storage_of(self._form, self._form.slots[0])
        if self._array.size:
            square = self._sum_squares(self._prepared_norm, gathered, spans)
            s = self._rule.Scalars(*self._scalars[0])
            with np.errstate(all="ignore"):
                before, new = kept.numbers(G)[()], self._real.type(square)
                [G[...]] = map(kept.kept, self._form.accumulate(s.zero, s.zero, new, (before,), s))
        return kept.numbers(G)[()]


class DenseForm:
    """An array in which sparse gradients of a parameter are made dense, where all rows move (``lazy="dense"``)."""

    def __init__(self, name: str, parameter: FloatArray, parallel_from: int) -> None:
        self._name, self._parameter = name, parameter
        layout = row_layout(parameter, by_element=False)
        self._coalescer = Coalescer(parameter.dtype, *layout, True, parallel_from)
        self._gradient = np.zeros(parameter.shape, parameter.dtype)
        self._rows = np.zeros(0, np.int64)

    def write(self, gradient: Any, guard: NDArray[np.int64], threads: int) -> FloatArray:
        """Make a sparse gradient dense; the result holds until `clear` is called."""
        look = partial(self._coalescer.inspect, threads)
        given = checked_sparse(self._name, gradient, self._parameter, guard, False, look)
        rows, at, source = self._coalescer.gather(given, threads)
        self._rows = rows.copy()
        values = (source[at] if at.size else source).reshape(rows.size, *self._parameter.shape[1:])
        with np.errstate(all="ignore"):
            self._gradient[self._rows] = self._parameter.dtype.type(0) + values
        return self._gradient

    def clear(self) -> None:
        self._gradient[self._rows] = 0
        self._rows = self._rows[:0]
