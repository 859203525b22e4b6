"""The records of an optimizer beside the state of its parameters: counts, history, and the best validation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ..engine.parameters import FloatArray, Parameters
from ..support import html
from ..support.extras import needed

if TYPE_CHECKING:
    import pandas

Monitored = dict[str, float]


@dataclass(frozen=True)
class Best:
    """The best validation so far.

    Attributes
    ----------
    loss : float
        Validation loss, in the loss's own unit.
    monitors : dict of str to float
        The loss and the other monitors of that validation.
    epoch : int
        Epochs of the run before that validation; 0 is the validation before the first update.
    steps : int
        Steps of the optimizer before that validation.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> opt = fa.SGD(lambda w: (w @ w, 2 * w), np.array([4.0]), learning_rate=0.25)
    >>> train, valid = opt.minimize(max_epochs=2)
    >>> opt.best
    Best(loss=1.0, monitors={'loss': 1.0}, epoch=2, steps=2)
    """

    loss: float
    monitors: Monitored
    epoch: int
    steps: int


class Epoch(NamedTuple):
    """The record of one epoch in `Optimizer.history`.

    Attributes
    ----------
    epoch : int
        Number of the epoch in its run, the first being 1.
    steps : int
        Steps of the optimizer until the end of the epoch.
    train : dict of str to float
        Means of the monitors over the epoch, weighted by sample.
    valid : dict of str to float
        Monitors of the latest validation when the epoch was yielded, which is the one before it where every epoch is
        validated. `History.records` has what the parameters were worth after it.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> opt = fa.SGD(lambda w: (w @ w, 2 * w), np.array([4.0]), learning_rate=0.25)
    >>> train, valid = opt.minimize(max_epochs=2)
    >>> opt.history[0]
    Epoch(epoch=1, steps=1, train={'loss': 16.0}, valid={'loss': 16.0})
    """

    epoch: int
    steps: int
    train: Monitored
    valid: Monitored


class Validation(NamedTuple):
    """What a validation has found, and where in the history it was made.

    Attributes
    ----------
    after : int
        Epochs in the history before it.
    epoch : int
        Epochs of its run before it; 0 is the one before the first update.
    steps : int
        Steps of the optimizer before it.
    monitors : dict of str to float
        The loss and the other monitors.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> opt = fa.SGD(lambda w: (w @ w, 2 * w), np.array([4.0]), learning_rate=0.25)
    >>> train, valid = opt.minimize(max_epochs=2)
    >>> opt.history.validations[-1]
    Validation(after=2, epoch=2, steps=2, monitors={'loss': 1.0})
    """

    after: int
    epoch: int
    steps: int
    monitors: Monitored


class History(list[Epoch]):
    """Every epoch of an optimizer: a list of `Epoch`, and the same as flat tables.

    An `Epoch` has the pair that `iterate` has yielded, whose validation was made before the epoch. The tables have, of
    each epoch, the validation of the parameters that it left, and a row for the start of each run.

    Parameters
    ----------
    epochs : iterable of Epoch
        In their order.
    validations : iterable of Validation
        In theirs.

    Attributes
    ----------
    validations : list of Validation
        Every validation, those at the starts of runs included; of epochs from files of version 0.1.0 there are none.

    Raises
    ------
    TypeError
        If `epochs` or `validations` is no iterable.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> opt = fa.SGD(lambda w: (w @ w, 2 * w), np.array([4.0]), learning_rate=0.25)
    >>> train, valid = opt.minimize(max_epochs=2, validate_every=1)
    >>> [epoch.train["loss"] for epoch in opt.history]
    [16.0, 4.0]
    >>> opt.history.to_dict()["valid_loss"]
    [16.0, 4.0, 1.0]
    """

    def __init__(self, epochs: Iterable[Epoch] = (), validations: Iterable[Validation] = ()) -> None:
        super().__init__(epochs)
        self.validations = [*validations]

    def __reduce__(self) -> tuple[Any, ...]:
        return History, ([*self], self.validations)

    def records(self) -> list[dict[str, Any]]:
        """A flat dict for the start of each run, and for each epoch.

        Returns
        -------
        list of dict of str to object
            "run", the number of the run, from 1; "epoch", the epochs of the run until then, 0 at its start; "steps";
            "validated", whether the parameters of then have been validated; "train_loss" and the like, means over the
            epoch; "valid_loss" and the like, of the parameters that the epoch left. What there is not, is NaN.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> opt = fa.SGD(lambda w: (w @ w, 2 * w), np.array([4.0]), learning_rate=0.25)
        >>> train, valid = opt.minimize(max_epochs=1)
        >>> for record in opt.history.records():
        ...     print(record)
        {'run': 1, 'epoch': 0, 'steps': 0, 'validated': True, 'train_loss': nan, 'valid_loss': 16.0}
        {'run': 1, 'epoch': 1, 'steps': 1, 'validated': True, 'train_loss': 16.0, 'valid_loss': 4.0}
        """
        rows = [*self._rows()]
        trained = dict.fromkeys(f"train_{name}" for _, _, _, train, _ in rows for name in train)
        valid = dict.fromkeys(f"valid_{name}" for _, _, _, _, found in rows for name in found or ())
        nothing = dict.fromkeys([*trained, *valid], math.nan)
        return [
            {"run": run, "epoch": epoch, "steps": steps, "validated": found is not None}
            | nothing
            | {f"train_{name}": value for name, value in train.items()}
            | {f"valid_{name}": value for name, value in (found or {}).items()}
            for run, epoch, steps, train, found in rows
        ]

    def _rows(self) -> Iterator[tuple[int, int, int, Monitored, Monitored | None]]:
        """Run, epoch, steps, training and validation, if there was one, of each row."""
        made = {(each.after, each.epoch == 0): each for each in self.validations}
        run, latest = 0, math.inf
        for position in range(len(self) + 1):
            start = made.get((position, True))
            if start is not None:
                run, latest = run + 1, 0
                yield run, 0, start.steps, {}, start.monitors
            if position == len(self):
                return
            epoch = self[position]
            if epoch.epoch <= latest:  # of a run whose start has not been noted
                run += 1
            latest = epoch.epoch
            found = made.get((position + 1, False))
            yield run, epoch.epoch, epoch.steps, epoch.train, None if found is None else found.monitors

    def to_dict(self) -> dict[str, list[Any]]:
        """The same as columns, which ``pandas.DataFrame`` and ``polars.DataFrame`` take.

        Returns
        -------
        dict of str to list
            The keys of `records`, each with a value for every one of them.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> opt = fa.SGD(lambda w: (w @ w, 2 * w), np.array([4.0]), learning_rate=0.25)
        >>> train, valid = opt.minimize(max_epochs=1)
        >>> opt.history.to_dict()["epoch"], opt.history.to_dict()["train_loss"]
        ([0, 1], [nan, 16.0])
        """
        records = self.records()
        names = records[0] if records else ("run", "epoch", "steps", "validated")
        return {name: [record[name] for record in records] for name in names}

    def to_frame(self) -> pandas.DataFrame:
        """The same as a pandas DataFrame.

        Returns
        -------
        pandas.DataFrame
            A column for each key of `records`.

        Raises
        ------
        RuntimeError
            If pandas is not installed; `to_dict` needs none.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> opt = fa.SGD(lambda w: (w @ w, 2 * w), np.array([4.0]), learning_rate=0.25)
        >>> train, valid = opt.minimize(max_epochs=1)
        >>> print(opt.history.to_frame())
           run  epoch  steps  validated  train_loss  valid_loss
        0    1      0      0       True         NaN        16.0
        1    1      1      1       True        16.0         4.0
        """
        frame: pandas.DataFrame = needed("pandas", "history.to_frame()").DataFrame(self.to_dict())
        return frame

    def _repr_html_(self) -> str:
        """The table of `records`, its middle left out if it is long."""
        columns = self.to_dict()
        return html.table(list(columns), [*zip(*columns.values(), strict=True)])


def note(history: History, validation: Validation) -> None:
    """List a validation; one that has been made at the same place before is replaced."""
    made = history.validations
    if made and made[-1][:2] == validation[:2]:
        made.pop()
    made.append(validation)


@dataclass
class Ledger:
    """Counts of steps, the best parameters and the history of one optimizer."""

    steps: int = 0
    skipped: int = 0
    updates: dict[str, int] = field(default_factory=dict)  # through get_updates, by parameter
    best: Best | None = None
    best_arrays: list[FloatArray] = field(default_factory=list)
    history: History = field(default_factory=History)
    stopped_because: str | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Of a pickle, in which versions before 0.2.0 have a list for the history."""
        vars(self).update(state)
        if not isinstance(self.history, History):
            self.history = History(self.history)

    def remember_best(self, params: Parameters, loss: float, monitors: Monitored, epoch: int) -> None:
        """Keep a copy of the parameters as they are."""
        if not self.best_arrays:
            self.best_arrays = [params.place.copy(array) for array in params.arrays]
        for best, array in zip(self.best_arrays, params.arrays, strict=True):
            best[...] = array
        self.best = Best(loss, dict(monitors), epoch, self.steps)

    def restore_best(self, arrays: Sequence[FloatArray]) -> None:
        for array, best in zip(arrays, self.best_arrays, strict=True):
            array[...] = best

    def header(self) -> dict[str, Any]:
        """All contents except the arrays, in types that JSON has."""
        return {
            "steps": self.steps,
            "skipped": self.skipped,
            "updates": dict(self.updates),
            "best": None if self.best is None else asdict(self.best),
            "history": [list(epoch) for epoch in self.history],
            "validations": [list(each) for each in self.history.validations],
            "stopped_because": self.stopped_because,
        }

    @classmethod
    def from_header(cls, header: dict[str, Any], best_arrays: list[FloatArray]) -> Ledger:
        values = {name: value for name, value in header.items() if name != "validations"}
        noted = [Validation(*each) for each in header.get("validations", ())]  # files of version 0.1.0 have none
        values["history"] = History([Epoch(*epoch) for epoch in header["history"]], noted)
        if header["best"] is not None:
            values["best"] = Best(**header["best"])
        return cls(**values, best_arrays=best_arrays)
