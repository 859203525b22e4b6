"""Quantiles: the pinball loss against scikit-learn's, and what a model of each level finds."""

import numpy as np
import pytest

from fastadagrad.linear import LinearModel

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3000, 2))
Y = 50 + 10 * (X @ [2.0, -1.0]) + 10 * RNG.exponential(size=3000)


def fitted(level, y=Y, **options):
    return LinearModel("quantile", quantile=level, **{"max_epochs": 20, "seed": 1, **options}).fit(X, y)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_a_share_of_the_labels_is_below(level):
    model = fitted(level)
    found, predicted = model.evaluate(X, Y), model.predict(X)
    assert found["coverage"] == np.mean(predicted >= Y) == pytest.approx(level, abs=0.02)
    np.testing.assert_allclose(model.coef_, [20.0, -10.0], rtol=0.15)
    assert model.intercept_ == pytest.approx(50 - 10 * np.log(1 - level), rel=0.05)
    metrics = pytest.importorskip("sklearn.metrics")
    assert found["loss"] == pytest.approx(metrics.mean_pinball_loss(Y, predicted, alpha=level), rel=1e-12)


@pytest.mark.parametrize("unit", [1e-200, 2.0**-9, 1e200])
def test_the_unit_of_labels_changes_nothing_but_the_unit(unit):
    plain, other = fitted(0.75, validation=0.25), fitted(0.75, Y * unit, validation=0.25)
    np.testing.assert_allclose(other.coef_, plain.coef_ * unit, rtol=1e-3)
    for entry, of_plain in zip(other.history, plain.history, strict=True):
        assert entry["loss"] == pytest.approx(of_plain["loss"] * unit, rel=1e-3)
        assert entry["valid_loss"] == pytest.approx(of_plain["valid_loss"] * unit, rel=1e-3)


def test_a_file_without_the_level_is_damaged(tmp_path):
    from fastadagrad.support import array_file

    fitted(0.9, max_epochs=1).save(tmp_path / "model")
    header, arrays = array_file.read(tmp_path / "model", "linear model")
    del header["parameters"]["quantile"]
    array_file.write(tmp_path / "model", "linear model", header, arrays)
    with pytest.raises(ValueError, match="is a damaged fastadagrad linear model file: quantile is missing"):
        LinearModel.load(tmp_path / "model")
