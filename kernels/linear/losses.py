"""Losses of a linear model's scores: value and slope, each formula once.

The losses of one score have its derivative as slope, and two parts from which `value_of` makes the value: a step
waits for the slope, so what costs time and only the value needs is for later. `softmax` has one slope for each class.
All of it is float64, whatever the weights are: next to the update of the weights one exponential costs little, and
the reported losses do not lose digits. Labels of the logistic and hinge losses are -1 and +1.
"""

from __future__ import annotations

from math import exp, log, log1p

import numpy as np

from ..jit import forceinlined

LOGISTIC, SQUARED, HINGE = range(3)
POINTWISE = {"logistic": LOGISTIC, "squared": SQUARED, "hinge": HINGE}
NO_CLASS = -1


@forceinlined
def logistic(score, label):
    """log(1 + exp(-margin)), that is max(-margin, 0) and, for `value_of`, log1p of exp(-abs(margin))."""
    margin = np.float64(score) * np.float64(label)
    e = exp(-abs(margin))
    miss = e / (1.0 + e) if margin >= 0.0 else 1.0 / (1.0 + e)
    return -np.float64(label) * miss, (max(-margin, 0.0), e)


@forceinlined
def squared(score, label):
    """Half the squared error."""
    error = np.float64(score) - np.float64(label)
    return error, (0.5 * error * error, 0.0)


@forceinlined
def hinge(score, label):
    """max(0, 1 - margin), with slope 0 on the kink."""
    gap = 1.0 - np.float64(score) * np.float64(label)
    return -np.float64(label) if gap > 0.0 else 0.0, (max(gap, 0.0), 0.0)


@forceinlined
def slope_of(kind, score, label):
    """Slope of the loss number `kind`, and parts of its value: a switch at run time, which is never mispredicted."""
    if kind == LOGISTIC:
        return logistic(score, label)
    if kind == SQUARED:
        return squared(score, label)
    return hinge(score, label)


@forceinlined
def value_of(kind, parts):
    """Value of a loss, from what `slope_of` has left of it."""
    return log1p(parts[1]) + parts[0] if kind == LOGISTIC else parts[0]


@forceinlined
def softmax(scores, label, slopes):
    """-log of the probability of class `label`; fills `slopes`, with NO_CLASS as label by the probabilities."""
    top = np.float64(scores[0])
    for k in range(1, scores.size):
        top = max(top, np.float64(scores[k]))
    total = 0.0
    for k in range(scores.size):
        slopes[k] = exp(np.float64(scores[k]) - top)
        total += slopes[k]
    for k in range(scores.size):
        slopes[k] /= total
    if label == NO_CLASS:
        return 0.0
    slopes[label] -= 1.0
    return log(total) + top - np.float64(scores[label])
