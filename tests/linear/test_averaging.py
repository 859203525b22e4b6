import pickle

import numpy as np
import pytest
import scipy.sparse

from fastadagrad.linear import LinearModel, averaging
from fastadagrad.linear.averaging import POINTS

RNG = np.random.default_rng(5)
X = RNG.normal(size=(POINTS * 4, 5))
Y = X @ [1.0, -2.0, 0.5, 0.0, 1.0] + RNG.normal(size=len(X))
PLAIN = {"scale": "none", "shuffle": False, "dtype": np.float64, "patience": 10**6, "learning_rate": 0.1}


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch):
    """Weights are taken as often in an epoch of these few examples as in one of many."""
    monkeypatch.setattr(averaging, "STRETCH", 1)


def iterates(epochs, make=np.asarray, **options):
    """Weights at each point of each epoch, (epochs, points, features)."""
    model, found = LinearModel("squared", **PLAIN, **options), []
    for _ in range(epochs):
        for rows in np.split(np.arange(len(X)), POINTS):
            found.append(model.partial_fit(make(X)[rows], Y[rows]).coef_)
    return np.reshape(found, (epochs, POINTS, 5))


@pytest.mark.parametrize("options", [{}, {"momentum": 0.5, "l2": 0.0}, {"batch_size": 2}, {"l1": 0.01}], ids=str)
@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_array], ids=["dense", "sparse"])
def test_the_mean_of_all(make, options):
    model = LinearModel("squared", average=True, max_epochs=3, **PLAIN, **options).fit(make(X), Y)
    np.testing.assert_allclose(model.coef_, iterates(3, make, **options).mean(axis=(0, 1)), rtol=1e-10)


@pytest.mark.parametrize("last", [1, 2, 5])
def test_the_mean_of_the_last_epochs(last):
    model = LinearModel("squared", average=last, max_epochs=4, **PLAIN).fit(X, Y)
    np.testing.assert_allclose(model.coef_, iterates(4)[-last:].mean(axis=(0, 1)), rtol=1e-10)


@pytest.mark.parametrize("options", [{}, {"batch_size": 2}, {"implicit": False}], ids=str)
def test_the_mean_that_later_epochs_dominate(options):
    """Of epoch n it has the share (late + 1) / (late + n), whose products with those left by later ones sum to 1."""
    model = LinearModel("squared", max_epochs=6, **PLAIN, **options).fit(X, Y)
    means = iterates(6, **options).mean(axis=1)
    expected, late = means[0], averaging.LATE
    for n, mean in enumerate(means[1:], 2):
        expected = expected + (mean - expected) * (late + 1) / (late + n)
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-10)
    assert not np.allclose(model.coef_, means.mean(axis=0), rtol=1e-3)


@pytest.mark.parametrize("options", [{"l1": 0.01}, {"method": "sgd"}], ids=str)
def test_where_nothing_is_averaged_by_default(options):
    """Means are seldom 0, as l1 makes weights."""
    options = {**PLAIN, "max_epochs": 3, **options}
    default, last, mean = (LinearModel("squared", average=each, **options).fit(X, Y) for each in ("auto", False, True))
    np.testing.assert_array_equal(default.coef_, last.coef_)
    assert not np.array_equal(default.coef_, mean.coef_)


def test_few_examples_of_many_features_are_averaged_less_often(monkeypatch):
    """As that takes a pass over all features: a stretch has as many visits as it says, at least."""
    monkeypatch.setattr(averaging, "STRETCH", len(X) // 2)
    model = LinearModel("squared", average=True, max_epochs=1, **PLAIN).fit(X, Y)
    halves = iterates(1)[0, [POINTS // 2 - 1, -1]]
    np.testing.assert_allclose(model.coef_, halves.mean(axis=0), rtol=1e-10)


@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_array], ids=["dense", "sparse"])
def test_the_mean_goes_on_from_call_to_call(make):
    """Of single examples it is the mean of all weights that there have been."""
    plain, averaged, found = LinearModel("squared", **PLAIN), LinearModel("squared", average=True, **PLAIN), []
    for row in range(len(X)):
        found.append(plain.partial_fit(make(X)[row : row + 1], Y[row : row + 1]).coef_)
        averaged = pickle.loads(pickle.dumps(averaged))
        averaged.partial_fit(make(X)[row : row + 1], Y[row : row + 1])
        np.testing.assert_allclose(averaged.coef_, np.mean(found, axis=0), rtol=1e-10)


def test_parts_count_by_their_examples():
    sizes = [1, 30, 5, 28]
    parts = np.split(np.arange(64), np.cumsum(sizes)[:-1])

    def means(average):
        model = LinearModel("squared", average=average, **PLAIN)
        return [model.partial_fit(X[rows], Y[rows]).coef_ for rows in parts]

    each = means(1)  # the mean of one call
    np.testing.assert_allclose(means(True)[-1], np.average(each, axis=0, weights=sizes), rtol=1e-10)
    np.testing.assert_allclose(means(2)[-1], np.average(each[-2:], axis=0, weights=sizes[-2:]), rtol=1e-10)
    assert not np.allclose(means(2)[-1], np.mean(each[-2:], axis=0), rtol=1e-3)


@pytest.mark.parametrize("average", [True, 1, 3, 4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_warm_starts_are_epochs_of_one_average(average, dtype):
    options = PLAIN | {"average": average, "dtype": dtype}
    whole = LinearModel("squared", max_epochs=6, **options).fit(X, Y)
    warm = LinearModel("squared", max_epochs=2, warm_start=True, **options)
    for _ in range(3):
        warm.fit(X, Y)
    np.testing.assert_array_equal(warm.coef_, whole.coef_)
    np.testing.assert_array_equal(warm.intercept_, whole.intercept_)


@pytest.mark.parametrize("average", [True, 3])
def test_where_an_earlier_mean_was_the_best_it_goes_on_from_that(average):
    """One more example that counts for nothing does not change it."""
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(80, 3)), rng.normal(size=80)
    options = {"warm_start": True, "dtype": np.float64, "validation": 0.25, "learning_rate": 2.0}
    model = LinearModel("squared", average=average, **options).fit(x, noise)
    assert 0 < model.best_epoch < len(model.history)
    kept = model.coef_.copy()
    model.partial_fit(x[:1], noise[:1], sample_weight=[1e-12])
    np.testing.assert_allclose(model.coef_, kept, rtol=1e-6)


def test_validation_judges_the_mean():
    valid = X[:20] + 0.1, Y[:20]
    model = LinearModel("squared", average=True, max_epochs=3, **PLAIN).fit(X, Y, valid=valid)
    best = model.history[model.best_epoch - 1]
    assert model.evaluate(*valid)["loss"] == pytest.approx(best["valid_loss"], rel=1e-10)


def test_it_is_steadier_than_the_last():
    """Of a noisy line, over twenty seeds."""
    errors = {}
    for average in (False, True, 3):
        found = []
        for seed in range(20):
            rng = np.random.default_rng(seed)
            x = rng.normal(size=(400, 3))
            y = x @ [1.0, 2.0, 3.0] + 3 * rng.normal(size=400)
            best = np.linalg.lstsq(x, y, rcond=None)[0]
            options = {"intercept": False, "learning_rate": 1.0, "seed": seed, "max_epochs": 10}
            model = LinearModel("squared", average=average, patience=10**6, **options).fit(x, y)
            found.append(np.square(model.coef_ - best).sum())
        errors[average] = np.mean(found)
    assert errors[3] < 0.5 * errors[False]
    assert errors[True] < errors[False]


@pytest.mark.parametrize("average", [0, -1, 2.5, "last", None])
def test_what_is_no_average_is_refused(average):
    with pytest.raises((TypeError, ValueError), match="average must be"):
        LinearModel(average=average)


def test_it_is_part_of_a_file(tmp_path):
    model = LinearModel("squared", average=2).fit(X, Y)
    model.save(tmp_path / "model.npz")
    assert repr(LinearModel.load(tmp_path / "model.npz")) == repr(model) == "LinearModel('squared', average=2)"


@pytest.mark.parametrize("average", [True, 1, 3])
@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_array], ids=["dense", "sparse"])
def test_the_mean_goes_on_from_a_file(tmp_path, average, make):
    options = {**PLAIN, "average": average, "max_epochs": 2, "warm_start": True}
    model = LinearModel("squared", **options).fit(make(X), Y)
    model.save(tmp_path / "model.npz")
    loaded = LinearModel.load(tmp_path / "model.npz")
    for each in (model, loaded):
        each.fit(make(X), Y).partial_fit(make(X)[:5], Y[:5])
    np.testing.assert_array_equal(loaded.coef_, model.coef_)
    np.testing.assert_array_equal(loaded.intercept_, model.intercept_)
