"""Rows in the host's memory that a row-sparse gradient does not name: how far each lags behind, and catching up."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..engine.missed import LEAST_FACTOR, Lagging
from ..engine.options import Rule, Settings
from ..kernels import missed
from ..kernels.cpu.rows import make_catch_up_rows
from ..kernels.memory.addresses import WIDTH
from .launch import launch
from .sparse_gradients import Indices

MANY_STEPS = 1 << 20  # steps, up to which sums are formed one by one


def _sums_up_to(numbers: NDArray[np.int64], increments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of `numbers` equal increments, with the bits of adding one by one (products above MANY_STEPS)."""
    most = int(numbers.max(initial=0))
    if most > MANY_STEPS:
        return numbers[:, None] * increments
    sums = np.zeros((most + 1, len(increments)))
    np.cumsum(np.broadcast_to(increments, (most, len(increments))), axis=0, out=sums[1:])
    return np.take(sums, numbers, axis=0)


class HostLagging(Lagging):
    """Notes on how far rows in the host's memory lag behind.

    Parameters
    ----------
    table : ndarray
        The parameter's row of a table of addresses.
    """

    def __init__(
        self,
        rule: Rule,
        settings: Settings,
        kind: str,
        table: NDArray[np.int64],
        n_rows: int,
        dtype: np.dtype[Any],
        parallel_from: int,
    ) -> None:
        super().__init__(rule, settings, kind)
        self._table, self._parallel_from = table, parallel_from
        self._last = np.zeros(n_rows, np.int64)
        self._marks = np.zeros((n_rows, 2) if self.marked else (0, 0))
        self._catch_up = make_catch_up_rows(cast(Any, settings.form), settings.motion, kind, dtype)

    def notes(self) -> missed.Lag:
        """The notes as kernels take them."""
        return missed.Lag(self._now, self._last, self._totals, self._totals_after, self._marks)

    def catch_up(self, rows: Indices, threads: int, distinct: bool) -> None:
        """Catch rows up; `distinct` says that none is named twice."""
        spans = threads if rows.size * self._table[0, WIDTH] >= self._parallel_from else 1
        if spans > 1 and not distinct:
            rows = np.unique(rows)  # else two threads could step the same row at once
        launch(self._catch_up, spans, rows, self._table, self.exact, self.notes())

    def _catch_up_every_row(self, threads: int) -> None:
        self.catch_up(np.arange(len(self._last)), threads, distinct=True)
        self._marks[...] = 0

    def _begin_marks(self, threads: int) -> None:
        s = self._rule.Scalars(*self.exact.tolist())
        log_keep, n = math.log(s.keep) if s.keep != 1 else 0.0, self._now - self._since
        by_history = self._kind == "tensor" and self._settings.motion == "plain"  # here it has decay alone
        if by_history and n * log_keep < LEAST_FACTOR:
            self.catch_up_all(threads)
            n = 0
        increments = np.array([log_keep, 0.0] if by_history else [s.l1_step, log_keep])
        sums = _sums_up_to(np.append(self._last - self._since, n), increments)
        self._marks = sums[:-1].copy()
        self._totals[...] = self._totals_after[...] = sums[-1]
        self.marked, self.by_history = True, by_history
