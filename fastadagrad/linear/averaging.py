"""Averages of the weights that training passes through, which are steadier than the last weights."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..engine.options import Settings
from .methods import TUNED
from .scaling import parts_of
from .training import Trained, Trainer

LATE = 3.0  # power of its number by which an epoch counts in the mean of average="auto"
MOST_AUTOMATIC = 1 << 24  # features of a model whose weights average="auto" averages, which takes memory
POINTS = 16  # times in an epoch at which weights are taken, for which every feature has to be caught up
STRETCH = 256  # visits between two of these times, at least
Weights = tuple[NDArray[Any], NDArray[Any]]  # weights and intercept


class Average(NamedTuple):
    """What weights are averaged over."""

    last: int | None  # the number of epochs, up to the latest; None: all epochs
    late: float = 0.0  # later epochs count more in the mean of all, by about this power of their number


def average_of(wanted: bool | int | str, settings: Settings, width: int) -> Average | None:
    """What a model's parameter `average` comes to for so many features; None if weights are not averaged.

    "auto" leaves weights with an l1 penalty alone: the mean of weights that are 0 now and then is not 0.
    """
    if wanted == "auto":
        suits = settings.rule.name in TUNED and not settings.options.l1 and width <= MOST_AUTOMATIC
        return Average(None, LATE) if suits else None
    if isinstance(wanted, bool):
        return Average(None) if wanted else None
    return Average(int(wanted))


class Mean(NamedTuple):
    """The means of weights and intercept over a part of the training, and the number of visits of examples in it."""

    weights: NDArray[np.float64]
    intercept: NDArray[np.float64]
    visits: int


def mean_of(means: Sequence[Mean], dtype: Any) -> Weights:
    """The mean over several parts of the training, in the dtype of the weights."""
    found = np.empty(means[0].weights.shape, dtype), np.empty(means[0].intercept.shape, dtype)
    _write_mean(found, means)
    return found


def _write_mean(out: Weights, means: Sequence[Mean]) -> None:
    """Write the mean into arrays, part by part: where there are many features, float64 copies would take memory."""
    visits = [each.visits for each in means]
    alike = len({*visits}) == 1
    for array, *wholes in zip(out, *(mean[:2] for mean in means), strict=True):
        for rows in parts_of(len(array)):
            parts = [whole[rows] for whole in wholes]
            array[rows] = np.mean(parts, axis=0) if alike else np.average(parts, axis=0, weights=visits)


def joined(mean: Mean, weights: Weights, visits: int, late: float) -> Mean:
    """A mean with further weights, which count for `visits` and, by `late`, for more; its arrays are overwritten."""
    in_all = mean.visits + visits
    divisor = (in_all / visits + late) / (1 + late)
    for old, more in zip(mean[:2], weights, strict=True):
        approach(old, more, divisor)
    return mean._replace(visits=in_all)


def take_over(trained: Weights, weights: Weights) -> None:
    """Let trained weights become others, in place."""
    for own, other in zip(trained, weights, strict=True):
        own[...] = other


def begun_from(trained: Weights, kept: Weights, visits: int) -> tuple[Mean, ...]:
    """Let trained weights become a mean that was kept, of so many visits; returns it, unless it is of none."""
    take_over(trained, kept)
    return (Mean(kept[0].astype(np.float64), kept[1].astype(np.float64), visits),) if visits else ()


def approach(mean: NDArray[np.float64], other: NDArray[Any], divisor: float) -> None:
    """Move a mean towards other weights by their difference over a divisor, in place."""
    for rows in parts_of(len(mean)):
        mean[rows] += (other[rows] - mean[rows]) / divisor


class AveragingTrainer:
    """A trainer that lets another one train, and whose weights are the mean of those that the other has passed through.

    Polyak and Ruppert average the weights after every step. Weights taken at a few points of each epoch have nearly the
    same mean, since weights of neighbouring steps differ little. An epoch counts by the number of its visits. Where
    there are few examples for many features, weights are taken less often, as that takes a pass over all of them.

    Parameters
    ----------
    average : Average
        Later epochs count more as in O. Shamir and T. Zhang, "Stochastic Gradient Descent for Non-smooth Optimization:
        Convergence Results and Optimal Averaging Schemes", ICML 2013.
    means : iterable of Mean
        Those of the training before, if it goes on.
    """

    def __init__(self, trainer: Trainer, average: Average, means: Iterable[Mean] = ()) -> None:
        self._trainer, (self._last, self._late) = trainer, average
        self.examples, self.targets = trainer.examples, trainer.targets
        self._parameters = trainer.parameters
        self._means: deque[Mean] = deque(maxlen=average.last or 1)  # one an epoch, or one of all epochs
        for mean in means:  # copied, as this one goes on in place, and others may go on from them too
            self._add(Mean(mean.weights.copy(), mean.intercept.copy(), mean.visits))
        self._visits = [sum(mean.visits for mean in self._means)]  # in the mean, before the first epoch and after each
        if self._means:
            self._parameters = mean_of(self._means, self._dtype)

    @property
    def _dtype(self) -> Any:
        return self._trainer.parameters[0].dtype

    def epoch(self, order: NDArray[np.int64], report: Callable[[int], object] | None = None) -> float:
        """Train on the examples in this order; the mean loss of each before its update."""
        trainer, total = self._trainer, 0.0
        means = [np.zeros(array.shape) for array in trainer.parameters]
        points = max(1, min(POINTS, len(order) // STRETCH, trainer.examples.values.size // max(1, len(means[0]))))
        size = -(-len(order) // (points * trainer.batch_size)) * trainer.batch_size
        for taken, start in enumerate(range(0, len(order), size), 1):
            total += trainer.train(order[start : start + size], report)
            for mean, weights in zip(means, trainer.parameters, strict=True):
                approach(mean, weights, taken)
        self._add(Mean(means[0], means[1], len(order)))
        del means  # before there are two of the next
        self._visits.append(sum(mean.visits for mean in self._means))
        self._parameters = mean_of(self._means, self._dtype)
        return total / trainer.weight_of(order)

    @property
    def averages(self) -> tuple[tuple[Mean, ...], tuple[int, ...]]:
        """The means, and the visits in the mean before the first epoch and after each."""
        return tuple(self._means), tuple(self._visits)

    def restore(self, means: Iterable[Mean], visits: Iterable[int]) -> None:
        """Go back to what `averages` has been."""
        self._means.clear()
        self._means.extend(means)
        self._visits = [*visits]
        self._parameters = mean_of(self._means, self._dtype) if self._means else self._trainer.parameters

    @property
    def trained(self) -> Trained:
        """The weights of the other trainer, not their mean."""
        return self._trainer.trained

    @property
    def settings(self) -> Settings:
        return self._trainer.settings

    def _add(self, new: Mean) -> None:
        if self._last is not None or not self._means:
            self._means.append(new)
            return
        self._means[0] = joined(self._means[0], new[:2], new.visits, self._late)

    def go_on_from(self, kept: Weights, epoch: int) -> tuple[Mean, ...]:
        """The means with which training goes on, given the weights that were kept, those of an epoch.

        If these are the latest mean, the other trainer goes on from its own last weights. If validation has kept an
        earlier mean, the other trainer gets it, too.
        """
        if all(np.array_equal(own, other) for own, other in zip(self._parameters, kept, strict=True)):
            return tuple(self._means) if self._visits[-1] else ()
        return begun_from(self._trainer.parameters, kept, self._visits[epoch])

    @property
    def parameters(self) -> Weights:
        """The means of weights and intercept, in the dtype of the weights; the weights before the first epoch."""
        return self._parameters

    @property
    def seconds(self) -> float:
        return self._trainer.seconds

    @property
    def stuck(self) -> int:
        return self._trainer.stuck
