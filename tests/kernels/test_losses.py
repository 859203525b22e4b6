import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastadagrad.kernels.jit import compiled
from fastadagrad.kernels.linear import losses

scores = st.floats(-800, 800)


@compiled
def call(kind, score, label):
    slope, parts = losses.slope_of(kind, score, label)
    return losses.value_of(kind, parts), slope


interpreted = call.py_func


@compiled
def call_softmax(scores, label, slopes):
    return losses.softmax(scores, label, slopes)


@settings(derandomize=True, deadline=None)
@given(scores, st.sampled_from([-1.0, 1.0]))
def test_logistic(score, label):
    with localcontext() as context:
        context.prec = 400
        e = Decimal(-score * label).exp()
        expected, slope = (1 + e).ln(), -Decimal(label) * e / (1 + e)
    for value, derivative in (interpreted(losses.LOGISTIC, score, label), call(losses.LOGISTIC, score, label)):
        assert value == pytest.approx(float(expected), rel=1e-14, abs=1e-320)
        assert derivative == pytest.approx(float(slope), rel=1e-14, abs=1e-320)


@settings(derandomize=True, deadline=None)
@given(scores, scores)
def test_squared(score, label):
    error = score - label
    assert call(losses.SQUARED, score, label) == interpreted(losses.SQUARED, score, label) == (error * error / 2, error)


@pytest.mark.parametrize(
    ("score", "label", "expected"),
    [(0.0, 1.0, (1.0, -1.0)), (2.0, 1.0, (0.0, 0.0)), (1.0, 1.0, (0.0, 0.0)), (0.5, -1.0, (1.5, 1.0))],
)
def test_hinge(score, label, expected):
    assert call(losses.HINGE, score, label) == interpreted(losses.HINGE, score, label) == expected


@settings(derandomize=True, deadline=None)
@given(st.lists(scores, min_size=1, max_size=6), st.data())
def test_softmax(row, data):
    label = data.draw(st.integers(0, len(row) - 1))
    with localcontext() as context:
        context.prec = 60
        e = [Decimal(x).exp() for x in row]
        p = [x / sum(e) for x in e]
        expected = -p[label].ln()
    slopes = np.empty(len(row))
    value = call_softmax(np.array(row), label, slopes)
    assert value == pytest.approx(float(expected), rel=1e-13, abs=1e-13)
    for k, slope in enumerate(slopes):
        assert slope == pytest.approx(float(p[k]) - (k == label), rel=1e-13, abs=1e-13)
    assert losses.softmax(np.array(row), losses.NO_CLASS, slopes) == 0.0
    np.testing.assert_allclose(slopes, [float(x) for x in p], rtol=1e-13, atol=1e-320)


@pytest.mark.parametrize("kind", sorted(losses.POINTWISE.values()))
def test_slope_is_the_derivative(kind):
    for score in (-3.1, -0.2, 0.4, 2.7):
        for label in (-1.0, 1.0):
            step = 1e-6
            rise = call(kind, score + step, label)[0] - call(kind, score - step, label)[0]
            assert call(kind, score, label)[1] == pytest.approx(rise / (2 * step), abs=1e-8)


def test_float32_scores_lose_nothing_more():
    score = np.float32(0.1)
    value, slope = call(losses.LOGISTIC, score, np.float32(1))
    assert value == math.log1p(math.exp(-float(score)))
    assert isinstance(slope, float)


def test_nan_is_not_hidden():
    for kind in losses.POINTWISE.values():
        assert math.isnan(call(kind, math.nan, 1.0)[0])
    assert math.isnan(call_softmax(np.array([0.0, math.nan]), 0, np.empty(2)))
