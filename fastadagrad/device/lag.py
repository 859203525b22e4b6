"""Rows on a GPU that a row-sparse gradient does not name, in methods in which they move all the same."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..hyper import Rule, Settings
from ..kernels.cuda.lazy import THREADS, make_recall
from ..kernels.reduce import LANES
from ..kernels.table import ACCUMULATOR, PARAMETER, VELOCITY
from ..lag import Lagging
from .arrays import zeros
from .backend import Backend


class DeviceLagging(Lagging):
    """Rows in a GPU's memory.

    Parameters
    ----------
    row : ndarray
        The parameter's row of a :mod:`..kernels.table`, with its addresses.
    """

    def __init__(
        self,
        rule: Rule,
        settings: Settings,
        kind: str,
        row: NDArray[np.int64],
        layout: tuple[int, int],
        dtype: np.dtype[Any],
        backend: Backend,
    ) -> None:
        super().__init__(rule, settings, kind)
        self._backend, (self._n_rows, self._width) = backend, layout
        self._arrays = [int(row[column]) for column in (PARAMETER, ACCUMULATOR, VELOCITY)]
        wanted = [((self._n_rows,), np.int64), ((self._n_rows, 2) if self.marked else (0, 2), np.float64)]
        self._last, self._marks = zeros(backend, wanted)
        how = "history" if self.by_history else "sums" if self.marked else "steps"
        self._kernel = make_recall(cast(Any, rule), settings.motion, kind, how, dtype, backend.capability)

    def recall(self, rows: int, n: int, stepping: bool) -> None:
        """Bring n rows up to date, the first if there is no address of others; `stepping`: they get the next step."""
        if not n or not self._width:
            return
        addresses = *self._arrays, rows, n, self._width, self._last.address, self._marks.address
        counts = self._now, self._now + stepping
        after = self._totals_after if stepping else self._totals
        arguments = *addresses, *counts, *self._totals, *after, *self._exact
        self._backend.launch(self._kernel, -(-n * LANES // THREADS), THREADS, arguments)

    def _recall_every_row(self, threads: int) -> None:
        with self._backend.on([]):
            self.recall(0, self._n_rows, stepping=False)
            self._backend.clear(self._marks.address, self._marks.nbytes)
