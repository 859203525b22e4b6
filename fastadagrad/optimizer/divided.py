"""The session of one of several processes that train one model: each computes on its share of every batch."""

from __future__ import annotations

import errno
import os
import secrets
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn, cast

import numpy as np

from ..data.batches import is_array, parts_of, picker
from ..engine.options import Settings
from ..mpi import writing
from ..mpi.agreement import agreed_on, is_agreed
from ..mpi.communicator import engines_among
from ..mpi.engine import ShardedEngine
from ..mpi.increments import Increments
from ..mpi.pieces import Pieces
from ..mpi.shards import NOTHING
from ..support import array_file, numbered_files
from ..support.asking import path_text
from . import checkpoint
from .history import Ledger, Monitored
from .monitors import WeightedMean
from .run import Run, Touches
from .saved_files import KIND, Contents, folder_at, newest_in
from .session import Result, Session
from .stepper import DividedAmong
from .writing import Writable

Arguments = tuple[Any, ...] | None  # of the loss; None for a share without a sample


def sessions_among(comm: Any, reduction: str) -> Callable[..., Session]:
    """What makes the session of one of the processes of a communicator, from the arguments of `Session`.

    Raises
    ------
    TypeError, ValueError
        If `comm` is no communicator, or `reduction` is none of those that there are.
    """
    divided_among = engines_among(comm, reduction)
    if divided_among is None:
        return Session
    return partial(DividedSession, divided_among=divided_among, among={"comm": comm, "reduction": reduction})


class DividedSession(Session):
    """A session whose batches are divided among processes, which all make the same calls with the same data.

    A batch of n samples gives process r the samples ``[r * n // size, (r + 1) * n // size)``. Losses and monitors are
    means over the samples of all shares, or with ``reduction="sum"`` losses are sums of the shares', so that a run is
    that of one process, up to rounding. A batch that cannot be divided is process 0's.
    """

    _weights: list[float]  # by process, of its share of the batch
    _batch: tuple[int | None, int]  # what tells the batch from others

    def __init__(self, *made_of: Any, divided_among: DividedAmong, among: dict[str, Any]) -> None:
        super().__init__(*made_of, divided_among=divided_among)
        self._among = among
        self.flattened = lambda gradients: self._for_a_step(partial(self.params.flatten, gradients))
        self._latest_touches: Touches | None = None  # of the run under way or, after it, of the latest
        self._written: Increments | None = None  # to the folder of checkpoints
        if self.updates or self.monitors.of_gradients:
            what = "updates" if self.updates else "monitor_gradients"
            raise ValueError(f"{what} cannot be combined with comm: a process sees its own share of a batch only")
        self.share_params()

    @property
    def _sharded(self) -> ShardedEngine:
        return cast(ShardedEngine, self.engine)

    # Files

    @property
    def processes(self) -> numbered_files.Processes:
        return self._sharded.agreement

    def everywhere(self, about: str, function: Callable[[], Result]) -> Result:
        return self._sharded.agreement.everywhere(about, function)

    def save_to(
        self, path: array_file.Target, run: Mapping[str, Any] | None = None, among_checkpoints: bool = False
    ) -> None:
        first, *others = self._sharded.agreement.by_rank("save", partial(_path_of, path))
        if any(other != first for other in others):
            raise agreed_on(
                ValueError("path differs between processes, which write one file together: give all the same")
            )
        self.everywhere("save", self.params.refuse_moved)
        super().save_to(first, run, among_checkpoints)

    def export_to(self, path: Any) -> None:
        self.params.refuse_shards("export writes whole parameters: save writes it in parts")
        self.everywhere("export", self.params.refuse_moved)
        self.flush()
        self.everywhere("export", partial(super().export_to, path) if self.processes.leads else lambda: None)

    @property
    def own_ledger(self) -> Ledger:
        own = [self._sharded.shards.own_part(i, array) for i, array in enumerate(self.ledger.best_arrays)]
        return replace(self.ledger, best_arrays=own)

    def filled_buffers(self) -> list[Any]:
        return self._for_a_step(super().filled_buffers)

    def _for_a_step(self, function: Callable[[], Result]) -> Result:
        """What a function returns; what it raises, the other processes are told where they begin their step."""
        try:
            return function()
        except Exception as error:
            return self.everywhere("a step", partial(_raise, error))

    def made_of(self) -> dict[str, Any]:
        return {**super().made_of(), **self._among}

    def refuse_shared(self) -> None:
        raise RuntimeError(
            "an optimizer that several processes share (comm=) cannot be pickled or deep-copied, as its communicator "
            "cannot: twin() makes a copy in all of them, and save writes a file that any number of processes loads"
        )

    def write(self, contents: Writable, path: array_file.Target, among_checkpoints: bool) -> None:
        name, since = cast(str, path), None  # as `save_to` gives it
        if among_checkpoints:
            folder = os.path.dirname(name)
            since = self._written if self._written and self._written.folder == folder else Increments(folder)
        noted = writing.write(self._sharded, name, KIND, contents.header, contents.arrays, since)
        if among_checkpoints:
            self._written = noted

    def contents_of(self, path: array_file.Target) -> Contents:
        """The contents of a file that all processes see, with this process's rows."""
        folder = self.everywhere("load", partial(folder_at, path))
        if folder is None:
            return self._own_contents_of(path)
        files = self.processes.of_leader(partial(numbered_files.files_in, folder))
        return newest_in(folder, files, self._own_contents_of)

    def _own_contents_of(self, path: array_file.Target) -> Contents:
        pieces = Pieces(self._sharded)
        found = self.everywhere("load", partial(Contents, path, pieces.wanted))
        found.arrays = pieces.fitted(found.arrays)
        return found

    def fitted(self, contents: Contents, settings: Sequence[Settings], strict: bool) -> checkpoint.Saved:
        return self.everywhere("load", partial(super().fitted, contents, settings, strict))

    def take(self, saved: checkpoint.Saved, hyper: dict[str, Any], overlay: dict[str, Any]) -> None:
        shards, whole = self._sharded.shards, self.params
        best = self.everywhere(
            "load", lambda: [*map(whole.place.copy, whole.arrays)] if saved.ledger.best_arrays else []
        )
        super().take(saved, hyper, overlay)
        shards.completed(shards.params.arrays, whole.arrays)
        if best:
            shards.completed(self.ledger.best_arrays, best)
            self.ledger.best_arrays = best

    # Runs

    def begin_run(self, run: Run) -> None:
        of_training = {role: data for role, data in run.datasets.items() if role == "train"}
        if len({*self._sharded.processes.all_of("the beginning of a run", repr(checkpoint.describe(of_training)))}) > 1:
            raise ValueError(
                "train is a Dataset that stands at different places in different processes, or has different orders: "
                "give all processes the same data and the same rng"
            )
        super().begin_run(run)
        self._latest_touches = run.touches

    def share_params(self) -> None:
        self._sharded.shards.share_first()

    def has_left_alone(self, error: BaseException) -> bool:
        return not is_agreed(error)

    def common_rng(self, rng: Any) -> Any:
        """The source of random orders: one for all processes, if none is given."""
        common = self._sharded.processes.all_of("a random order", secrets.randbits(128))[0]
        return common if rng is None else rng

    def anywhere(self, happened: bool) -> bool:
        return any(self._sharded.processes.all_of("a batch", happened))

    def arguments_of(self, batch: Any, axis: int) -> Any:
        """The arguments that the loss takes after params for this process's share; None if that has no sample."""
        size, rank = self._sharded.processes.size, self._sharded.processes.rank
        n = _samples_of(batch, axis)
        self._batch = n, _fingerprint(batch)
        if n is None:
            self._weights = [1.0] + [0.0] * (size - 1)
            return None if rank else self.objective.arguments(batch)
        bounds = [r * n // size for r in range(size + 1)]
        self._weights = np.diff(bounds).astype(float).tolist()
        start, stop = bounds[rank], bounds[rank + 1]
        return self.objective.arguments(_share(batch, axis, slice(start, stop))) if stop > start else None

    def prepare(self, arguments: Arguments) -> None:
        touches = self.touches or self._latest_touches
        if touches is not None and self._sharded.shards.divided:
            self._fetch_touched(arguments, touches)

    def measure(self, arguments: Arguments, gradients_needed: bool) -> tuple[Monitored, list[Any] | None]:
        """Monitors on the whole batch, and this process's gradients, of its share."""
        own, gradients = self._sharded.agreement.everywhere(
            "a batch", partial(self._measure_share, arguments, gradients_needed)
        )
        by_rank = self._sharded.processes.all_of("a batch", (self._batch, own))
        if len({batch for batch, _ in by_rank}) > 1:
            counts = ", ".join(str(n) for (n, _), _ in by_rank)
            raise agreed_on(
                ValueError(
                    f"the batches of the processes differ (they have {counts} samples): give all processes the same "
                    "data, of which each computes on its share"
                )
            )
        mean, losses = WeightedMean(), 0.0
        for (_, values), weight in zip(by_rank, self._weights, strict=True):
            if values:
                mean.add(values, weight)
                losses += values["loss"]
        values = mean.means()
        if not self._sharded.shards.takes_mean:
            values["loss"] = losses
        return values, gradients

    def _measure_share(self, arguments: Arguments, gradients_needed: bool) -> tuple[Monitored, list[Any] | None]:
        if arguments is None:
            return {}, [NOTHING] * len(self.params)
        return super().measure(arguments, gradients_needed)

    def train_on(self, arguments: Arguments) -> Monitored:
        shards, weights = self._sharded.shards, self._weights
        shards.weights = None if len({*weights}) == 1 else [weight / sum(weights) for weight in weights]
        try:
            return super().train_on(cast(Any, arguments))
        finally:
            shards.weights = None

    def products(self, arguments: Arguments) -> Sequence[Any]:
        if self.form_products is None:
            return ()
        own = self._sharded.agreement.everywhere("a batch", partial(self.form_products, self.objective, arguments))
        return [NOTHING] * len(self.params) if arguments is None else own

    def catch_up_for(self, arguments: Arguments) -> None:
        if self.touches is None:
            super().catch_up_for(())
            return
        if self.monitors.custom:
            self.flush()
        self._fetch_touched(arguments, self.touches)

    def _fetch_touched(self, arguments: Arguments, touches: Touches) -> None:
        touched = partial(self.touched, arguments, touches) if arguments is not None else dict[str, Any]
        own = self._sharded.agreement.everywhere("a batch", touched)
        named = self._sharded.processes.all_of("a batch", [*own])
        for name in dict.fromkeys(name for names in named for name in names):
            indices = own.get(name, np.zeros(0, np.int64))
            position = self.everywhere("a batch", partial(self.position_of, name))
            self.engine.catch_up(position, f"touches: indices of {name!r}", indices)


def _raise(error: Exception) -> NoReturn:
    raise error


def _path_of(path: array_file.Target) -> str:
    """A path as a string; TypeError for a file object, as each process writes a file of its own."""
    name = path_text("path", path, "the path of a file, beside which each process writes its part")
    if not name or name.endswith((os.sep, os.altsep or os.sep)):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    return os.path.realpath(name)  # a link to a file is followed, and its parts are beside the file


def _samples_of(batch: Any, axis: int) -> int | None:
    """How many samples a batch has; None if it cannot be divided: it has none, or arrays with different numbers."""
    shapes = [part.shape for part in parts_of(batch) if is_array(part)]
    numbers = {shape[axis] if -len(shape) <= axis < len(shape) else 0 for shape in shapes}
    return int(numbers.pop()) if len(numbers) == 1 and 0 not in numbers else None


def _fingerprint(batch: Any) -> int:
    """A checksum of the first sample of each array of NumPy's, by which the batches of two processes are told apart."""
    found = 0
    for part in parts_of(batch):
        if type(part) is np.ndarray and part.size and not part.dtype.hasobject:
            found = zlib.crc32(np.ascontiguousarray(part[:1]).reshape(-1).view(np.uint8).data, found)
    return found


def _share(batch: Any, axis: int, key: slice) -> Any:
    """The samples of a batch at some positions; what has none stays as it is."""

    def part(value: Any) -> Any:
        return picker(value, axis, "the batch")(key) if is_array(value) else value

    if isinstance(batch, Mapping):
        return {name: part(value) for name, value in batch.items()}
    return tuple(map(part, batch)) if isinstance(batch, list | tuple) else part(batch)
