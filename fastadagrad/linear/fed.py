"""A trainer that is fed the examples of a stream, one buffer after another, and that may average the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.options import Settings
from .averaging import Mean, Weights, average_of, mean_of, take_over
from .feeds import Preparing
from .fitting import is_implicit, lazy_of
from .running import rescale
from .running_mean import RunningMean
from .scaling import Scaling
from .training import Examples, Trained, Trainer, is_dense


def make_trainer(
    p: Mapping[str, Any],
    preparing: Preparing,
    examples: Examples,
    settings: Settings,
    start: Trained | None = None,
    trainer: Callable[..., Trainer] = Trainer,
) -> Trainer:
    """The trainer of a model with the parameters `p`, for examples that have been prepared so."""
    sparse = not is_dense(examples)
    return trainer(
        examples,
        settings,
        features=preparing.width,
        targets=preparing.targets,
        batch_size=p["batch_size"],
        lazy=lazy_of(p, settings, sparse),
        intercept=p["intercept"],
        implicit=is_implicit(p, settings, p["lazy"], sparse),
        start=start,
    )


class Fed:
    """A trainer that is fed one buffer after another.

    Parameters
    ----------
    p : mapping
        The parameters of a model.
    start : Trained, optional
        The weights to go on from, with the `means` that training before has made of them, if any.
    trainer : callable
        Makes a trainer.
    """

    def __init__(
        self,
        p: Mapping[str, Any],
        settings: Settings,
        preparing: Preparing,
        start: Trained | None = None,
        means: Iterable[Mean] = (),
        trainer: Callable[..., Trainer] = Trainer,
    ) -> None:
        self._make_trainer = partial(make_trainer, trainer=trainer)
        self.targets, self._preparing, self._p, self._settings = preparing.targets, preparing, p, settings
        self._start = start
        self.batch_size = int(p["batch_size"])
        self._trainer: Trainer | None = None
        average = average_of(p["average"], settings, preparing.width)
        self._mean = None if average is None else RunningMean(average, preparing.width, means)
        self._before = () if average is not None else tuple(means)
        self._shown: Weights | None = None  # what `parameters` are, once they have been asked for
        self._seconds = 0.0

    def feed(self, examples: Examples) -> None:
        """Go on with other examples."""
        trainer = self._trainer
        if trainer is not None and type(trainer.examples) is type(examples):
            trainer.feed(examples)
            return
        if trainer is not None:  # from now on, examples have an importance, or no longer
            self._start = trainer.trained
            self._seconds += trainer.seconds
        self._trainer = self._make_trainer(self._p, self._preparing, examples, self._settings, self._start)
        self._start = None
        if self._before:  # no average any more: training goes on from the last one
            take_over(self._now.parameters, mean_of(self._before, examples.values.dtype))
            self._before = ()

    def train(self, order: NDArray[np.int64]) -> float:
        """Train on the examples in this order; the sum of their losses, multiplied by their importance."""
        trainer, mean = self._now, self._mean
        self._shown = None
        if mean is None:
            return trainer.train(order)
        total, at = 0.0, 0
        each = trainer.examples.values.size / max(1, len(trainer.examples.labels))
        while at < len(order):
            count = -(-mean.until_point(each) // self.batch_size) * self.batch_size
            part = order[at : at + count]
            total += trainer.train(part)
            mean.note(len(part), int(each * len(part)))
            if len(part) == count:
                mean.take_point(trainer.parameters)
            at += count
        return total

    @property
    def averages(self) -> tuple[tuple[Mean, ...], tuple[int, ...], list[int]]:
        """The means, the visits in the mean before the first epoch and after each, and the place within an epoch."""
        return ((), (), []) if self._mean is None else (*self._mean.averages, self._mean.state())

    def restore(self, trained: Trained, means: Iterable[Mean], visits: Iterable[int], place: Iterable[int]) -> None:
        """Go on from weights and from what `averages` has been, before the first examples are fed."""
        self._start, self._before = trained, ()
        if self._mean is not None:
            self._mean.restore(means, visits, place)

    def begin_epoch(self) -> None:
        if self._mean is not None:
            self._mean.begin_epoch()

    def end_epoch(self) -> None:
        if self._mean is not None:
            self._mean.end_epoch(self._now.parameters)

    def rescale(self, old: Scaling, new: Scaling) -> None:
        """Go on with examples by other scales, if any have come before."""
        if self._trainer is None:
            return
        rescale(self._trainer, old, new)
        self._shown = None
        if self._mean is not None and self._trainer.has_intercept:
            self._mean.rescale(old, new)

    def go_on_from(self, kept: Weights, epoch: int) -> tuple[Mean, ...]:
        """Let training go on from the weights that were kept, those of an epoch; returns their means, if any."""
        if self._mean is not None:
            return self._mean.go_on_from(self._now.parameters, kept, epoch)
        take_over(self._now.parameters, kept)
        return ()

    @property
    def learning_rate(self) -> float:
        """The rate of the first step."""
        return self._settings.learning_rate_at(0)

    @property
    def parameters(self) -> Weights:
        """Weights and intercept: the mean of them, if they are averaged."""
        if self._mean is None:
            return self._now.parameters
        if self._shown is None:
            self._shown = self._mean.weights(self._now.parameters)
        return self._shown

    @property
    def _now(self) -> Trainer:
        assert self._trainer is not None  # as it has been fed
        return self._trainer

    @property
    def trained(self) -> Trained:
        """The weights as they are and not their mean, their slots, and the number of steps."""
        return self._now.trained

    @property
    def stuck(self) -> int:
        """Number of weights that no gradient moves any more."""
        return self._now.stuck

    @property
    def seconds(self) -> float:
        """Seconds spent in the loops."""
        return self._seconds + self._now.seconds
