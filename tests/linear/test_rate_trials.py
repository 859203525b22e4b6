"""The learning rate that a linear model finds for itself."""

import itertools
import logging

import numpy as np
import pytest
from explicit import EXPLICIT
from linear_examples import classification, cross_validate, sparse
from places import A9A

from fastadagrad.data.loading import load
from fastadagrad.linear import LinearModel, rate_trials


@pytest.mark.parametrize(
    ("name", "scale", "most"),
    [
        ("digits", "auto", 1.05),
        ("breast_cancer", "auto", 1.1),
        ("wine", "auto", 1.1),
        ("iris", "auto", 0.6),
        ("breast_cancer", "none", 1.0),  # no other rate is surely better
        ("diabetes", "none", 0.2),  # its features are small: 0.1 does not get anywhere
    ],
)
def test_learning_rate_found(name, scale, most):
    """Loss on unseen examples, as a multiple of what 0.1 gives, in the mean of five orders."""
    default, found = (
        sum(cross_validate(name, "loss", scale=scale, learning_rate=rate, seed=seed) for seed in range(5))
        for rate in (0.1, "auto")
    )
    assert found <= default * most


@pytest.mark.parametrize("factor", [1e-5, 1e5])
def test_learning_rate_found_for_features_of_any_size(factor):
    """A large rms_regularizer would act on the gradients of features of 1e-5 as if they were all of one small size."""
    X, y = classification()
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    options = {"scale": "none", "intercept": False, "rms_regularizer": 1e-8}
    default, found = (
        LinearModel(**options, learning_rate=rate).fit(X * factor, y).evaluate(X * factor, y) for rate in (0.1, "auto")
    )
    assert found["accuracy"] > 0.9
    assert found["loss"] < default["loss"] / 2


@pytest.mark.parametrize("heavy_tails", [False, True])
@pytest.mark.parametrize("factor", [1e-300, 1e-200, 1e100, 1e200, 1e307])
def test_losses_of_any_size_tie_alike(factor, heavy_tails):
    lowest = np.array([1.0, 1.1, 0.9, 1.0, 1.05])
    for excess, ties in (([0.01, -0.01, 0.02, 0, 0], True), ([0.01, 0.02, 0.01, 0.02, 0.01], False)):
        for unit in (1, factor):
            losses = (lowest + np.array(excess)) * unit
            mean, error = rate_trials._excess(losses, lowest * unit, heavy_tails)
            assert (mean <= error) == ties
    assert rate_trials._excess(lowest * factor, lowest * factor, heavy_tails) == (0, 0)


def test_trimmed_means_and_their_errors_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    losses, others = np.random.default_rng(0).exponential(size=(2, 20))
    mean, error = rate_trials._excess(losses, others, heavy_tails=True)
    assert mean / error == pytest.approx(
        stats.trim_mean(losses - others, 0.1) / stats.mstats.trimmed_stde(losses - others, (0.1, 0.1))
    )


def test_an_outlier_does_not_choose_the_rate():
    """Columns that say nearly the same want a high rate, whatever one label in 4,000 is, in whichever fold it is."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 1)) + 0.03 * rng.normal(size=(4000, 3))
    y = X @ [1.0, 1.0, -1.0] + 0.02 * rng.normal(size=4000)
    for row, outlier in itertools.product(range(6), (30, -30)):
        spoilt = np.where(np.arange(4000) == row, outlier, y)
        assert LinearModel("squared", scale="none").fit(X, spoilt).learning_rate_ >= 1


@pytest.mark.skipif(not A9A.exists(), reason="a9a is not in ../shared/data")
def test_learning_rate_found_on_a9a():
    train = load(A9A, n_features=123)
    test = load(A9A.with_name("a9a.test.svm.gz"), n_features=123)
    default, found = (LinearModel(learning_rate=rate).fit(train).evaluate(test) for rate in (0.1, "auto"))
    assert found["loss"] <= default["loss"] * 1.005
    for far in (1e-3, 10):  # in explicit steps
        model = LinearModel(**{**EXPLICIT, "learning_rate": far}).fit(train)
        assert found["loss"] < model.evaluate(test)["loss"] - 0.01


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 16},
        {"loss": "hinge", "dtype": np.float64},
        {"l1": 1e-3, "lazy": "touched"},
        {"momentum": 0.9, "shuffle": False},
        {"decoupled_weight_decay": 20.0},
        {"intercept": False, "max_epochs": 1},
    ],
)
@pytest.mark.parametrize("make", [classification, sparse])
def test_learning_rate_found_is_the_one_trained_with(make, options):
    X, y = make()
    model = LinearModel(learning_rate="auto", **options).fit(X, y)
    again = LinearModel(learning_rate=model.learning_rate_, **options).fit(X, y)
    assert (
        model.learning_rate_
        == again.learning_rate_
        == LinearModel(learning_rate="auto", **options).fit(X, y).learning_rate_
    )
    np.testing.assert_array_equal(model.coef_, again.coef_)
    assert model.history == again.history
    assert model.learning_rate_ * options.get("decoupled_weight_decay", 0) < 1


def test_learning_rate_found_does_not_go_by_the_examples_for_validation():
    X, y = classification()
    found = [
        LinearModel(learning_rate="auto", max_epochs=5).fit(X, y, valid=valid).learning_rate_
        for valid in (None, (X, y), (X, 1 - y))
    ]
    assert len(set(found)) == 1


def test_learning_rate_found_is_saved(tmp_path):
    model = LinearModel(learning_rate="auto", max_epochs=2).fit(*classification())
    model.save(tmp_path / "model")
    loaded = LinearModel.load(tmp_path / "model")
    assert loaded.learning_rate_ == model.learning_rate_
    assert repr(loaded) == repr(model) == "LinearModel('auto', learning_rate='auto', max_epochs=2)"


def test_no_learning_rate_is_found():
    X = np.random.default_rng(0).normal(size=(50, 2))
    for rate in (None, "auto"):
        with pytest.raises(ValueError, match="finds no rate down to 1e-07 at which training does not diverge: scale X"):
            LinearModel("squared", scale="none", learning_rate=rate).fit(X * 1e36, X[:, 0] * 1e30)
    with pytest.raises(ValueError, match="takes two examples or more, got 1: give a number"):
        LinearModel("squared", learning_rate="auto").fit(X[:1], X[:1, 0])
    assert LinearModel("squared", learning_rate="auto").fit(X[:2], X[:2, 0]).history
    assert LinearModel("squared").fit(X[:1], X[:1, 0]).learning_rate_ == rate_trials.START  # which nobody asked to try


def test_adagrad_alone_finds_its_rate_unless_one_is_given():
    X, y = classification()
    found = LinearModel(max_epochs=2).fit(X, y)
    asked = LinearModel(max_epochs=2, learning_rate="auto").fit(X, y)
    assert found.learning_rate_ == asked.learning_rate_
    np.testing.assert_array_equal(found.coef_, asked.coef_)
    assert LinearModel(max_epochs=2, method="sgd").fit(X, y).learning_rate_ == 0.1
    assert LinearModel(max_epochs=2, learning_rate=0.03).fit(X, y).learning_rate_ == 0.03
    assert LinearModel().partial_fit(X / np.abs(X).max(axis=0), y).learning_rate_ == rate_trials.START


@pytest.mark.parametrize("rate", [None, "auto"])
def test_the_rate_that_a_fit_has_found_stays(rate):
    X, y = classification()
    model = LinearModel(max_epochs=2, warm_start=True, learning_rate=rate).fit(X, y)
    found = model.learning_rate_
    assert found != rate_trials.START
    assert model.fit(X, y).learning_rate_ == model.partial_fit(X, y).learning_rate_ == found


def test_nothing_to_be_learnt_is_told(caplog):
    X, y = np.random.default_rng(0).normal(size=(50, 2)), np.random.default_rng(1).integers(0, 2, 50)
    with caplog.at_level(logging.WARNING, "fastadagrad"):
        model = LinearModel(learning_rate="auto").fit(X, y)
    assert model.learning_rate_ == 1e-7
    assert "learning rate 1e-07 is the last that was tried" in caplog.text


def epochs_of_trials(monkeypatch):
    """A list to which the number of epochs of each trial's fit to a fold is added."""
    counts, judge = [], rate_trials._losses_of

    def counted(fold, trainer, patience):
        epoch, done = trainer.epoch, []
        trainer.epoch = lambda order: done.append(order) or epoch(order)
        try:
            return judge(fold, trainer, patience)
        finally:
            counts.append(len(done))

    monkeypatch.setattr(rate_trials, "_losses_of", counted)
    return counts


@pytest.mark.parametrize("name", ["diabetes", "iris"])
def test_trials_end_however_many_epochs_the_fit_may_have(monkeypatch, name):
    counts, X = epochs_of_trials(monkeypatch), load(name)
    model = LinearModel(max_epochs=100_000).fit(X)
    assert len(model.history) < 100_000
    assert max(counts) <= rate_trials.MOST_EPOCHS
    assert min(counts) < rate_trials.MOST_EPOCHS  # where the examples held out gain nothing any more
    assert min(counts) > rate_trials.JUDGED_AFTER + model._conduct.patience


def test_trials_have_the_patience_of_the_fit(monkeypatch):
    counts, found = epochs_of_trials(monkeypatch), {}
    for patience in (0, 30):
        counts.clear()
        LinearModel(max_epochs=1000, patience=patience).fit(load("diabetes"))
        found[patience] = min(counts)
    assert found[0] < found[30]


def test_trials_of_the_epochs_that_fits_have_by_default_have_all_of_them(monkeypatch):
    counts = epochs_of_trials(monkeypatch)
    LinearModel(patience=0, max_epochs=50).fit(load("iris"))
    assert set(counts) == {50}
