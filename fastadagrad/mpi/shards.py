"""The part of every parameter that a process steps, and the messages by which gradients and parameters get about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.gradients import missing_gradient
from ..engine.parameters import FloatArray, Parameters, guard_of
from ..engine.place import Staging
from ..engine.rows import Rows, is_sparse, rows_of
from ..engine.shard import forget_rows, note_rows
from ..host.gradients import host_form
from ..host.sparse_gradients import checked_sparse, inspect_only
from .agreement import agreed_on
from .buckets import Bucket
from .cost import TOGETHER
from .cuts import Bounds, cut
from .distribution import Distribution
from .processes import Lockstep
from .sums import Sums

DENSE, SPARSE = "dense", "sparse"
NOTHING = object()  # the gradient of a process whose share of a batch has no sample
Given = dict[int, Any]  # checked gradients of this process, by position: arrays, Rows or NOTHING


class Shards:
    """How whole parameters, of which every process has a copy, are divided among processes.

    Attributes
    ----------
    shapes : list of tuple of int
        The shapes of the whole parameters.
    divided : list of Shard
        Those of the parameters of which no process has all rows.
    params : Parameters
        Views of the rows that this process steps, with the names of the whole parameters.
    takes_mean : bool
        Whether the gradient of a step is the mean of those of all processes, and not their sum.
    weights : list of float, optional
        With `takes_mean`, the weights of the processes in the next step; None: all the same.
    stale : set of int
        Positions of parameters of which this process may lack the latest values of other processes' rows.
    tables : set of int
        Positions of parameters that were stepped by rows the last time.
    finite : set of int
        Positions of dense gradients whose sums in this step are known to be finite.
    """

    def __init__(
        self,
        whole: Parameters,
        indivisible: Sequence[bool],
        processes: Lockstep,
        reduction: str,
        threads: int | None = None,
        cuda_aware: bool = False,
    ) -> None:
        _refuse_others_shards(whole, processes)
        self.whole, self.processes = whole, processes
        self.takes_mean, self._in_float64 = reduction.startswith("mean"), reduction.endswith("64")
        self.shapes = whole.shapes
        self.weights: list[float] | None = None
        shards = map(whole.shard_at, range(len(whole)))
        self.divided = [shard for shard in shards if shard is not None]
        self.bounds = self._cut(indivisible)
        own = [self.own_part(position, array) for position, array in enumerate(whole.arrays)]
        self.params = Parameters(dict(zip(whole.names, own, strict=True)))
        self.stale, self.tables = set[int](), set[int]()
        straight = [i for i in range(len(whole)) if self.travels_alone(i) is not None] if cuda_aware else []
        self._staging = whole.place.staging(whole.arrays, straight)
        self._staging.reserve(self.params.arrays)
        self._sums = Sums(processes, self._in_float64, threads, self._staging.memory)
        self._known = dict[tuple[int, ...], Bucket]()  # by positions
        self._summed = 0
        self.finite = set[int]()
        self._guard = guard_of(whole.arrays)

    def _cut(self, indivisible: Sequence[bool]) -> list[Bounds]:
        """Where parameters are cut; those of which no process has all are so already."""
        shards = [self.whole.shard_at(position) for position in range(len(self.whole))]
        whole = [i for i, shard in enumerate(shards) if shard is None]
        cuts = iter(cut([self.shapes[i] for i in whole], [indivisible[i] for i in whole], self.processes.size))
        return [next(cuts) if shard is None else shard.bounds for shard in shards]

    def own_part(self, position: int, array: FloatArray) -> FloatArray:
        """A view of the rows that this process steps of a parameter, or of an array of the parameter's shape."""
        if self.whole.shard_at(position) is not None:
            return array
        start, stop = self.own_rows(position)
        return array if array.ndim == 0 and stop > start else self.whole.place.part(array, start, stop)

    def own_rows(self, position: int) -> tuple[int, int]:
        """The first of the rows that this process steps, and the row behind the last."""
        bounds, rank = self.bounds[position], self.processes.rank
        return bounds[rank], bounds[rank + 1]

    def share_first(self) -> None:
        """Give the parameters of process 0 to all."""
        self.processes.all_of("the parameters of process 0")
        for i, bounds in enumerate(self.bounds):
            self._complete(self._staging, i, [0] + [bounds[-1]] * self.processes.size)

    def _complete(self, staging: Staging, position: int, bounds: Bounds) -> None:
        """Fill an array in all processes, of which each has rows ``[bounds[rank], bounds[rank + 1])`` already."""
        if self.whole.shard_at(position) is None:
            staging.fetch([position], [bounds], self.processes.rank)
            self.processes.complete(rows_of(staging.arrays[position]), bounds)()
            staging.store([position], [bounds], self.processes.rank)
            staging.settle()

    # Gradients

    def checked(self, gradients: Sequence[Any], positions: Iterable[int]) -> Given:
        """The gradients of whole parameters; TypeError, ValueError or IndexError for one that does not fit."""
        return {i: self._checked(i, gradients[i]) for i in positions}

    def _checked(self, position: int, gradient: Any) -> Any:
        name, array = self.whole.names[position], self.whole.arrays[position]
        if gradient is NOTHING:
            return NOTHING
        if gradient is None:
            raise missing_gradient(name, array)
        is_divided = self.whole.shard_at(position) is not None
        if is_sparse(gradient):
            if not self.whole.place.is_numpys:
                raise TypeError(
                    f"gradient of {name!r} is sparse, which comm= takes for parameters in the host's memory only: make "
                    "it dense, or copy the parameters to the host"
                )
            whole = np.broadcast_to(np.zeros((), array.dtype), self.shapes[position]) if is_divided else array
            found = checked_sparse(name, gradient, whole, self._guard, False, inspect_only)
            return Rows(found.indices, found.values)
        if is_divided:
            raise TypeError(
                f"gradient of {name!r}, which is divided among processes, must be fastadagrad.Rows or a matrix of "
                f"scipy.sparse, not {type(gradient).__name__}"
            )
        self.whole.place.check_dense(f"gradient of {name!r}", "gradient", gradient, array)
        return host_form(f"gradient of {name!r}", gradient)

    def of_one_kind(self, given: Given, about: tuple[int, float | None, int]) -> Given:
        """The gradients, each of the kind that it has in all processes, with zeros where a process has none.

        Parameters
        ----------
        about : tuple
            The number of the step, the learning rate that was set for it, and the count of changes of hyperparameters.

        Raises
        ------
        RuntimeError
            In all processes, if they make different steps.
        ValueError
            In all processes, if a gradient is dense in some of them and sparse in others.
        """
        self._summed, self.finite = 0, set()
        own = {i: SPARSE if isinstance(each, Rows) else DENSE for i, each in given.items() if each is not NOTHING}
        told = self.processes.all_of("a step", (about, own))
        if len({of_rank for of_rank, _ in told}) > 1:
            raise agreed_on(
                RuntimeError(
                    "the processes make different steps (number, learning rate that was set, changes of "
                    f"hyperparameters: {[of_rank for of_rank, _ in told]}): all must make the same calls"
                )
            )
        by_rank, completed = [kinds for _, kinds in told], dict(given)
        for i in given:
            kinds = {rank: kinds[i] for rank, kinds in enumerate(by_rank) if i in kinds}
            if len({*kinds.values()}) > 1:
                named = ", ".join(f"{kind} in process {rank}" for rank, kind in kinds.items())
                message = f"gradient of {self.whole.names[i]!r} is {named}: pass the same kind in all"
                raise agreed_on(ValueError(message))
            if i not in own:
                sparse = SPARSE in kinds.values() or self.whole.shard_at(i) is not None
                completed[i] = self._zeros(i, sparse)
        return completed

    def _zeros(self, position: int, sparse: bool) -> FloatArray | Rows:
        array = self.whole.arrays[position]
        if sparse:
            return Rows(np.zeros(0, np.int64), np.zeros((0, *self.shapes[position][1:]), array.dtype))
        return np.zeros(array.shape, array.dtype)

    def own_sums(self, given: Given) -> list[Any]:
        """The gradients of this process's rows: all processes' gradients, added up in the order of the processes."""
        sums: list[Any] = [None] * len(self.whole)
        for i, gradient in given.items():
            if isinstance(gradient, Rows):
                sums[i] = self._own_rows_of(i, gradient)
        for i, own in self._dense_sums({i: each for i, each in given.items() if not isinstance(each, Rows)}).items():
            sums[i] = own
        self._summed += 1  # a method that takes products has them summed after the gradients
        return sums

    def _dense_sums(self, gradients: Given) -> dict[int, Any]:
        """The sums of dense gradients by position, for this process's rows and in the memory of the parameters."""
        weights, divisor = self.weights, 1
        if weights is None or not self.takes_mean:
            weights, divisor = [1.0] * self.processes.size, self.processes.size if self.takes_mean else 1
        on_host, found = self._staging.gradients(gradients), dict[int, Any]()
        for summed in self._sums.of(self._buckets(gradients), on_host, self._summed, weights, divisor):
            bucket = summed.bucket
            for i, own in zip(bucket.positions, bucket.split(summed.own, self.processes.rank), strict=True):
                found[i] = own.reshape(self.params.arrays[i].shape)
            if summed.is_finite and self._summed == 0 and not self.whole.place.notes_infinity_by_checks:
                self.finite.update(bucket.positions)
        return dict(self._staging.sums(self._summed, found))

    def _buckets(self, given: Given) -> list[Bucket]:
        """The dense gradients: small ones of one dtype together, and each large one alone."""
        groups = dict[Any, list[int]]()
        for i, gradient in given.items():
            if not isinstance(gradient, Rows):
                groups.setdefault((self.whole.arrays[i].dtype, self.travels_alone(i)), []).append(i)
        return [self._bucket(tuple(positions)) for positions in groups.values()]

    def travels_alone(self, position: int) -> int | None:
        """The position of a parameter whose messages are its own; None for one that goes together with others.

        All processes answer alike; a `Shard`, of which their arrays differ in size, is never sent.
        """
        is_divided = self.whole.shard_at(position) is not None
        return None if is_divided or self.whole.arrays[position].nbytes <= TOGETHER else position

    def _bucket(self, positions: tuple[int, ...]) -> Bucket:
        if positions not in self._known:
            shapes, cuts = [self.shapes[i] for i in positions], [self.bounds[i] for i in positions]
            self._known[positions] = Bucket(positions, shapes, cuts)
        return self._known[positions]

    def _own_rows_of(self, position: int, gradient: Rows) -> Rows:
        values, size = gradient.values, self.processes.size
        if self.takes_mean:
            weight = 1 / size if self.weights is None else self.weights[self.processes.rank]
            with np.errstate(all="ignore"):
                values = values * (np.float64(weight) if self._in_float64 else values.dtype.type(weight))
        elif self._in_float64:
            values = values.astype(np.float64)
        numbers, values = self._to_owners(position, gradient.indices, values)
        own = Rows(numbers - self.own_rows(position)[0], values)
        return _added_up(own, gradient.values.dtype) if self._in_float64 else own

    def _to_owners(self, position: int, numbers: NDArray[np.int64], *arrays: NDArray[Any]) -> list[NDArray[Any]]:
        """Row numbers, and arrays with a row for each, that all processes send to those which step these rows."""
        order, bounds = self._by_owner(position, numbers)
        expected = self._expected(bounds)
        return [self.processes.exchange(np.ascontiguousarray(a[order]), bounds, expected) for a in (numbers, *arrays)]

    def _by_owner(self, position: int, numbers: NDArray[np.int64]) -> tuple[NDArray[np.intp], list[int]]:
        """The order in which row numbers are grouped by the process that steps the row, and where the groups end."""
        owner = np.searchsorted(self.bounds[position][1:-1], numbers, side="right")
        counts = np.bincount(owner, minlength=self.processes.size)
        return np.argsort(owner, kind="stable"), [0, *np.cumsum(counts).tolist()]

    def _expected(self, bounds: Sequence[int]) -> list[int]:
        counts = np.diff(bounds).reshape(-1, 1)
        one_each = self.processes.exchange(counts, range(self.processes.size + 1), [1] * self.processes.size)
        return one_each.ravel().tolist()

    # Parameters

    def distribution(self, given: Given) -> Distribution:
        """What gives the new values of a step's dense parameters to all."""
        return Distribution(self.processes, self._staging, self._buckets(given))

    def note_stepped(self, given: Given) -> None:
        """Note after a step that all have the new values of dense parameters, and of rows those who ask for them."""
        by_rows = {i for i, gradient in given.items() if isinstance(gradient, Rows)}
        self.tables = (self.tables | by_rows) - (given.keys() - by_rows)
        self._forget_fetched()
        self.stale -= given.keys() - by_rows
        self.stale |= {i for i in by_rows if self.whole.shard_at(i) is None}

    def _forget_fetched(self) -> None:
        """Forget rows of tables that other processes have, as these may change them."""
        for shard in self.divided:
            forget_rows(shard)

    def refresh(self) -> None:
        """Get the latest values of all rows that other processes step."""
        self._forget_fetched()
        if self.stale:
            self.processes.all_of("catching up")
            for i in sorted(self.stale):
                self._complete(self._staging, i, self.bounds[i])
            self.stale.clear()

    def completed(self, own: Sequence[FloatArray], wholes: Sequence[FloatArray]) -> None:
        """Fill arrays of the parameters' shapes in all processes, each of which has its own part of them."""
        self._forget_fetched()
        staging = self.whole.place.staging(wholes)
        for i, (part, whole) in enumerate(zip(own, wholes, strict=True)):
            self.own_part(i, whole)[...] = part
            self._complete(staging, i, self.bounds[i])

    def fetch(self, position: int, numbers: NDArray[np.int64], read: Any) -> NDArray[Any]:
        """The latest values of some rows of this process's choice, from the processes that step them.

        `read` gives the values of rows of this process, by their numbers within its part, to whoever asks for them.
        Rows of others are kept here, too: in the whole parameter, or by its `Shard`.
        """
        order, bounds = self._by_owner(position, numbers)
        wanted = np.ascontiguousarray(numbers[order])
        expected = self._expected(bounds)
        asked = self.processes.exchange(wanted, bounds, expected) - self.own_rows(position)[0]
        values = np.ascontiguousarray(read(asked))
        came = self.processes.exchange(values, [0, *np.cumsum(expected).tolist()], np.diff(bounds).tolist())
        start, stop = self.own_rows(position)
        others, shard = (wanted < start) | (wanted >= stop), self.whole.shard_at(position)
        if shard is None:
            self.whole.arrays[position][wanted[others]] = came[others]
        else:
            note_rows(shard, wanted[others], came[others])
        in_order = np.empty_like(came)
        in_order[order] = came
        return in_order


def _refuse_others_shards(whole: Parameters, processes: Lockstep) -> None:
    """Raise ValueError for a parameter that is divided among other processes than these."""
    for position, name in enumerate(whole.names):
        shard = whole.shard_at(position)
        if shard is not None and (len(shard.bounds) - 1, shard.rank) != (processes.size, processes.rank):
            raise ValueError(
                f"parameter {name!r} is divided among {len(shard.bounds) - 1} processes, of which this is number "
                f"{shard.rank}; of the {processes.size} of comm it is number {processes.rank}: give both the same comm"
            )


def _added_up(rows: Rows, dtype: np.dtype[Any]) -> Rows:
    """Rows of which each is named once, with values that have been added up before they are rounded to a dtype."""
    order = np.argsort(rows.indices, kind="stable")
    numbers, starts = np.unique(rows.indices[order], return_index=True)
    with np.errstate(all="ignore"):
        sums = np.add.reduceat(rows.values[order], starts) if numbers.size else rows.values
        return Rows(numbers, sums.astype(dtype), assume_unique=True)
