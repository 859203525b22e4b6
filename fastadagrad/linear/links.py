"""What a linear model predicts from its scores: labels, and probabilities where its loss gives any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels.linear import losses, scoring

Floats = NDArray[np.float64]


class Link(NamedTuple):
    """How scores become predictions."""

    predicted: Callable[[Floats, Any], NDArray[Any]]  # (scores, classes) -> labels
    probabilities: Callable[[Floats], Floats] | None = None  # (n, classes)


def _class_by_sign(scores: Floats, classes: NDArray[Any]) -> NDArray[Any]:
    chosen: NDArray[Any] = classes[(scores > 0).astype(int)]
    return chosen


def _class_of_largest(scores: Floats, classes: NDArray[Any]) -> NDArray[Any]:
    chosen: NDArray[Any] = classes[scores.argmax(axis=1)]
    return chosen


def _score_itself(scores: Floats, classes: None) -> Floats:
    return scores


def _logistic_probabilities(scores: Floats) -> Floats:
    second, first = np.empty_like(scores), np.empty_like(scores)
    scoring.logistic_probabilities(scores, second)
    scoring.logistic_probabilities(-scores, first)  # not 1 - second, which would lose small ones
    return np.stack([first, second], axis=1)


def _softmax_probabilities(scores: Floats) -> Floats:
    out = np.empty_like(scores)
    scoring.softmax_probabilities(scores, out)
    return out


LINKS = {
    losses.SIGN: Link(_class_by_sign),
    losses.LOGIT: Link(_class_by_sign, _logistic_probabilities),
    losses.SOFTMAX: Link(_class_of_largest, _softmax_probabilities),
    losses.IDENTITY: Link(_score_itself),
}
