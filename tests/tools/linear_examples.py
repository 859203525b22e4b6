"""Examples that tests of linear models share."""

import numpy as np
import scipy.sparse

from fastadagrad.data.loading import load
from fastadagrad.kernels.linear import losses
from fastadagrad.linear import LinearModel


def classification(n=400, features=6, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, features)) * 10.0 ** np.arange(features) + 5
    score = ((X - 5) / 10.0 ** np.arange(features)) @ rng.normal(size=(features, classes))
    return X, (score + 0.3 * rng.normal(size=score.shape)).argmax(1)


def sparse(n=300, features=40, seed=0):
    rng = np.random.default_rng(seed)
    X = scipy.sparse.random_array((n, features), density=0.15, rng=rng, format="csr")
    return X, np.where(X @ rng.normal(size=features) > 0, "yes", "no")


def cross_validate(name, monitor, folds=5, **options):
    """Mean over folds of a model with these settings."""
    table = load(name)
    fold = np.random.default_rng(0).permutation(len(table.labels)) % folds
    found = []
    for held_out in (fold == i for i in range(folds)):
        model = LinearModel(**options).fit(table.features[~held_out], table.labels[~held_out])
        found.append(model.evaluate(table.features[held_out], table.labels[held_out])[monitor])
    return np.mean(found)


ROWS = 60  # of wide matrices


def wide(features, dtype=np.float64, rows=ROWS, each=20):
    rng = np.random.default_rng(0)
    columns = np.stack([np.sort(rng.choice(features, each, replace=False)) for _ in range(rows)])
    values, starts = rng.normal(size=rows * each).astype(dtype), np.arange(rows + 1, dtype=np.int32) * each
    return scipy.sparse.csr_array((values, columns.ravel().astype(np.int32), starts), shape=(rows, features))


def labels_of_kind(kind, score):
    """Labels that follow from a score, as a loss takes them whose record names this kind."""
    return {
        losses.TWO_CLASSES: lambda: np.where(score > 0, "yes", "no"),
        losses.CLASSES: lambda: np.array(["low", "mid", "high"])[np.digitize(score, [-0.5, 0.5])],
        losses.NUMBERS: lambda: 3 * score + 1,
        losses.COUNTS: lambda: np.floor(np.exp(score + 1)),
    }[kind]()
