"""One file that holds an optimizer: parameters, state, counts, best, history, and the position in its data."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..data.randomness import move, random_state
from ..engine.engine import Engine
from ..engine.options import Rule, Settings
from ..support import array_file
from ..support.log import logger
from . import checkpoint_header, hyper_record
from .history import Ledger

KIND = "optimizer"
OF_UPDATES = checkpoint_header.OF_UPDATES

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


class Contents:
    """The header and the arrays of a file that `save` wrote.

    Raises
    ------
    TypeError, ValueError, OSError
        If the file is none that `save` wrote, or cannot be read.
    """

    def __init__(self, path: array_file.Target) -> None:
        self.file = array_file.name_of(path)
        self.header, self.arrays = array_file.read(path, KIND)
        try:
            checkpoint_header.check(self.header, self.arrays)
            _check_learned(self.arrays)
        except ValueError as error:
            raise self.refusal(error) from None
        self.hyper: dict[str, Any] | None = self.header.get("hyper")  # files of version 0.1.0 have none

    def refusal(self, reason: object) -> ValueError:
        """The error for a file of which a part is damaged or contradicts another."""
        return array_file.Damaged(f"{self.file} is not a whole fastadagrad {KIND} file: {reason}")

    def fitted(
        self,
        engine: Engine,
        settings: Sequence[Settings],
        ledger: Ledger,
        strict: bool,
        updates: Mapping[int, NDArray[Any]],
    ) -> Saved:
        """The contents that fit an optimizer with these settings and arrays of updates; nothing is changed.

        Raises
        ------
        ValueError
            If the file is damaged or, if `strict`, if something does not fit; the message then lists all that does not.
        """
        if self.header["method"] == engine.rule.name:
            self._check_hyper(engine.rule)
        fitting = _Fitting(self.header, self.arrays, engine, settings, updates)
        saved = fitting.saved(ledger)
        if strict and fitting.differences:
            raise ValueError(
                f"the file {self.file} does not fit: {'; '.join(fitting.differences)} (strict=False takes what fits)"
            )
        return saved

    def _check_hyper(self, rule: Rule) -> None:
        run = self.header["run"] or {}
        of_run, begun = run.get("hyper", {}), run.get("begun", {})
        for where, record in (("hyper", self.hyper or {}), ("run.hyper", of_run), ("run.begun", begun)):
            try:
                hyper_record.check(rule, record)
            except (TypeError, ValueError) as error:
                raise self.refusal(f"{where}: {error}") from None


def _check_learned(arrays: Arrays) -> None:
    learned = arrays.get("learned", np.zeros(0))
    if learned.dtype != np.float64 or learned.ndim != 1:
        raise ValueError(f"its learned numbers are {learned.dtype} of shape {learned.shape}")


class _Fitting:
    """Comparison of a file's contents with an engine by the parameters' names; differences are noted in words."""

    def __init__(
        self,
        header: Mapping[str, Any],
        arrays: Arrays,
        engine: Engine,
        settings: Sequence[Settings],
        updates: Mapping[int, NDArray[Any]],
    ) -> None:
        self._header, self._arrays, self._engine = header, arrays, engine
        self._settings = dict(zip(engine.params.names, settings, strict=True))
        self._own: dict[str, Any] = dict(engine.params)
        self.differences: list[str] = []
        self._same_method = header["method"] == engine.rule.name
        if not self._same_method:
            self.differences.append(f"it holds the method {header['method']!r}, not {engine.rule.name!r}")
        names = list(header["names"])
        self._list("it lacks the parameters", [name for name in self._own if name not in names])
        self._list("it has also the parameters", [name for name in names if name not in self._own])
        common = [name for name in self._own if name in names]
        self._params = {name: array for name in common if (array := self._values("param", name)) is not None}
        self._slots = {name: self._stored_slots(name) for name in self._params if self._same_method}
        self._slots = {name: slots for name, slots in self._slots.items() if self._slots_fit(name, slots)}
        self._best = self._best_arrays()
        self._learned = self._learned_numbers()
        self._random = self._state_of_random_numbers()
        self._updates = self._arrays_of_updates(updates)

    def _list(self, what: str, names: Sequence[str]) -> None:
        if names:
            self.differences.append(f"{what} {', '.join(map(repr, names))}")

    def _values(self, kind: str, name: str) -> NDArray[Any] | None:
        """The file's array of this kind for a parameter, if it has the parameter's shape and dtype."""
        own, array = self._own[name], self._arrays.get(f"{kind}/{name}")
        if array is None:
            self.differences.append(f"it lacks the {'values' if kind == 'param' else kind} of {name!r}")
            return None
        if own.dtype.kind == array.dtype.kind == "V" and array.dtype.itemsize == own.dtype.itemsize:
            array = array.view(own.dtype)  # of another package: NumPy has written its bytes without its name
        return array if self._alike(kind, name, array, own.shape, own.dtype) else None

    def _alike(self, kind: str, name: str, array: NDArray[Any], shape: tuple[int, ...], dtype: Any) -> bool:
        if array.shape == shape and array.dtype == dtype:
            return True
        what = repr(name) if kind == "param" else f"the {kind} of {name!r}"
        self.differences.append(
            f"{what} is {array.dtype} of shape {array.shape} in it, and {dtype} of shape {shape} here"
        )
        return False

    def _stored_slots(self, name: str) -> Arrays:
        keys = {key: key.partition("/") for key in self._arrays}
        return {
            slot: self._arrays[key]
            for key, (slot, _, of) in keys.items()
            if of == name and slot not in ("param", "best", OF_UPDATES) and "/" in key
        }

    def _slots_fit(self, name: str, stored: Arrays) -> bool:
        settings, before = self._settings[name], len(self.differences)
        others = [slot for slot in stored if slot not in settings.known_slots]
        if others:
            self.differences.append(
                f"{name!r} has the slots {', '.join(others)}, which these hyperparameters have no use for: make an "
                "optimizer of the form of the method that was saved"
            )
        missing = [slot for slot in settings.form.slots if slot not in stored]
        if missing and not settings.options.frozen:
            self.differences.append(
                f"it lacks the {' and '.join(missing)} of {name!r}, frozen then: freeze it, load, then thaw it; or, of "
                "a method with several forms, make an optimizer of the one that was saved"
            )
        for slot, array in stored.items():
            if slot not in others:
                self._alike(slot, name, array, *self._engine.state.slot_layout(name, slot, settings))
        return len(self.differences) == before

    def _best_arrays(self) -> list[Any]:
        """The parameters of the best validation, if there was one; none of them if one does not fit."""
        if not any(key.startswith("best/") for key in self._arrays):
            return []
        found = [self._values("best", name) for name in self._params]
        return [] if self.differences else found

    def _arrays_of_updates(self, updates: Mapping[int, NDArray[Any]]) -> dict[int, NDArray[Any]]:
        """The file's arrays of updates, unless the file or this optimizer has none."""
        start = f"{OF_UPDATES}/"
        found = {int(key.removeprefix(start)): array for key, array in self._arrays.items() if key.startswith(start)}
        if not (found and updates):
            return {}
        layouts = [{i: (a.dtype, a.shape) for i, a in arrays.items()} for arrays in (found, updates)]
        if layouts[0] == layouts[1]:
            return found
        kept, here = (", ".join(f"{d} of shape {s}" for d, s in each.values()) for each in layouts)
        self.differences.append(f"its updates have set other arrays: {kept}, and here {here}")
        return {}

    def _learned_numbers(self) -> tuple[float, ...]:
        found: tuple[float, ...] = tuple(self._arrays["learned"].tolist()) if "learned" in self._arrays else ()
        own = self._engine.state.learned
        if self._same_method and len(own) != len(found):
            self.differences.append(f"it holds {len(found)} learned numbers, not {len(own)}")
        return found if self._same_method and len(own) == len(found) else own

    def _state_of_random_numbers(self) -> Any:
        """State of the method's random numbers, if the method draws any and its generator can take that state."""
        own, found = self._engine.state.random, self._header.get("random")
        if own is None or not self._same_method:
            return None
        try:
            move(copy.deepcopy(own), found)
        except ValueError as error:
            self.differences.append(f"its random numbers are not like those here: {error}")
            return None
        return found

    def saved(self, ledger: Ledger) -> Saved:
        """The contents that fit an optimizer with this ledger; best parameters and unfinished run only if all fits."""
        theirs = Ledger.from_header(self._header["ledger"], self._best)
        late = {name: int(steps) for name, steps in dict(self._header["late"]).items() if name in self._slots}
        run, skipped = self._header["run"], list(self.differences)
        if skipped:
            if theirs.best is not None:
                skipped.append("the best parameters so far, and where an iteration stood, are left out")
            counts = {name: count for name, count in theirs.updates.items() if name in self._slots}
            counts |= {name: count for name, count in ledger.updates.items() if name not in self._params}
            theirs, run = replace(theirs, best=None, best_arrays=[], updates=counts), None
            for name in self._own:  # parameters whose state is not taken go on with their own counts of steps
                begun = ledger.steps - self._engine.state.late.get(name, 0) if name not in self._params else 0
                if name not in self._slots and theirs.steps != begun:
                    late[name] = theirs.steps - begun
        slots: dict[str, Arrays] = {}
        for name, own in self._slots.items():
            for slot, array in own.items():
                slots.setdefault(slot, {})[name] = array
        return Saved(
            names=list(self._params),
            params=self._params,
            slots=slots,
            learned=self._learned,
            late=late,
            random=self._random,
            ledger=theirs,
            run=run,
            displaced=[name for name in self._header.get("displaced", ()) if name in self._slots],
            anew=[name for name in self._params if name not in self._slots],
            updates=self._updates,
            skipped=skipped,
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
