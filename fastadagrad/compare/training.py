"""What trains the parameters of a run: one interface for this library's methods and for those from elsewhere."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from ..data.dataset import Dataset, sample_count
from ..engine.rows import Rows
from ..optimizer.by_gradients import session_of
from ..optimizer.monitors import WeightedMean
from ..optimizer.optimizer import Optimizer
from ..support.asking import shown


class Trainer(ABC):
    """A method, and the parameters of a task that it trains.

    Parameters
    ----------
    optimizer : Optimizer
        It has the task's loss and the parameters. Whoever trains these, it evaluates them.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self._session = session_of(optimizer)

    def loss(self, data: Dataset | None) -> float:
        """The mean loss of data; infinite if it is not finite."""
        loss = float(self.optimizer.evaluate(data)["loss"])
        return loss if math.isfinite(loss) else math.inf

    def score(self, score: Callable[..., float], data: Dataset | None) -> float:
        """What a task's `score` gives for data that are one batch; -inf if that is not finite."""
        [batch] = [()] if data is None else data.batches()
        self._session.flush()
        given = score(self._session.params.given, *self._arguments(batch))
        try:
            found = float(given)
        except (TypeError, ValueError):
            raise TypeError(f"score must return a number, not {shown(given)}") from None
        return found if math.isfinite(found) else -math.inf

    @abstractmethod
    def train_epoch(self, data: Dataset | None, updates: int) -> float:
        """Train for an epoch, which without data has so many updates.

        Returns
        -------
        float
            The mean loss of the batches, each before its update; infinite if a loss or a gradient is not finite.
        """

    def has_trained(self) -> bool:
        """Whether the parameters are not what they were at the start for a mistake in a class of the user's."""
        return True

    def _arguments(self, batch: Any) -> tuple[Any, ...]:
        """What the loss is called with beside the parameters."""
        return self._session.objective.arguments(batch)


class SteppingTrainer(Trainer):
    """A method that makes a step for each batch.

    Attributes
    ----------
    step : callable
        ``step(*arguments)`` makes a step alone, with the `arguments_of_step` of a batch.
    """

    step: Callable[..., object]

    @abstractmethod
    def train_on(self, batch: Any) -> Mapping[str, float]:
        """Make the step of one batch; the loss before it, as ``{"loss": ...}``.

        Raises
        ------
        FloatingPointError
            If a gradient is not finite.
        """

    def train_epoch(self, data: Dataset | None, updates: int) -> float:
        mean = WeightedMean()
        for batch in repeat((), updates) if data is None else data:
            try:
                values = self.train_on(batch)
            except FloatingPointError:
                return math.inf
            if not math.isfinite(values["loss"]):
                return math.inf
            mean.add(values, 1 if data is None else sample_count(batch))
        return float(mean.means()["loss"])

    @abstractmethod
    def arguments_of_step(self, batch: Any) -> list[Any]:
        """The arguments of the step that a batch leads to: its gradients, and whatever else the method goes by."""

    @abstractmethod
    def restart(self) -> None:
        """Set the parameters to their start values, and the method's state to its beginning."""

    @abstractmethod
    def state_bytes(self) -> float | None:
        """Bytes of state for each element of the parameters; None if they are not known."""


class OwnTrainer(SteppingTrainer):
    """One of this library's methods, registered ones included."""

    def __init__(self, optimizer: Optimizer) -> None:
        super().__init__(optimizer)
        self._start = [np.array(array) for array in optimizer.params.values()]
        self.step = optimizer.step

    def train_on(self, batch: Any) -> Mapping[str, float]:
        return self._session.train_on(self._arguments(batch))

    def arguments_of_step(self, batch: Any) -> list[Any]:
        arguments = self._arguments(batch)
        _, gradients = self._session.objective.value_and_gradients(arguments)
        several = [each for each in (gradients, self._session.products(arguments)) if each]
        return [self._session.params.restructure(arrays) for arrays in several]

    def restart(self) -> None:
        self.optimizer.set_params(self._session.params.restructure(self._start))
        self.optimizer.reset()

    def state_bytes(self) -> float:
        held = sum(np.asarray(slot).nbytes for slots in self.optimizer.state.values() for slot in slots.values())
        return held / sum(array.size for array in self.optimizer.params.values())


def as_dense(gradients: Sequence[Any], arrays: Sequence[Any]) -> list[Any]:
    """Gradients as arrays of the shapes of their parameters; of rows, those that are repeated are added up."""
    return [_dense(gradient, array) for gradient, array in zip(gradients, arrays, strict=True)]


def _dense(gradient: Any, like: Any) -> Any:
    if isinstance(gradient, Rows):
        table = np.zeros_like(like)
        np.add.at(table, gradient.indices, gradient.values)
        return table
    if isinstance(gradient, np.ndarray):
        return gradient
    return np.ascontiguousarray(gradient.toarray() if hasattr(gradient, "toarray") else gradient)
