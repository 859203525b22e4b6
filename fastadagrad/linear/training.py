"""The trainer of a linear model, which has the arrays of a fit and calls the compiled loops; and the scorer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..data.tables import CSR
from ..engine.missed import moves_unnamed
from ..engine.options import Settings, cast_scalars
from ..engine.schedules import scalars_of_steps, sums_of_steps
from ..engine.state import begin_all
from ..kernels.linear import passes, scoring, weight_arrays
from ..kernels.linear.layouts import Dense, Sparse, WeighedDense, WeighedSparse
from ..kernels.linear.rates import Rates, RatesOfSteps
from ..kernels.rules import places, trait
from ..support.log import compilation
from .methods import form_for, unpenalised
from .monitors import MONITORS
from .scaling import parts_of
from .targets import Targets

Examples = Dense | Sparse | WeighedDense | WeighedSparse
LAZY = ("exact", "touched", "dense")
CHUNK = 1 << 21  # stored values that are done in one call of a loop; between calls progress is reported
MOST_TIMED_STEPS = 1 << 15  # steps of one call, if each step has scalars of its own


def as_examples(
    features: NDArray[Any] | CSR, labels: NDArray[Any], importance: NDArray[np.float64] | None = None
) -> Examples:
    """Examples as the kernels take them: columns and starts are unsigned, so that no index is checked for its sign."""
    if isinstance(features, CSR):
        arrays = features.data, features.indices.view(np.uint32), features.indptr.view(np.uint64), labels
        return Sparse(*arrays) if importance is None else WeighedSparse(*arrays, importance.astype(labels.dtype))
    if importance is None:
        return Dense(features, labels)
    return WeighedDense(features, labels, importance.astype(labels.dtype))


def is_dense(examples: Examples) -> bool:
    return isinstance(examples, Dense | WeighedDense)


def importance_of(examples: Examples) -> NDArray[Any] | None:
    """How much each example counts; None if all count the same."""
    return examples.importance if isinstance(examples, WeighedDense | WeighedSparse) else None


class Scorer:
    """Computes scores of examples, and the mean loss and the monitors of scores."""

    def __init__(self, targets: Targets) -> None:
        self.targets = targets

    def scores(self, examples: Examples, p: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """Scores (examples,), or (examples, classes) for softmax, by weights p and intercept b, in the dtype of p."""
        return self._scores_of(np.arange(len(examples.labels)), examples, p, b)

    def _scores_of(self, rows: NDArray[np.int64], examples: Examples, p: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """An array for all scores, with those of some examples."""
        layout = "dense" if is_dense(examples) else "sparse"
        n, many = len(examples.labels), self.targets.outputs
        out = np.empty((n, many) if many else n, p.dtype)
        score_all = scoring.make_score_all(layout, bool(many), p.dtype)
        with compilation(score_all, "the scoring loop"):
            score_all(examples, rows, p, b, out)
        return out

    def judged(self, examples: Examples, p: NDArray[Any], b: NDArray[Any]) -> tuple[float, dict[str, float]]:
        """The mean loss of examples, as `loss` has it, and the monitors."""
        return self._judged_by(self.scores(examples, p, b), examples)

    def _judged_by(self, scores: NDArray[Any], examples: Examples) -> tuple[float, dict[str, float]]:
        importance = importance_of(examples)
        found = self.monitors(scores, examples.labels, importance)
        return self.loss(scores, examples.labels, importance), found

    def loss(self, scores: NDArray[Any], labels: NDArray[Any], importance: NDArray[Any] | None = None) -> float:
        """Mean loss of encoded labels, in their unit; labels of an unknown class, NaN, are left out."""
        known = ~np.isnan(labels)
        if not known.all():
            scores, labels = scores[known], labels[known]
            importance = None if importance is None else importance[known]
        if importance is not None:
            importance = importance.astype(np.float64)
            if self.targets.outputs:
                return float(scoring.weighed_softmax_loss(scores, labels, importance))
            return float(scoring.weighed_loss(self.targets.chosen, scores, labels, importance))
        if self.targets.outputs:
            return float(scoring.mean_softmax_loss(scores, labels))
        return float(scoring.mean_loss(self.targets.chosen, scores, labels))

    def monitors(
        self, scores: NDArray[Any], labels: NDArray[Any], importance: NDArray[Any] | None = None
    ) -> dict[str, float]:
        """Mean loss of encoded labels, and the monitors that the loss's record names, in the user's unit.

        Only the loss depends on the importance of examples. A label of an unknown class is a miss for the accuracy. If
        there are such labels, "unknown_labels" is their number.
        """
        targets = self.targets
        mean_label = targets.mean_label(labels, importance)
        result = {"loss": targets.in_own_unit(self.loss(scores, labels, importance), mean_label)}
        result |= {name: MONITORS[name](scores, labels, targets.spread) for name in targets.record.monitors}
        unknown = int(np.count_nonzero(np.isnan(labels)))
        return {**result, "unknown_labels": unknown} if unknown else result


class Trained(NamedTuple):
    """Weights, intercept and number of steps of a trainer, from which another trainer can go on."""

    weights: weight_arrays.Weights
    intercept: weight_arrays.Weights
    steps: int


class _Way(NamedTuple):
    """How loops go over the features."""

    online: bool
    sweep: bool  # whether each batch steps all features
    exact: bool  # whether features are caught up with the steps that they missed
    counts: bool  # whether the number of steps that it has had is kept for each feature


def _way(settings: Settings, batch_size: int, lazy: str, dense: bool) -> _Way:
    moves = moves_unnamed(settings)
    sweep = (dense and batch_size > 1) or (lazy == "dense" and not dense and moves)
    exact = lazy == "exact" and not dense and moves
    return _Way(batch_size == 1 and not sweep, sweep, exact, exact and not places(settings.form))


def bytes_a_feature(
    outputs: int, settings: Settings, batch_size: int, lazy: str, dtype: DTypeLike, means: int = 0
) -> int:
    """The most bytes that a fit to sparse examples holds at a time for each feature, beside the examples.

    For a default model with one output they are `BYTES_A_FEATURE` of :mod:`fastadagrad.data.memory_at_hand`.

    Parameters
    ----------
    means : int
        How many means of weights are kept, in float64, where weights are averaged; else 0.
    """
    online, _, _, counts = _way(settings, batch_size, lazy, dense=False)
    number, each, size = np.dtype(dtype).itemsize, max(outputs, 1), np.dtype(np.float64).itemsize
    weights = number * each
    kept = weights  # a copy, the weights of the best epoch
    work = (0 if online else weights) + (4 if counts else 0)
    finished = size * each if outputs == 0 else size * (each + 1)  # weights of one output overwrite the sizes
    averaging = size * each * (means + 1) + weights if means else 0  # also that of the epoch, and the one of all
    return max(weights * (1 + len(settings.slots)) + work + kept + averaging, kept + finished)


class Trainer:
    """Weights, their slots and the loop that changes them, for one set of examples.

    Parameters
    ----------
    implicit : bool
        Whether steps are implicit, which takes a `batch_size` of 1.
    start : Trained, optional
        Weights to go on from, which are copied; None: the training begins.
    """

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
        implicit: bool = False,
        start: Trained | None = None,
    ) -> None:
        self.examples, self.targets, self.settings = examples, targets, settings
        self.batch_size, self.has_intercept = batch_size, intercept
        dense = is_dense(examples)
        self._way = _way(settings, batch_size, lazy, dense)
        online, _, exact, counts = self._way
        dtype = examples.values.dtype
        self._layout = "dense" if dense else "sparse"
        self.weights = make_weights(self._layout, features, targets.outputs, settings, dtype)
        self.intercept = make_weights("dense", 1, targets.outputs, settings, dtype)
        self._steps = 0
        if start is not None:
            _copy(self.weights, start.weights)
            _copy(self.intercept, start.intercept)
            self._steps = start.steps
        self._scalars = _Scalars(settings, intercept, dtype)
        self._longest = longest_row(examples)
        self._work = weight_arrays.make_work(self.weights, self._longest, online=online, exact=counts)
        self._loop = self._make_loop(
            form_for(settings),
            settings.motion,
            settings.lean,
            self._layout,
            bool(targets.outputs),
            exact,
            dtype,
            timed=settings.scheduled,
            intercept=intercept,
            weighed=importance_of(examples) is not None,
            implicit=implicit,
        )
        self._rows = self._rows_between_reports(features)
        self.seconds = 0.0  # spent in the loop
        self._compile()

    def _make_loop(self, *variant: Any, **options: Any) -> Any:
        """The compiled loop of one variant, as `passes.make_loops` takes it."""
        loops = passes.make_loops(*variant, **options)
        return loops.online if self._way.online else loops.batches

    def _compile(self) -> None:
        """Have the loop compiled, before its time is taken."""
        with compilation(self._loop, "the training loop"):
            self._call(np.arange(0))

    def feed(self, examples: Examples) -> None:
        """Go on with other examples, which have the layout, the dtype and the features of those before."""
        self.examples = examples
        if (longest := longest_row(examples)) > self._longest:
            online, _, _, counts = self._way
            self._longest = longest
            self._work = weight_arrays.make_work(self.weights, longest, online=online, exact=counts)
        self._rows = self._rows_between_reports(len(self.weights.p))

    def _rows_between_reports(self, features: int) -> int:
        """Rows of one call, in whole batches: enough that catching every feature up at its end takes little time."""
        n = len(self.examples.labels)
        values = max(CHUNK, 8 * features)
        rows = max(1, min(int(values * n / max(1, self.examples.values.size)), weight_arrays.MOST_STEPS))
        batches = -(-rows // self.batch_size)
        return self.batch_size * (min(batches, MOST_TIMED_STEPS) if self.settings.scheduled else batches)

    @property
    def trained(self) -> Trained:
        """The arrays themselves, and the number of steps."""
        return Trained(self.weights, self.intercept, self._steps)

    def epoch(self, order: NDArray[np.int64], report: Callable[[int], object] | None = None) -> float:
        """Train on the examples in this order; the mean loss of each before its update, in the encoded labels' unit."""
        return self.train(order, report) / self.weight_of(order)

    def weight_of(self, order: NDArray[np.int64]) -> float:
        """The sum of the importance of these visits."""
        importance = importance_of(self.examples)
        return len(order) if importance is None else float(importance[order].sum(dtype=np.float64))

    def train(self, order: NDArray[np.int64], report: Callable[[int], object] | None = None) -> float:
        """Train on the examples in this order; the sum of their losses, multiplied by their importance."""
        total = 0.0
        for start in range(0, len(order), self._rows):
            part = order[start : start + self._rows]
            before = time.perf_counter()
            total += self._call(part)
            self.seconds += time.perf_counter() - before
            if report is not None:
                report(len(part))
        return total

    def _call(self, order: NDArray[np.int64]) -> float:
        loss = self.targets.chosen
        how = (loss,) if self._way.online else (self.batch_size, self._way.sweep, loss)
        steps = -(-len(order) // self.batch_size)
        rates = self._scalars.of(self._steps, steps)
        self._steps += steps
        return float(self._loop(*how, self.examples, order, self.weights, self.intercept, rates, self._work))

    @property
    def stuck(self) -> int:
        """Number of weights that no gradient moves any more, as their sum of squared gradients is infinite."""
        squares = self.weights.slots[0] if trait(self.settings.form, "squares") else self.weights.p[:0]
        return sum(int(np.count_nonzero(np.isinf(squares[part]))) for part in parts_of(len(squares)))

    @property
    def parameters(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The weights and the intercept, not copied."""
        return self.weights.p, self.intercept.p


def longest_row(examples: Examples) -> int:
    """The number of features that the longest row of sparse examples has; 0 for dense examples."""
    return int(np.diff(examples.starts).max(initial=0)) if isinstance(examples, Sparse | WeighedSparse) else 0


def make_weights(layout: str, features: int, outputs: int, settings: Settings, dtype: Any) -> weight_arrays.Weights:
    """Weights of 0, with the slots with which a method begins."""
    weights = weight_arrays.make_weights(layout, features, outputs, len(settings.slots), dtype)
    begin_all(weights.slots, settings, weights.p)
    return weights


def _copy(weights: weight_arrays.Weights, source: weight_arrays.Weights) -> None:
    """Copy weights and slots from arrays that may have another layout."""
    for own, other in zip((weights.p, *weights.slots), (source.p, *source.slots), strict=True):
        own[...] = other


class _Scalars:
    """The scalars of the steps to come, as the loops take them; those of the intercept have no penalties."""

    def __init__(self, settings: Settings, intercept: bool, dtype: Any) -> None:
        self._settings, self._free, self._dtype = settings, unpenalised(settings) if intercept else settings, dtype
        features, of_intercept = (cast_scalars(each, 0, dtype) for each in (settings, self._free))
        self._rates = Rates(features, of_intercept, np.array(settings.scalars(0)))

    def of(self, first: int, count: int) -> Rates | RatesOfSteps:
        """The scalars of `count` steps from step `first`, counted from 0."""
        if not self._settings.scheduled:
            return self._rates
        before = max(first - 1, 0)
        features, of_intercept = self._rows(self._settings, before, first, count), None
        if self._free != self._settings:
            of_intercept = self._rows(self._free, before, first, count).astype(self._dtype)
        sums = sums_of_steps(self._settings, features[1:])
        exact, features = self._rates.exact, features.astype(self._dtype)
        return RatesOfSteps(features, features if of_intercept is None else of_intercept, exact, sums)

    @staticmethod
    def _rows(settings: Settings, before: int, first: int, count: int) -> NDArray[np.float64]:
        """Rows of scalars, that of the step before the first step in front; before step 0, the row of step 0."""
        steps = scalars_of_steps(settings, before, count + first - before)
        return steps if first else np.concatenate([scalars_of_steps(settings, 0, 1), steps])
