"""One fit of a linear model: the arrays that the compiled loops work on, and its epochs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..data.tables import CSR
from ..engine.options import Rule, Settings, cast_scalars
from ..engine.state import begin
from ..kernels.linear import passes, scoring, weight_arrays
from ..kernels.linear.layouts import Dense, Sparse
from ..kernels.rules import adagrad
from ..support.log import compilation
from .monitors import MONITORS
from .targets import Targets

Examples = Dense | Sparse
RULE: Rule = adagrad
LAZY = ("exact", "touched", "dense")
CHUNK = 1 << 21  # values between two looks at the clock


def as_examples(features: NDArray[Any] | CSR, labels: NDArray[Any]) -> Examples:
    """What the kernels take: columns and starts are unsigned, so that no index is checked for its sign."""
    if isinstance(features, CSR):
        return Sparse(features.data, features.indices.view(np.uint32), features.indptr.view(np.uint64), labels)
    return Dense(features, labels)


class Scorer:
    """Scores of examples, their mean loss, and their probabilities."""

    def __init__(self, targets: Targets) -> None:
        self.targets = targets

    def scores(self, examples: Examples, p: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """(examples,), or (examples, classes) for softmax, in the dtype of the weights p."""
        layout = "dense" if isinstance(examples, Dense) else "sparse"
        n, many = len(examples.labels), self.targets.outputs
        out = np.empty((n, many) if many else n, p.dtype)
        score_all = scoring.make_score_all(layout, bool(many), p.dtype)
        with compilation(score_all, "the scoring loop"):
            score_all(examples, np.arange(n), p, b, out)
        return out

    def loss(self, scores: NDArray[Any], labels: NDArray[Any]) -> float:
        """Mean loss of encoded labels, in their unit; labels of an unknown class, NaN, have none."""
        known = ~np.isnan(labels)
        if not known.all():
            scores, labels = scores[known], labels[known]
        if self.targets.outputs:
            return float(scoring.mean_softmax_loss(scores, labels))
        return float(scoring.mean_loss(self.targets.chosen, scores, labels))

    def monitors(self, scores: NDArray[Any], labels: NDArray[Any]) -> dict[str, float]:
        """Loss, and what else the record of the loss names, of encoded labels, in the user's unit.

        A label of an unknown class is a miss for the accuracy. If there are any, "unknown_labels" is their number.
        """
        targets = self.targets
        result = {"loss": targets.in_own_unit(self.loss(scores, labels), labels)}
        result |= {name: MONITORS[name](scores, labels, targets.spread) for name in targets.record.monitors}
        unknown = int(np.count_nonzero(np.isnan(labels)))
        return {**result, "unknown_labels": unknown} if unknown else result


class _Way(NamedTuple):
    """How loops go over the features."""

    online: bool
    sweep: bool  # whether each batch steps all features
    exact: bool  # whether features catch up on the steps that they missed


def _way(settings: Settings, batch_size: int, lazy: str, dense: bool) -> _Way:
    stays = settings.motion == "plain" and settings.lean  # a step without a gradient does nothing
    sweep = (dense and batch_size > 1) or (lazy == "dense" and not dense and not stays)
    return _Way(batch_size == 1 and not sweep, sweep, lazy == "exact" and not dense and not stays)


def bytes_a_feature(outputs: int, settings: Settings, batch_size: int, lazy: str, dtype: DTypeLike) -> int:
    """The most that a fit to sparse examples holds at a time for each feature, beside the examples.

    By default, and of one output, that is BYTES_A_FEATURE of `.memory_at_hand`.
    """
    online, _, exact = _way(settings, batch_size, lazy, dense=False)
    number, each, size = np.dtype(dtype).itemsize, max(outputs, 1), np.dtype(np.float64).itemsize
    weights = number * each
    kept = weights  # those of the best epoch
    work = (0 if online else weights) + (4 if exact else 0)
    finished = size * each if outputs == 0 else size * (each + 1)  # of one output, in the place of the sizes
    return max(weights * (1 + len(settings.slots)) + work + kept, kept + finished)


class Trainer:
    """Weights, their slots and the loop that changes them, for one set of examples."""

    def __init__(
        self,
        examples: Examples,
        settings: Settings,
        *,
        features: int,
        targets: Targets,
        batch_size: int,
        lazy: str,
        intercept: bool,
    ) -> None:
        self.examples, self.targets, self.settings = examples, targets, settings
        self.batch_size = batch_size
        dense = isinstance(examples, Dense)
        self._way = _way(settings, batch_size, lazy, dense)
        online, _, exact = self._way
        dtype = examples.values.dtype
        layout, many = "dense" if dense else "sparse", bool(targets.outputs)
        self.weights = _make_weights(layout, features, targets.outputs, settings, dtype)
        self.intercept = _make_weights("dense", 1, targets.outputs, settings, dtype)
        self._rates = _make_rates(settings, intercept, dtype)
        longest = 0 if isinstance(examples, Dense) else int(np.diff(examples.starts).max(initial=0))
        self._work = weight_arrays.make_work(self.weights, longest, online=online, exact=exact)
        loops = passes.make_loops(adagrad, settings.motion, settings.lean, layout, many, exact, dtype)
        self._loop = loops.online if online else loops.batches
        self._rows = self._rows_between_reports(features)
        self.seconds = 0.0  # spent in the loop
        with compilation(self._loop, "the training loop"):
            self._call(np.arange(0))

    def _rows_between_reports(self, features: int) -> int:
        """Rows enough to outweigh bringing every feature up to date, in whole batches."""
        n = len(self.examples.labels)
        values = max(CHUNK, 8 * features)
        rows = max(1, min(int(values * n / max(1, self.examples.values.size)), weight_arrays.MOST_STEPS))
        return self.batch_size * -(-rows // self.batch_size)

    def epoch(self, order: NDArray[np.int64], report: Callable[[int], object] | None = None) -> float:
        """Train on the examples in this order; the mean loss of each before its update, in the encoded labels' unit."""
        total = 0.0
        for start in range(0, len(order), self._rows):
            part = order[start : start + self._rows]
            before = time.perf_counter()
            total += self._call(part)
            self.seconds += time.perf_counter() - before
            if report is not None:
                report(len(part))
        return total / len(order)

    def _call(self, order: NDArray[np.int64]) -> float:
        loss = self.targets.chosen
        how = (loss,) if self._way.online else (self.batch_size, self._way.sweep, loss)
        arguments = (self.examples, order, self.weights, self.intercept, self._rates, self._work)
        return float(self._loop(*how, *arguments))

    @property
    def parameters(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The weights and the intercept themselves."""
        return self.weights.p, self.intercept.p


def _make_weights(layout: str, features: int, outputs: int, settings: Settings, dtype: Any) -> weight_arrays.Weights:
    weights = weight_arrays.make_weights(layout, features, outputs, len(settings.slots), dtype)
    for slot, value in zip(weights.slots, settings.initial(), strict=False):  # a velocity begins with 0
        begin(slot, value, weights.p)
    return weights


def _make_rates(settings: Settings, intercept: bool, dtype: Any) -> weight_arrays.Rates:
    """The intercept is never penalised; one with a learning rate of 0 stays 0."""
    unpenalised = {"l1": 0.0, "l2": 0.0, "weight_decay": 0.0, "decoupled_weight_decay": 0.0}
    if not intercept:
        unpenalised["learning_rate"] = 0.0
    free = replace(settings, options=replace(settings.options, **unpenalised))  # type: ignore[arg-type]  # by name
    exact = np.array(settings.scalars(0))
    return weight_arrays.Rates(cast_scalars(settings, 0, dtype), cast_scalars(free, 0, dtype), exact)
