"""Which examples of a linear model are set aside, and which folds hold them out."""

import logging
from itertools import pairwise

import numpy as np
import pytest

from fastadagrad.data.tables import CSR, Table
from fastadagrad.linear import LinearModel, rate_trials
from fastadagrad.linear.splits import in_proportion, split
from fastadagrad.linear.targets import choose
from fastadagrad.linear.training import as_examples


def halves(labels, fraction, seed=0, loss="auto"):
    """Positions of the examples to train on, and of those set aside."""
    table = Table(np.arange(len(labels), dtype=np.float64)[:, None], np.asarray(labels))
    parts = split(table, fraction, seed, choose(loss, table.labels))
    return [part.features[:, 0].astype(int) for part in parts]


def sizes(labels):
    return dict(zip(*(each.tolist() for each in np.unique(labels, return_counts=True)), strict=True))


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("kind", [int, float, str])
def test_each_class_gives_its_share_and_stays_in_training(fraction, kind):
    labels = np.repeat(np.arange(6), [1, 2, 3, 20, 150, 424]).astype(kind)
    for seed in range(20):
        train, held_out = halves(labels, fraction, seed)
        assert sorted([*train, *held_out]) == list(range(600))
        assert all(np.all(np.diff(part) > 0) for part in (train, held_out))
        assert len(held_out) == round(600 * fraction)
        assert sizes(labels[train]).keys() == sizes(labels).keys()
        found = sizes(labels[held_out])
        for label, size in sizes(labels).items():
            assert abs(found.get(label, 0) - size * fraction) <= 2
            if size > 3:
                assert abs(found[label] - size * fraction) < 1.5


def test_the_seed_says_which_examples_are_set_aside():
    labels = np.arange(300) % 3
    first, again, other = (halves(labels, 0.3, seed)[1].tolist() for seed in (5, 5, 6))
    assert first == again != other
    # Of classes with equal claims on one example more none is preferred.
    found = [halves(np.arange(30) % 10, 0.1, seed)[1] % 10 for seed in range(200)]
    assert np.bincount(np.concatenate(found), minlength=10).min() > 30


def test_real_labels_are_split_without_regard_to_their_values():
    labels = np.repeat([0.5, 1.5, 9.0], [98, 1, 1])
    order = np.random.default_rng([4, 0]).permutation(100)
    train, held_out = halves(labels, 0.3, 4, loss="squared")
    assert held_out.tolist() == sorted(order[:30])
    assert train.tolist() == sorted(order[30:])


def test_fewer_are_set_aside_where_classes_would_be_lost(caplog):
    caplog.set_level(logging.INFO, "fastadagrad")
    labels = ["a", "b", "c", "d", "a", "b", "e", "f"]
    train, held_out = halves(labels, 0.75)
    assert sizes(np.take(labels, held_out)) == {"a": 1, "b": 1}
    assert len(train) == 6
    assert "4 of the classes have too few examples to be validated on" in caplog.text
    with pytest.raises(ValueError, match=r"validation=0.5 leaves no example .* only one of its class"):
        halves(["a", "b", "c", "d"], 0.5)
    with pytest.raises(ValueError, match=r"validation=0.01 of 20 examples is 0"):
        halves(np.arange(20) % 2, 0.01)


def test_in_proportion():
    groups = np.array([3, 3, 3, 3, 8, 8, 5])
    assert in_proportion(groups, 3, spare=1).tolist() == [1, 1, 0, 0, 1, 0, 0]
    assert in_proportion(groups, 6, spare=1).tolist() == [1, 1, 1, 0, 1, 0, 0]
    assert in_proportion(groups, 6, spare=0).sum() == 6
    assert in_proportion(groups, 7, spare=0).all()
    many = np.random.default_rng(0).permutation(np.r_[np.zeros(10_000, int), np.arange(1, 5_001)])
    assert in_proportion(many, 9_000, spare=1).sum() == 9_000


def folds_of(labels, loss="auto"):
    labels = np.asarray(labels)
    targets = choose(loss, labels)
    table = Table(np.zeros((len(labels), 1)), labels)

    def prepare(table):
        return as_examples(table.features, targets.encode(table.labels, np.float64))

    return rate_trials.make_folds(table, targets.groups(labels), prepare, 10, 0)


def labels_held_out(fold):
    return np.concatenate([part.labels for part in fold.held_out])


def test_folds_hold_out_a_fifth_of_each_class():
    folds = folds_of(np.repeat([0, 1, 2], [100, 50, 10]))
    assert [sizes(labels_held_out(fold)) for fold in folds] == [{0: 20, 1: 10, 2: 2}] * 5


@pytest.mark.parametrize("rare", [1, 2, 4])
def test_a_class_that_a_fold_holds_out_is_in_what_it_fits(rare):
    folds = folds_of(np.repeat([0, 1, 2], [60, 50, rare]))
    for fold in folds:
        for order in fold.orders:
            assert set(fold.fitted.labels[order]) == {0, 1, 2}
    held_out = np.concatenate([labels_held_out(fold) for fold in folds])
    assert sizes(held_out) == {0: 60, 1: 50} | ({2: rare} if rare > 1 else {})


def test_folds_of_real_labels_are_dealt_in_turn():
    labels = np.random.default_rng(1).normal(size=23)
    rng = np.random.default_rng([0, 2])
    order = rng.permutation(23)
    folds = folds_of(labels, "squared")
    for number, fold in enumerate(folds):
        np.testing.assert_array_equal(labels_held_out(fold), labels[order[number::5]])
        rest = np.flatnonzero(np.arange(23) % 5 != number)
        np.testing.assert_array_equal(fold.orders[0], rng.permutation(rest))
        for _ in fold.orders[1:]:
            rng.permutation(rest)
    assert all(np.array_equal(a.fitted.labels, b.fitted.labels) for a, b in pairwise(folds))


@pytest.mark.parametrize(
    ("examples", "folds", "held_out", "parts"),
    [(40, 5, 8, 4), (2_000, 5, 400, 4), (2_500, 3, 833, 6), (5_500, 1, 1_100, 20), (12_000, 1, 2_000, 20)],
)
def test_many_examples_are_in_fewer_folds(examples, folds, held_out, parts):
    """At most 10,000 are tried on; what a fold holds out is in parts of about the same size."""
    found = folds_of(np.arange(examples) % 2)
    assert len(found) == folds
    for fold in found:
        sizes_of_parts = [len(part.labels) for part in fold.held_out]
        assert len(sizes_of_parts) == parts
        assert max(sizes_of_parts) - min(sizes_of_parts) <= 1
        assert abs(sum(sizes_of_parts) - held_out) <= 1
        assert len(fold.orders[0]) + sum(sizes_of_parts) == min(examples, rate_trials.MOST_EXAMPLES)


def test_one_example_has_no_folds():
    with pytest.raises(ValueError, match="learning_rate='auto' takes two examples or more, got 1: give a number"):
        folds_of([1.5], "squared")


def test_folds_where_every_class_has_one_example():
    assert len(folds_of([0, 1], "logistic")) == 2


@pytest.mark.parametrize(
    ("trained", "scored", "width", "warned"),
    [
        (None, None, 2, False),
        (None, True, 2, False),
        (None, False, 2, True),
        (None, False, 3, False),  # as wide as the model: it has the last column, so it counts from 1
        (True, True, 2, False),
        (False, False, 2, False),
        (True, False, 2, True),
        (True, False, 3, False),
        (False, True, 3, True),
        (False, None, 2, False),
    ],
)
def test_columns_that_may_begin_elsewhere_are_told(caplog, trained, scored, width, warned):
    def table(zero_based, columns):
        data = np.tile([1.0, 2.0], 2)
        rows = CSR(data, np.array([0, 1, 0, columns - 1], np.int32), np.array([0, 2, 4]), (2, columns))
        return Table(rows, np.array([0, 1]), "some", zero_based=zero_based)

    def validate(valid):
        LinearModel(max_epochs=1).fit(table(trained, 3), valid=valid)

    model = LinearModel(max_epochs=1).fit(table(trained, 3))
    for use in (model.predict, model.evaluate, validate):
        caplog.clear()
        use(table(scored, width))
        assert ("some is taken to have columns that count from" in caplog.text) == warned
