"""Parameters in a GPU's memory that are stepped together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.options import Settings
from ..engine.state import State
from ..engine.unit import DECISIONS, Unit
from ..kernels.cpu.tensors import FINITE, HEADERS, NORMS, UPDATE
from ..kernels.cuda import finite, reduce
from ..kernels.cuda.compiling import THREADS
from ..kernels.cuda.memory import MARK, VECTOR, lanes_of
from ..kernels.memory import addresses
from ..kernels.memory.addresses import FIRST_BLOCK, FIRST_SLOT, NON_FINITE, PARAMETER, SIZE
from ..support.interrupts import whole
from .arrays import LEGACY_STREAM, DeviceArray, zeros
from .backend import Backend
from .norms import launch_sum_of_squares


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
        self._ready: set[bool] = set()  # whether those decide whose kernels are loaded
        self._broken_off = False  # whether there may be marks of a step that an exception has ended

    def run(self, work: int, gradients: list[Any], guard: NDArray[np.int64], threads: int) -> int:
        try:
            return self._run(work, gradients, guard)
        except BaseException:
            self._broken_off = True
            raise

    def _run(self, work: int, gradients: list[Any], guard: NDArray[np.int64]) -> int:
        if work & HEADERS:
            self._look_at(gradients, guard)
        with self._backend.on(self._streams):
            if self._broken_off and not work & DECISIONS:
                self._take_marks()
                self._broken_off = False
            if work & HEADERS:
                self._make_ready(work & DECISIONS > 0)
                self._arrange(looks_later=work & FINITE > 0)
            if work & NORMS:
                self._sum_squares()
            code = self._check(bool(work & NORMS)) if work & FINITE else 0
            if work & (UPDATE | DECISIONS) and code >= 0:
                self._carry_out(work)
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

    def _carry_out(self, work: int) -> None:
        """Make the step that `work` asks for, whose gradients have been checked as far as the host does so."""
        self._update_and_count()

    def _update_and_count(self) -> None:
        with whole():
            self._update()
            self._state.updates[0] += 1

    def _make_ready(self, decides: bool) -> None:
        """Load all kernels of an update, so that an update, once begun, cannot fail for lack of memory or code."""
        if decides not in self._ready:
            for kernel in self._kernels(decides):
                self._backend.load(kernel)
            self._ready.add(decides)

    @abstractmethod
    def _kernels(self, decides: bool) -> Iterable[Any]:
        """The kernels that `_update` launches, or `_decide`."""

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
        self._refuse(marks)
        found = ~np.isfinite(self.sums) if by_norms else marks[0]
        if found.any():
            return int(addresses.complaint(int(np.flatnonzero(found)[0]), NON_FINITE))
        return int(self.table[:-1, addresses.INFINITE].any())

    def _refuse(self, marks: NDArray[np.int32]) -> None:
        """Raise an error for a gradient that the marks say is none of the parameter's."""

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

    def _ready_check_of(self, gradient: int, size: int, found: int, flags: tuple[int, ...] = ()) -> Any:
        """A launch that marks one gradient if it is not finite."""
        kernels = finite.make_finite_check(self._dtype, self._capability, bool(flags))
        kernel, blocks = kernels.grid(size, lanes_of(self._dtype), gradient % VECTOR == 0)
        return self._backend.ready(kernel, blocks, THREADS, (gradient, size, found, *flags))

    def _launch_sum_of_squares(self, i: int, gradient: int, prepared: bool) -> int:
        """Launch the sum of squares of the gradient of row i of the table; returns the address of the sum.

        The gradient is summed as it is or, if `prepared`, as for an accumulator.
        """
        kernels = reduce.make_sums(self._form, prepared, self._dtype, self._capability)
        result = self._squares.address + i * self._squares.itemsize
        of = int(self.table[i, PARAMETER]), gradient, int(self.table[i, SIZE])
        launch_sum_of_squares(self._backend, kernels, of, self._scalars[i], self._sums_of_blocks.address, result)
        return result
