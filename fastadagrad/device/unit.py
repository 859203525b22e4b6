"""Parameters in a GPU's memory that are stepped together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.gradients import missing_gradient, overlap_refusal
from ..engine.options import Settings
from ..engine.rows import is_sparse
from ..engine.state import State
from ..engine.unit import OtherKind, Unit
from ..kernels.cpu.tensors import FINITE, HEADERS, NORMS, UPDATE
from ..kernels.cuda import dense, reduce, shared
from ..kernels.cuda.memory import MARK, VECTOR, lanes_of
from ..kernels.cuda.statistics import make_measure
from ..kernels.memory import addresses
from ..kernels.memory.addresses import FIRST_BLOCK, FIRST_SLOT, GRADIENT, NON_FINITE, PARAMETER, SIZE
from ..kernels.reduce import LANES
from ..kernels.rules import trait
from ..support.interrupts import whole
from .arrays import LEGACY_STREAM, DeviceArray, zeros
from .backend import Backend
from .gradients import device_gradient
from .norms import launch_sum_of_squares
from .seen import Seen

THREADS = 256  # a block, of kernels that take any number


class DeviceUnit(Unit):
    """Parameters in the memory of one GPU.

    A step does not wait for the GPU to finish it. That an accumulator has become infinite is therefore noticed by the
    check of the next step, or by `poll`.
    """

    marks = 2  # for each parameter: of a gradient that is not finite, and of an accumulator that has become infinite

    def __init__(self, state: State, members: dict[int, Settings], kind: str, lean: bool) -> None:
        super().__init__(state, members, kind)
        self._backend: Backend = state.params.place.backend
        self._kind, self._lean = kind, lean
        self._capability = self._backend.capability
        [settings, *_] = members.values()
        self._motion, self._columns = settings.motion, range(FIRST_SLOT, FIRST_SLOT + len(settings.slots))
        n = len(members)
        blocks = int(self.table[-1, FIRST_BLOCK])
        wanted = [((self.marks, n), np.int32), ((n,), np.float64), ((blocks,), np.float64)]
        self._marks, self._squares, self._sums_of_blocks = zeros(self._backend, wanted)
        self._found, self._infinite = self._marks.address, self._marks.address + n * MARK
        self._marks_here = np.zeros(self._marks.shape, np.int32)
        self._launches: dict[str, list[Any]] = {}  # by what they do: those that are ready
        self._streams: list[int | None] = []
        self._foreign: list[DeviceArray] = []  # which may be freed by work on other streams than that of a step
        self._ready = False

    def run(self, work: int, gradients: list[Any], guard: NDArray[np.int64], threads: int) -> int:
        if work & HEADERS:
            self._look_at(gradients, guard)
        with self._backend.on(self._streams):
            if work & HEADERS:
                self._make_ready()
                self._arrange(looks_later=work & (FINITE | NORMS) == FINITE)
            if work & NORMS:
                self._sum_squares()
            code = self._check(bool(work & NORMS)) if work & FINITE else 0
            if work & UPDATE and code >= 0:
                self._update_and_count()
            if self._foreign:
                self._backend.keep(self._foreign)
        return code

    def _look_at(self, gradients: list[Any], guard: NDArray[np.int64]) -> None:
        """Check parameters and gradients, and find the streams that a step is ordered with."""
        self._arrays_given(gradients, guard)

    def _arrays_given(
        self, gradients: list[Any], guard: NDArray[np.int64]
    ) -> tuple[Sequence[DeviceArray], Sequence[DeviceArray]]:
        """The parameters, and what the gradients are made of, read from the objects that the user has given."""
        parameters = [self._params.refuse_changed(i) for i in self.positions]
        given = self._take(gradients, guard)
        own = [LEGACY_STREAM if x.stream is None else x.stream for x in parameters]
        self._streams = [*dict.fromkeys([*(x.stream for x in given if x.stream is not None), *own])]
        self._foreign = [x for x in given if x.stream != self._streams[0]]
        return parameters, given

    def _update_and_count(self) -> None:
        with whole():
            self._update()
            self._state.updates[0] += 1

    def _make_ready(self) -> None:
        """Load all kernels of an update, so that an update, once begun, cannot fail for lack of memory or code."""
        if not self._ready:
            for kernel in self._kernels():
                self._backend.load(kernel)
            self._ready = True

    @abstractmethod
    def _kernels(self) -> Iterable[Any]:
        """The kernels that `_update` launches."""

    @abstractmethod
    def _take(self, gradients: list[Any], guard: NDArray[np.int64]) -> list[DeviceArray]:
        """Check the gradients as far as the host can; returns the arrays that they are made of."""

    def _arrange(self, looks_later: bool) -> None:
        """Check the indices of sparse gradients, which only the GPU can, and sort them.

        What the GPU finds is in the marks, which `_check` looks at if it `looks_later`.
        """

    @abstractmethod
    def _sum_squares(self) -> None:
        """Fill `sums` with the sums of squares of the gradients."""

    @abstractmethod
    def _launch_check(self) -> None:
        """Launch the kernel that marks, at `_found`, gradients that are not finite."""

    @abstractmethod
    def _update(self) -> None: ...

    def _check(self, by_norms: bool) -> int:
        """Find gradients that are not finite, and accumulators that the steps before have made infinite."""
        if not by_norms:
            self._launch_check()
        marks = self._take_marks()
        found = ~np.isfinite(self.sums) if by_norms else marks[0]
        if found.any():
            return int(addresses.complaint(int(np.flatnonzero(found)[0]), NON_FINITE))
        return int(self.table[:-1, addresses.INFINITE].any())

    def _take_marks(self) -> NDArray[np.int32]:
        """Read the marks and clear them; accumulators that have become infinite are noted in the table."""
        marks = self._marks_here
        self._backend.read(self._marks.address, marks)
        if marks.any():
            self._backend.clear(self._marks.address, self._marks.nbytes)
            self.table[:-1, addresses.INFINITE] |= marks[1]
        return marks

    def poll(self) -> bool:
        with self._backend.on([]):
            self._take_marks()
        return True

    def _launch(self, kernel: Any, blocks: int, threads: int, *arguments: Any) -> None:
        if blocks:
            self._backend.launch(kernel, blocks, threads, arguments)

    def _launches_for(self, what: str, ready: Callable[[], list[Any]]) -> list[Any]:
        """The launches that are ready for something, which are made so if they are not."""
        if what not in self._launches:
            self._launches[what] = ready()
        return self._launches[what]

    def _ready_check_of(self, gradient: int, size: int) -> Any:
        """A launch that marks one gradient if it is not finite."""
        kernel = reduce.make_finite_check(self._dtype, self._capability)
        return self._backend.ready(kernel, -(-size // THREADS), THREADS, (gradient, size, self._found))

    def _launch_sum_of_squares(self, i: int, gradient: int, prepared: bool) -> int:
        """Launch the sum of squares of the gradient of row i of the table; returns the address of the sum.

        The gradient is summed as it is or, if `prepared`, as for an accumulator.
        """
        kernels = reduce.make_sums(self._form, prepared, self._dtype, self._capability)
        result = self._squares.address + i * self._squares.itemsize
        of = int(self.table[i, PARAMETER]), gradient, int(self.table[i, SIZE])
        launch_sum_of_squares(self._backend, kernels, of, self._scalars[i], self._sums_of_blocks.address, result)
        return result


class DeviceBucket(DeviceUnit):
    """Parameters with dense gradients; those with an accumulator for each element are stepped in one launch."""

    def __init__(self, state: State, members: dict[int, Settings], kind: str, lean: bool, watchful: bool) -> None:
        super().__init__(state, members, kind, lean)
        self._variant = self._motion, lean, watchful, self._dtype, self._capability
        wanted = [(self.table.shape, np.int64), (self._scalars.shape, self._dtype)]
        measured, blocks = len(trait(self._form, "measured")), int(self.table[-1, FIRST_BLOCK])
        wanted += [((measured, blocks), np.float64), ((measured, len(members)), np.float64)]
        self._rows, self._device_scalars, self._block_measures, self._measures = zeros(self._backend, wanted)
        self._rows_are_there = self._scalars_are_there = False
        self._seen_parameters, self._seen_gradients = Seen(), Seen()

    def _look_at(self, gradients: list[Any], guard: NDArray[np.int64]) -> None:
        own, given = [self._params.owners[i] for i in self.positions], [gradients[i] for i in self.positions]
        if not (self._seen_gradients.same(given) and self._seen_parameters.same(own)):
            parameters, arrays = self._arrays_given(gradients, guard)
            self._seen_parameters.note(own, parameters)
            self._seen_gradients.note(given, arrays)

    def set_scalars(self, t: int, asked: dict[int, float], learned: Sequence[float] = ()) -> None:
        super().set_scalars(t, asked, learned)
        self._note_scalars()

    def set_own_scalars(self, t: int, asked: dict[int, float], learned: Sequence[float]) -> None:
        super().set_own_scalars(t, asked, learned)
        self._note_scalars()

    def set_gradient_scale(self, scale: NDArray[np.float64] | float) -> None:
        super().set_gradient_scale(scale)
        self._note_scalars()

    def _note_scalars(self) -> None:
        """Note that the scalars are others than those on the GPU, and than those of the launches that are ready."""
        self._scalars_are_there = False
        self._launches.clear()

    def _kernels(self) -> Iterable[Any]:
        rule = self._form
        if self._kind == "element":
            if len(self.positions) > 1:
                return [dense.make_many(rule, *self._variant)]
            return dense.make_dense(rule, *self._variant)
        if self._kind == "row":
            return [shared.make_rows(rule, self._motion, self._dtype, self._capability)]
        sums = reduce.make_sums(rule, True, self._dtype, self._capability)
        return [*sums, *shared.make_tensor(rule, self._motion, self._dtype, self._capability)]

    def _take(self, gradients: list[Any], guard: NDArray[np.int64]) -> list[DeviceArray]:
        if any(is_sparse(gradients[i]) for i in self.positions):
            raise OtherKind
        found = [self._checked(i, gradients[i], guard) for i in self.positions]
        places = [gradient.address for gradient in found]
        if places != self.table[:-1, GRADIENT].tolist():
            self.table[:-1, GRADIENT] = places
            self._rows_are_there = False
            self._launches.clear()
        return found

    def _checked(self, i: int, gradient: Any, guard: NDArray[np.int64]) -> DeviceArray:
        name, parameter = self._params.names[i], self._params.arrays[i]
        if gradient is None:
            raise missing_gradient(name, parameter)
        what = f"gradient of {name!r}"
        found = device_gradient(what, "gradient", gradient, parameter.shape, [parameter.dtype], self._backend)
        error = None if found.address == parameter.address else overlap_refusal(what, found, guard)
        if error:
            raise error
        return found

    def _launch_check(self) -> None:
        if len(self.positions) > 1:
            self._rows_there()
        for launch in self._launches_for("check", self._ready_check):
            self._backend.make(launch)

    def _ready_check(self) -> list[Any]:
        n = len(self.positions)
        if n == 1:
            return [self._ready_check_of(int(self.table[0, GRADIENT]), int(self.table[0, SIZE]))]
        kernel = reduce.make_finite_check_of_many(self._dtype, self._capability)
        arguments = self._rows.address, n, self._found
        return [self._backend.ready(kernel, int(self.table[-1, FIRST_BLOCK]), THREADS, arguments)]

    def _rows_there(self) -> int:
        """Address of the table on the GPU, to which it is copied if it has changed."""
        if not self._rows_are_there:
            self._backend.write(self._rows.address, self.table)
            self._rows_are_there = True
        return self._rows.address

    def _scalars_there(self) -> int:
        if not self._scalars_are_there:
            self._backend.write(self._device_scalars.address, self._scalars)
            self._scalars_are_there = True
        return self._device_scalars.address

    def _sum_squares(self) -> None:
        n, blocks = len(self.positions), int(self.table[-1, FIRST_BLOCK])
        if n == 1:
            self._launch_sum_of_squares(0, int(self.table[0, GRADIENT]), prepared=False)
        else:
            kernels, rows = reduce.make_sums_of_many(self._dtype, self._capability), self._rows_there()
            sums, squares = self._sums_of_blocks.address, self._squares.address
            self._launch(kernels.blocks, reduce.blocks_of(blocks), reduce.THREADS, rows, n, blocks, sums)
            self._launch(kernels.totals, reduce.blocks_of(n), reduce.THREADS, rows, n, sums, squares)
        self._backend.read(self._squares.address, self.sums)

    def measure(self, threads: int) -> NDArray[np.float64]:
        """The sums that the method measures, over each parameter and its gradient of the last `run`.

        The result has shape (measured, members).
        """
        n, blocks = len(self.positions), int(self.table[-1, FIRST_BLOCK])
        kernel = make_measure(self._form, self._dtype, self._capability)
        totals = reduce.make_sums_of_many(self._dtype, self._capability).totals
        found = np.zeros(self._measures.shape)
        with self._backend.on(self._streams):
            rows, sums, results = self._rows_there(), self._block_measures.address, self._measures.address
            arguments = rows, n, blocks, self._scalars_there(), sums
            self._launch(kernel, reduce.blocks_of(blocks), reduce.THREADS, *arguments)
            for _ in found:
                self._launch(totals, reduce.blocks_of(n), reduce.THREADS, rows, n, sums, results)
                sums, results = sums + blocks * found.itemsize, results + n * found.itemsize
            self._backend.read(self._measures.address, found)
        return found

    def block_sums(self) -> list[NDArray[np.float64]]:
        """For each parameter the sums of squares of the gradient's blocks of 4,096, by the last `run` with NORMS."""
        return self._by_member(self._read(self._sums_of_blocks))

    def measured_blocks(self) -> list[list[NDArray[np.float64]]]:
        """For each number that the method measures, the sums over the blocks of each parameter, by `measure`."""
        return [self._by_member(sums) for sums in self._read(self._block_measures)]

    def _read(self, array: DeviceArray) -> NDArray[np.float64]:
        found = np.zeros(array.shape)
        with self._backend.on(self._streams):
            self._backend.read(array.address, found)
        return found

    def _update_and_count(self) -> None:
        if self._kind == "tensor":
            super()._update_and_count()
            return
        if self._kind == "element" and len(self.positions) > 1:
            self._rows_there()
            self._scalars_there()
        launches = self._launches_for("update", self._ready_update)
        if len(launches) == 1:
            self._backend.make(launches[0], self._state.updates)
        else:
            super()._update_and_count()

    def _update(self) -> None:
        if self._kind == "tensor":
            for i, places, size, infinite in self._members():
                self._update_tensor(i, places, size, infinite)
        else:
            for launch in self._launches_for("update", self._ready_update):
                self._backend.make(launch)

    def _ready_update(self) -> list[Any]:
        """Launches that update all members."""
        if self._kind == "element" and len(self.positions) > 1:
            kernel = dense.make_many(self._form, *self._variant)
            arguments = self._rows.address, len(self.positions), self._infinite, self._device_scalars.address
            return [self._backend.ready(kernel, int(self.table[-1, FIRST_BLOCK]), dense.THREADS, arguments)]
        ready = self._ready_elements if self._kind == "element" else self._ready_rows
        return [ready(*member) for member in self._members()]

    def _members(self) -> Iterator[tuple[int, list[int], int, int]]:
        """Of each member that is not empty: its row of the table, its addresses, its size, and that of its mark."""
        for i in np.flatnonzero(self.table[:-1, SIZE]).tolist():
            places = self.table[i, [PARAMETER, GRADIENT, *self._columns]].tolist()
            yield i, places, int(self.table[i, SIZE]), self._infinite + i * MARK

    def _ready_elements(self, i: int, places: list[int], size: int, infinite: int) -> Any:
        kernels = dense.make_dense(self._form, *self._variant)
        aligned = not any(place % VECTOR for place in places)
        kernel, blocks = kernels.grid(size, lanes_of(self._dtype), aligned)
        return self._backend.ready(kernel, blocks, dense.THREADS, (*places, size, infinite, *self._scalars[i]))

    def _ready_rows(self, i: int, places: list[int], size: int, infinite: int) -> Any:
        kernel = shared.make_rows(self._form, self._motion, self._dtype, self._capability)
        width = int(self.table[i, addresses.WIDTH])
        rows = size // width
        arguments = *places, rows, width, infinite, *self._scalars[i]
        return self._backend.ready(kernel, -(-rows * LANES // THREADS), THREADS, arguments)

    def _update_tensor(self, i: int, places: list[int], size: int, infinite: int) -> None:
        kernels = shared.make_tensor(self._form, self._motion, self._dtype, self._capability)
        square = self._launch_sum_of_squares(i, places[1], prepared=True)
        accumulator = places[2]
        self._launch(kernels.accumulate, 1, 1, square, accumulator, infinite, *self._scalars[i])
        self._launch(kernels.update, -(-size // THREADS), THREADS, *places, size, *self._scalars[i])
