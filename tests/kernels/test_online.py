"""The online loop: what the optimizer's own dense steps give, example after example."""

import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.compare.duchi import CONTENDERS
from fastadagrad.engine.options import make_settings
from fastadagrad.kernels.linear.layouts import Sparse
from fastadagrad.kernels.linear.losses import LOSSES
from fastadagrad.kernels.linear.online import make_online
from fastadagrad.kernels.linear.switch import Chosen

EXAMPLES, FEATURES = 120, 30


def examples(rng):
    """Some features are in most examples, some in one or two, the last in none; the first example is empty."""
    counts = rng.integers(1, 8, EXAMPLES)
    counts[0] = 0
    chances = np.append(0.7 ** np.arange(FEATURES - 1), 0)
    rows = [np.sort(rng.choice(FEATURES, n, replace=False, p=chances / chances.sum())) for n in counts]
    columns = np.concatenate(rows).astype(np.uint32)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint64)
    return Sparse(rng.standard_normal(len(columns)), columns, starts, rng.choice([-1.0, 1.0], EXAMPLES))


def dense_run(rule, hyper, kind, x, order):
    w, mistakes = np.zeros(FEATURES), 0
    opt = fa.build(rule.name, params=w, **hyper)
    for n in order:
        row, span = np.zeros(FEATURES), slice(int(x.starts[n]), int(x.starts[n + 1]))
        row[x.columns[span]] = x.values[span]
        score = row @ w
        mistakes += score * x.labels[n] <= 0
        opt.step(LOSSES[kind].slope(score, x.labels[n])[0] * row)
    return w, mistakes


@pytest.mark.parametrize("kind", ["hinge", "logistic"])
@pytest.mark.parametrize("l1", [0.0, 0.02])
@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda each: each.name)
def test_is_the_dense_run(contender, l1, kind):
    rng = np.random.default_rng(0)
    x, order = examples(rng), rng.permutation(EXAMPLES)
    hyper = contender.hyper(0.3, l1)
    settings, _ = make_settings(contender.rule, hyper)
    scalars = np.array([settings.scalars(t) for t in range(EXAMPLES if settings.scheduled else 1)])
    steps = np.broadcast_to(scalars[:, settings.rule.Scalars._fields.index("l1_step")], EXAMPLES)
    p, last = np.zeros(FEATURES), np.zeros(FEATURES, np.int64)
    slots = tuple(np.zeros(FEATURES) for _ in settings.form.slots)
    thresholds = np.concatenate([[0.0], np.cumsum(steps)])
    mistakes = make_online(settings.form)(
        Chosen(LOSSES[kind].number, 0.0), x, order, scalars, thresholds, p, slots, last
    )
    w, expected = dense_run(contender.rule, hyper, kind, x, order)
    np.testing.assert_allclose(p, w, 1e-12, 1e-13)
    assert ((p == 0) == (w == 0)).all()
    assert mistakes == expected
    assert (p == 0).sum() > 1 or not l1
    assert not last.any()
