"""What is kept of an optimizer: parameters, state, counts, best, history, and the position in its data."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..data.randomness import move, random_state
from ..engine.engine import Engine
from ..support.log import logger
from .history import Ledger

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Saved:
    """Those contents of a saved or copied optimizer that fit another optimizer, which is to take them.

    A deep copy shares the arrays of parameters and slots, as `apply` copies them anyway.
    """

    names: list[str]  # of the parameters whose contents these are
    params: Arrays  # values of the parameters that are to be set
    slots: dict[str, Arrays]  # by slot and name
    learned: tuple[float, ...]
    late: dict[str, int]
    random: Any  # state of the generator of random numbers that the method draws from
    ledger: Ledger
    run: dict[str, Any] | None
    displaced: list[str]
    anew: list[str] = field(default_factory=list)  # parameters whose state begins anew
    updates: dict[int, NDArray[Any]] = field(default_factory=dict)  # of the user's updates, by their positions
    skipped: list[str] = field(default_factory=list)  # contents that did not fit, described in words

    def to_begin_with(self) -> Saved:
        """A copy with arrays of its own and without history, best parameters and unfinished run.

        If no step has used the state, the state is left out: it begins anew with the taker's hyperparameters.
        """
        counts = Ledger(steps=self.ledger.steps, updates=dict(self.ledger.updates))
        unused = not (counts.steps or counts.updates)
        slots = {} if unused else {slot: _copied(of) for slot, of in self.slots.items()}
        anew = list(self.names) if unused else self.anew
        return replace(self, params=_copied(self.params), slots=slots, ledger=counts, run=None, anew=anew)

    def __deepcopy__(self, memo: dict[int, Any]) -> Saved:
        return replace(self, ledger=copy.deepcopy(self.ledger, memo), run=copy.deepcopy(self.run, memo))


def _copied(arrays: Arrays) -> Arrays:
    return {name: array.copy() for name, array in arrays.items()}


def state_of(engine: Engine, ledger: Ledger, run: Mapping[str, Any] | None) -> Saved:
    """The contents of an optimizer: its own arrays or, of arrays on a GPU, copies in the host's memory."""
    names, to_host = engine.params.names, engine.params.place.to_host
    slots: dict[str, Arrays] = {}
    for name in names:
        for slot, array in engine.state[name].items():
            slots.setdefault(slot, {})[name] = to_host(array)
    return Saved(
        names=list(names),
        params={name: to_host(array) for name, array in engine.params},
        slots=slots,
        learned=engine.state.learned,
        late=dict(engine.state.late),
        random=random_state(engine.state.random),
        ledger=replace(ledger, best_arrays=[to_host(array) for array in ledger.best_arrays]),
        run=None if run is None else dict(run),
        displaced=[names[i] for i in sorted(engine.displaced)],
    )


def make_room(saved: Saved, engine: Engine) -> None:
    """Allocate all that `apply` fills; the engine is to be configured anew between the two."""
    placed = engine.params.place.placed
    saved.ledger.best_arrays[:] = [placed(x if x.flags.writeable else x.copy()) for x in saved.ledger.best_arrays]
    kept = {name: dict(own) for name, own in engine.state.slots.items()}
    for name in saved.names:
        stored = {slot: of[name] for slot, of in saved.slots.items() if name in of}
        if name in saved.anew:
            continue
        if not stored:  # the parameter was frozen when it was saved: it gets slots once it is stepped
            kept[name] = {}
        for slot, array in stored.items():
            if slot in kept[name] and kept[name][slot].shape != array.shape:
                del kept[name][slot]
    engine.state.slots = kept
    engine.state.add({(name, slot): a for slot, of in saved.slots.items() for name, a in of.items()})
    engine.state.late = dict(saved.late)


def apply(saved: Saved, engine: Engine) -> None:
    """Set parameters and state, for which `make_room` has allocated memory."""
    for position, (name, array) in enumerate(engine.params):
        if name in saved.params:
            array[...] = saved.params[name]
        settings = engine.settings[position]
        if name in saved.anew:
            engine.state.begin(name, array, settings)
        elif name in saved.names:
            for slot, own in engine.state[name].items():
                own[...] = saved.slots.get(slot, {}).get(name, 0)
    engine.displaced = frozenset(
        i
        for i, name in enumerate(engine.params.names)
        if name in saved.displaced or (i in engine.displaced and name not in saved.names)
    )
    engine.state.learned = tuple(saved.learned)
    if engine.state.random is not None and saved.random is not None:
        move(engine.state.random, saved.random)
    engine.warned.clear()


def describe(datasets: Mapping[str, Dataset]) -> dict[str, Any]:
    """Positions of datasets by role, with the names that users gave them.

    Names that the library made are left out: they are numbers, which mean nothing in another process.
    """
    return {role: {"name": _own_name(data), "state": data.state()} for role, data in datasets.items()}


def _own_name(data: Dataset) -> str | None:
    return data.name if data.named else None


def positions(
    datasets: Mapping[str, Dataset], saved: Mapping[str, Any], strict: bool
) -> list[tuple[Dataset, Mapping[str, Any]]]:
    """The saved positions that datasets can be restored to, found by the datasets' names or else by their roles.

    Raises
    ------
    ValueError
        If `strict` and a dataset is unlike the one that was saved.
    """
    fitting: list[tuple[Dataset, Mapping[str, Any]]] = []
    by_name = {entry["name"]: entry for entry in saved.values() if entry["name"] is not None}
    for role, data in datasets.items():
        entry = saved.get(role)
        name = _own_name(data)
        if name is not None and (entry is None or entry["name"] != name):
            entry = by_name.get(name) or entry
        if entry is None:
            continue
        try:
            data.check(entry["state"])
            fitting.append((data, entry["state"]))
        except ValueError as error:
            if strict:
                raise ValueError(
                    f"{role}: the iteration that was saved goes on with other data ({error}); to start a new one, use "
                    "load(path, resume=False)"
                ) from error
            logger.info("%s is read from its beginning: it is not what was saved", role)
    return fitting
