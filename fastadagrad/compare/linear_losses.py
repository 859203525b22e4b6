"""Linear models of a file, or of a data set that scikit-learn ships, with any loss that `LinearModel` has."""

from __future__ import annotations

from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.tables import CSR
from ..kernels.jit import compiled
from ..kernels.linear.losses import CLASSES, LOSSES, NUMBERS, TWO_CLASSES
from ..kernels.linear.switch import slope_of, softmax, value_of
from ..linear.targets import Targets, choose
from ..support.extras import needed
from .models import accuracy, split
from .named_sources import Source, load_examples
from .problem import Task

Params = dict[str, NDArray[np.float32]]
AUTO = "auto"
LEAST_EXAMPLES = 10  # of a source, a fifth of which is held out
OPTIONS = {loss.option.name: loss.option.default for loss in LOSSES.values() if loss.option is not None}


@compiled  # type: ignore[untyped-decorator]
def sum_of_losses(loss: Any, scores: Any, labels: Any, slopes: Any) -> Any:
    """The sum of the losses of examples with one score each; fills `slopes` with the derivatives by the scores."""
    total = 0.0
    for n in range(scores.size):
        slopes[n], parts = slope_of(loss, scores[n], labels[n])
        total += value_of(loss, parts)
    return total


@compiled  # type: ignore[untyped-decorator]
def sum_of_softmax(scores: Any, labels: Any, slopes: Any) -> Any:
    """The sum of softmax's losses; fills `slopes` with the derivatives by the scores, a row for each example."""
    total = 0.0
    for n in range(len(scores)):
        total += softmax(scores[n], np.int64(labels[n]), slopes[n])
    return total


class Examples(NamedTuple):
    """What is known of a source: samples to train on and to validate on, each features and labels, and targets."""

    train: tuple[Any, NDArray[Any]]
    valid: tuple[Any, NDArray[Any]]
    targets: Targets


@cache
def examples(source: Source, identity: str, loss: str) -> Examples:
    """The examples of a source, split once for all; labels as the loss takes them, dense features standardised.

    Mean and standard deviation, of features and of labels that are numbers, are those of the samples to train on.
    Sparse features are left as they are. The result is kept for the next call; `identity`, which changes with the
    contents of a file, makes sure that it is not that of a file which has been written anew.
    """
    table = load_examples(source, np.float32)
    if len(table.labels) < LEAST_EXAMPLES:
        few = f"{source.path} has {len(table.labels)} examples; to hold some of them out takes {LEAST_EXAMPLES} or more"
        raise ValueError(few)
    train, valid = split(len(table.labels))
    try:
        targets = choose(loss, table.labels, OPTIONS).standardised(table.labels[train])
        labels = targets.encode(table.labels, np.float64)
    except ValueError as error:
        raise ValueError(f"{source.path}: {error}") from None
    x: Any = table.features
    if isinstance(x, CSR):
        csr_array = needed("scipy.sparse", "a file of examples").csr_array
        x = csr_array((x.data, x.indices, x.indptr), shape=x.shape)
    else:
        middle, spread = x[train].mean(axis=0, dtype=np.float64), x[train].std(axis=0, dtype=np.float64)
        x = ((x - middle) / np.where(spread > 0, spread, 1)).astype(np.float32)
    return Examples((x[train], labels[train]), (x[valid], labels[valid]), targets)


def linear_loss(targets: Targets, params: Params, x: Any, y: NDArray[np.float64]) -> tuple[float, Params]:
    """The mean loss of examples, and its gradients for the weights "w" and the intercepts "b"."""
    scores = x @ params["w"] + params["b"]
    slopes = np.empty(scores.shape, np.float64)
    value = sum_of_softmax(scores, y, slopes) if targets.outputs else sum_of_losses(targets.chosen, scores, y, slopes)
    slopes = (slopes / len(y)).astype(params["w"].dtype)
    return float(value) / len(y), {"w": x.T @ slopes, "b": slopes.sum(axis=0).reshape(params["b"].shape)}


def linear_score(targets: Targets, params: Params, x: Any, y: NDArray[np.float64]) -> float:
    """The accuracy of classes; of numbers the share of their variance that is explained."""
    scores = x @ params["w"] + params["b"]
    if targets.record.labels == CLASSES:
        return accuracy(scores, y.astype(np.intp))
    if targets.record.labels == TWO_CLASSES:
        return float(np.mean(np.where(scores > 0, 1.0, -1.0) == y))
    return float(1 - np.mean((scores - y) ** 2) / max(np.var(y), np.finfo(float).tiny))


def linear(source: Source, identity: str, loss: str, seed: int) -> Task:
    """A linear model as a task, a fifth of whose examples is held out; it is convex."""
    known = examples(source, identity, loss)
    targets, width = known.targets, known.train[0].shape[1]
    shape = (width, targets.outputs) if targets.outputs else (width,)
    start = np.random.default_rng([seed, 0])
    params = {"w": 0.01 * start.standard_normal(shape, np.float32), "b": np.zeros(targets.outputs or 1, np.float32)}
    scored: dict[str, Any] = {}
    if targets.record.labels in (CLASSES, TWO_CLASSES) or (targets.record.labels == NUMBERS and loss != "quantile"):
        name = "R2" if targets.record.labels == NUMBERS else "accuracy"
        scored = {"score": partial(linear_score, targets), "score_name": name}
    return Task(
        params=params,
        loss=partial(linear_loss, targets),
        train=known.train,
        valid=known.valid,
        batch_size=min(256, max(1, len(known.train[1]) // 32)),
        epochs=10,
        **scored,
    )
