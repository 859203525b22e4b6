"""An epoch of a linear model in plain NumPy: what the compiled loops must equal, bit for bit, whatever the method."""

import functools
import itertools
import math
import operator

import family
import numpy as np
from oracle import Oracle

from fastadagrad.kernels.linear.layouts import LANES, Sparse

LEAST = 2.0**-63  # probability that is not 0 in a slope
LEVEL = 0.3  # of the quantile loss; where Huber's becomes linear


class Adagrad:
    """The oracle of ADAGRAD with the interface of the others."""

    def __init__(self, p, **hyper):
        self._hyper, self.p, self.slots = hyper, np.array(p), [np.zeros_like(p), np.zeros_like(p)]

    def step(self, g, rows=...):
        one = Oracle([self.p[rows]], **self._hyper)
        one.G, one.v = [self.slots[0][rows]], [self.slots[1][rows]]
        one.step([g])
        self.p[rows], self.slots[0][rows], self.slots[1][rows] = one.p[0], one.G[0], one.v[0]


def oracle_of(name, p, **hyper):
    return Adagrad(p, **hyper) if name == "ADAGRAD" else family.oracle_of(name, p, **hyper)


def to_sparse(X, labels):
    indices = [np.flatnonzero(row) for row in X]
    starts = np.cumsum([0, *map(len, indices)]).astype(np.uint64)
    values = np.concatenate([row[i] for row, i in zip(X, indices, strict=True)])
    return Sparse(values, np.concatenate(indices).astype(np.uint32), starts, labels)


def one_loss(kind, z, y):
    """Loss and slope, with y = -1 or 1 for two of them."""
    z, y = float(z), float(y)
    if kind == "squared":
        return 0.5 * (z - y) * (z - y), z - y
    if kind == "poisson":
        return math.exp(z) - y * z, math.exp(z) - y
    if kind == "quantile":
        return max(LEVEL * (y - z), (LEVEL - 1) * (y - z)), -LEVEL if z < y else 1 - LEVEL if z > y else 0.0
    if kind == "huber":
        error = z - y
        far = LEVEL * (abs(error) - 0.5 * LEVEL), math.copysign(LEVEL, error)
        return far if abs(error) > LEVEL else (0.5 * error * error, error)
    if kind == "hinge":
        return max(1 - z * y, 0.0), -y if z * y < 1 else 0.0
    e = math.exp(-abs(z * y))
    miss = e / (1 + e) if z * y >= 0 else 1 / (1 + e)
    return math.log1p(e) + max(-z * y, 0.0), -y * miss if miss >= LEAST else 0.0


def softmax_loss(z, y):
    top = float(max(z))
    e = [math.exp(float(x) - top) for x in z]
    total = 0.0
    for x in e:
        total += x
    slopes = np.array([x / total for x in e])
    slopes[int(y)] -= 1
    slopes[np.abs(slopes) < LEAST] = 0
    return math.log(total) + top - float(z[int(y)]), slopes


def lane_dot(x, w):
    lanes = np.zeros(LANES, x.dtype)
    for j in range(len(x)):
        lanes[j % LANES] += x[j] * w[j]
    half = LANES // 2
    while half:
        lanes[:half] += lanes[half : 2 * half]
        half //= 2
    return lanes[0]


def left_to_right_dot(x, w):
    total = np.zeros(w.shape[1:], w.dtype)
    for x_j, w_j in zip(x, w, strict=True):
        total = total + x_j * w_j
    return total


def epoch(
    X,
    labels,
    order,
    size,
    kind,
    classes,
    weights,
    intercept,
    step_features,
    step_intercept,
    dense_dot,
    touched_only=False,
    importance=None,
    shares=None,
):
    """Sum of the losses before each step, by batches of `size` examples.

    Parameters
    ----------
    weights, intercept : callable
        Give the arrays as they are then; or the arrays themselves, if steps change them in place.
    step_features : callable
        ``(g, chosen)``: a step of the weights that a mask chooses, `g` being the gradient of all.
    step_intercept : callable
        ``(g)``.
    dense_dot : bool
        Whether a score is summed as of dense rows.
    touched_only : bool
        Whether the weights are stepped that the examples of the batch have, and no others.
    importance : array, optional
        How much each example counts.
    shares : int, optional
        Into how many shares each batch is divided, whose sums are added up.
    """
    total = 0.0
    w_of, b_of = (each if callable(each) else (lambda each=each: each) for each in (weights, intercept))
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        bounds = [r * len(batch) // (shares or 1) for r in range((shares or 1) + 1)]
        losses, sums = [], (np.zeros_like(w_of()), np.zeros_like(b_of()), np.zeros(X.shape[1], bool))
        for first, last in itertools.pairwise(bounds):
            what = X, labels, batch[first:last], len(batch), kind, classes, w_of(), b_of(), dense_dot, importance
            of_share, *parts = _of_share(*what)
            losses.append(of_share)
            for array, part in zip(sums, parts, strict=True):
                array += part
        g, g_b, touched = sums
        step_features(g, touched if touched_only else np.ones(X.shape[1], bool))
        step_intercept(g_b)
        each = losses[0] if shares is None else [left_to_right([left_to_right(of_share) for of_share in losses])]
        total = left_to_right([total, *each])
    return total


def left_to_right(numbers):
    return functools.reduce(operator.add, numbers, 0.0)


def _of_share(X, labels, share, size, kind, classes, weights, intercept, dense_dot, importance):
    """Losses of some examples of a batch of `size`, their gradients, and the features that they have."""
    real, losses, g, g_b = X.dtype.type, [], np.zeros_like(weights), np.zeros_like(intercept)
    touched = np.zeros(X.shape[1], bool)
    for n in share:
        columns = np.arange(X.shape[1]) if dense_dot else np.flatnonzero(X[n])
        x, w = X[n, columns], weights[columns]
        z = (lane_dot(x, w) if dense_dot and not classes else left_to_right_dot(x, w)) + intercept[0]
        value, slope = softmax_loss(z, labels[n]) if classes else one_loss(kind, z, labels[n])
        slope = np.asarray(slope).astype(X.dtype) / real(size)
        if importance is not None:
            value, slope = float(importance[n]) * value, slope * importance[n]
        losses.append(value)
        g[columns] += x[:, None] * slope if classes else x * slope
        g_b[0] += slope
        touched[columns] = True
    return losses, g, g_b, touched
