"""The progressive losses of streams, in rows at 1, 2, 4, ... examples, and the best constant beside them."""

from itertools import pairwise

import numpy as np
import pytest
from streamed import LABELS, N, Told

import fastadagrad as fa
from fastadagrad.linear import LinearModel
from fastadagrad.linear.progressive import LabelsSeen, Progressive, least
from fastadagrad.linear.targets import Targets

pytestmark = pytest.mark.usefixtures("small_blocks")


@pytest.mark.parametrize("loss", LABELS)
def test_progressive_rows_come_where_examples_double(text_file, loss):
    told = Told()
    model = LinearModel(loss, max_epochs=2, dtype="float64").fit(fa.Stream(text_file(loss)), progress=told)
    first = [row for row in told.rows if row.epoch == 1]
    assert [row.examples for row in first] == [*(2**i for i in range(12)), N]
    for before, row in pairwise(first):
        new = row.examples - before.examples
        assert row.loss * row.examples == pytest.approx(before.loss * before.examples + row.since * new, rel=1e-9)
    assert model.history == list(told)
    assert first[-1].loss == model.history[0]["loss"]
    constant = best_constant(loss)
    tolerance = 0.02 if loss in ("quantile", "huber") else 1e-9  # these are of a sample
    assert first[-1].constant_loss == model.history[0]["constant_loss"] == pytest.approx(constant, rel=tolerance)


def best_constant(loss):
    """The loss of the best constant, from the labels as given."""
    y = LABELS[loss].astype(float)
    if loss in ("logistic", "softmax"):
        shares = np.unique(y, return_counts=True)[1] / N
        return -(shares * np.log(shares)).sum()
    if loss == "hinge":
        return 2 * min((y > 0).mean(), (y < 0).mean())
    if loss == "squared":
        return y.var() / 2
    if loss == "poisson":
        return y.mean() - y.mean() * np.log(y.mean())
    if loss == "quantile":
        return 0.5 * np.abs(y - np.median(y)).mean()
    errors = y[:, None] - np.linspace(y.min(), y.max(), 2001)
    return np.where(np.abs(errors) <= 1, errors**2 / 2, np.abs(errors) - 0.5).mean(axis=0).min()


def test_the_least_value_of_a_convex_function():
    for at in (-20.0, 0.0, 0.3, 41.0):
        assert least(lambda x, at=at: abs(x - at) + 1.0) == pytest.approx(1.0, abs=1e-9)
    assert least(lambda x: np.exp(-x)) < 1e-20


def test_a_sample_of_labels_is_spread_over_all():
    seen = LabelsSeen(Targets("quantile", option=0.5))
    for part in np.array_split(np.arange(50_000.0), 91):
        seen.add(part, None)
    sample = np.array(seen._sample)
    assert 2000 <= len(sample) <= 4096
    assert np.ptp(np.diff(sample)) == 0
    assert seen.best_loss() == pytest.approx(12_500, rel=0.01)


def test_stretches_end_where_rows_are_due():
    told = Told()
    progressive = Progressive(Targets("squared"), told.row)
    for n in (1, 2, 10, 3):
        for part in progressive.stretches(n):
            progressive.add(0.0, np.zeros(part.stop - part.start), None)
    progressive.finish()
    assert [row.examples for row in told.rows] == [1, 2, 4, 8, 16]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_examples_with_weights_are_counted_once(batch_size):
    told = Told()
    progressive = Progressive(Targets("squared"), told.row, batch_size=batch_size)
    progressive.pass_over(2)  # of weight 0
    firsts = np.array([1, 0, 0, 1, 1, 0, 1, 1, 1, 0, 0, 1], bool)
    for part in progressive.stretches(len(firsts), firsts):
        progressive.add(0.0, np.zeros(part.stop - part.start), None, firsts[part])
    progressive.finish()
    expected = {1: [(3, 1), (4, 4), (8, 9), (9, 12)], 3: [(3, 3), (5, 6), (8, 9), (9, 12)]}
    assert [(row.examples, row.weight) for row in told.rows] == expected[batch_size]


def test_visits_after_the_last_new_example_are_told_of():
    told = Told()
    progressive = Progressive(Targets("squared"), told.row)
    firsts = np.array([1, 1, 0, 0], bool)
    for part in progressive.stretches(4, firsts):
        progressive.add(1.0, np.zeros(part.stop - part.start), None, firsts[part])
    progressive.finish()
    assert [(row.examples, row.weight) for row in told.rows] == [(1, 1), (2, 2), (2, 4)]
    assert told.rows[-1].loss == progressive.loss


def test_a_single_class_has_no_loss():
    targets = Targets("softmax", np.array([0, 1, 2]))
    seen = LabelsSeen(targets)
    seen.add(np.zeros(3), None)
    assert str(seen.best_loss()) == "0.0"
