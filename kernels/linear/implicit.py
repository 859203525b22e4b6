"""Implicit updates: how far a step goes, so that no learning rate makes it overshoot.

An explicit step moves the score by the slope where it begins, and a large one goes far beyond the label. An implicit
step of N. Karampatziakis and J. Langford, "Online Importance Weight Aware Updates" (UAI 2011), is what becomes of many
small steps, each with the slope where it begins:

    dz/dt = -reach * slope(z)      from t = 0 to 1

Here the reach is by how much the score would move for each unit of slope: for ADAGRAD, the learning rate times the sum
of x*x/H over the example's features. The slope falls to 0 on the way, and the step ends before it. So an example of
importance 2 has the same effect as the example twice in a row, but for the accumulators, which the square of the first
slope enters.

Each function has the score, its label, the loss's slope there and the reach, and returns the share of the explicit
step that this amounts to, between 0 and 1. As gradients of all weights of an example are multiples of one slope, the
share of the score's move is the share of the learning rate. The functions are plain Python in float64.
"""

from __future__ import annotations

from math import exp, expm1, isinf, log, log1p

import numpy as np

# Larger margins and reaches are taken for these, so that no exponential overflows; the share is 0 or 1 by then.
LARGEST_MARGIN, LARGEST_REACH = 500.0, 1e80
SMALLEST = 2.0**-1022  # in the place of 0, of which there is no logarithm
NEWTON_STEPS, ACCURACY = 30, 1e-10  # at most so many steps, until one is below this share of the margin's move
# A step to a kink of the loss goes beyond it by this share. A step that ended at the kink would leave it to rounding on
# which side of the kink the example is when it comes next.
BEYOND = 1e-9


def of_decay(reach):
    """The share if the slope is proportional to the distance that is left."""
    return min(-expm1(-reach) / reach, 1.0) if reach > 0.0 else 1.0


def of_squared(score, label, slope, reach):
    return of_decay(reach)


def of_margin(margin, miss, reach):
    """The share for log(1 + exp(-margin)), whose slope is -miss.

    The margin moves by the d for which d + exp(margin) * (exp(d) - 1) = reach. The left side is convex, so that
    Newton's method comes down to d from any bound above it.
    """
    reach = min(reach, LARGEST_REACH)
    explicit = reach * miss
    if not explicit > 0.0 or margin > LARGEST_MARGIN:
        return 1.0
    odds = exp(max(margin, -LARGEST_MARGIN))
    d = min(explicit, log1p(reach / odds))
    for _ in range(NEWTON_STEPS):
        grown = odds * exp(d)
        down = (d + (grown - odds if d > 0.1 else odds * expm1(d)) - reach) / (1.0 + grown)
        d -= down
        if not down > ACCURACY * d:
            break
    return min(d / explicit, 1.0)


def of_logistic(score, label, slope, reach):
    return of_margin(np.float64(score) * np.float64(label), abs(slope), reach)


def of_softmax(probability, miss, ahead):
    """The share for the probability that a softmax gives to the label's class; `miss` is 1 less it, to full precision.

    `ahead` is the explicit step's move of the label's score, less the mean move of the other scores, weighed by their
    probabilities. The other classes are taken as one, whose score is the logarithm of the sum of their exponentials.
    That score falls more slowly than the tangent from which `ahead` is taken, so that the share is rather too small
    than too large.
    """
    if not (miss > 0.0 and probability > 0.0 and ahead > 0.0):
        return 1.0
    return of_margin(log(probability) - log(miss), miss, ahead / miss)


def of_hinge(score, label, slope, reach):
    gap = 1.0 - np.float64(score) * np.float64(label)
    return min((gap + BEYOND) / reach, 1.0) if gap > 0.0 and reach > 0.0 else 1.0


def of_poisson(score, label, slope, reach):
    """The score falls by the logarithm of exp(-label*reach) + exp(score) * (1 - exp(-label*reach)) / label.

    For a label of 0, that is the logarithm of 1 + exp(score) * reach.
    """
    if slope == 0.0 or isinf(slope) or not reach > 0.0:
        return 1.0
    explicit = reach * slope
    if explicit == 0.0:  # the product has underflowed
        return 1.0
    label, score = np.float64(label), np.float64(score)
    decayed = -expm1(-label * reach) / label if label > 0.0 else reach
    grown = decayed * slope  # what the logarithm is of, less 1
    if isinf(grown):
        return 0.0
    fallen = log1p(grown) if grown > -0.5 else log(max(exp(-label * reach) + decayed * exp(score), SMALLEST))
    return min(fallen / explicit, 1.0)


def of_pinball(score, label, slope, reach, level):
    error, explicit = abs(np.float64(label) - np.float64(score)), reach * abs(slope)
    error += BEYOND * (abs(np.float64(label)) + error)
    return error / explicit if error < explicit else 1.0


def of_huber(score, label, slope, reach, delta):
    """The score moves at a constant speed until the error is delta, and from there on as under the squared loss."""
    beyond = abs(np.float64(score) - np.float64(label)) - delta
    if beyond <= 0.0:
        return of_decay(reach)
    explicit = reach * delta
    if explicit <= beyond:
        return 1.0
    return (beyond - delta * expm1(beyond / delta - reach)) / explicit
