"""Problems that learn from samples: digits by a linear model and by a network."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.tables import CSR
from .problem import Task

Floats = NDArray[np.float32]
Batches = tuple[tuple[Any, ...], tuple[Any, ...]]
HELD_OUT = 0.2
HIDDEN = 32
OF_DIGITS: dict[str, Any] = {"score_name": "accuracy", "epochs": 20}  # what both tasks have in common


def split(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Positions of samples to train on and to validate on, always the same."""
    order = np.random.default_rng(0).permutation(n)
    held_out = round(n * HELD_OUT)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


@cache
def _digits() -> Batches:
    """scikit-learn's 1,797 digits of 8 x 8 pixels, from 0 to 1."""
    from ..data.loading import load

    table = load("digits")
    assert not isinstance(table.features, CSR)
    x, digit = table.features / np.float32(16), table.labels.astype(np.intp)
    train, valid = split(len(digit))
    return (x[train], digit[train]), (x[valid], digit[valid])


def cross_entropy(scores: Floats, target: NDArray[np.intp]) -> tuple[float, Floats]:
    """Mean negative log-likelihood of the softmax, and its gradient for the scores."""
    scores = scores - scores.max(axis=1, keepdims=True)
    weights = np.exp(scores)
    sums = weights.sum(axis=1)
    each = np.arange(len(target))
    value = np.mean(np.log(sums) - scores[each, target], dtype=np.float64)
    slope = weights / sums[:, None]
    slope[each, target] -= 1
    return float(value), slope / np.float32(len(target))


def accuracy(scores: Floats, target: NDArray[np.intp]) -> float:
    """The share of samples whose class has the highest score."""
    return float(np.mean(scores.argmax(axis=1) == target))


def softmax_accuracy(params: dict[str, Floats], x: Floats, digit: NDArray[np.intp]) -> float:
    """The accuracy of a linear model of the digits."""
    return accuracy(x @ params["weights"] + params["bias"], digit)


def softmax_loss(params: dict[str, Floats], x: Floats, digit: NDArray[np.intp]) -> tuple[float, dict[str, Floats]]:
    """Loss and gradients of a linear model of the digits."""
    value, slope = cross_entropy(x @ params["weights"] + params["bias"], digit)
    return value, {"weights": x.T @ slope, "bias": slope.sum(axis=0)}


def digits_softmax(seed: int) -> Task:
    """Softmax regression of the digits, which is convex."""
    train, valid = _digits()
    start = np.random.default_rng([seed, 0])
    params = {
        "weights": 0.01 * start.standard_normal((64, 10), np.float32),
        "bias": np.zeros(10, np.float32),
    }
    return Task(params=params, loss=softmax_loss, train=train, valid=valid, score=softmax_accuracy, **OF_DIGITS)


def network_loss(params: dict[str, Floats], x: Floats, digit: NDArray[np.intp]) -> tuple[float, dict[str, Floats]]:
    """Loss and gradients of a network with one hidden layer of tanh."""
    hidden = np.tanh(x @ params["hidden"] + params["hidden bias"])
    value, slope = cross_entropy(hidden @ params["output"] + params["output bias"], digit)
    inner = slope @ params["output"].T * (1 - hidden * hidden)
    gradients = {
        "hidden": x.T @ inner,
        "hidden bias": inner.sum(axis=0),
        "output": hidden.T @ slope,
        "output bias": slope.sum(axis=0),
    }
    return value, gradients


def network_accuracy(params: dict[str, Floats], x: Floats, digit: NDArray[np.intp]) -> float:
    """The accuracy of the network."""
    hidden = np.tanh(x @ params["hidden"] + params["hidden bias"])
    return accuracy(hidden @ params["output"] + params["output bias"], digit)


def digits_mlp(seed: int) -> Task:
    """A network for the digits, which begins at normal numbers scaled by the width of each layer's input."""
    train, valid = _digits()
    start = np.random.default_rng([seed, 0])
    params = {
        "hidden": start.standard_normal((64, HIDDEN), np.float32) / np.float32(8),
        "hidden bias": np.zeros(HIDDEN, np.float32),
        "output": start.standard_normal((HIDDEN, 10), np.float32) / np.float32(HIDDEN**0.5),
        "output bias": np.zeros(10, np.float32),
    }
    return Task(params=params, loss=network_loss, train=train, valid=valid, score=network_accuracy, **OF_DIGITS)
