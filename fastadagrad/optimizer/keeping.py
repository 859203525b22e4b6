"""Saving, loading, copying and pickling of optimizers: each goes on from where the original stood."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn, Self

import numpy as np

from ..engine.registry import RegisteredRule, method_at, reference_to
from ..support import array_file
from ..support.asking import whether
from ..support.log import logger
from ..support.trees import in_structure, leaves
from . import checkpoint, hyper_record
from .by_gradients import ByGradients
from .saved_files import Contents


class Keeper(ByGradients, ABC):
    """The base of optimizers that has saving, loading and copying, also in the midst of a run."""

    _own_names: frozenset[str]  # attributes that the library sets; the others are the user's

    @abstractmethod
    def _made_of(self) -> dict[str, Any]:
        """The arguments that the optimizer was made with, except the hyperparameters."""

    @abstractmethod
    def _make(self, **arguments: Any) -> None:
        """Make the optimizer as its constructor does."""

    def save(self, path: array_file.Target) -> None:
        """Write parameters, state, counts, best, history, hyperparameters and the position in the data to one file.

        If an optimizer is saved between steps or at an epoch of `iterate` and loaded again, training goes on with the
        same bits as if it had never stopped. Callables, as `learning_rate` may be one, are not saved: the program has
        to give them again, as it gives loss, data, monitors and `threads`.

        Parameters
        ----------
        path : path-like or file object
            The file at a path is replaced as a whole: a crash leaves the old file or the new one, which keeps mode and
            owner of the old. A file object must be open in binary mode, and need not be able to seek. With `comm` it is
            a path, beside which each process writes its part.

        Raises
        ------
        OSError
            If the file cannot be written; the old file is left then.
        TypeError
            If a file object is open in text mode.

        Examples
        --------
        >>> import io
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> opt = fa.ADAGRAD(params=np.ones(2))
        >>> opt.step(np.ones(2))
        >>> file = io.BytesIO()
        >>> opt.save(file)
        >>> other = fa.ADAGRAD(params=np.zeros(2))
        >>> file.seek(0)
        0
        >>> other.load(file)
        []
        >>> other.steps, (other.params["param0"] == opt.params["param0"]).all().item()
        (1, True)
        """
        self._session.save_to(path)

    def load(
        self, path: array_file.Target, strict: bool = True, *, resume: bool = True, hyper: bool = False
    ) -> list[str]:
        """Go on from a file that `save` wrote, of an optimizer with the same parameters in any order.

        Parameters
        ----------
        path : path-like or file object
            A file object must be open in binary mode, and is read from its position on. A folder with checkpoints
            stands for the newest that is whole.
        strict : bool, default True
            False: take the contents that fit, parameter by parameter and by name, and leave the rest as it is here. A
            parameter that fits, but whose state does not, begins with a new state.
        resume : bool, default True
            If the file was saved in the midst of an iteration, the next `iterate` goes on with that iteration; its
            Datasets are found by name, else by role. False: the next `iterate` starts anew, on any data.
        hyper : bool, default False
            True: take the file's hyperparameters, too, or those of the run, if the file was saved in one. False: a
            UserWarning names the hyperparameters that differ from those in the file.

        Returns
        -------
        list of str
            What was left out, and why; empty if everything was taken.

        Raises
        ------
        ValueError
            If the file is damaged, foreign or newer; or, if `strict`, if it differs from this optimizer, in which case
            the message lists all differences. Nothing is changed then.
        TypeError
            If a file object is open in text mode.
        OSError
            If there is no such file, or it cannot be read.
        RuntimeError
            If it is called by what the optimizer calls: a loss, a monitor, a learning rate, ...

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> def optimizer():
        ...     return fa.ADAGRAD(lambda w: (w @ w, 2 * w), np.ones(2), learning_rate=0.5)
        >>> before, after = optimizer(), optimizer()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for train, valid in before.iterate(max_epochs=4):
        ...         if before.steps == 2:
        ...             before.save(Path(folder) / "half-way.npz")
        ...     skipped = after.load(Path(folder) / "half-way.npz")
        >>> train, valid = after.minimize(max_epochs=4)  # goes on with the third
        >>> after.steps, (after.params["param0"] == before.params["param0"]).all().item()
        (4, True)
        """
        session = self._session
        strict, resume, hyper = whether("strict", strict), whether("resume", resume), whether("hyper", hyper)
        session.engine.refuse_within("load")
        session.everywhere("load", session.params.refuse_moved)
        contents = session.contents_of(path)
        run = contents.header["run"] or {}
        with session.engine.changing("load"):
            own = self._taken_from(contents, run) if hyper else session.hyper
            settings, _ = session.settings_of(own, {})
            saved = session.fitted(contents, settings, strict)
            resumed = saved.run if resume else None
            self._tell_of_hyper(contents, saved.names, run.get("hyper", {}), hyper, unfinished=bool(resumed))
            if saved.skipped:
                logger.warning("%s is loaded as far as it fits: %s", contents.file, "; ".join(saved.skipped))
            session.give_up_unfinished_run("load")
            session.take(saved, own, {})
            session.take_up(resumed)
        return saved.skipped

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters alone to a file in the format of safetensors, which other libraries read.

        All rows are caught up before. Names are those of `params`, as ``layer1/W`` in a tree; float16 and bfloat16 stay
        what they are. It needs the package safetensors (the extra ``safetensors``).

        Parameters
        ----------
        path : path-like
            The file is replaced as a whole or not at all.

        Raises
        ------
        OSError
            If the file cannot be written; the old file is left then.
        RuntimeError
            If safetensors is not installed.
        TypeError, ValueError
            If `path` is no path, or a parameter has the name that the format keeps for itself.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> opt = fa.ADAGRAD(params={"W": np.ones(2)})
        >>> opt.export("weights.safetensors")  # doctest: +SKIP
        """
        self._session.export_to(path)

    def _taken_from(self, contents: Contents, run: Mapping[str, Any]) -> dict[str, Any]:
        if contents.hyper is None:
            raise ValueError(f"{contents.file} was written by a version that saved no hyperparameters: leave out hyper")
        taken = hyper_record.taken({**contents.hyper, **run.get("hyper", {})}, self._session.hyper)
        try:
            taken = self._session.own_copy(taken)
            self._session.settings_of(taken, {})
        except (TypeError, ValueError) as error:
            raise ValueError(f"the hyperparameters in {contents.file} do not fit: {error}") from None
        return taken

    def _tell_of_hyper(
        self, contents: Contents, names: list[str], of_run: Mapping[str, Any], taken: bool, unfinished: bool
    ) -> None:
        """Warn of hyperparameters that differ, except those of an unfinished run, which `iterate` may yet be given."""
        if contents.hyper is None:
            return
        record = {**contents.hyper, **of_run}
        if taken:
            callables = hyper_record.callables_of(record)
            if callables:
                hyper_record.warn(
                    f"{contents.file} cannot hold callables, such as its {' and '.join(callables)}: give them again"
                )
            return
        but = of_run if unfinished else ()
        found = hyper_record.differences(record, self._session.recorded(self._session.hyper), names, but=but)
        if found:
            hyper_record.warn(
                f"{contents.file} was saved with other hyperparameters than are in force here: {', '.join(found)}; "
                "load(path, hyper=True) takes those of the file"
            )

    def twin(self, params: Any = None) -> Self:
        """Make a copy of this optimizer, which then takes its own steps.

        Parameters
        ----------
        params : arrays in the structure of params, optional
            Parameters of the twin, with the same shapes and dtypes; they are stepped in place, from the values that
            they hold. Without this argument the twin has copies of this optimizer's parameters.

        Returns
        -------
        Optimizer
            An optimizer of the same method, with copies of state, counts, best parameters and history, and with the
            hyperparameters that are in force. Loss, gradient, monitors, updates and attributes of a subclass are the
            same objects. The twin is in no run.

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
        with self._session.engine.lock:
            return self._twin(params)

    def _twin(self, params: Any) -> Self:
        kept = self._kept()
        if params is None:
            of_this = self._session.params
            copies = map(copy_of_parameter, of_this.owners, of_this.arrays)
            params = in_structure(of_this.given, [*copies])
        else:
            self._session.params.refuse_unlike(params)
        made_of = {**kept["made_of"], "params": params}
        if "hv_rng" in made_of:  # a generator of its own, as both optimizers would otherwise draw from one
            made_of["hv_rng"] = copy.deepcopy(made_of["hv_rng"])
        hyper = {**kept["hyper"], **kept["overlay"]}
        twin = type(self).__new__(type(self))
        saved = replace(copy.deepcopy(kept["saved"]), run=None)
        twin.__setstate__({**kept, "made_of": made_of, "hyper": hyper, "overlay": {}, "saved": saved})
        return twin

    def __copy__(self) -> NoReturn:
        raise TypeError(
            "copy.copy of an optimizer would be a second one of the same arrays: opt.twin() and copy.deepcopy(opt) "
            "have their own, and so has another optimizer that loads what save wrote"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Keeper:
        twin: Keeper = type(self).__new__(type(self))
        memo[id(self)] = twin
        for owner, array in zip(self._session.params.owners, self._session.params.arrays, strict=True):
            if not isinstance(owner, np.ndarray):
                memo.setdefault(id(owner), copy_of_parameter(owner, array))
        with self._session.engine.lock:
            twin.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        method = type(self)
        registered = isinstance(vars(method).get("rule"), RegisteredRule)
        return _unmade, (reference_to(method.rule) if registered else method,), self.__getstate__()

    def __getstate__(self) -> dict[str, Any]:
        self._session.refuse_shared()
        return self._kept()

    def _kept(self) -> dict[str, Any]:
        session = self._session
        with session.engine.lock:
            session.params.refuse_moved()
            session.flush()
            saved = checkpoint.state_of(session.engine, session.own_ledger, session.unfinished())
            saved.params.clear()  # the arrays are among the arguments that the copy is made with
            return {
                "made_of": self._made_of(),
                "hyper": session.hyper,
                "overlay": session.overlay,
                "saved": saved,
                "warned": set(session.engine.warned),
                "others": {name: x for name, x in vars(self).items() if name not in self._own_names},
            }

    def __setstate__(self, state: dict[str, Any]) -> None:
        made_of = state["made_of"]
        self._make(**{**made_of, "params": _writable(made_of["params"])}, **state["hyper"])
        session = self._session
        session.take(state["saved"], state["hyper"], state["overlay"])
        session.take_up(state["saved"].run)
        session.engine.warned.update(state["warned"])
        vars(self).update(state["others"])


def _unmade(method: Any) -> Keeper:
    """An optimizer before its state is set; a registered method is given by its name, its module and a digest."""
    found: type[Keeper] = method_at(*method) if isinstance(method, tuple) else method
    return found.__new__(found)


def copy_of_parameter(owner: Any, array: Any) -> Any:
    """A copy of a parameter, of the user's own type of array if such a copy can be made."""
    if isinstance(owner, np.ndarray):
        return np.array(owner, order="C")
    if hasattr(owner, "clone"):  # torch's
        return owner.detach().clone().requires_grad_(owner.requires_grad)
    return owner.copy() if hasattr(owner, "copy") else array.copy()


def _writable(given: Any) -> Any:
    """Parameters, with copies in the place of read-only arrays: joblib gives its workers large arrays read-only."""
    owners = leaves(given)
    fixed = [isinstance(each, np.ndarray) and not (each.flags.writeable and each.flags.aligned) for each in owners]
    if not any(fixed):
        return given
    logger.info("read-only parameters have been copied: the optimizer's are opt.params")
    copies = [np.array(owner) if copied else owner for owner, copied in zip(owners, fixed, strict=True)]
    return in_structure(given, copies)
