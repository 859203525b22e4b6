"""An optimizer in a file, in a pickle, or as a deep copy: what it was then, and going on from there."""

from __future__ import annotations

import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np

from ..data.dataset import Dataset
from ..engine.parameters import in_structure
from ..engine.registry import RegisteredRule, method_at, reference_to
from ..support import array_file
from ..support.interrupts import whole
from ..support.log import logger
from . import checkpoint, hyper_record
from .run import Run
from .stepper import Stepper


class Loaded(NamedTuple):
    """Where the run stood that was saved, and what the count of changes was when it was loaded."""

    run: dict[str, Any]
    changes: int


class Keeper(Stepper, ABC):
    """A stepper whose run under way, and all else that it is, can be kept and taken up again."""

    _run: Run | None  # under way
    _loaded: Loaded | None
    _datasets: dict[str, Dataset]
    _own_names: frozenset[str]  # of attributes; others are the user's

    @abstractmethod
    def _made_of(self) -> dict[str, Any]:
        """The arguments that it was made with, but for the hyperparameters."""

    @abstractmethod
    def _make(self, **arguments: Any) -> None:
        """What the constructor does."""

    @abstractmethod
    def _give_up_unfinished_run(self) -> None:
        """End the run under way without validating or restoring what is about to be replaced."""

    @property
    def _run_to_resume(self) -> dict[str, Any] | None:
        """Where the loaded run stood, if nothing has been changed since."""
        loaded = self._loaded
        return loaded.run if loaded is not None and loaded.changes == self.engine.changes else None

    def _take_up(self, run: dict[str, Any] | None) -> None:
        self._loaded = None if run is None else Loaded(run, self.engine.changes)

    def _unfinished(self) -> dict[str, Any]:
        """Where the run under way, or the one to be resumed, stands; else the positions of the latest Datasets."""
        if self._run is not None:
            in_force = self._recorded({**self._hyper, **self._overlay})
            overlay = {name: in_force[name] for name in self._overlay if name in in_force}
            return {**self._run.state(), "datasets": checkpoint.describe(self._datasets), "hyper": overlay}
        return self._run_to_resume or {"datasets": checkpoint.describe(self._datasets)}

    def _recorded(self, hyper: Mapping[str, Any]) -> hyper_record.Record:
        return hyper_record.recorded(self.rule, hyper, self._params.names)

    def save(self, path: array_file.Target) -> None:
        """Write parameters, state, counts, best, history, hyperparameters and the position in the data to one file.

        Saved between steps or at an epoch of `iterate` and loaded again, training goes on with the same bits as if it
        had never stopped. A callable, as `learning_rate` may be one, cannot be saved: it is the program's, as are
        loss, data, monitors and `threads`.

        Parameters
        ----------
        path : path-like or file object
            The file of a path is replaced as a whole: a crash leaves the old one or the new one. A file object is
            open in binary mode, and need not be able to seek.
        """
        run = self._unfinished()
        self._params.refuse_moved()
        self.flush()
        checkpoint.save(path, self.engine, self.ledger, run, self._recorded(self._hyper))

    def load(
        self, path: array_file.Target, strict: bool = True, *, resume: bool = True, hyper: bool = False
    ) -> list[str]:
        """Go on from a file that `save` wrote, of an optimizer with the same parameters in any order.

        Parameters
        ----------
        path : path-like or file object
            A file object is open in binary mode, and read from where it stands.
        strict : bool
            False: take what fits, parameter by parameter and by name, and leave the rest as it is here. A parameter
            that fits, but whose state does not, begins with a new state.
        resume : bool
            If the file was saved in the midst of an iteration, the next `iterate` takes that up, its Datasets found
            by name, else by role. False: the next one starts anew, on any data.
        hyper : bool
            True: take the file's hyperparameters, too; those of the run, where it was saved in one. False: a
            UserWarning names those that are others here than in the file.

        Returns
        -------
        list of str
            What was left out, and why; empty if everything was taken.

        Raises
        ------
        ValueError
            If the file is damaged, foreign or newer; or, if `strict`, with everything in which it differs from this
            optimizer. Nothing is changed then.
        TypeError
            If a file object is open in text mode.
        """
        self._params.refuse_moved()
        contents = checkpoint.Contents(path)
        run = contents.header["run"] or {}
        own = self._taken_from(contents, run) if hyper else self._hyper
        settings, _ = self._settings(own, {})
        saved = contents.fitted(self.engine, settings, self.ledger, strict)
        resumed = saved.run if resume else None
        self._tell_of_hyper(contents, saved.names, run.get("hyper", {}), hyper, unfinished=bool(resumed))
        if saved.skipped:
            logger.warning("%s is loaded as far as it fits: %s", contents.file, "; ".join(saved.skipped))
        self._give_up_unfinished_run()
        self._take(saved, own, {})
        self._take_up(resumed)
        return saved.skipped

    def _taken_from(self, contents: checkpoint.Contents, run: Mapping[str, Any]) -> dict[str, Any]:
        if contents.hyper is None:
            raise ValueError(f"{contents.file} was written by a version that saved no hyperparameters: leave out hyper")
        taken = hyper_record.taken({**contents.hyper, **run.get("hyper", {})}, self._hyper)
        try:
            self._settings(taken, {})
        except (TypeError, ValueError) as error:
            raise ValueError(f"the hyperparameters in {contents.file} do not fit: {error}") from None
        return taken

    def _tell_of_hyper(
        self, contents: checkpoint.Contents, names: list[str], of_run: Mapping[str, Any], taken: bool, unfinished: bool
    ) -> None:
        """Warn of each hyperparameter that differs, but for those of a run that may yet be given to the next one."""
        if contents.hyper is None:
            return
        record = {**contents.hyper, **of_run}
        if taken:
            callables = hyper_record.callables_of(record)
            if callables:
                _warn(f"{contents.file} cannot hold callables, such as its {' and '.join(callables)}: give them again")
            return
        but = of_run if unfinished else ()
        found = hyper_record.differences(record, self._recorded(self._hyper), names, but=but)
        if found:
            _warn(
                f"{contents.file} was saved with other hyperparameters than are in force here: {', '.join(found)}; "
                "load(path, hyper=True) takes those of the file"
            )

    def _tell_of_hyper_of_run(self, of_run: Mapping[str, Any], hyper: Mapping[str, Any]) -> None:
        """Warn of what the run to be resumed had been given, and this one goes by otherwise."""
        here = self._recorded({**self._hyper, **hyper})
        found = hyper_record.differences({**here, **of_run}, here, self._params.names, only=of_run)
        if found:
            _warn(f"the iteration that was saved had other hyperparameters than are in force here: {', '.join(found)}")

    def _take(self, saved: checkpoint.Saved, hyper: dict[str, Any], overlay: dict[str, Any]) -> None:
        """Become what was saved, all of it or, where something is refused, nothing."""
        engine = self.engine
        with whole():
            self.flush()
            slots, late, ledger = engine.state.slots, engine.state.late, self.ledger
            try:
                checkpoint.make_room(saved, engine)
                self.ledger = saved.ledger
                self._configure(hyper, overlay)
            except BaseException:
                engine.state.slots, engine.state.late, self.ledger = slots, late, ledger
                raise
            checkpoint.apply(saved, engine)

    def twin(self, params: Any = None) -> Self:
        """Another optimizer that stands where this one does, and goes its own way from there.

        Parameters
        ----------
        params : arrays in the structure of params, optional
            Of the same shapes and dtypes; they are stepped in place, from the values that they hold. Without them it
            has copies of this one's.

        Returns
        -------
        Optimizer
            Of the same method, with copies of state, counts, best parameters and history, and with the hyperparameters
            that are in force. Loss, gradient, monitors, updates and what a subclass keeps are the same objects. It is
            in no run.

        Raises
        ------
        TypeError, ValueError
            If `params` do not fit.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> opt = fa.ADAGRAD(params=np.ones(2), learning_rate=0.5)
        >>> opt.step(np.array([1.0, 0.0]))
        >>> other = opt.twin()
        >>> other.step(np.array([1.0, 0.0]))
        >>> opt.steps, other.steps
        (1, 2)
        """
        with self.engine.lock:
            return self._twin(params, self.__getstate__()["saved"])

    def _twin(self, params: Any, saved: checkpoint.Saved, **made_of: Any) -> Self:
        """A twin in the state `saved`, made with other arguments where these are given."""
        with self.engine.lock:
            kept = self.__getstate__()
            if params is None:
                copies = map(copy_of_parameter, self._params.owners, self._params.arrays)
                params = in_structure(self._params.given, [*copies])
            else:
                self._params.refuse_unlike(params)
        made_of = {**kept["made_of"], **made_of, "params": params}
        if "hv_rng" in made_of:  # the twin's own, as each draw would otherwise move that of the other
            made_of["hv_rng"] = copy.deepcopy(made_of["hv_rng"])
        hyper = {**kept["hyper"], **kept["overlay"]}
        twin = type(self).__new__(type(self))
        state = {"made_of": made_of, "hyper": hyper, "overlay": {}, "saved": replace(copy.deepcopy(saved), run=None)}
        twin.__setstate__({**kept, **state})
        return twin

    def __copy__(self) -> NoReturn:
        raise TypeError(
            "copy.copy of an optimizer would be a second one of the same arrays: opt.twin() and copy.deepcopy(opt) "
            "have their own, and so has another optimizer that loads what save wrote"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Keeper:
        twin: Keeper = type(self).__new__(type(self))
        memo[id(self)] = twin
        for owner, array in zip(self._params.owners, self._params.arrays, strict=True):
            if not isinstance(array, np.ndarray):
                memo.setdefault(id(owner), copy_of_parameter(owner, array))
        with self.engine.lock:
            twin.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        method = type(self)
        registered = isinstance(vars(method).get("rule"), RegisteredRule)
        return _unmade, (reference_to(method.rule) if registered else method,), self.__getstate__()

    def __getstate__(self) -> dict[str, Any]:
        with self.engine.lock:
            self._params.refuse_moved()
            self.flush()
            saved = checkpoint.state_of(self.engine, self.ledger, self._unfinished())
            saved.params.clear()  # those who make it anew are given the arrays
            return {
                "made_of": self._made_of(),
                "hyper": self._hyper,
                "overlay": self._overlay,
                "saved": saved,
                "warned": set(self.engine.warned),
                "others": {name: x for name, x in vars(self).items() if name not in self._own_names},
            }

    def __setstate__(self, state: dict[str, Any]) -> None:
        made_of = state["made_of"]
        self._make(**{**made_of, "params": _writable(made_of["params"])}, **state["hyper"])
        self._take(state["saved"], state["hyper"], state["overlay"])
        self._take_up(state["saved"].run)
        self.engine.warned.update(state["warned"])
        vars(self).update(state["others"])


def _unmade(method: Any) -> Keeper:
    """An optimizer before its state is set; a method that was registered is given by its name and its module."""
    found: type[Keeper] = method_at(*method) if isinstance(method, tuple) else method
    return found.__new__(found)


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=4)


def copy_of_parameter(owner: Any, array: Any) -> Any:
    """A copy of a parameter, of the kind that the loss is used to if that can be made."""
    if isinstance(owner, np.ndarray):
        return np.array(owner, order="C")
    if hasattr(owner, "clone"):  # torch's
        return owner.detach().clone().requires_grad_(owner.requires_grad)
    return owner.copy() if hasattr(owner, "copy") else array.copy()


def _writable(given: Any) -> Any:
    """Parameters with copies of those that cannot be updated: joblib hands large arrays to its workers read-only."""
    owners = (
        list(given.values()) if isinstance(given, Mapping) else given if isinstance(given, list | tuple) else [given]
    )
    fixed = [isinstance(each, np.ndarray) and not (each.flags.writeable and each.flags.aligned) for each in owners]
    if not any(fixed):
        return given
    logger.info("read-only parameters have been copied: the optimizer's are opt.params")
    copies = [np.array(owner) if copied else owner for owner, copied in zip(owners, fixed, strict=True)]
    return in_structure(given, copies)
