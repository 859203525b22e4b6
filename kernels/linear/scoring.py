"""Scores of a linear model, and the losses and probabilities that follow from them."""

from __future__ import annotations

from functools import cache

import numpy as np

from ..jit import compiled, forceinlined
from ..memory.headers import borrowed
from .layouts import LAYOUTS, Layout
from .losses import NO_CLASS, logistic
from .switch import slope_of, softmax, value_of

slope_of_logistic = forceinlined(logistic)


def make_score(layout: Layout, real, classes: bool):
    """Compilable score of a row: a number, or one for each class, in the array `scores`."""
    span, value, column, dot, _ = layout

    @forceinlined
    def one_score(x, n, p, b, scores):
        return dot(x, n, p) + b[0]

    @forceinlined
    def many_scores(x, n, p, b, scores):
        scores[:] = real(0)
        start, stop = span(x, n)
        for t in range(start, stop):
            x_t, j = value(x, n, t), column(x, t)
            for k in range(scores.size):
                scores[k] += x_t * p[j, k]
        for k in range(scores.size):
            scores[k] += b[0, k]
        return scores

    return many_scores if classes else one_score


@cache
def make_score_all(layout: str, classes: bool, dtype: np.dtype):
    """Compiled ``score_all(examples, order, p, b, out)``: scores (examples,) or (examples, classes)."""
    real = dtype.type
    prefetch_row = LAYOUTS[layout].prefetch_row
    score = make_score(LAYOUTS[layout], real, classes)

    @compiled
    def score_all(examples, order, p, b, out):
        examples, order, p, b, out = borrowed((examples, order, p, b, out))
        for i in range(order.size):
            prefetch_row(examples, order, i)
            n = order[i]
            if classes:
                score(examples, n, p, b, out[n])
            else:
                out[n] = score(examples, n, p, b, out)

    return score_all


@compiled
def mean_loss(loss, scores, labels):
    total = 0.0
    for n in range(scores.size):
        total += value_of(loss, slope_of(loss, scores[n], labels[n])[1])
    return total / scores.size


@compiled
def weighed_loss(loss, scores, labels, importance):
    """Mean of the losses, each as often as its importance says."""
    total = 0.0
    for n in range(scores.size):
        total += importance[n] * value_of(loss, slope_of(loss, scores[n], labels[n])[1])
    return total / np.sum(importance)


@compiled
def weighed_softmax_loss(scores, labels, importance):
    total = 0.0
    slopes = np.empty(scores.shape[1])
    scores, labels, importance = borrowed((scores, labels, importance))
    for n in range(len(scores)):
        total += importance[n] * softmax(scores[n], np.int64(labels[n]), slopes)
    return total / np.sum(importance)


@compiled
def mean_softmax_loss(scores, labels):
    total = 0.0
    slopes = np.empty(scores.shape[1])
    scores, labels = borrowed((scores, labels))
    for n in range(len(scores)):
        total += softmax(scores[n], np.int64(labels[n]), slopes)
    return total / len(scores)


@compiled
def logistic_probabilities(scores, out):
    """Probability of the label 1: the slope of the loss that the label -1 would have."""
    for n in range(scores.size):
        out[n], _ = slope_of_logistic(scores[n], -1.0)


@compiled
def softmax_probabilities(scores, out):
    for n in range(len(scores)):
        softmax(scores[n], NO_CLASS, out[n])
