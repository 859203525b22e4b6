"""A pass of the experiment: what the optimizer's own dense steps give, example after example."""

import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.compare.online_passes import CONTENDERS, Pool
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
@pytest.mark.parametrize("delta", [1e-8, 0.5])
@pytest.mark.parametrize("contender", [each for each in CONTENDERS if each.penalised], ids=lambda each: each.name)
def test_is_the_dense_run(contender, l1, delta):
    rng = np.random.default_rng(0)
    x, labels = examples(rng)
    order = rng.permutation(EXAMPLES)
    found = Pool(x, labels).one_pass(contender, 0.3, l1, delta, order)
    w, mistakes = dense_run(contender.rule, contender.hyper(0.3, l1, delta), x, labels, order)
    np.testing.assert_allclose(found.weights, w, 1e-12, 1e-13)
    assert ((found.weights == 0) == (w == 0)).all()
    assert found.mistakes == mistakes
    assert (found.weights == 0).sum() > 1 or not l1


def aggressive_run(name, C, x, labels, order):
    """PA-I, and AROW with r = 1/C, by dense vectors."""
    w, variances, mistakes = np.zeros(FEATURES), np.ones(FEATURES), 0
    for n in order:
        row, span = np.zeros(FEATURES), slice(x.indptr[n], x.indptr[n + 1])
        row[x.indices[span]] = x.data[span]
        margin = labels[n] * (row @ w)
        mistakes += margin <= 0
        if margin >= 1 or not row.any():
            continue
        if name == "PA":
            w += min(C, (1 - margin) / (row @ row)) * labels[n] * row
        else:
            beta = 1 / (row @ (variances * row) + 1 / C)
            w += (1 - margin) * beta * labels[n] * variances * row
            variances -= beta * (variances * row) ** 2
    return w, mistakes


@pytest.mark.parametrize("C", [1e-3, 0.1, 30.0])
@pytest.mark.parametrize("name", ["PA", "AROW"])
def test_passive_aggressive_passes(name, C):
    rng = np.random.default_rng(1)
    x, labels = examples(rng)
    order = rng.permutation(EXAMPLES)
    [contender] = [each for each in CONTENDERS if each.name == name]
    found = Pool(x, labels).one_pass(contender, C, 0.0, 1e-8, order)
    w, mistakes = aggressive_run(name, C, x, labels, order)
    np.testing.assert_allclose(found.weights, w, 1e-12, 1e-13)
    assert found.mistakes == mistakes
    assert found.weights.any()
