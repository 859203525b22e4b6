"""A pass of the experiment: what the optimizer's own dense steps give, example after example."""

import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.compare.duchi import CONTENDERS, _Pool
from fastadagrad.data.tables import CSR
from fastadagrad.kernels.linear.losses import LOSSES

EXAMPLES, FEATURES = 120, 30


def examples(rng):
    """Some features are in most examples, some in one or two, the last in none; the first example is empty."""
    counts = rng.integers(1, 8, EXAMPLES)
    counts[0] = 0
    chances = np.append(0.7 ** np.arange(FEATURES - 1), 0)
    rows = [np.sort(rng.choice(FEATURES, n, replace=False, p=chances / chances.sum())) for n in counts]
    columns, starts = np.concatenate(rows).astype(np.int32), np.concatenate([[0], np.cumsum(counts)])
    x = CSR(rng.standard_normal(len(columns)), columns, starts, (EXAMPLES, FEATURES))
    return x, rng.choice([-1.0, 1.0], EXAMPLES)


def dense_run(rule, hyper, x, labels, order):
    w, mistakes = np.zeros(FEATURES), 0
    opt = fa.build(rule.name, params=w, **hyper)
    for n in order:
        row, span = np.zeros(FEATURES), slice(x.indptr[n], x.indptr[n + 1])
        row[x.indices[span]] = x.data[span]
        score = row @ w
        mistakes += score * labels[n] <= 0
        opt.step(LOSSES["hinge"].slope(score, labels[n])[0] * row)
    return w, mistakes


@pytest.mark.parametrize("l1", [0.0, 0.02])
@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda each: each.name)
def test_is_the_dense_run(contender, l1):
    rng = np.random.default_rng(0)
    x, labels = examples(rng)
    order = rng.permutation(EXAMPLES)
    found = _Pool(x, labels).one_pass(contender, 0.3, l1, order)
    w, mistakes = dense_run(contender.rule, contender.hyper(0.3, l1), x, labels, order)
    np.testing.assert_allclose(found.weights, w, 1e-12, 1e-13)
    assert ((found.weights == 0) == (w == 0)).all()
    assert found.mistakes == mistakes
    assert (found.weights == 0).sum() > 1 or not l1
