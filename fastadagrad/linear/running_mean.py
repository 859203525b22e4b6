"""The mean of the weights that training on a stream passes through, kept up to date as examples come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np

from ..support import interrupts
from .averaging import POINTS, STRETCH, Average, Mean, Weights, begun_from, joined, mean_of
from .running import take_up_shift
from .scaling import Scaling


class RunningMean:
    """A mean of weights, taken at points that lie the further apart the more visits of examples the mean is of.

    `AveragingTrainer` has a mean for examples in memory: of points at equal distances in an epoch, whose number is
    known. A stream may have one epoch only, of a length that nobody knows. So the later points of an epoch count more
    than its first ones do, too, where later epochs count more.

    Parameters
    ----------
    average : Average
    width : int
        The number of features. A point takes a pass over all of them, so that as many values come between two points.
    means : iterable of Mean
        Those of the training before, if it goes on.
    """

    def __init__(self, average: Average, width: int, means: Iterable[Mean] = ()) -> None:
        self._width, (self._last, self._late) = width, average
        copies = (Mean(mean.weights.copy(), mean.intercept.copy(), mean.visits) for mean in means)
        self._means: deque[Mean] = deque(copies, maxlen=average.last or 1)  # one an epoch, or one of all epochs
        self._goes_on = average.last is None and bool(self._means)  # whether the next point belongs to the latest mean
        self._visits = self._values = 0  # since the latest point
        self._ends = [self._visits_in_all]  # before the first epoch and after each

    @property
    def _visits_in_all(self) -> int:
        """The number of visits that the mean is of."""
        return sum(mean.visits for mean in self._means)

    @property
    def averages(self) -> tuple[tuple[Mean, ...], tuple[int, ...]]:
        """The means, and the visits in the mean before the first epoch and after each."""
        return tuple(self._means), tuple(self._ends)

    def state(self) -> list[int]:
        """The place within an epoch."""
        return [int(self._goes_on), self._visits, self._values]

    def restore(self, means: Iterable[Mean], ends: Iterable[int], state: Iterable[int]) -> None:
        """Go back to what `averages` and `state` have been."""
        self._means.clear()
        self._means.extend(means)
        goes_on, self._visits, self._values = state
        self._ends, self._goes_on = [*ends], bool(goes_on)

    def begin_epoch(self) -> None:
        """Begin another mean, if there is one an epoch."""
        self._goes_on = self._last is None and bool(self._means)

    def until_point(self, values_each: float) -> int:
        """The number of visits until the next point is due, of at least 1, if a visit has so many values."""
        visits = max(STRETCH, self._means[-1].visits // POINTS if self._goes_on else 0) - self._visits
        return max(1, visits, int((self._width - self._values) / max(values_each, 1.0)))

    def note(self, visits: int, values: int) -> None:
        """Take in that examples have been trained on."""
        self._visits += visits
        self._values += values

    def take_point(self, weights: Weights) -> None:
        """Let the weights count for all visits since the point before, whatever is interrupted meanwhile."""
        if not self._visits:
            return
        with interrupts.whole():
            if self._goes_on:
                self._means[-1] = self._approached(self._means[-1], weights)
            else:
                self._means.append(self._of_point(weights))
            self._goes_on, self._visits, self._values = True, 0, 0

    def end_epoch(self, weights: Weights) -> None:
        """Take the last point of an epoch."""
        self.take_point(weights)
        self._ends.append(self._visits_in_all)

    def weights(self, now: Weights) -> Weights:
        """The mean as it would be if a point were taken now; the weights themselves, if it is of nothing yet."""
        means = [*self._means]
        if self._visits and self._goes_on:
            latest = means[-1]
            means[-1] = self._approached(Mean(latest.weights.copy(), latest.intercept.copy(), latest.visits), now)
        elif self._visits:
            means = [*means, self._of_point(now)][-(self._last or 1) :]
        return mean_of(means, now[0].dtype) if means else now

    def _of_point(self, weights: Weights) -> Mean:
        return Mean(np.array(weights[0], np.float64, order="C"), np.array(weights[1], np.float64), self._visits)

    def _approached(self, mean: Mean, weights: Weights) -> Mean:
        """A mean with another point; its arrays are overwritten."""
        return joined(mean, weights, self._visits, self._late)

    def rescale(self, old: Scaling, new: Scaling) -> None:
        """Bring the mean of a model with an intercept to another scale of the features."""
        for mean in self._means:
            take_up_shift(mean.weights, mean.intercept, old, new)

    def go_on_from(self, trained: Weights, kept: Weights, epoch: int) -> tuple[Mean, ...]:
        """The means with which training goes on, given the weights that were kept, those of an epoch.

        If these are the latest mean, the trained weights stay as they are. If validation has kept an earlier mean, they
        become that.
        """
        self.take_point(trained)
        if all(np.array_equal(own, other) for own, other in zip(self.weights(trained), kept, strict=True)):
            return tuple(self._means)
        return begun_from(trained, kept, self._ends[epoch])
