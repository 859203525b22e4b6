"""Losses of a linear model: one record says all of each loss.

All code that treats losses reads these records: the compiled loops, labels, predictions, monitors, files, figures and
the command line. A new loss is one record more; where it needs a kind of labels, a link or a monitor that no other loss
has, tests/linear/test_every_loss.py says so.

A loss of one score is two functions of plain Python. `slope` gives the derivative by the score, and two numbers (parts)
of which `value` makes the loss. They are apart because a step waits for the slope, but not for work that only the loss
itself needs. `softmax` has a score and a slope for each class. `share` says how far an implicit step goes. All
arithmetic is float64, whatever the weights are: next to the update of the weights one exponential costs little, and the
reported losses do not lose digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import exp, log, log1p
from typing import Any, NamedTuple

import numpy as np

from . import implicit

# Kinds of labels, as the functions below take them.
TWO_CLASSES = "two classes"  # -1 and +1
CLASSES = "classes"  # positions of the classes, from 0; there is a score for each class
NUMBERS = "numbers"
COUNTS = "counts"  # numbers of at least 0

# Links: how a prediction follows from a score. See `fastadagrad.linear.links`.
SIGN = "sign"
LOGIT = "logit"
SOFTMAX = "softmax"
IDENTITY = "identity"
LOG = "log"

NO_CLASS = -1

# A slope takes a probability below this for 0. The step that it would make is far below the last digit of weights that
# make a probability so small, and its square would be a subnormal float32, with which processors are slow.
NEGLIGIBLE = 2.0**-63


def first_part(parts):
    """The first of the two parts that a slope gives; it alone is the value of most losses."""
    return parts[0]


class Option(NamedTuple):
    """A number that a loss depends on, and that lies between two bounds and equals neither."""

    name: str  # of the keyword of a model
    default: float
    above: float
    below: float
    meaning: str
    has_unit: bool = False  # whether it is in the unit of the labels, so that it is divided by their spread


def as_it_is(loss, mean_label, spread):
    """The loss of labels that have no unit."""
    return loss


class Loss(NamedTuple):
    """All that is known of one loss.

    Labels that are numbers are divided by their `spread` before a model is trained on them. `in_unit` converts the mean
    loss of such labels to the unit of the labels as given. It takes this loss, the mean of the divided labels, and the
    spread.
    """

    name: str
    number: int  # by which compiled loops know it
    labels: str  # kind of labels
    link: str  # what predictions make of scores
    unit: str  # said of it on the axis of a figure
    monitors: tuple[str, ...]  # beside the loss itself, by their names in `fastadagrad.linear.monitors`
    slope: Callable[..., Any] | None = None  # (score, label[, option]) -> slope, parts; None: a score for each class
    share: Callable[..., Any] | None = None  # (score, label, slope, reach[, option]) -> see kernels/linear/implicit.py
    value: Callable[..., Any] = first_part  # (parts) -> loss
    in_unit: Callable[[float, float, float], float] = as_it_is
    option: Option | None = None


def unless_negligible(probability):
    """A probability, or that of a label less 1; 0 in its place if it is negligible."""
    return probability if abs(probability) >= NEGLIGIBLE else 0.0


def logistic(score, label):
    """log(1 + exp(-margin)), that is max(-margin, 0) and, for the value, log1p of exp(-abs(margin))."""
    margin = np.float64(score) * np.float64(label)
    e = exp(-abs(margin))
    miss = unless_negligible(e / (1.0 + e) if margin >= 0.0 else 1.0 / (1.0 + e))
    return -np.float64(label) * miss, (max(-margin, 0.0), e)


def logistic_value(parts):
    return log1p(parts[1]) + parts[0]


def squared(score, label):
    """Half the squared error."""
    error = np.float64(score) - np.float64(label)
    return error, (0.5 * error * error, 0.0)


def squared_in_unit(loss, mean_label, spread):
    """The loss is multiplied by the spread twice: the square of the spread may overflow where the result does not."""
    return loss * spread * spread


def hinge(score, label):
    """max(0, 1 - margin), with slope 0 on the kink."""
    gap = 1.0 - np.float64(score) * np.float64(label)
    return -np.float64(label) if gap > 0.0 else 0.0, (max(gap, 0.0), 0.0)


def poisson(score, label):
    """exp(score) - label*score: -log of the probability of the label under the mean exp(score), without log(label!).

    Beyond float64 the exponential, and so the loss and its slope, are infinite.
    """
    mean = exp(np.float64(score))
    return mean - np.float64(label), (mean - np.float64(label) * np.float64(score), 0.0)


def poisson_in_unit(loss, mean_label, spread):
    """Scores for the labels as given are larger by log(spread) than those for the divided labels."""
    return spread * (loss - mean_label * log(spread))


def pinball(score, label, level):
    """level*error of a label above the score, (1 - level)*error below; the slope is 0 on the kink."""
    above = np.float64(label) - np.float64(score)
    slope = -level if above > 0.0 else (1.0 - level if above < 0.0 else 0.0)
    return slope, (max(level * above, (level - 1.0) * above), 0.0)


def pinball_in_unit(loss, mean_label, spread):
    return loss * spread


def huber(score, label, delta):
    """Half the squared error up to an error of delta; beyond, the loss is linear with the slope at delta."""
    error = np.float64(score) - np.float64(label)
    size = abs(error)
    if size <= delta:
        return error, (0.5 * error * error, 0.0)
    return (delta if error > 0.0 else -delta), (delta * (size - 0.5 * delta), 0.0)


def softmax(scores, label, slopes):
    """-log of the probability of class `label`; fills `slopes`, with the probabilities if the label is NO_CLASS."""
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


QUANTILE = Option("quantile", 0.5, 0.0, 1.0, "share of the labels that are to be below the prediction")
DELTA = Option("delta", 1.0, 0.0, math.inf, "error, in the unit of the labels, from which on a loss is linear", True)
RECORDS = (
    Loss("logistic", 0, TWO_CLASSES, LOGIT, "nats", ("accuracy",), logistic, implicit.of_logistic, logistic_value),
    Loss(
        "squared",
        1,
        NUMBERS,
        IDENTITY,
        "half the squared error",
        ("rmse", "r2"),
        squared,
        implicit.of_squared,
        in_unit=squared_in_unit,
    ),
    Loss("hinge", 2, TWO_CLASSES, SIGN, "", ("accuracy",), hinge, implicit.of_hinge),
    Loss("softmax", 3, CLASSES, SOFTMAX, "nats", ("accuracy",)),
    Loss(
        "poisson",
        4,
        COUNTS,
        LOG,
        "nats, without log(y!)",
        ("deviance", "d2"),
        poisson,
        implicit.of_poisson,
        in_unit=poisson_in_unit,
    ),
    Loss(
        "quantile",
        5,
        NUMBERS,
        IDENTITY,
        "in the unit of the labels",
        ("coverage",),
        pinball,
        implicit.of_pinball,
        in_unit=pinball_in_unit,
        option=QUANTILE,
    ),
    Loss(
        "huber",
        6,
        NUMBERS,
        IDENTITY,
        "half the squared error, linear from delta on",
        ("r2", "mae"),
        huber,
        implicit.of_huber,
        in_unit=squared_in_unit,
        option=DELTA,
    ),
)
LOSSES = {loss.name: loss for loss in RECORDS}
OPTIONS = {loss.option.name: (loss.name, loss.option) for loss in RECORDS if loss.option is not None}
