"""Steps with row-sparse gradients on a GPU."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.missed import no_closed_form
from ..engine.options import Settings
from ..engine.rows import Rows
from ..engine.state import State
from ..engine.unit import OtherKind
from ..kernels.cuda import shared
from ..kernels.cuda.memory import MARK
from ..kernels.cuda.rows import in_vectors, make_row_update
from ..kernels.memory.addresses import PARAMETER, SIZE
from ..kernels.rules import adagrad
from .arrays import DeviceArray
from .backend import Backend
from .missed import DeviceLagging
from .row_source import RowSource
from .unit import DeviceUnit


class DeviceRowUnit(DeviceUnit):
    """One parameter on a GPU with row-sparse gradients."""

    marks = 3  # the last of which says that an index is that of no row

    def __init__(
        self,
        state: State,
        position: int,
        settings: Settings,
        kind: str,
        lean: bool,
        *,
        ordered: bool,
        lags: dict[int, Any] | None,
    ) -> None:
        super().__init__(state, {position: settings}, kind, lean)
        params, self._name = self._params, self._params.names[position]
        parameter = params.arrays[position]
        self._accumulator: Any = state[self._name][settings.slots[0]] if kind != "element" else None
        outside, ordered = self._infinite + MARK, ordered or kind == "tensor"
        self._source = RowSource(self._name, parameter, self._backend, self._form, ordered, outside)
        self._lagging: DeviceLagging | None = None
        if lags is not None:
            notes_of = self._rule, settings, kind, self.table[0], params, position
            self._lagging = lags[position] = lags.get(position) or DeviceLagging(*notes_of)

    def set_scalars(self, t: int, asked: dict[int, float], learned: Sequence[float] = ()) -> None:
        super().set_scalars(t, asked, learned)
        if self._lagging:
            self._lagging.set_scalars(t, asked)

    def _take(self, gradients: list[Any], guard: NDArray[np.int64]) -> list[DeviceArray]:
        gradient = gradients[self.positions[0]]
        if type(gradient) is not Rows:
            raise OtherKind
        taken = self._source.take(gradient, guard)
        if self._lagging and self._lagging.refusal:
            raise no_closed_form(self._name, self._lagging.refusal)
        return taken

    def _kernels(self, decides: bool) -> Iterable[Any]:
        for vectors in {False, in_vectors(self._kind, self._source.width, self._dtype)}:
            yield self._row_update(vectors)
        if self._lagging:
            yield self._lagging.kernel
        if self._kind == "tensor":
            yield from self._source.kernels(prepared=True)
            yield self._accumulate()

    def _row_update(self, vectors: bool) -> Any:
        variant = self._motion, self._kind, self._lean, self._dtype, self._capability
        return make_row_update(self._form, *variant, vectors)

    def _accumulate(self) -> Any:
        return shared.make_tensor(self._form, self._motion, self._dtype, self._capability).accumulate

    def _arrange(self, looks_later: bool) -> None:
        self._source.arrange()
        if not looks_later:
            self._refuse(self._take_marks())

    def _refuse(self, marks: NDArray[np.int32]) -> None:
        if marks[2].any():
            self._source.refuse_outside()

    def _sum_squares(self) -> None:
        self._backend.read(self._source.sum_of_squares(False, self._scalars[0]), self.sums)

    def _launch_check(self) -> None:
        if self._source.groups.count_at:
            self._source.launch_check(self._found)
        else:
            values = self._source.values
            self._backend.make(self._ready_check_of(values.address, values.size, self._found))

    def _update(self) -> None:
        row, scalars, infinite = self.table[0], self._scalars[0], self._infinite
        if not row[SIZE]:
            return
        p, slots = int(row[PARAMETER]), row[self._columns].tolist()
        if self._kind == "tensor":
            square = self._source.sum_of_squares(True, scalars)
            self._launch(self._accumulate(), 1, 1, square, slots[0], infinite, *scalars)
        if self._lagging:
            history = self._lagging.by_history
            self._lagging.begin(self._accumulator.first() if history else None)
            rows, *_, most, count_at = self._source.groups
            self._lagging.catch_up(rows, most, stepping=True, count_at=count_at)
        self._source.launch(self._row_update, self._kind, (p, *slots), (infinite, *scalars))
        if self._lagging:
            self._lagging.end(1)


class DeviceDenseForm:
    """Memory in which row-sparse gradients are made dense, where all rows move (``lazy="dense"``)."""

    def __init__(self, name: str, parameter: DeviceArray, backend: Backend) -> None:
        self._parameter, self._backend = parameter, backend
        self._source = RowSource(name, parameter, backend, adagrad, ordered=False)

    def write(self, gradient: Rows, guard: NDArray[np.int64], threads: int) -> DeviceArray:
        """Make a row-sparse gradient dense."""
        given = self._source.take(gradient, guard)
        with self._backend.on(x.stream for x in given):
            self._source.arrange()
            address = self._source.dense()
            self._backend.keep(given)
        return DeviceArray(address, self._parameter.shape, self._parameter.dtype, self)

    def clear(self) -> None:
        """Do nothing: `write` clears the memory before it writes."""
