"""The session of one of several processes that train one model: each computes on its share of every batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np

from ..data.batches import is_array, parts_of, picker
from ..data.dataset import sample_count
from ..engine.options import Rule
from ..engine.parameters import Parameters
from ..mpi.communicator import engines_among
from ..mpi.engine import ShardedEngine
from ..mpi.shards import NOTHING
from . import checkpoint
from .history import Monitored
from .monitors import Monitors, WeightedMean
from .objective import Objective
from .run import Run
from .session import Session
from .stepper import DividedAmong
from .updates import Updates


def sessions_among(comm: Any, reduction: str) -> Callable[..., Session]:
    """What makes the session of one of the processes of a communicator, from the arguments of `Session`.

    Raises
    ------
    TypeError, ValueError
        If `comm` is no communicator, or `reduction` is neither "mean" nor "sum".
    """
    divided_among = engines_among(comm, reduction)
    return Session if divided_among is None else partial(DividedSession, divided_among=divided_among)


Arguments = tuple[Any, ...] | None  # of the loss; None for a share without a sample


class DividedSession(Session):
    """A session whose batches are divided among processes, which all make the same calls with the same data.

    A batch of n samples gives process r the samples ``[r * n // size, (r + 1) * n // size)``. Losses and monitors are
    means over the samples of all shares, or with ``reduction="sum"`` losses are sums of the shares', so that a run is
    that of one process, up to rounding. A batch that cannot be divided is computed by all processes.
    """

    _weights: list[float]  # by process, of its share of the batch

    def __init__(
        self,
        rule: Rule,
        params: Parameters,
        hyper: Mapping[str, Any],
        objective: Objective | None,
        monitors: Monitors,
        updates: Updates,
        divided_among: DividedAmong,
    ) -> None:
        if updates or monitors.of_gradients:
            what = "updates" if updates else "monitor_gradients"
            raise ValueError(f"{what} cannot be combined with comm: a process sees its own share of a batch only")
        super().__init__(rule, params, hyper, objective, monitors, updates, divided_among)

    @property
    def _sharded(self) -> ShardedEngine:
        return cast(ShardedEngine, self.engine)

    def refuse_divided(self, what: str) -> None:
        raise RuntimeError(f"{what} is not there yet for an optimizer that several processes share (comm=)")

    def begin_run(self, run: Run) -> None:
        of_training = {role: data for role, data in run.datasets.items() if role == "train"}
        if len({*self._sharded.processes.all_of(repr(checkpoint.describe(of_training)))}) > 1:
            raise ValueError(
                "train is a Dataset that stands at different places in different processes, or has different orders: "
                "give all processes the same data and the same rng"
            )
        super().begin_run(run)

    def common_rng(self, rng: Any) -> Any:
        """The source of random orders: one for all processes, if none is given."""
        own: int = int(np.random.SeedSequence().entropy or 0)  # type: ignore[arg-type]  # an int, as none was given
        return self._sharded.processes.all_of(own)[0] if rng is None else rng

    def anywhere(self, happened: bool) -> bool:
        return any(self._sharded.processes.all_of(happened))

    def arguments_of(self, batch: Any, axis: int) -> Any:
        """The arguments that the loss takes after params for this process's share; None if that has no sample."""
        size, rank = self._sharded.processes.size, self._sharded.processes.rank
        if not any(map(is_array, parts_of(batch))):
            self._weights = [1.0] * size
            return self.objective.arguments(batch)
        n = sample_count(batch, axis)
        bounds = [r * n // size for r in range(size + 1)]
        self._weights = np.diff(bounds).astype(float).tolist()
        start, stop = bounds[rank], bounds[rank + 1]
        return self.objective.arguments(_share(batch, axis, slice(start, stop))) if stop > start else None

    def measure(self, arguments: Arguments, gradients_needed: bool) -> tuple[Monitored, list[Any] | None]:
        """Monitors on the whole batch, and this process's gradients, of its share."""
        found: list[tuple[Monitored, list[Any] | None]] = []

        def compute() -> bool:
            nothing: list[Any] = [NOTHING] * len(self.params)
            found.append(
                ({}, nothing) if arguments is None else super(DividedSession, self).measure(arguments, gradients_needed)
            )
            return True

        self.engine.comm.agreed(compute)
        [(own, gradients)] = found
        shards = self._sharded.shards
        mean, losses = WeightedMean(), 0.0
        for values, weight in zip(self._sharded.processes.all_of(own), self._weights, strict=True):
            if values:
                mean.add(values, weight)
                losses += values["loss"]
        values = mean.means()
        if not shards.takes_mean:
            values["loss"] = losses
        shards.weights = None if len({*self._weights}) == 1 else [w / sum(self._weights) for w in self._weights]
        return values, gradients

    def products(self, arguments: Arguments) -> Sequence[Any]:
        if self.form_products is not None and arguments is None:
            return [NOTHING] * len(self.params)
        return super().products(cast(Any, arguments))

    def catch_up_for(self, arguments: Arguments) -> None:
        if self.touches is None:
            super().catch_up_for(())
            return
        found: list[Mapping[str, Any]] = []

        def ask() -> bool:
            found.append({} if arguments is None else self.touched(arguments))
            return True

        self.engine.comm.agreed(ask)
        named = self._sharded.processes.all_of([*found[0]])
        for name in dict.fromkeys(name for names in named for name in names):
            indices = found[0].get(name, np.zeros(0, np.int64))
            self.engine.catch_up(self.position_of(name), f"touches: indices of {name!r}", indices)
        if self.monitors.custom:
            self.flush()

    def step(self, gradients: list[Any], products: Sequence[Any] = (), from_outside: bool = False) -> None:
        if from_outside:
            self._sharded.shards.weights = None
        super().step(gradients, products, from_outside)


def _share(batch: Any, axis: int, key: slice) -> Any:
    """The samples of a batch at some positions; what has none stays as it is."""

    def part(value: Any) -> Any:
        return picker(value, axis, "the batch")(key) if is_array(value) else value

    if isinstance(batch, Mapping):
        return {name: part(value) for name, value in batch.items()}
    return tuple(map(part, batch)) if isinstance(batch, list | tuple) else part(batch)
