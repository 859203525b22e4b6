"""The progressive loss of a stream, in rows at 1, 2, 4, ... examples, beside what the best constant would have had."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels.linear.losses import CLASSES, TWO_CLASSES
from .targets import Targets
from .training import Scorer

SAMPLE = 1 << 12  # labels of which the best constant is found, where it does not follow from sums
GOLDEN = (math.sqrt(5) - 1) / 2  # share of the golden section


_OF_PROGRESSIVE = "total", "weight", "examples", "_next", "_told"
_OF_LABELS = "_weight", "sum", "_squares", "_sample", "_every", "_seen"


class Row(NamedTuple):
    """One row: losses are means, in the unit of the labels."""

    epoch: int
    loss: float  # of all examples so far in this epoch, each before its update
    since: float  # of those since the last row
    examples: int  # so far in this epoch, each counted once, whatever its weight
    constant_loss: float  # of the constant score that would have been best for the labels so far
    valid_loss: float | None = None  # of the weights as they are, on the examples for validation, if there are any
    weight: float | None = None  # of the examples so far, together; None if each has weighed 1


Watch = Callable[[Row], object]
Judge = Callable[[], float]  # the loss on the examples for validation, in their unit


class Progressive:
    """Adds up the losses of one epoch, and tells of them: in the first one whenever the number of examples has doubled.

    Of a later epoch it tells at its end only.
    """

    def __init__(
        self,
        targets: Targets,
        watch: Watch | None,
        epoch: int = 1,
        batch_size: int = 1,
        judge: Judge | None = None,
    ) -> None:
        self._targets, self._watch, self._epoch, self._batch_size = targets, watch, epoch, batch_size
        self._judge = judge
        self._labels = LabelsSeen(targets)
        self.total = self.weight = 0.0
        self.examples = 0
        self._weighed = False  # whether an example has had another weight than 1, since a checkpoint
        self._before = 0.0, 0.0, 0.0  # sums of losses, weights and labels at the last row
        self._next, self._told = 1, 0

    def state(self) -> dict[str, Any]:
        """All that has been added up, in types that JSON has."""
        sums = {name.lstrip("_"): getattr(self, name) for name in _OF_PROGRESSIVE}
        return sums | {"before": [*self._before], "labels": self._labels.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state` has given."""
        for name in _OF_PROGRESSIVE:
            setattr(self, name, state[name.lstrip("_")])
        total, weight, labels = state["before"]
        self._before = total, weight, labels
        self._labels.restore(state["labels"])

    def stretches(self, n: int, firsts: NDArray[np.bool] | None = None) -> list[slice]:
        """The next n visits, divided where a row is due after the last of a part; batches are left whole.

        `firsts` says of each visit whether it is the first to its example; by default each is.
        """
        reached = None if firsts is None else np.cumsum(firsts)  # examples, by visits; as many if each is a first one
        ends, at, due = list[int](), self.examples, self._next
        last = at + (n if reached is None or not n else int(reached[-1]))
        while due <= last:
            visits = max(due - at, 1) if reached is None else int(np.searchsorted(reached, due - at)) + 1
            end = -(-visits // self._batch_size) * self._batch_size
            if end < n and end not in ends:
                ends.append(end)
            due *= 2
        starts = [0, *ends]
        return [slice(a, b) for a, b in zip(starts, [*ends, n], strict=True)]

    def pass_over(self, examples: int) -> None:
        """Count examples of weight 0."""
        self.examples += examples

    def add(
        self,
        loss: float,
        labels: NDArray[np.float64],
        importance: NDArray[np.float64] | None,
        firsts: NDArray[np.bool] | None = None,
    ) -> None:
        """Add the sum of the losses of some visits, with their examples' encoded labels, and tell if a row is due."""
        self.total += loss
        self.weight += len(labels) if importance is None else float(importance.sum(dtype=np.float64))
        self.examples += len(labels) if firsts is None else int(firsts.sum())
        self._weighed |= importance is not None or firsts is not None
        self._labels.add(labels, importance)
        if self.examples >= self._next:
            while self._next <= self.examples:
                self._next *= 2
            if self._epoch == 1:
                self._tell()

    def finish(self) -> None:
        """Tell of the last visits, if they have no row."""
        if self.examples != self._told or self.weight != self._before[1]:
            self._tell()

    def _tell(self) -> None:
        total, weight, labels = self._before
        self._before, self._told = (self.total, self.weight, self._labels.sum), self.examples
        if self._watch is None or self.weight == weight:
            return
        more = self.weight - weight
        since = self._targets.in_own_unit((self.total - total) / more, (self._labels.sum - labels) / more)
        judged = None if self._judge is None else self._judge()
        together = self.weight if self._weighed or self.weight != self.examples else None
        self._watch(Row(self._epoch, self._own(self.loss), since, self.examples, self.constant_loss, judged, together))

    @property
    def loss(self) -> float:
        """The mean loss so far, in the unit of the encoded labels."""
        return self.total / self.weight if self.weight else math.nan

    @property
    def mean_label(self) -> float:
        return self._labels.mean

    @property
    def constant_loss(self) -> float:
        """The mean loss of the best constant for the labels so far, in the labels' own unit."""
        return self._own(self._labels.best_loss())

    def _own(self, loss: float) -> float:
        return self._targets.in_own_unit(loss, self._labels.mean)


class LabelsSeen:
    """What is remembered of encoded labels to find the best constant for them: counts, sums and a sample."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._counts = np.zeros(len(targets.classes) if targets.classes is not None else 0)
        self._weight = self.sum = self._squares = 0.0
        self._sample, self._every, self._seen = list[float](), 1, 0

    def state(self) -> dict[str, Any]:
        """The same in types that JSON has."""
        return {name.lstrip("_"): getattr(self, name) for name in _OF_LABELS} | {"counts": self._counts.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state` has given."""
        for name in _OF_LABELS:
            setattr(self, name, state[name.lstrip("_")])
        self._sample = [*state["sample"]]
        self._counts[:] = state["counts"]

    @property
    def mean(self) -> float:
        """The mean label; 0 of classes, which have no unit."""
        return self.sum / self._weight if self._weight and self._targets.classes is None else 0.0

    def add(self, labels: NDArray[np.float64], importance: NDArray[np.float64] | None) -> None:
        if self._counts.size:
            positions = labels if self._targets.outputs else labels > 0
            more = np.bincount(positions.astype(np.int64), importance, len(self._counts))
            self._counts += more
            return
        real = labels.astype(np.float64)
        weights = np.ones(len(real)) if importance is None else importance.astype(np.float64)
        self._weight += float(weights.sum())
        self.sum += float(weights @ real)
        self._squares += float(weights @ (real * real))
        self._sample += real[-self._seen % self._every :: self._every].tolist()
        self._seen += len(real)
        while len(self._sample) > SAMPLE:  # every second one is kept, and from now on half as many are taken
            self._sample, self._every = self._sample[::2], 2 * self._every

    def best_loss(self) -> float:
        """The mean loss of the best constant score, in the unit of the encoded labels."""
        record = self._targets.record
        if record.labels == CLASSES:
            shares = self._counts[self._counts > 0] / max(self._counts.sum(), 1.0)
            return 0.0 - float((shares * np.log(shares)).sum())  # not -0 for a single class
        if record.labels == TWO_CLASSES:
            first, second = self._counts / max(self._counts.sum(), 1.0)
            return least(lambda score: float(first * self._loss_of(score, -1.0) + second * self._loss_of(score, 1.0)))
        if not self._weight:
            return math.nan
        if record.name == "squared":
            return 0.5 * max(self._squares / self._weight - self.mean**2, 0.0)
        if record.name == "poisson":
            return self.mean * (1.0 - math.log(self.mean)) if self.mean > 0 else 0.0
        scorer, sample = Scorer(self._targets), np.array(self._sample)
        return least(lambda score: scorer.loss(np.full(sample.shape, score), sample))

    def _loss_of(self, score: float, label: float) -> float:
        """The loss of one score, by the function of which the compiled loss is made."""
        record = self._targets.record
        if record.slope is None:
            raise ValueError(f"{record.name} loss has no slope of one score")
        with np.errstate(over="ignore"):
            _, parts = record.slope(score, label, *([self._targets.option] if record.option else []))
        return float(record.value(parts))


def least(function: Callable[[float], float], most: float = 64.0) -> float:
    """The least value of a convex function of one number: a bracket by doubling, and the golden section.

    >>> round(least(lambda x: (x - 3.0) ** 2 + 2.0), 9)
    2.0
    """
    low, high = -1.0, 1.0
    while high < most and function(high) < function(high / 2):
        high *= 2
    while low > -most and function(low) < function(low / 2):
        low *= 2
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_a, at_b = function(a), function(b)
    for _ in range(60):
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - GOLDEN * (high - low)
            at_a = function(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + GOLDEN * (high - low)
            at_b = function(b)
    return min(at_a, at_b)
