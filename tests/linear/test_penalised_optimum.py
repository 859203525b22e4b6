"""Linear models by full batches against the optima that scikit-learn's solvers find, for both penalties."""

import numpy as np
import pytest
from places import A9A

from fastadagrad.data.loading import load
from fastadagrad.linear import LinearModel

datasets = pytest.importorskip("sklearn.datasets", reason="the optima are scikit-learn's: pip install scikit-learn")
FULL = {"average": False, "scale": "none", "dtype": np.float64, "rms_regularizer": 1e-8, "patience": 10**6}
SETS = ["breast_cancer", "wine", "digits", "a9a"]
SLOW = pytest.mark.slow


def examples(name):
    """Standardised features, or those of 0 and 1 that a9a has, and two classes."""
    if name == "a9a":
        if not A9A.exists():
            pytest.skip(f"{A9A.name} is not at hand")
        table = load(A9A)
        return table.features, table.labels > 0
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-12), y > (0 if name == "breast_cancer" else np.median(y))


def for_sklearn(X):
    if isinstance(X, np.ndarray):
        return X
    sparse = pytest.importorskip("scipy.sparse")
    return sparse.csr_array((X.data, X.indices.astype(np.int32), X.indptr.astype(np.int32)), X.shape)


def objective(weights, intercept, X, y, l1=0.0, l2=0.0):
    margins = np.where(y, 1, -1) * (X @ weights + intercept)
    return np.logaddexp(0, -margins).mean() + l1 * np.abs(weights).sum() + 0.5 * l2 * weights @ weights


def by_full_batches(X, y, **options):
    return LinearModel("logistic", batch_size=len(y), **FULL, **options).fit(X, y)


def penalties(few, many):
    """The first penalty for the first set; the others, and the other sets, in the slow tests."""
    pairs = [(name, penalty) for name in SETS for penalty in (many if name == "a9a" else few)]
    return [pair if not i else pytest.param(*pair, marks=SLOW) for i, pair in enumerate(pairs)]


@pytest.mark.parametrize(("name", "l2"), penalties([1e-2, 1e-3], [1e-4]))
def test_the_optimum_under_l2(name, l2):
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y = examples(name)
    theirs = for_sklearn(X)
    best = linear_model.LogisticRegression(C=1 / (len(y) * l2), tol=1e-12, max_iter=20_000).fit(theirs, y)
    optimum = objective(best.coef_[0], best.intercept_[0], theirs, y, l2=l2)
    found = by_full_batches(
        *(X, y), weight_decay=l2, momentum=0.99, nesterov=True, learning_rate=0.3, max_epochs=2000, lazy="dense"
    )
    assert objective(found.coef_, found.intercept_, theirs, y, l2=l2) < optimum + 1e-6


@pytest.mark.parametrize(("name", "l1"), penalties([0.05, 0.01], [0.01]))
def test_the_zeros_of_l1(name, l1):
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y = examples(name)
    theirs = for_sklearn(X)
    to_the_end = {"tol": 1e-10, "max_iter": 100_000, "random_state": 0}
    best = linear_model.LogisticRegression(
        l1_ratio=1, solver="liblinear", C=1 / (len(y) * l1), fit_intercept=False, **to_the_end
    ).fit(theirs, y)
    epochs = 1000 if name == "a9a" else 3000
    found = by_full_batches(X, y, l1=l1, intercept=False, learning_rate=3.0, max_epochs=epochs)
    np.testing.assert_array_equal(found.coef_ != 0, best.coef_[0] != 0)
    gap = objective(found.coef_, 0, theirs, y, l1) - objective(best.coef_[0], 0, theirs, y, l1)
    assert 0 < np.count_nonzero(found.coef_) < X.shape[1]
    assert gap < 1e-6
