"""Averages of the weights that training passes through, which are steadier than the last weights."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .training import Trainer

POINTS = 16  # times in an epoch at which weights are taken, for which every feature has to be caught up


class AveragingTrainer:
    """A trainer that lets another one train, and whose weights are the mean of those that the other has passed through.

    Polyak and Ruppert average the weights after every step. Weights taken at a few points of each epoch have nearly the
    same mean, since weights of neighbouring steps differ little.

    Parameters
    ----------
    last : int, optional
        The number of epochs, up to the latest, over which weights are averaged; None: all epochs.
    """

    def __init__(self, trainer: Trainer, last: int | None) -> None:
        self._trainer, self._last = trainer, last
        self.examples, self.targets = trainer.examples, trainer.targets
        self._epochs = 0
        self._parameters = trainer.parameters
        self._means: deque[list[NDArray[np.float64]]] = deque(maxlen=last or 1)  # one an epoch, or one of all epochs

    def epoch(self, order: NDArray[np.int64], report: Callable[[int], object] | None = None) -> float:
        """Train on the examples in this order; the mean loss of each before its update."""
        trainer, total = self._trainer, 0.0
        means = [np.zeros(array.shape) for array in trainer.parameters]
        size = -(-len(order) // (POINTS * trainer.batch_size)) * trainer.batch_size
        for taken, start in enumerate(range(0, len(order), size), 1):
            total += trainer.train(order[start : start + size], report)
            for mean, weights in zip(means, trainer.parameters, strict=True):
                mean += (weights - mean) / taken
        self._epochs += 1
        if self._last is None and self._means:
            for mean, new in zip(self._means[0], means, strict=True):
                mean += (new - mean) / self._epochs
        else:
            self._means.append(means)
        weights, intercept = (np.mean([means[i] for means in self._means], axis=0) for i in range(2))
        dtype = trainer.parameters[0].dtype
        self._parameters = weights.astype(dtype), intercept.astype(dtype)
        return total / trainer.weight_of(order)

    @property
    def parameters(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The means of weights and intercept, in the dtype of the weights; the weights before the first epoch."""
        return self._parameters

    @property
    def seconds(self) -> float:
        return self._trainer.seconds

    @property
    def stuck(self) -> int:
        return self._trainer.stuck
