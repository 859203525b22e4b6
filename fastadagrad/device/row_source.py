"""The row-sparse gradients of one parameter on a GPU: they are checked, sorted, summed or made dense."""

from __future__ import annotations

from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from ..engine.gradients import overlap_refusal
from ..engine.rows import Rows, row_layout
from ..kernels.cuda import reduce
from ..kernels.cuda.row_norms import THREADS as NORM_THREADS
from ..kernels.cuda.row_norms import make_row_norms
from ..kernels.cuda.rows import THREADS, blocks_of, make_row_gradients, share_of
from ..kernels.reduce import LANES
from .arrays import DeviceArray, zeros
from .backend import Backend
from .distinct_rows import WORD, DeviceCoalescer, Groups, checked_device_rows
from .seen import Seen

NOTHING = Groups(0, 0, 0, 0)


class RowSource:
    """One parameter's row-sparse gradient of the step under way, and memory for it that later steps use again.

    Parameters
    ----------
    ordered : bool
        Sort the rows even if they are said to be unique: squares of the gradient are summed in ascending order of rows.
    outside : int, optional
        As `DeviceCoalescer` takes it.
    """

    def __init__(
        self,
        name: str,
        parameter: DeviceArray,
        backend: Backend,
        rule: Any,
        ordered: bool,
        outside: int | None = None,
    ) -> None:
        self._name, self._parameter, self._backend, self._rule = name, parameter, backend, rule
        self._ordered, self._of = ordered, (parameter.dtype, backend.capability)
        n_rows, self.width = row_layout(cast(Any, parameter), by_element=False)
        self._coalescer = DeviceCoalescer(backend, n_rows, outside)
        dtype, wide = parameter.dtype, np.float64
        nothing = zeros(backend, [((0,), dtype), ((0,), dtype), ((0,), WORD), ((0,), wide), ((), wide)])
        self._dense, self._sums, self._places, self._block_sums, self._total = nothing
        self._unused = np.zeros(len(rule.Scalars._fields), parameter.dtype)
        self._seen = Seen()
        self._indices = self.values = self._dense  # until a gradient is taken
        self.groups = NOTHING

    def take(self, gradient: Rows, guard: NDArray[np.int64]) -> list[DeviceArray]:
        """Check a gradient as far as the host can."""
        self._unique = bool(gradient.assume_unique) and not self._ordered
        objects = [gradient.indices, gradient.values]
        if self._seen.same(objects):
            return [self.values, self._indices]
        self._indices, self.values = checked_device_rows(self._name, gradient, self._parameter, self._backend)
        for what, array in (("indices", self._indices), ("values", self.values)):
            error = overlap_refusal(f"gradient of {self._name!r} (its {what})", array, guard)
            if error:
                raise error
        self._seen.note(objects, [self._indices, self.values])
        return [self.values, self._indices]

    @property
    def _what(self) -> str:
        return f"gradient of {self._name!r}: indices"

    def refuse_outside(self) -> NoReturn:
        """Raise IndexError for an index of the gradient that is that of no row."""
        self._coalescer.refuse(self._what, self._indices)

    def arrange(self) -> None:
        """Check the indices of the gradient, unless the caller does, and sort them."""
        self.groups = self._coalescer.group(self._what, self._indices, self._unique)
        if self._ordered:
            self._locate_blocks()

    def _locate_blocks(self) -> None:
        """Find out which blocks of BLOCK elements the rows are in, and where the sum of each block goes."""
        n = self.groups.n if self.width else 0
        self._n_blocks = 0
        if n:
            self._places = self._room(self._places, n)
            kernel = make_row_norms(self._rule, False, *self._of).count
            arguments = self.groups.rows, n, self.width, self._places.address
            self._backend.launch(kernel, -(-n // NORM_THREADS), NORM_THREADS, arguments)
            self._coalescer.scan(self._places, n)
            self._n_blocks = self._coalescer.total()
            self._block_sums = self._room(self._block_sums, self._n_blocks)

    def _room(self, array: DeviceArray, size: int) -> DeviceArray:
        """The array itself if it is large enough, or a larger one."""
        return array if array.size >= size else zeros(self._backend, [((size,), array.dtype)])[0]

    @property
    def addresses(self) -> tuple[int, ...]:
        """Addresses of rows, starts, at and values; then the number of groups and the width of a row."""
        rows, starts, at, n = self.groups
        return rows, starts, at, self.values.address, n, self.width

    def sum_of_squares(self, prepared: bool, scalars: Any) -> int:
        """Address of the sum of squares of the gradient, as it is or prepared as for an accumulator."""
        if not self._n_blocks:
            self._backend.clear(self._total.address, self._total.nbytes)
            return self._total.address
        kernel, sums = make_row_norms(self._rule, prepared, *self._of).blocks, self._block_sums.address
        arguments = self._parameter.address, *self.addresses, self._places.address, sums, *scalars
        blocks = -(-self.groups.n * LANES // NORM_THREADS)
        self._backend.launch(kernel, blocks, NORM_THREADS, arguments)
        total = reduce.make_sums(self._rule, False, *self._of).total
        self._backend.launch(total, 1, LANES, (sums, self._n_blocks, self._total.address))
        return self._total.address

    def kernels(self) -> list[Any]:
        """The kernels of the sum of squares for an accumulator."""
        norms, sums = make_row_norms(self._rule, True, *self._of), reduce.make_sums(self._rule, False, *self._of)
        return [norms.blocks, sums.total]

    def dense(self) -> int:
        """Make the whole gradient dense; returns its address."""
        self._dense = self._room(self._dense, self._parameter.size)
        self._backend.clear(self._dense.address, self._dense.nbytes)
        self._write(self._dense.address, dense=True)
        return self._dense.address

    def sums(self) -> tuple[int, int]:
        """Add up the gradients of each row; returns their address and the number of elements."""
        if self.groups.n == self._indices.size:
            return self.values.address, self.values.size
        size = self.groups.n * self.width
        self._sums = self._room(self._sums, size)
        self._write(self._sums.address, dense=False)
        return self._sums.address, size

    def _write(self, to: int, dense: bool) -> None:
        if self.groups.n:
            kernel, share = make_row_gradients(dense, *self._of), share_of(self.width)
            self._backend.launch(kernel, blocks_of(self.groups.n, share), THREADS, (*self.addresses, share, to))
