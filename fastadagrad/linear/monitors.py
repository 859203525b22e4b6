"""Monitors of a linear model: numbers reported of scores beside their mean loss. Each loss's record names its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .scaling import exponents_of

Floats = NDArray[np.float64]


def accuracy(scores: NDArray[Any], labels: NDArray[Any], spread: float) -> float:
    """Share of examples whose label is the likeliest class; a label of an unknown class, NaN, is a miss."""
    guess = scores.argmax(axis=1) if scores.ndim == 2 else np.where(scores > 0, 1, -1)
    return float(np.mean(guess == labels))


def rmse(scores: NDArray[Any], labels: NDArray[Any], spread: float) -> float:
    """Root of the mean squared error, in the unit of labels that have been divided by their spread."""
    return _errors(scores.astype(np.float64), labels.astype(np.float64))[0] * spread


def r2(scores: NDArray[Any], labels: NDArray[Any], spread: float) -> float:
    """Coefficient of determination."""
    return _errors(scores.astype(np.float64), labels.astype(np.float64))[1]


def mae(scores: NDArray[Any], labels: NDArray[Any], spread: float) -> float:
    """Mean absolute error, in the unit of labels that have been divided by their spread."""
    scores, labels = scores.astype(np.float64), labels.astype(np.float64)
    exponent = max(exponents_of(np.abs(labels).max()), exponents_of(np.abs(scores).max()))
    errors = np.abs(np.ldexp(scores, -exponent) - np.ldexp(labels, -exponent))
    with np.errstate(over="ignore", under="ignore"):  # what is beyond float64 is infinite
        return float(np.ldexp(errors.mean(), exponent) * spread)


def _errors(scores: Floats, labels: Floats) -> tuple[float, float]:
    """Root of the mean squared error, and the coefficient of determination, of numbers of any size."""
    of_labels = exponents_of(np.abs(labels).max())
    exponent = max(of_labels, exponents_of(np.abs(scores).max()))
    errors = np.ldexp(scores, -exponent) - np.ldexp(labels, -exponent)
    labels = np.ldexp(labels, -of_labels)
    missed, total = float(np.sum(np.square(errors))), float(np.sum(np.square(labels - labels.mean())))
    with np.errstate(over="ignore", under="ignore"):  # what is beyond float64 is infinite
        rmse = float(np.ldexp(np.sqrt(missed / len(labels)), exponent))
        if not total > 0:
            return rmse, float("nan")
        return rmse, 1 - float(np.ldexp(missed / total, 2 * (exponent - of_labels)))


def deviance(scores: NDArray[Any], labels: NDArray[Any], spread: float) -> float:
    """Mean Poisson deviance of counts that have been divided by their spread, in their own unit."""
    return _deviance(scores.astype(np.float64), labels.astype(np.float64)) * spread


def d2(scores: NDArray[Any], labels: NDArray[Any], spread: float) -> float:
    """Share of the Poisson deviance that scores explain: 0 for scores that all predict the mean, 1 for perfect ones."""
    counts = labels.astype(np.float64)
    with np.errstate(divide="ignore"):
        total = _deviance(np.log(np.full(counts.shape, counts.mean())), counts)
    return 1 - _deviance(scores.astype(np.float64), counts) / total if total > 0 else float("nan")


def _deviance(scores: Floats, counts: Floats) -> float:
    """Twice the Poisson loss's excess over that of perfect scores, for means exp(scores); 0*log(0) is 0."""
    some = counts > 0
    with np.errstate(over="ignore", under="ignore"):  # what is beyond float64 is infinite
        excess = np.exp(scores) - counts
        excess[some] += counts[some] * (np.log(counts[some]) - scores[some])
        return float(2 * np.mean(excess))


def coverage(scores: NDArray[Any], labels: NDArray[Any], spread: float) -> float:
    """Share of labels that are not above the scores; for a well predicted quantile it is about the quantile's level."""
    return float(np.mean(labels <= scores))


MONITORS: dict[str, Callable[[NDArray[Any], NDArray[Any], float], float]] = {
    "accuracy": accuracy,
    "rmse": rmse,
    "mae": mae,
    "r2": r2,
    "deviance": deviance,
    "d2": d2,
    "coverage": coverage,
}
