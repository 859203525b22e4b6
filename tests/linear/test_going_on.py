"""Training that goes on from where it stands: partial_fit and warm_start."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse

from fastadagrad.linear import LinearModel

RNG = np.random.default_rng(4)
X = RNG.normal(size=(60, 5))
SCORE = X @ [1.0, -2.0, 0.5, 0.0, 1.0]
LABELS = {
    "logistic": SCORE > 0,
    "squared": SCORE,
    "softmax": np.digitize(SCORE, [-1, 1]),
    "poisson": np.floor(np.abs(SCORE)),
}
PARTS = [slice(0, 25), slice(25, 26), slice(26, 60)]
OPTIONS = [{}, {"momentum": 0.5}, {"batch_size": 5}, {"method": "ftrl"}, {"method": "adam", "lazy": "touched"}]


def model(loss, **options):
    """One whose calls go by the same rate, and whose weights are those of its last step, whoever calls."""
    same = {"learning_rate": 0.1, "average": False}
    return LinearModel(loss, **{"scale": "none", "shuffle": False, "dtype": np.float64, **same, **options})


@pytest.mark.parametrize("loss", LABELS)
@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_array], ids=["dense", "sparse"])
def test_parts_are_an_epoch_of_the_whole(loss, make):
    y = LABELS[loss]
    classes = np.unique(y) if loss in ("logistic", "softmax") else None
    whole, parts = model(loss, max_epochs=1).fit(make(X), y), model(loss)
    for rows in PARTS:
        assert parts.partial_fit(make(X)[rows], y[rows], classes=classes) is parts
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(parts.intercept_, whole.intercept_, rtol=1e-12, atol=1e-14)
    assert [entry["epoch"] for entry in parts.history] == [1, 2, 3]
    counts = [25, 1, 34]
    mean = sum(n * entry["loss"] for n, entry in zip(counts, parts.history, strict=True)) / 60
    assert mean == pytest.approx(whole.history[0]["loss"], rel=1e-12)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_warm_starts_are_epochs_of_one_fit(options):
    y = LABELS["logistic"]
    whole, warm = (
        model("logistic", max_epochs=6, **options),
        model("logistic", max_epochs=2, warm_start=True, **options),
    )
    whole.fit(X, y)
    for _ in range(3):
        warm.fit(X, y)
    np.testing.assert_array_equal(warm.coef_, whole.coef_)
    assert [entry["loss"] for entry in warm.history] == [entry["loss"] for entry in whole.history[-2:]]


def test_a_warm_start_keeps_scales_and_classes():
    y = np.array(["a", "b", "c"])[LABELS["softmax"]]
    warm = LinearModel("softmax", warm_start=True, max_epochs=2).fit(X, y)
    some = warm.fit(X[y != "c"] * 100, y[y != "c"])
    assert some.classes_.tolist() == ["a", "b", "c"]
    assert some.predict_proba(X).shape == (60, 3)
    with pytest.raises(ValueError, match="y has 'd' at row 1: the classes are 'a', 'b', 'c'"):
        warm.fit(X[:2], ["a", "d"])


def test_partial_fit_goes_on_after_a_warm_fit():
    y = LABELS["squared"]
    warm = model("squared", max_epochs=3, warm_start=True).fit(X, y)
    before = warm.evaluate(X, y)["loss"]
    for _ in range(20):
        warm.partial_fit(X, y)
    assert warm.evaluate(X, y)["loss"] < before


@pytest.mark.parametrize("copied", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy])
def test_copies_go_on_alike_and_apart(copied):
    y = LABELS["logistic"]
    first = LinearModel("logistic").partial_fit(X[:30], y[:30], classes=[False, True])
    second = copied(first)
    np.testing.assert_array_equal(first.partial_fit(X[30:], y[30:]).coef_, second.partial_fit(X[30:], y[30:]).coef_)
    kept = second.coef_.copy()
    first.partial_fit(X, y)
    np.testing.assert_array_equal(second.coef_, kept)
    third = copied(second).partial_fit(X, y)
    np.testing.assert_array_equal(third.coef_, first.coef_)


def test_orders_of_parts_are_drawn_one_after_the_other():
    y = LABELS["squared"]
    same, other = LinearModel("squared"), LinearModel("squared")
    for each in (same, other):
        each.partial_fit(X, y).partial_fit(X, y)
    np.testing.assert_array_equal(same.coef_, other.coef_)


def test_sparse_parts_may_end_before_the_last_column():
    y = LABELS["squared"]
    wide, narrow = (scipy.sparse.csr_array(X[:, :k]) for k in (5, 3))
    padded = scipy.sparse.csr_array(np.where(np.arange(5) < 3, X, 0.0))
    first, second = (model("squared").partial_fit(wide, y).partial_fit(each, y) for each in (narrow, padded))
    np.testing.assert_array_equal(first.coef_, second.coef_)


def test_a_failed_part_changes_nothing():
    y = LABELS["squared"]
    trained = model("squared").partial_fit(X, y)
    coef, history = trained.coef_.copy(), list(trained.history)
    with pytest.raises(ValueError, match="X must have 5 features, as in training, got 3"):
        trained.partial_fit(X[:, :3], y)
    with pytest.raises(ValueError, match="y has"):
        trained.partial_fit(X, np.r_[y[:-1], np.nan])
    np.testing.assert_array_equal(trained.coef_, coef)
    assert trained.history == history


def test_a_part_whose_loss_is_not_finite_is_as_if_it_had_not_been():
    y = LABELS["squared"]
    options = {"method": "sgd", "learning_rate": 0.01, "implicit": False}
    good, spoilt = (model("squared", **options).partial_fit(X[:30], y[:30]) for _ in range(2))
    with np.errstate(over="ignore", invalid="ignore"):
        spoilt.partial_fit(X[30:] * 1e160, y[30:])
    assert spoilt.stopped_because == "non-finite loss"
    np.testing.assert_array_equal(spoilt.coef_, good.coef_)
    np.testing.assert_array_equal(spoilt.partial_fit(X, y).coef_, good.partial_fit(X, y).coef_)


@pytest.mark.parametrize("options", [{}, {"warm_start": True}], ids=str)
def test_after_a_beginning_whose_loss_is_not_finite_training_begins_anew(options):
    y, options = LABELS["squared"], {"method": "sgd", "learning_rate": 0.1, "implicit": False, **options}
    spoilt, fresh = model("squared", **options), model("squared", **options)
    spoilt.partial_fit(X * 1e6, y)
    assert spoilt.stopped_because == "non-finite loss"
    np.testing.assert_array_equal(spoilt.partial_fit(X, y).coef_, fresh.partial_fit(X, y).coef_)


@pytest.mark.parametrize("options", [{}, {"validation": 0.25, "learning_rate": 2.0}], ids=str)
def test_training_goes_on_from_the_weights_that_were_kept(options):
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(80, 3)), rng.normal(size=80)
    model = LinearModel("squared", warm_start=True, dtype=np.float64, **options).fit(x, noise)
    kept = model.coef_.copy()
    model.partial_fit(x[:1], noise[:1], sample_weight=[1e-12])
    np.testing.assert_allclose(model.coef_, kept, rtol=1e-6)


def test_a_shallow_copy_has_its_own_history():
    first = model("squared").partial_fit(X, LABELS["squared"])
    second = copy.copy(first).partial_fit(X, LABELS["squared"])
    assert (len(first.history), len(second.history)) == (1, 2)


def test_what_cannot_go_on_is_refused():
    y = LABELS["logistic"]
    with pytest.raises(RuntimeError, match="kept nothing to go on from: make it with warm_start=True"):
        LinearModel().fit(X, y).partial_fit(X, y)
    with pytest.raises(ValueError, match="learning_rate='auto' tries rates on all of the examples"):
        LinearModel(learning_rate="auto").partial_fit(X, y)
    with pytest.raises(ValueError, match="needs at least two classes"):
        LinearModel("logistic").partial_fit(X[:2], [1, 1])
    with pytest.raises(ValueError, match="y has 2 at row 0"):
        LinearModel("logistic").partial_fit(X[:2], [2, 1], classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes=\[0, 1, 2\] are not those of the first call: \[0 1\]"):
        LinearModel("softmax").partial_fit(X[:2], [0, 1]).partial_fit(X[:2], [0, 1], classes=[0, 1, 2])
