import numpy as np
import pytest
import scipy.sparse

from fastadagrad.linear import LinearModel, scaling


@pytest.mark.parametrize("n", [2, 200, 100_003])
@pytest.mark.parametrize("value", [7.1, -0.1, 1e-300, 1e9 / 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_column_becomes_zero(n, value, dtype):
    features = np.full((n, 1), value, dtype)
    found = scaling.measure("standard", features, centre=True)
    assert found.size.tolist() == [1]
    assert not found.apply(features, dtype).any()


@pytest.mark.parametrize("power", [-1000, -996, 0, 996, 1020])
@pytest.mark.parametrize("centre", [False, True])
def test_magnitudes_near_the_ends_of_float64(power, centre):
    features = np.random.default_rng(0).normal(size=(300, 3)) + 2
    expected = np.sqrt(np.mean((features - features.mean(axis=0) * centre) ** 2, axis=0))
    found = scaling.measure("standard", np.ldexp(features, power), centre)
    np.testing.assert_allclose(np.ldexp(found.size, -power), expected, rtol=1e-12)
    np.testing.assert_allclose(np.ldexp(found.shift, -power), features.mean(axis=0) * centre, rtol=1e-12)


@pytest.mark.parametrize("factor", [1e300, 1e-300])
@pytest.mark.parametrize("scale", ["standard", "maxabs"])
@pytest.mark.parametrize("intercept", [False, True])
def test_models_of_extreme_features(factor, scale, intercept):
    X = np.random.default_rng(0).normal(size=(300, 3))
    y = X[:, 0] > X[:, 1]
    model = LinearModel(scale=scale, intercept=intercept).fit(X * factor, y, valid=(X * factor, y))
    assert np.isfinite(model.coef_).all()
    assert model.evaluate(X * factor, y)["accuracy"] > 0.95


def test_weights_beyond_float64_are_refused():
    X = np.random.default_rng(0).normal(size=(300, 1))
    with pytest.raises(ValueError, match="X and y differ so much in size"):
        LinearModel("squared").fit(X * 1e-250, X[:, 0] * 1e100)


def test_the_least_variation_is_none_of_a_constant():
    features = np.full((200, 1), 7.1)
    features[::2] = np.nextafter(7.1, 8)
    assert 0 < scaling.measure("standard", features, centre=True).size[0] < 2 * np.spacing(7.1)


@pytest.mark.parametrize("n", [200, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_column_gets_no_weight(n, dtype):
    X = np.random.default_rng(0).normal(size=(n, 2))
    X[:, 1] = 7.1
    model = LinearModel(dtype=dtype, learning_rate=0.1).fit(X, X[:, 0] > 0)
    assert model.coef_[1] == 0
    assert 1 < model.coef_[0] < 100


def test_without_an_intercept_a_constant_column_is_kept():
    found = scaling.measure("standard", np.full((200, 1), 7.1), centre=False)
    assert found.shift.tolist() == [0]
    assert found.size == pytest.approx([7.1])


@pytest.mark.parametrize("kind", [np.int64, np.float64])
def test_features_far_from_zero_are_scaled_before_they_are_rounded(kind):
    z = np.random.default_rng(0).normal(size=400)
    X = (1.6e9 + 10 * z)[:, None].astype(kind)
    model = LinearModel().fit(X, z > 0)
    assert model.evaluate(X, z > 0)["accuracy"] > 0.95
    again = LinearModel().fit(X, z > 0, valid=(X, z > 0))
    assert again.history[again.best_epoch - 1]["valid_accuracy"] > 0.95


def test_what_the_dtype_cannot_hold_is_named_after_scaling_only():
    X, y = np.array([[1e200, 1.0], [-1e200, 2.0], [1e200, 3.0], [-1e200, 5.0]]), [0, 1, 0, 1]
    assert LinearModel(scale="maxabs").fit(X, y).predict(X).tolist() == y
    with pytest.raises(ValueError, match=r"X has inf at row 0, column 0 \(as float32\)"):
        LinearModel(scale="none").fit(X, y)


@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_array], ids=["dense", "sparse"])
def test_full_sparse_examples_train_as_dense_ones_do_validation_included(make):
    X = np.random.default_rng(0).normal(size=(100, 3))
    y, options = X[:, 0] > X[:, 1], {"max_epochs": 3}
    expected = LinearModel(**options).fit(X, y, valid=(X[:50], y[:50]))
    found = LinearModel(**options).fit(scipy.sparse.csr_array(X), y, valid=(make(X[:50]), y[:50]))
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    assert found.history == expected.history
