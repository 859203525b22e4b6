import numpy as np
import pytest
import scipy.sparse

from fastadagrad.linear import LinearModel
from fastadagrad.linear.averaging import POINTS

RNG = np.random.default_rng(5)
X = RNG.normal(size=(POINTS * 4, 5))
Y = X @ [1.0, -2.0, 0.5, 0.0, 1.0] + RNG.normal(size=len(X))
PLAIN = {"scale": "none", "shuffle": False, "dtype": np.float64, "patience": 10**6}


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
