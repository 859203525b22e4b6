"""The row-sparse gradients of one parameter on a GPU: they are checked, sorted, summed or made dense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..engine.gradients import overlap_refusal
from ..engine.rows import Rows, row_layout
from ..kernels.cuda.memory import lanes_of
from ..kernels.cuda.row_norms import TILE, make_order, make_row_squares, most_blocks
from ..kernels.cuda.rows import THREADS, blocks_of, in_vectors, make_dense_form, make_rows_check, share_of
from ..kernels.reduce import LANES
from .arrays import DeviceArray, zeros
from .backend import Backend
from .distinct_rows import NOTHING, WORD, DeviceCoalescer, Swept, checked_device_rows
from .seen import Seen


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
        self._n_rows, self.width = row_layout(cast(Any, parameter), by_element=False)
        self._coalescer, self._swept = DeviceCoalescer(backend, self._n_rows, outside), Swept(backend)
        dtype, wide = parameter.dtype, np.float64
        wanted: list[Any] = [((0,), dtype), ((0,), WORD), ((0,), wide), ((1,), WORD), ((), wide)]
        self._dense, self._places, self._block_sums, self._n_blocks, self._total = zeros(backend, wanted)
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

    def refuse_outside(self) -> None:
        """Raise IndexError for an index of the gradient that is that of no row, if there is one."""
        self._coalescer.refuse(self._what, self._indices)

    def arrange(self) -> None:
        """Check the indices of the gradient, unless the caller does, and sort them."""
        self.groups = self._coalescer.group(self._what, self._indices, self._unique)
        if self._ordered:
            self._locate_blocks()

    def _locate_blocks(self) -> None:
        """Find out which blocks of BLOCK elements the rows are in, and where the sum of each block goes."""
        rows, _, _, most, count_at = self.groups
        if not (most and self.width):
            return
        self._places = self._room(self._places, most)
        self._block_sums = self._room(self._block_sums, most_blocks(most, self.width, self._n_rows))
        tiles = -(-most // TILE)
        swept = self._swept.cleared(1, tiles)
        arguments = rows, most, count_at, self.width, *swept, self._places.address, self._n_blocks.address
        self._backend.launch(make_order(self._backend.capability).place, tiles, TILE, arguments)

    def _room(self, array: DeviceArray, size: int) -> DeviceArray:
        """The array itself if it is large enough, or a larger one."""
        return array if array.size >= size else zeros(self._backend, [((size,), array.dtype)])[0]

    @property
    def addresses(self) -> tuple[int, ...]:
        """Arguments of kernels on groups: addresses of rows, starts, at and values; how many groups; a row's width."""
        rows, starts, at, most, count_at = self.groups
        return rows, starts, at, self.values.address, most, count_at, self.width

    def launch(self, make: Callable[[bool], Any], kind: str, before: tuple[int, ...], behind: tuple[Any, ...]) -> None:
        """Launch a kernel on groups, of vectors where the values and all the addresses `before` are those of vectors.

        Its arguments are those `before`, those of the groups, the threads that a row gets, and those `behind`.
        """
        dtype, most = self._of[0], self.groups.most
        vectors = in_vectors(kind, self.width, dtype, self.values.address, *before)
        share = share_of(self.width, kind, lanes_of(dtype) if vectors else 1)
        if most:
            arguments = *before, *self.addresses, share, *behind
            self._backend.launch(make(vectors), blocks_of(most, share), THREADS, arguments)

    def sum_of_squares(self, prepared: bool, scalars: Any) -> int:
        """Address of the sum of squares of the gradient, as it is or prepared as for an accumulator."""
        if not (self.groups.most and self.width):
            self._backend.clear(self._total.address, self._total.nbytes)
            return self._total.address
        squares, total = self.kernels(prepared)
        sums = self._block_sums.address
        arguments = self._parameter.address, *self.addresses, self._places.address, sums, *scalars
        self._backend.launch(squares, -(-self.groups.most * LANES // THREADS), THREADS, arguments)
        self._backend.launch(total, 1, LANES, (sums, self._n_blocks.address, self._total.address))
        return self._total.address

    def kernels(self, prepared: bool) -> list[Any]:
        """The kernels of the sum of squares."""
        return [make_row_squares(self._rule, prepared, *self._of), make_order(self._backend.capability).total]

    def dense(self) -> int:
        """Make the whole gradient dense; returns its address."""
        self._dense = self._room(self._dense, self._parameter.size)
        self._backend.clear(self._dense.address, self._dense.nbytes)
        if self.groups.most:
            share = share_of(self.width)
            arguments = *self.addresses, share, self._dense.address
            self._backend.launch(make_dense_form(*self._of), blocks_of(self.groups.most, share), THREADS, arguments)
        return self._dense.address

    def launch_check(self, found: int) -> None:
        """Mark, at `found`, a gradient of a row that is not finite."""
        self.launch(lambda vectors: make_rows_check(vectors, *self._of), "element", (), (found,))
