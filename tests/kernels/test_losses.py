"""Losses of linear models: each against its formula in many digits, or in words, compiled and as plain Python."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastadagrad as fa
from fastadagrad.engine.options import make_settings
from fastadagrad.kernels.jit import compiled
from fastadagrad.kernels.linear import losses, switch
from fastadagrad.kernels.linear.layouts import Dense
from fastadagrad.kernels.linear.losses import LOSSES, RECORDS
from fastadagrad.linear.targets import Targets
from fastadagrad.linear.training import Trainer

scores = st.floats(-800, 800)
ONE_SCORE = [loss.name for loss in RECORDS if loss.slope is not None]
LABELS = {  # some of each kind
    losses.TWO_CLASSES: (-1.0, 1.0),
    losses.NUMBERS: (-1.25, 1.0),
    losses.COUNTS: (0.0, 3.0),
}


@compiled
def call_chosen(chosen, score, label):
    slope, parts = switch.slope_of(chosen, score, label)
    return switch.value_of(chosen, parts), slope


def call(name, score, label, option=0.3):
    """Loss and slope, as a loop finds them by the number of the loss."""
    return call_chosen(switch.Chosen(LOSSES[name].number, option), score, label)


def interpreted(name, score, label, option=0.3):
    slope, parts = LOSSES[name].slope(score, label, *([option] if LOSSES[name].option else []))
    return LOSSES[name].value(parts), slope


@compiled
def call_softmax(scores, label, slopes):
    return switch.softmax(scores, label, slopes)


def test_records_are_told_apart():
    for field in ("name", "number"):
        assert len({getattr(loss, field) for loss in RECORDS}) == len(RECORDS)


@settings(derandomize=True, deadline=None)
@given(scores, st.sampled_from([-1.0, 1.0]))
def test_logistic(score, label):
    with localcontext() as context:
        context.prec = 400
        e = Decimal(-score * label).exp()
        expected, miss = (1 + e).ln(), e / (1 + e)
        slope = -Decimal(label) * (miss if miss >= losses.NEGLIGIBLE else 0)
    for value, derivative in (interpreted("logistic", score, label), call("logistic", score, label)):
        assert value == pytest.approx(float(expected), rel=1e-14, abs=1e-320)
        assert derivative == pytest.approx(float(slope), rel=1e-14, abs=1e-320)


@pytest.mark.parametrize("classes", [0, 3])
def test_what_cannot_move_a_weight_leaves_no_subnormal_number(classes):
    """The square of a small probability would be one, and processors are slow with them."""
    X = np.ones((1, 1), np.float32)
    chosen = Targets("softmax", np.arange(classes)) if classes else Targets("logistic", np.array([0, 1]))
    how = {"features": 1, "batch_size": 1, "lazy": "touched", "intercept": False}
    settings_of, _ = make_settings(fa.ADAGRAD.rule, {})
    for sure in range(20, 110, 3):
        trainer = Trainer(Dense(X, np.array([1], np.float32)), settings_of, targets=chosen, **how)
        trainer.weights.p[...] = [[0, sure, sure - 45]] if classes else sure
        trainer.epoch(np.arange(1))
        squares = trainer.weights.slots[0]
        assert np.all((squares == 0) | (squares >= np.finfo(np.float32).tiny))
        assert np.any(squares != 0) == (sure < 44 or (classes > 0 and sure == 0))


@settings(derandomize=True, deadline=None)
@given(scores, scores)
def test_squared(score, label):
    error = score - label
    assert call("squared", score, label) == interpreted("squared", score, label) == (error * error / 2, error)


@pytest.mark.parametrize(
    ("score", "label", "expected"),
    [(0.0, 1.0, (1.0, -1.0)), (2.0, 1.0, (0.0, 0.0)), (1.0, 1.0, (0.0, 0.0)), (0.5, -1.0, (1.5, 1.0))],
)
def test_hinge(score, label, expected):
    assert call("hinge", score, label) == interpreted("hinge", score, label) == expected


@pytest.mark.parametrize(
    ("score", "label", "expected"),
    [
        (1.0, 3.0, (0.25 * 2.0, -0.25)),
        (3.0, 1.0, (0.75 * 2.0, 0.75)),
        (-2.0, -2.0, (0.0, 0.0)),
    ],
)
def test_quantile(score, label, expected):
    assert call("quantile", score, label, 0.25) == interpreted("quantile", score, label, 0.25) == expected


@pytest.mark.parametrize(
    ("score", "label", "expected"),
    [(1.0, 3.0, (1.875, -1.5)), (4.0, 1.0, (3.375, 1.5)), (2.5, 1.0, (1.125, 1.5)), (2.0, 1.0, (0.5, 1.0))],
)
def test_huber(score, label, expected):
    assert call("huber", score, label, 1.5) == interpreted("huber", score, label, 1.5) == expected


@settings(derandomize=True, deadline=None)
@given(st.floats(-700, 700), st.floats(0, 1e6))
def test_poisson(score, label):
    with localcontext() as context:
        context.prec = 400
        mean = Decimal(score).exp()
        expected, slope = mean - Decimal(label) * Decimal(score), mean - Decimal(label)
        largest = float(mean + abs(Decimal(label) * Decimal(score)) + Decimal(label))  # of the terms, which may cancel
    for value, derivative in (interpreted("poisson", score, label), call("poisson", score, label)):
        assert value == pytest.approx(float(expected), rel=1e-14, abs=1e-15 * largest)
        assert derivative == pytest.approx(float(slope), rel=1e-14, abs=1e-15 * largest)


def test_an_exponential_beyond_float64_is_infinite():
    assert call("poisson", 710.0, 3.0) == (math.inf, math.inf)


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


@pytest.mark.parametrize("name", ONE_SCORE)
def test_slope_is_the_derivative(name):
    for score in (-3.1, -0.2, 0.4, 2.7):
        for label in LABELS[LOSSES[name].labels]:
            step = 1e-6
            rise = call(name, score + step, label)[0] - call(name, score - step, label)[0]
            assert call(name, score, label)[1] == pytest.approx(rise / (2 * step), abs=1e-7)


@pytest.mark.parametrize("name", ONE_SCORE)
def test_compiled_and_plain_losses_agree(name):
    for score in (-40.0, -1.0, 0.0, 0.3, 1.0, 7.5):
        for label in LABELS[LOSSES[name].labels]:
            for real in (np.float32, np.float64):
                assert call(name, real(score), real(label)) == interpreted(name, real(score), real(label))


def test_float32_scores_lose_nothing_more():
    score = np.float32(0.1)
    value, slope = call("logistic", score, np.float32(1))
    assert value == math.log1p(math.exp(-float(score)))
    assert isinstance(slope, float)


@pytest.mark.parametrize("name", ONE_SCORE)
def test_nan_is_not_hidden(name):
    assert math.isnan(call(name, math.nan, 1.0)[0])


def test_softmax_does_not_hide_nan():
    assert math.isnan(call_softmax(np.array([0.0, math.nan]), 0, np.empty(2)))
