"""The pieces of an element's step, and what formulas may call."""

import numpy as np
import pytest
from oracle import bits_differ

from fastadagrad.engine.options import cast_scalars, make_settings
from fastadagrad.kernels.element import make_element
from fastadagrad.kernels.jit import compiled
from fastadagrad.kernels.rules import sgd, soft_threshold

EDGES = [0.0, -0.0, 0.5, -0.5, 1.0, -3.0, 1e-45, -1e-45, 1e30, np.inf, -np.inf, np.nan]


def thresholded(x, threshold):
    """By NumPy: a result of 0 is +0."""
    size = np.abs(x) - threshold
    return np.where(size <= 0, np.zeros_like(x), np.copysign(size, x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_soft_threshold(dtype):
    assert make_element(sgd, "plain", False)  # whose module makes the compiler know the function

    @compiled
    def each(x, thresholds, out):
        for i in range(x.size):
            out[i] = soft_threshold(x[i], thresholds[i], thresholds.dtype.type(0))

    x, thresholds = (part.ravel() for part in np.meshgrid(np.array(EDGES, dtype), np.abs(np.array(EDGES, dtype))))
    with np.errstate(invalid="ignore"):
        expected, out = thresholded(x, thresholds), np.empty_like(x)
        each(x, thresholds, out)
        plain = np.array([soft_threshold(a, b, dtype(0)) for a, b in zip(x, thresholds, strict=True)], dtype)
    assert bits_differ(out, expected) == 0
    assert bits_differ(plain, expected) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_proximal_step_is_a_soft_threshold_divided(dtype):
    """Its formula is sign(q) * max(0, |q| - l1_step/H) / (1 + l2_step/H), with H = 1 for SGD."""
    step = make_element(sgd, "plain", False).step

    @compiled
    def each(p, s):
        for i in range(p.size):
            p[i], _ = step(p[i], s.zero, (), s)

    q, c = np.array(EDGES, dtype), dtype
    for l1, l2 in ((0, 0.25), (0.3, 0), (0.3, 0.25), (1e-45, 3)):
        settings, _ = make_settings(sgd, {"learning_rate": 1, "l1": l1, "l2": l2})
        p = q.copy()
        each(p, sgd.Scalars(*cast_scalars(settings, 0, np.dtype(dtype))))
        with np.errstate(invalid="ignore", under="ignore"):
            expected = thresholded(q, c(l1)) / (c(1) + c(l2))
        assert bits_differ(p, expected) == 0, (l1, l2)
