import numpy as np
import pytest

from fastadagrad.linear import LinearModel
from fastadagrad.linear_training import Scorer
from fastadagrad.targets import Targets, choose

Z = np.random.default_rng(0).normal(size=200)


@pytest.mark.parametrize("power", [-1070, -1000, -600, 0, 600, 1022])
def test_labels_of_any_size_are_standardised(power):
    """Powers of two, so that not even a last bit is another one, but where labels are subnormal."""
    z = np.round(np.clip(Z, -1.5, 1.5) * 8) / 8
    labels = np.ldexp(z, power)
    found, plain = (choose("squared", each).standardised(each) for each in (labels, z))
    assert found.centre == pytest.approx(np.ldexp(z.mean(), power), rel=1e-12, abs=5e-324)
    assert found.spread == pytest.approx(np.ldexp(z.std(), power), rel=1e-12, abs=5e-324)
    if power > -1000:
        np.testing.assert_array_equal(found.encode(labels, np.float64), plain.encode(z, np.float64))


@pytest.mark.parametrize("factor", [1e-300, 1e-160, 1e-80, 1e80, 1e155, 1e200, 1e307])
@pytest.mark.parametrize("scale", ["standard", "maxabs"])
def test_the_unit_of_labels_changes_nothing_but_the_unit(factor, scale):
    X, options = Z.reshape(-1, 2), {"scale": scale, "learning_rate": "auto", "max_epochs": 3, "validation": 0.25}
    y = X[:, 0] - 0.5 * X[:, 1] + 0.01 * X[:, 0] * X[:, 1]
    expected, found = (LinearModel("squared", **options).fit(X, y * unit) for unit in (1.0, factor))
    assert found.learning_rate_ == expected.learning_rate_
    assert (found.best_epoch, found.stopped_because) == (expected.best_epoch, expected.stopped_because)
    for entry, reference in zip(found.history, expected.history, strict=True):
        assert entry["valid_rmse"] == pytest.approx(reference["valid_rmse"] * factor, rel=1e-3, abs=0)
        assert entry["valid_r2"] == pytest.approx(reference["valid_r2"], rel=1e-6)
    monitors = found.evaluate(X, y * factor)
    assert monitors["r2"] == pytest.approx(expected.evaluate(X, y)["r2"], rel=1e-6)
    assert monitors["r2"] > 0.99
    loss = expected.evaluate(X, y)["loss"] * factor * factor  # infinite or 0 where float64 has no number for it
    assert monitors["loss"] == pytest.approx(loss, rel=1e-3)


def test_errors_of_scores_of_another_size_than_the_labels():
    monitors = Scorer(Targets("squared")).monitors
    found = monitors(np.array([1e200, -1e200]), np.array([1.0, 2.0]))
    assert (found["rmse"], found["r2"], found["loss"]) == (pytest.approx(1e200), -np.inf, np.inf)
    assert np.isnan(monitors(np.array([1.0, 2.0]), np.array([3.0, 3.0]))["r2"])
    assert monitors(np.array([1e-200, 3e-200]), np.array([1e-200, 2e-200]))["r2"] == pytest.approx(-1)


def test_labels_at_both_ends_of_float64():
    y = np.array([1.7e308, -1.7e308, 1.7e308, 1.7e308])
    found = choose("squared", y).standardised(y)
    assert found.centre == pytest.approx(0.85e308)
    np.testing.assert_allclose(found.encode(y, np.float64), (y / 1e308 - 0.85) / np.std(y / 1e308))


@pytest.mark.parametrize("value", [7.1, -0.1, 1e300])
def test_labels_that_are_all_the_same_are_only_centred(value):
    labels = np.full(1001, value)
    found = choose("squared", labels).standardised(labels)
    assert (found.centre, found.spread) == (value, 1.0)
    assert not found.encode(labels, np.float64).any()


def test_a_label_beyond_the_dtype_is_named():
    with pytest.raises(ValueError, match=r"y has 1e\+39 at row 1, which float32 cannot hold"):
        LinearModel("squared", scale="none").fit(Z[:3, None], [1.5, 1e39, 2.5])
