"""Counts: what a Poisson regression finds, against scikit-learn's and the formulas, and where exponentials end."""

import numpy as np
import pytest

from fastadagrad.linear import LinearModel

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2000, 3))
COEF, INTERCEPT = np.array([0.5, -0.3, 0.0]), 1.0
COUNTS = RNG.poisson(np.exp(X @ COEF + INTERCEPT))


def fitted(y=COUNTS, **options):
    return LinearModel("poisson", **{"max_epochs": 30, "seed": 1, **options}).fit(X, y)


def test_finds_what_scikit_learn_finds():
    linear_model = pytest.importorskip("sklearn.linear_model")
    metrics = pytest.importorskip("sklearn.metrics")
    expected, model = linear_model.PoissonRegressor(alpha=0.0).fit(X, COUNTS), fitted()
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=0.03)
    assert model.intercept_ == pytest.approx(expected.intercept_, abs=0.03)
    found = model.evaluate(X, COUNTS)
    assert found["d2"] == pytest.approx(expected.score(X, COUNTS), abs=1e-3)
    assert found["deviance"] == pytest.approx(metrics.mean_poisson_deviance(COUNTS, model.predict(X)), rel=1e-12)
    assert found["d2"] == pytest.approx(metrics.d2_tweedie_score(COUNTS, model.predict(X), power=1), rel=1e-9)


def test_predictions_are_means():
    model = fitted()
    scores = model.decision_function(X)
    np.testing.assert_array_equal(model.predict(X), np.exp(scores))
    found = model.evaluate(X, COUNTS)
    assert found["loss"] == pytest.approx(np.mean(np.exp(scores) - COUNTS * scores), rel=1e-12)


@pytest.mark.parametrize("unit", [1e-200, 1e-9, 1.0, 1024.0, 1e200])
def test_the_unit_of_counts_changes_nothing_but_the_unit(unit):
    y = COUNTS * unit
    plain, other = fitted(validation=0.25), fitted(y, validation=0.25)
    np.testing.assert_allclose(other.coef_, plain.coef_, rtol=1e-4, atol=1e-5)
    assert other.intercept_ == pytest.approx(plain.intercept_ + np.log(unit), abs=1e-4)
    for entry, of_plain in zip(other.history, plain.history, strict=True):
        assert entry["valid_d2"] == pytest.approx(of_plain["valid_d2"], rel=1e-4)
        assert entry["valid_deviance"] == pytest.approx(of_plain["valid_deviance"] * unit, rel=1e-4)
    scores = other.decision_function(X)
    assert other.evaluate(X, y)["loss"] == pytest.approx(np.mean(np.exp(scores) - y * scores), rel=1e-9)


def test_the_progressive_loss_is_in_the_unit_of_the_counts():
    """Without steps it is that of the mean, which scores begin with, or of 1 where counts are left as they come."""
    mean = COUNTS.mean()
    assert fitted(learning_rate=0.0, max_epochs=1).history[0]["loss"] == pytest.approx(mean - mean * np.log(mean))
    assert fitted(learning_rate=0.0, max_epochs=1, scale="none").history[0]["loss"] == pytest.approx(1.0)


def test_counts_that_are_all_zero_or_all_the_same():
    none = fitted(np.zeros(2000), max_epochs=5)
    assert (none.predict(X) < 1).all()
    assert np.isnan(none.evaluate(X, np.zeros(2000))["d2"])
    same = fitted(np.full(2000, 7), max_epochs=5)
    np.testing.assert_allclose(same.predict(X), 7, rtol=0.02)


def test_an_infinite_prediction_is_told_of(caplog):
    model = fitted()
    far = X[:2] * [[1.0], [1e5]]
    model.coef_ = np.abs(model.coef_)
    predicted = model.predict(np.abs(far))
    assert np.isfinite(predicted[0])
    assert np.isinf(predicted[1])
    assert "1 of 2 predictions are infinite: float64 cannot hold exp(" in caplog.text
    assert "of the score in row 1" in caplog.text
    assert model.evaluate(np.abs(far), [1, 1])["loss"] == np.inf


def test_an_exponential_beyond_the_dtype_ends_the_fit(caplog):
    model = fitted(learning_rate=50.0, max_epochs=3, implicit=False)
    assert model.stopped_because == "non-finite loss"
    assert np.isfinite(model.coef_).all()
    assert "keeping the weights before it" in caplog.text
