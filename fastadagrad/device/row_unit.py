"""Steps with row-sparse gradients on a GPU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..hyper import Rule, Settings
from ..kernels.cuda import reduce, shared
from ..kernels.cuda.rows import THREADS as ROW_THREADS
from ..kernels.cuda.rows import make_row_gradients, make_row_update
from ..kernels.reduce import LANES
from ..kernels.rules import adagrad
from ..kernels.table import ACCUMULATOR, PARAMETER, SIZE, VELOCITY
from ..lag import no_closed_form, refusal
from ..parameters import Parameters, overlap_refusal
from ..rows import Rows, row_layout
from ..state import State
from ..units import OtherKind
from .arrays import DeviceArray, zeros
from .backend import Backend
from .coalescing import DeviceCoalescer, Groups, checked_device_rows
from .lag import DeviceLagging
from .unit import DeviceUnit

NOTHING = Groups(0, 0, 0, 0)


def _blocks(groups: int) -> int:
    return -(-groups * LANES // ROW_THREADS)


class RowSource:
    """Rows of one parameter's gradients, in order."""

    def __init__(self, name: str, parameter: DeviceArray, backend: Backend, rule: Any) -> None:
        self._name, self._parameter, self._backend, self._rule = name, parameter, backend, rule
        n_rows, self.width = row_layout(cast(Any, parameter), by_element=False)
        self._coalescer = DeviceCoalescer(backend, n_rows)
        self._dense: DeviceArray | None = None
        self._sums: DeviceArray | None = None
        self._unused = np.zeros(len(rule.Scalars._fields), parameter.dtype)
        self.groups = NOTHING

    def take(self, gradient: Rows, guard: NDArray[np.int64]) -> list[DeviceArray]:
        """Check a gradient as far as the host can."""
        self._indices, self.values = checked_device_rows(self._name, gradient, self._parameter, self._backend)
        self._unique = bool(gradient.assume_unique)
        for what, array in (("indices", self._indices), ("values", self.values)):
            error = overlap_refusal(f"gradient of {self._name!r} (its {what})", array, guard)
            if error:
                raise error
        return [self.values, self._indices]

    def arrange(self) -> None:
        """Check its indices, and put them in order."""
        self.groups = self._coalescer.group(f"gradient of {self._name!r}: indices", self._indices, self._unique)

    @property
    def addresses(self) -> tuple[int, ...]:
        """Of rows, starts, at and values; then the number of groups and the width."""
        rows, starts, at, n = self.groups
        return rows, starts, at, self.values.address, n, self.width

    def make_room(self) -> DeviceArray:
        """Memory for the whole gradient."""
        if self._dense is None:
            self._dense = zeros(self._backend, [(self._parameter.shape, self._parameter.dtype)])[0]
        return self._dense

    def dense(self, prepared: bool = False, scalars: Any = None) -> int:
        """The whole gradient written out, as it is or as it is to be squared; the address."""
        self._dense = self.make_room()
        self._backend.clear(self._dense.address, self._dense.nbytes)
        self._write(self._dense.address, prepared, self._unused if scalars is None else scalars, dense=True)
        return self._dense.address

    def sums(self) -> tuple[int, int]:
        """The gradients of the rows, added up: address and number of elements."""
        if self.groups.n == self._indices.size:
            return self.values.address, self.values.size
        size = self.groups.n * self.width
        if self._sums is None or self._sums.size < size:
            self._sums = zeros(self._backend, [((size,), self._parameter.dtype)])[0]
        self._write(self._sums.address, False, self._unused, dense=False)
        return self._sums.address, size

    def _write(self, to: int, prepared: bool, scalars: Any, dense: bool) -> None:
        if self.groups.n:
            kernel = make_row_gradients(self._rule, prepared, dense, self._parameter.dtype, self._backend.capability)
            arguments = self._parameter.address, *self.addresses, to, *scalars
            self._backend.launch(kernel, _blocks(self.groups.n), ROW_THREADS, arguments)


class DeviceRowUnit(DeviceUnit):
    """One parameter with row-sparse gradients."""

    def __init__(
        self,
        rule: Rule,
        params: Parameters,
        state: State,
        position: int,
        settings: Settings,
        kind: str,
        lean: bool,
        lags: dict[int, Any] | None,
    ) -> None:
        super().__init__(rule, params, state, {position: settings}, kind, lean)
        self._name, self._settings = params.names[position], settings
        parameter = params.arrays[position]
        self._accumulator: Any = state[self._name]["accumulator"]
        self._source = RowSource(self._name, parameter, self._backend, rule)
        self._exact = np.zeros(len(rule.Scalars._fields))
        self._refusal: str | None = None
        self._lagging: DeviceLagging | None = None
        if lags is not None:
            notes_of = rule, settings, kind, self.table[0], params, position
            self._lagging = lags[position] = lags.get(position) or DeviceLagging(*notes_of)

    def set_scalars(self, t: int, asked: dict[int, float]) -> None:
        super().set_scalars(t, asked)
        if self._lagging:
            self._exact[...] = self._settings.scalars(self._rule, t, asked)
            self._refusal = refusal(self._settings, self._kind, self._settings.learning_rate_at(t, asked))

    def _take(self, gradients: list[Any], guard: NDArray[np.int64]) -> list[DeviceArray]:
        gradient = gradients[self.positions[0]]
        if type(gradient) is not Rows:
            raise OtherKind
        taken = self._source.take(gradient, guard)
        if self._refusal:
            raise no_closed_form(self._name, self._refusal)
        return taken

    def _kernels(self) -> Iterable[Any]:
        rule, of = cast(Any, self._rule), (self._dtype, self._capability)
        yield make_row_update(rule, self._motion, self._kind, self._lean, *of)
        if self._lagging:
            yield self._lagging.kernel
        if self._kind == "tensor":
            self._source.make_room()
            yield make_row_gradients(rule, True, True, *of)
            yield from reduce.make_sums(rule, False, *of)
            yield shared.make_tensor(rule, self._motion, *of).accumulate

    def _arrange(self) -> None:
        self._source.arrange()

    def _sum_squares(self) -> None:
        self._launch_sum_of_squares(0, self._source.dense(), prepared=False)
        self._backend.read(self._squares.address, self.sums)

    def _launch_check(self) -> None:
        self._launch_check_of(*self._source.sums(), self._found)

    def _update(self) -> None:
        row, scalars, infinite = self.table[0], self._scalars[0], self._infinite
        if not row[SIZE]:
            return
        p, G, v = (int(row[column]) for column in (PARAMETER, ACCUMULATOR, VELOCITY))
        if self._kind == "tensor":
            # Prepared where the rows are, so that the others, which decay would reach, count for nothing.
            square = self._launch_sum_of_squares(0, self._source.dense(True, scalars), prepared=False)
            kernel = shared.make_tensor(cast(Any, self._rule), self._motion, self._dtype, self._capability).accumulate
            self._launch(kernel, 1, 1, square, G, infinite, *scalars)
        groups = self._source.groups.n
        if self._lagging:
            history = self._lagging.by_history
            self._lagging.begin(self._exact.tolist(), self._accumulator.first() if history else None)
            self._lagging.recall(self._source.groups.rows, groups, stepping=True)
        kernel = make_row_update(
            cast(Any, self._rule), self._motion, self._kind, self._lean, self._dtype, self._capability
        )
        self._launch(kernel, _blocks(groups), ROW_THREADS, p, G, v, *self._source.addresses, infinite, *scalars)
        if self._lagging:
            self._lagging.end(1)


class DeviceDenseForm:
    """A row-sparse gradient written out, for a method that moves all rows (``lazy="dense"``)."""

    def __init__(self, name: str, parameter: DeviceArray, backend: Backend) -> None:
        self._parameter, self._backend = parameter, backend
        self._source = RowSource(name, parameter, backend, adagrad)

    def write(self, gradient: Rows, guard: NDArray[np.int64], threads: int) -> DeviceArray:
        """The dense gradient that it stands for."""
        given = self._source.take(gradient, guard)
        with self._backend.on(x.stream for x in given):
            self._source.arrange()
            address = self._source.dense()
            self._backend.keep(given)
        return DeviceArray(address, self._parameter.shape, self._parameter.dtype, self)

    def clear(self) -> None:
        """Nothing to do: it is cleared before it is written."""
