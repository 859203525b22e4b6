"""The records of an optimizer beside the state of its parameters: counts, history, and the best validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from ..engine.parameters import FloatArray, Parameters

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
        Monitors of the latest validation.

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


@dataclass
class Ledger:
    """Counts of steps, the best parameters and the history of one optimizer."""

    steps: int = 0
    skipped: int = 0
    updates: dict[str, int] = field(default_factory=dict)  # through get_updates, by parameter
    best: Best | None = None
    best_arrays: list[FloatArray] = field(default_factory=list)
    history: list[Epoch] = field(default_factory=list)
    stopped_because: str | None = None

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
            "updates": self.updates,
            "best": None if self.best is None else asdict(self.best),
            "history": [list(epoch) for epoch in self.history],
            "stopped_because": self.stopped_because,
        }

    @classmethod
    def from_header(cls, header: dict[str, Any], best_arrays: list[FloatArray]) -> Ledger:
        values = {**header, "history": [Epoch(*epoch) for epoch in header["history"]]}
        if header["best"] is not None:
            values["best"] = Best(**header["best"])
        return cls(**values, best_arrays=best_arrays)
