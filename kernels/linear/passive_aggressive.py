"""Online passes of classifiers that choose each step themselves: passive-aggressive ones, and AROW.

Both step where the hinge loss max(0, 1 - y*z) of a score z = w . x is above 0, y being the label, -1 or 1. PA-I goes
as far as makes it 0, but at most C times the example; AROW keeps a variance v for each weight, which shrinks as its
feature is seen:

    PA-I   w <- w + min(C, loss / |x|^2) * y * x
    AROW   a  = 1 / (r + sum_j v_j * x_j^2)
           w <- w + loss * a * y * v * x
           v <- v - a * (v * x)^2

K. Crammer, O. Dekel, J. Keshet, S. Shalev-Shwartz, Y. Singer, "Online Passive-Aggressive Algorithms", JMLR 7 (2006).
K. Crammer, A. Kulesza, M. Dredze, "Adaptive Regularization of Weight Vectors", NIPS 2009; of the covariance, the
diagonal is kept.
"""

from __future__ import annotations

from functools import cache

from ..jit import compiled


@cache
def make_passive_aggressive():
    """Compilable (examples, order, C, weights) -> number of mistakes; a score of 0 is one."""

    @compiled
    def passive_aggressive(examples, order, most, weights):
        mistakes = 0
        for i in range(order.size):
            n = order[i]
            y, score, square = examples.labels[n], 0.0, 0.0
            for k in range(examples.starts[n], examples.starts[n + 1]):
                x = examples.values[k]
                score += x * weights[examples.columns[k]]
                square += x * x
            mistakes += score * y <= 0.0
            loss = 1.0 - score * y
            if loss > 0.0 and square > 0.0:
                step = min(most, loss / square) * y
                for k in range(examples.starts[n], examples.starts[n + 1]):
                    weights[examples.columns[k]] += step * examples.values[k]
        return mistakes

    return passive_aggressive


@cache
def make_arow():
    """Compilable (examples, order, r, weights, variances) -> number of mistakes; a score of 0 is one."""

    @compiled
    def arow(examples, order, r, weights, variances):
        mistakes = 0
        for i in range(order.size):
            n = order[i]
            y, score, confidence = examples.labels[n], 0.0, 0.0
            for k in range(examples.starts[n], examples.starts[n + 1]):
                j, x = examples.columns[k], examples.values[k]
                score += x * weights[j]
                confidence += x * x * variances[j]
            mistakes += score * y <= 0.0
            loss = 1.0 - score * y
            if loss > 0.0:
                a = 1.0 / (r + confidence)
                for k in range(examples.starts[n], examples.starts[n + 1]):
                    j = examples.columns[k]
                    seen = variances[j] * examples.values[k]
                    weights[j] += loss * a * y * seen
                    variances[j] -= a * seen * seen
        return mistakes

    return arow
