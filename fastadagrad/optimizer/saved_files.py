"""Files that hold an optimizer, and what of their contents fits another one."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.randomness import move
from ..engine.engine import Engine
from ..engine.options import Rule, Settings
from ..support import array_file, parted_file
from ..support.asking import asking
from ..support.log import logger
from ..support.numbered_files import Numbered, newest_sound
from ..support.warned import warn
from . import checkpoint_header, hyper_record
from .checkpoint import Arrays, Saved
from .history import Ledger

KIND = "optimizer"
OF_UPDATES = checkpoint_header.OF_UPDATES


def tell(message: str) -> None:
    """Warn of a checkpoint that cannot be read or written."""
    warn(message, UserWarning)


def folder_at(path: array_file.Target) -> str | None:
    """The folder that a path leads to; None if it leads to a file or to nothing, or is a file object."""
    if array_file.is_path(path):
        with asking("path", path):
            name = os.fspath(path)
        if isinstance(name, str) and os.path.isdir(name):
            return name
    return None


def newest_in(folder: str, files: list[Numbered], read: Callable[[str], Contents]) -> Contents:
    """The contents of the newest whole file of those in a folder; ValueError if there are none."""
    found = newest_sound(files, read, tell)
    if found is None:
        raise ValueError(f"{folder} is a folder without checkpoints: give a file, or the folder that a run was given")
    return found[1]


class Contents:
    """The header and the arrays of a file that `save` wrote.

    Parameters
    ----------
    path : path-like or file object
    wanted : callable, optional
        The rows that one of several processes takes of each array, as `parted_file.assembled` takes it.

    Attributes
    ----------
    arrays : dict of str to ndarray
        The arrays, or the wanted rows of them.
    shapes : dict of str to tuple of int
        The shapes of the whole arrays.

    Raises
    ------
    TypeError, ValueError, OSError
        If the file is none that `save` wrote, or cannot be read.
    """

    def __init__(self, path: array_file.Target, wanted: parted_file.Wanted | None = None) -> None:
        self.file = array_file.name_of(path)
        while not self._are_read(path, wanted):
            logger.debug("%s has been replaced while it was read: it is read anew", self.file)
        self.hyper: dict[str, Any] | None = self.header.get("hyper")  # files of version 0.1.0 have none

    def _are_read(self, path: array_file.Target, wanted: parted_file.Wanted | None) -> bool:
        """Whether they could be read; they cannot if another process replaces the file meanwhile, and deletes parts."""
        self.header, self.arrays = array_file.read(path, KIND)
        self.shapes = {name: array.shape for name, array in self.arrays.items()}
        record = self.header.get(parted_file.RECORD) if isinstance(self.header, dict) else None
        in_parts = record.get("arrays", ()) if isinstance(record, dict) else ()
        try:
            checkpoint_header.check(self.header, [*self.arrays, *in_parts])
            _check_learned(self.arrays)
        except ValueError as error:
            raise self.refusal(error) from None
        if record is None:
            if wanted is not None:
                of_parameters = {x: a for x, a in self.arrays.items() if not checkpoint_header.is_of_none(x)}
                self.arrays |= {x: _rows_of(a, wanted(x, a.shape)) for x, a in of_parameters.items()}
            return True
        if not array_file.is_path(path):
            raise ValueError(f"{self.file} is in parts, which are files beside it: give its path")
        try:
            arrays, shapes = parted_file.assembled(os.path.realpath(self.file), record, wanted)
        except array_file.Damaged:
            if self.header != array_file.header_of(self.file):
                return False
            raise
        self.arrays, self.shapes = self.arrays | arrays, self.shapes | shapes
        return True

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
        fitting = _Fitting(self, engine, settings, updates)
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


def _rows_of(array: NDArray[Any], rows: tuple[int, int] | None) -> NDArray[Any]:
    """A copy of rows of an array, so that the array itself is let go; for None, zeros that take no memory."""
    if rows is None:
        return np.broadcast_to(np.zeros((), array.dtype), array.shape)
    return array if array.ndim == 0 else array[slice(*rows)].copy()


def _check_learned(arrays: Arrays) -> None:
    learned = arrays.get("learned", np.zeros(0))
    if learned.dtype != np.float64 or learned.ndim != 1:
        raise ValueError(f"its learned numbers are {learned.dtype} of shape {learned.shape}")


class _Fitting:
    """Comparison of a file's contents with an engine by the parameters' names; differences are noted in words."""

    def __init__(
        self,
        contents: Contents,
        engine: Engine,
        settings: Sequence[Settings],
        updates: Mapping[int, NDArray[Any]],
    ) -> None:
        self._header, self._arrays, self._shapes = contents.header, contents.arrays, contents.shapes
        self._engine = engine
        self._settings = dict(zip(engine.params.names, settings, strict=True))
        self._own: dict[str, Any] = dict(engine.params)
        self.differences: list[str] = []
        header = self._header
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
        """Whether an array of the file, of which `array` has the rows of this process, is like the one that is here."""
        saved, here = self._shapes[f"{kind}/{name}"], self._engine.whole_shape(name, shape)
        if saved == here and array.dtype == dtype:
            return True
        what = repr(name) if kind == "param" else f"the {kind} of {name!r}"
        self.differences.append(f"{what} is {array.dtype} of shape {saved} in it, and {dtype} of shape {here} here")
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
