"""The engine of one of several processes: it steps this process's part of the parameters, with the gradients of all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from ..engine.engine import Engine
from ..engine.options import Conduct, Rule, Settings
from ..engine.parameters import Parameters
from ..engine.state import kind_of
from ..engine.step import Stepping
from ..engine.unit import Unit
from ..host.sparse_gradients import checked_indices
from ..support.interrupts import whole
from .agreement import Agreement
from .processes import Lockstep, Processes
from .shards import Given, Shards


class ShardedEngine(Engine):
    """An `Engine` of the rows that this process steps; what it takes and gives back is about whole parameters.

    All processes call the same methods in the same order.
    """

    def __init__(
        self,
        rule: Rule,
        whole: Parameters,
        settings: Sequence[Settings],
        conduct: Conduct,
        processes: Processes,
        reduction: str,
    ) -> None:
        self.processes = Lockstep(processes)
        self.agreement = Agreement(self.processes)
        about = _about(rule, whole, settings, conduct, reduction)
        self.agreement.refuse_others("making an optimizer", about)
        kinds = [kind_of(name, array, s) for (name, array), s in zip(whole, settings, strict=True)]
        divided = partial(
            Shards,
            whole,
            [kind == "tensor" for kind in kinds],
            self.processes,
            reduction,
            threads=conduct.threads,
            cuda_aware=self._all_are_cuda_aware(whole),
        )
        self.shards = self.agreement.everywhere("making an optimizer", divided)
        super().__init__(rule, self.shards.params)
        self.comm, self.apart = self.agreement, self.shards.travels_alone

    def _all_are_cuda_aware(self, whole: Parameters) -> bool:
        """Whether parameters are on GPUs, and every process can send what is in its GPU's memory from there."""
        on_gpus = not whole.place.is_numpys
        return on_gpus and all(self.agreement.by_rank("making an optimizer", lambda: self.processes.is_cuda_aware))

    def check(self, settings: Sequence[Settings], conduct: Conduct, unused: bool) -> None:
        each = zip(self.shards.whole, settings, self.shards.bounds, strict=True)
        for position, ((name, array), s, bounds) in enumerate(each):
            if kind_of(name, array, s) == "tensor" and self.shards.whole.shard_at(position) is not None:
                raise ValueError(
                    f"parameter {name!r} is a Shard, of which no process has all elements, and an accumulator that all "
                    "elements share cannot be: use accumulator='row' or 'element'"
                )
            if kind_of(name, array, s) == "tensor" and len({*bounds}) > 2:
                raise ValueError(
                    f"parameter {name!r} is divided among processes, and an accumulator that all its elements share "
                    "cannot be: choose accumulator='tensor' when the optimizer is made"
                )
        super().check(settings, conduct, unused)

    def _make_stepping(self, positions: Sequence[int], may_defer: bool = False) -> Stepping:
        return ShardedStepping(self, positions)

    @property
    def behind(self) -> bool:
        return bool(self.shards.stale)

    def whole_shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        whole = self.shards.shapes[self.params.names.index(name)]
        return (whole[0], *shape[1:]) if whole and shape else ()

    def flush(self) -> None:
        super().flush()
        self.shards.refresh()

    def read(self, position: int, what: str, indices: Any) -> Any:
        return self._fetch(position, what, indices)[1]

    def catch_up(self, position: int, what: str, indices: Any) -> Any:
        return self._fetch(position, what, indices)[0]

    def _fetch(self, position: int, what: str, indices: Any) -> tuple[Any, Any]:
        """Row numbers that have been checked, and the values of these rows."""
        with self.lock:
            self._refuse_in_flux()
            rows = self.agreement.everywhere("reading rows", partial(self._checked_rows, position, what, indices))
            return rows, self.shards.fetch(position, rows, partial(self._read_own, position, what))

    def _checked_rows(self, position: int, what: str, indices: Any) -> Any:
        if not self.shards.whole.place.is_numpys:
            raise TypeError(f"{what}: on a GPU all processes have all rows, with comm=: index the parameter itself")
        array = self.shards.whole.refuse_changed(position)
        if array.ndim == 0:
            raise ValueError(f"{what} do not exist: the parameter is 0-dimensional")
        return checked_indices(what, indices, self.shards.shapes[position][0])[0]

    def _read_own(self, position: int, what: str, rows: Any) -> Any:
        reader = self._reader(position)
        return reader.read(reader.catch_up(what, rows, self.lags.get(position), self._threads))


def _about(
    rule: Rule, whole: Parameters, settings: Sequence[Settings], conduct: Conduct, reduction: str
) -> dict[str, Any]:
    """What all processes must be given alike, in words; callables count as alike."""
    about: dict[str, Any] = {
        "the method": rule.name,
        "the place of parameters": "the host's memory" if whole.place.is_numpys else "a GPU",
        "the names, dtypes and shapes of parameters": [
            (name, str(array.dtype), shape) for (name, array), shape in zip(whole, whole.shapes, strict=True)
        ],
        "reduction": reduction,
    }
    for name, value in vars(conduct).items():
        if name != "threads":
            about[name] = value
    for parameter, each in zip(whole.names, settings, strict=True):
        for name, value in (vars(each.options) | vars(each.own)).items():
            about[f"{name} of {parameter!r}"] = "a callable" if callable(value) else value
    return about


class ShardedStepping(Stepping):
    """Steps of this process's rows, with the sums of all processes' gradients; it takes those of whole parameters."""

    def step(self, gradients: list[Any], t: int, products: Sequence[Any] = ()) -> bool:
        arena = cast(ShardedEngine, self._arena)
        shards, about = arena.shards, (t, arena.rate_set, arena.tuning)
        found = arena.agreement.everywhere("a step", partial(self._checked_parts, gradients, products))
        found = [shards.of_one_kind(given, about) for given in found]
        with whole():  # a signal parts no step from the messages that tell of it
            sums = [*map(shards.own_sums, found)]
            self._distribution, self._known_finite = shards.distribution(found[0]), shards.finite
            done = super().step(sums[0], t, *sums[1:])
            if done:
                self._distribution.finish()
                shards.note_stepped(found[0])
        return done

    def _note_updated(self, unit: Unit) -> None:
        self._distribution.stepped(unit.positions)

    def _checked_parts(self, gradients: list[Any], products: Sequence[Any]) -> list[Given]:
        """The gradients of this process and, for a method that needs them, its products, checked."""
        shards = cast(ShardedEngine, self._arena).shards
        shards.whole.refuse_moved()
        return [shards.checked(each, self._active) for each in (gradients, products)[: 1 + self._fed]]
