"""Links: how the predictions of a linear model, labels or probabilities, follow from its scores."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels.linear import losses, scoring
from ..support.log import logger

Floats = NDArray[np.float64]


def _as_labels(centre: float, spread: float) -> tuple[float, float]:
    return spread, centre


class Link(NamedTuple):
    """How scores become predictions.

    A model may have been trained on (label - centre)/spread. `rescaled` gives the factor and the shift that turn its
    scores into scores of the labels themselves.
    """

    predicted: Callable[[Floats, Any], NDArray[Any]]  # (scores, classes) -> labels
    probabilities: Callable[[Floats], Floats] | None = None  # (n, classes)
    rescaled: Callable[[float, float], tuple[float, float]] = _as_labels  # (centre, spread)


def _class_by_sign(scores: Floats, classes: NDArray[Any]) -> NDArray[Any]:
    chosen: NDArray[Any] = classes[(scores > 0).astype(int)]
    return chosen


def _class_of_largest(scores: Floats, classes: NDArray[Any]) -> NDArray[Any]:
    chosen: NDArray[Any] = classes[scores.argmax(axis=1)]
    return chosen


def _score_itself(scores: Floats, classes: None) -> Floats:
    return scores


def _exponential(scores: Floats, classes: None) -> Floats:
    with np.errstate(over="ignore", under="ignore"):
        means: Floats = np.exp(scores)
    beyond = np.flatnonzero(np.isinf(means))
    if beyond.size:
        logger.warning(
            "%d of %d predictions are infinite: float64 cannot hold exp(%g), of the score in row %d",
            beyond.size,
            means.size,
            scores[beyond[0]],
            beyond[0],
        )
    return means


def _by_logarithm(centre: float, spread: float) -> tuple[float, float]:
    return 1.0, math.log(spread)


def _logistic_probabilities(scores: Floats) -> Floats:
    second, first = np.empty_like(scores), np.empty_like(scores)
    scoring.logistic_probabilities(scores, second)
    scoring.logistic_probabilities(-scores, first)  # 1 - second would lose the digits of small probabilities
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
    losses.LOG: Link(_exponential, rescaled=_by_logarithm),
}
