"""Rows on a GPU that a row-sparse gradient does not name: how far each lags behind, and catching up."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..engine.missed import Lagging
from ..engine.options import Rule, Settings
from ..engine.parameters import Parameters
from ..engine.rows import row_layout
from ..kernels.cuda.missed import make_row_catch_up
from ..kernels.cuda.rows import THREADS, blocks_of, share_of
from ..kernels.memory.addresses import FIRST_SLOT, PARAMETER
from .arrays import zeros


class DeviceLagging(Lagging):
    """Notes on how far rows in a GPU's memory lag behind.

    Parameters
    ----------
    row : ndarray
        The parameter's row of a table of addresses.
    """

    def __init__(
        self,
        rule: Rule,
        settings: Settings,
        kind: str,
        row: NDArray[np.int64],
        params: Parameters,
        position: int,
    ) -> None:
        super().__init__(rule, settings, kind)
        parameter, backend = params.arrays[position], params.place.backend
        self._params, self._position, self._backend = params, position, backend
        self._n_rows, self._width = row_layout(parameter, by_element=False)
        self._share = share_of(self._width)
        slots = range(FIRST_SLOT, FIRST_SLOT + len(settings.slots))
        self._arrays = row[[PARAMETER, *slots]].tolist()
        wanted = [((self._n_rows,), np.int64), ((self._n_rows, 2) if self.marked else (0, 2), np.float64)]
        self._last, self._marks = zeros(backend, wanted)
        how = "history" if self.by_history else "sums" if self.marked else "steps"
        self.kernel = make_row_catch_up(
            cast(Any, settings.form), settings.motion, kind, how, parameter.dtype, backend.capability
        )

    def catch_up(self, rows: int, most: int, stepping: bool, count_at: int = 0) -> None:
        """Catch so many rows up: those at the address `rows`, or the first ones if it is 0.

        With `stepping`, the rows are noted to have had the coming step as well. If `count_at` is not 0, they are as
        many as the word at that address says, and `most` at most.
        """
        if not most or not self._width:
            return
        of_rows = rows, most, count_at, self._width, self._share
        addresses = *self._arrays, *of_rows, self._last.address, self._marks.address
        counts = self._now, self._now + stepping
        after = self._totals_after if stepping else self._totals
        arguments = *addresses, *counts, *self._totals, *after, *self.exact
        self._backend.launch(self.kernel, blocks_of(most, self._share), THREADS, arguments)

    def _catch_up_every_row(self, threads: int) -> None:
        with self._backend.on([self._params.refuse_changed(self._position).stream]):
            self.catch_up(0, self._n_rows, stepping=False)
            self._backend.clear(self._marks.address, self._marks.nbytes)

    def _begin_marks(self, threads: int) -> None:
        """Catch every row up instead of setting marks, for which there is no kernel."""
        self.catch_up_all(threads)
