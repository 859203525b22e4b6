"""Parameters in a GPU's memory with dense gradients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.gradients import missing_gradient, overlap_refusal
from ..engine.options import Settings
from ..engine.rows import is_sparse
from ..engine.state import State
from ..engine.unit import DECIDE_ALONE, DECISIONS, OtherKind
from ..kernels.cuda import dense, finite, reduce, shared
from ..kernels.cuda.compiling import THREADS, ByAlignment
from ..kernels.cuda.memory import MARK, VECTOR, lanes_of
from ..kernels.cuda.statistics import make_measure
from ..kernels.memory import addresses
from ..kernels.memory.addresses import FIRST_BLOCK, GRADIENT, PARAMETER, SIZE
from ..kernels.reduce import LANES
from ..kernels.rules import trait
from .arrays import DeviceArray, zeros
from .deferred import Deferred
from .gradients import device_gradient
from .seen import Seen
from .unit import DeviceUnit


class DeviceBucket(DeviceUnit):
    """Parameters with dense gradients; those with an accumulator for each element are stepped in one launch."""

    def __init__(self, state: State, members: dict[int, Settings], kind: str, lean: bool, watchful: bool) -> None:
        super().__init__(state, members, kind, lean)
        self._variant = dense.Variant(self._motion, lean, watchful, self._dtype, self._capability)
        self._deferred: list[Deferred] = []  # of steps, and of those that are in a graph
        self.may_defer = kind == "element"
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

    def _kernels(self, decides: bool) -> Iterable[Any]:
        rule, variant = self._form, self._variant._replace(decides=decides)
        if self._kind == "element":
            of = self._dtype, self._capability, decides
            if len(self.positions) > 1:
                return [finite.make_finite_check_of_many(*of)] * decides + [dense.make_many(rule, variant)]
            return [*[*finite.make_finite_check(*of)] * decides, *dense.make_dense(rule, variant)]
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
        [launch] = self._launches_for("check", lambda: [self._ready_check(self._found, ())])
        self._backend.make(launch)

    def _ready_check(self, found: int, flags: tuple[int, ...]) -> Any:
        n = len(self.positions)
        if n == 1:
            return self._ready_check_of(int(self.table[0, GRADIENT]), int(self.table[0, SIZE]), found, flags)
        kernel = finite.make_finite_check_of_many(self._dtype, self._capability, bool(flags))
        arguments = self._rows.address, n, found, *flags
        return self._backend.ready(kernel, int(self.table[-1, FIRST_BLOCK]), THREADS, arguments)

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

    def _carry_out(self, work: int) -> None:
        if work & DECISIONS:
            self._decide(alone=work & DECIDE_ALONE > 0)
        else:
            super()._carry_out(work)

    def _decide(self, alone: bool) -> None:
        """Have the GPU check the gradients and make the step, or leave it out."""
        if not self._deferred:
            self._deferred = [Deferred(self._backend, len(self.positions)) for _ in ("steps", "replays")]
        captures = self._backend.captures
        self.replayed |= captures
        self._tables_there()
        deferred, what = self._deferred[captures], "captured decision" if captures else "decision"
        check, *update = self._launches_for(what, lambda: self._ready_decision(deferred))
        if alone:
            deferred.begin_anew()
        if not update:  # as the only parameter is empty
            self._state.updates[0] += 1
        for launch in update:
            self._backend.make(launch, self._state.updates, after=check)

    def _ready_decision(self, deferred: Deferred) -> list[Any]:
        variant = self._variant._replace(decides=True)
        return [
            self._ready_check(deferred.found, deferred.flags_of_checks),
            *self._ready_update_of_elements(variant, deferred.flags_of_updates),
        ]

    def left_out(self, wait: bool) -> tuple[int, int, bool]:
        if not (wait or any(deferred.left_some_out for deferred in self._deferred)):
            return 0, 0, False
        with self._backend.on([]):  # whose stream waits for all steps; that of the last step may have been destroyed
            (steps, first), (replays, other) = (deferred.take() for deferred in self._deferred)
        return steps, first if steps else other, replays > 0

    def _tables_there(self) -> None:
        """Have the table and the scalars on the GPU, where a launch for several parameters reads them."""
        if self._kind == "element" and len(self.positions) > 1:
            self._rows_there()
            self._scalars_there()

    def _update_and_count(self) -> None:
        if self._kind == "tensor":
            super()._update_and_count()
            return
        self._tables_there()
        launches = self._launches_for("update", self._ready_update)
        if len(launches) == 1:
            self._backend.make(launches[0], self._state.updates)
        else:
            super()._update_and_count()

    def _update(self) -> None:
        if self._kind == "tensor":
            for member in self._members():
                self._update_tensor(*member)
        else:
            for launch in self._launches_for("update", self._ready_update):
                self._backend.make(launch)

    def _ready_update(self) -> list[Any]:
        """Launches that update all members."""
        if self._kind == "element":
            return self._ready_update_of_elements(self._variant, ())
        return [self._ready_rows(*member) for member in self._members()]

    def _ready_update_of_elements(self, variant: dense.Variant, flags: tuple[int, ...]) -> list[Any]:
        """Launches that update all members, with the addresses that kernels which decide are given."""
        if len(self.positions) > 1:
            kernel = dense.make_many(self._form, variant)
            arguments = self._rows.address, len(self.positions), self._infinite, self._device_scalars.address, *flags
            return [self._backend.ready(kernel, int(self.table[-1, FIRST_BLOCK]), THREADS, arguments)]
        kernels = dense.make_dense(self._form, variant)
        return [self._ready_elements(kernels, *member, flags) for member in self._members()]

    def _members(self) -> Iterator[tuple[int, list[int], int]]:
        """Of each member that is not empty: its row of the table, its addresses, and its size."""
        for i in np.flatnonzero(self.table[:-1, SIZE]).tolist():
            yield i, self.table[i, [PARAMETER, GRADIENT, *self._columns]].tolist(), int(self.table[i, SIZE])

    def _ready_elements(
        self, kernels: ByAlignment, i: int, places: list[int], size: int, flags: tuple[int, ...]
    ) -> Any:
        aligned = not any(place % VECTOR for place in places)
        kernel, blocks = kernels.grid(size, lanes_of(self._dtype), aligned)
        arguments = *places, size, self._infinite + i * MARK, *flags, *self._scalars[i]
        return self._backend.ready(kernel, blocks, THREADS, arguments)

    def _ready_rows(self, i: int, places: list[int], size: int) -> Any:
        kernel = shared.make_rows(self._form, self._motion, self._dtype, self._capability)
        width = int(self.table[i, addresses.WIDTH])
        rows = size // width
        arguments = *places, rows, width, self._infinite + i * MARK, *self._scalars[i]
        return self._backend.ready(kernel, -(-rows * LANES // THREADS), THREADS, arguments)

    def _update_tensor(self, i: int, places: list[int], size: int) -> None:
        kernels = shared.make_tensor(self._form, self._motion, self._dtype, self._capability)
        square = self._launch_sum_of_squares(i, places[1], prepared=True)
        accumulator = places[2]
        infinite = self._infinite + i * MARK
        self._launch(kernels.accumulate, 1, 1, square, accumulator, infinite, *self._scalars[i])
        self._launch(kernels.update, -(-size // THREADS), THREADS, *places, size, *self._scalars[i])
