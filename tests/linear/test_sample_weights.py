"""What an example's weight means: that it is in the data so many times."""

import numpy as np
import pytest
import scipy.sparse

from fastadagrad.data.tables import CSR
from fastadagrad.linear import LinearModel
from fastadagrad.linear.visits import MOST_VISITS, by_content, visits_of

RNG = np.random.default_rng(3)
X = RNG.normal(size=(40, 6))
SCORE = X @ [1.0, -2.0, 0.5, 0.0, 0.0, 1.0]
WHOLE = RNG.integers(0, 4, 40)
LABELS = {
    "logistic": SCORE > 0,
    "squared": SCORE,
    "softmax": np.digitize(SCORE, [-1, 1]),
    "poisson": np.floor(np.abs(SCORE)),
    "quantile": SCORE,
    "huber": SCORE,
    "hinge": SCORE > 0,
}


def model(loss, **options):
    return LinearModel(
        loss, **{"dtype": np.float64, "shuffle": False, "max_epochs": 5, "learning_rate": 0.1, **options}
    )


@pytest.mark.parametrize("loss", LABELS)
@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_whole_weights_are_repetitions(loss, make, batch_size):
    y = LABELS[loss]
    options = {"batch_size": batch_size, "scale": "maxabs"}  # with which a sparse X stays so, be it full
    weighed = model(loss, **options).fit(make(X), y, sample_weight=WHOLE)
    repeated = model(loss, **options).fit(make(X.repeat(WHOLE, 0)), y.repeat(WHOLE))
    np.testing.assert_allclose(weighed.coef_, repeated.coef_, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(weighed.intercept_, repeated.intercept_, rtol=1e-10, atol=1e-13)
    assert weighed.history[-1]["loss"] == pytest.approx(repeated.history[-1]["loss"], rel=1e-10)


@pytest.mark.parametrize("loss", LABELS)
def test_weights_of_one_change_no_bit(loss):
    plain, weighed = (model(loss).fit(X, LABELS[loss], sample_weight=each) for each in (None, np.ones(40)))
    np.testing.assert_array_equal(plain.coef_, weighed.coef_)
    assert plain.history == weighed.history


def test_an_example_of_weight_0_is_as_if_it_were_not_there():
    y, weights = LABELS["squared"].copy(), np.ones(40)
    weights[::4] = 0
    expected = model("squared").fit(X[weights > 0], y[weights > 0])
    spoilt = X.copy()
    y[::4], spoilt[::4] = 1e6, -1e6
    found = model("squared").fit(spoilt, y, sample_weight=weights)
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    assert found.history == expected.history


def test_fractions_count_as_they_say():
    """The minimum of a weighted sum of squares is that of its normal equations."""
    weights = RNG.random(40) + 0.1
    y = SCORE + RNG.normal(size=40)
    found = LinearModel("squared", learning_rate=0.3, max_epochs=3000, dtype=np.float64, average=500, patience=10**6)
    found.fit(X, y, sample_weight=weights)
    A = np.column_stack([X, np.ones(40)]) * np.sqrt(weights)[:, None]
    expected = np.linalg.lstsq(A, y * np.sqrt(weights), rcond=None)[0]
    np.testing.assert_allclose([*found.coef_, found.intercept_], expected, atol=0.02)


def test_validation_goes_by_weights_too():
    y, weights = LABELS["logistic"], RNG.random(40)
    found = model("logistic").fit(X, y, sample_weight=weights, valid=0.5)
    again = model("logistic").fit(X, y, sample_weight=weights * 2, valid=0.5)
    plain = model("logistic").fit(X, y, valid=0.5)
    assert found.history[0]["valid_loss"] != plain.history[0]["valid_loss"]
    assert again.history[0]["valid_loss"] != found.history[0]["valid_loss"]


@pytest.mark.parametrize("seed", range(6))
def test_no_example_of_weight_0_is_set_aside(seed):
    weights = np.where(np.arange(40) < 14, 1.0, 0.0)
    found = model("squared", validation=0.1, seed=seed).fit(X, SCORE, sample_weight=weights)
    expected = model("squared", validation=0.1, seed=seed).fit(X[:14], SCORE[:14])
    np.testing.assert_array_equal(found.coef_, expected.coef_)


def test_a_rate_by_trial_goes_by_weights():
    y, weights = LABELS["logistic"].copy(), np.ones(40)
    y[::4], weights[::4] = ~y[::4], 0
    options = {"learning_rate": "auto", "max_epochs": 3}
    found = model("logistic", **options).fit(X, y, sample_weight=weights)
    expected = model("logistic", **options).fit(X[weights > 0], y[weights > 0])
    assert found.learning_rate_ == expected.learning_rate_
    np.testing.assert_array_equal(found.coef_, expected.coef_)


def test_visits():
    order, importance = visits_of(4, np.array([0.0, 2.0, 0.5, 1.0]))
    assert order.tolist() == [1, 1, 2, 3]
    np.testing.assert_array_equal(importance, [0, 1, 0.5, 1])
    order, importance = visits_of(3, np.array([2.5, 1.0, 3.0]))
    assert order.tolist() == [0, 0, 0, 1, 2, 2, 2]
    np.testing.assert_array_equal(importance, [2.5 / 3, 1, 1])
    order, importance = visits_of(3, np.array([3.0, 0.0, 1.0]))
    assert (order.tolist(), importance) == ([0, 0, 0, 2], None)


@pytest.mark.parametrize("weights", [np.full(50, 1e9), np.geomspace(1e-9, 1e9, 50)])
def test_large_weights_do_not_make_an_epoch_endless(weights):
    order, importance = visits_of(50, weights)
    assert len(order) <= MOST_VISITS * 50
    total = np.zeros(50)
    np.add.at(total, order, importance[order])
    np.testing.assert_allclose(total, weights, rtol=1e-12)


def as_csr(dense):
    matrix = scipy.sparse.csr_array(dense)
    return CSR(matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int64), matrix.shape)


@pytest.mark.parametrize("make", [np.ascontiguousarray, as_csr])
def test_an_order_by_content_does_not_depend_on_places(make):
    rows = RNG.integers(-1, 2, (200, 3)).astype(float)  # many of them equal
    labels = RNG.integers(0, 2, 200).astype(float)
    moved = RNG.permutation(200)
    order, other = by_content(make(rows), labels), by_content(make(rows[moved]), labels[moved])
    both = np.column_stack([rows, labels])
    np.testing.assert_array_equal(both[order], both[moved][other])
    different = np.unique(both, axis=0)
    changes = np.count_nonzero((both[order][1:] != both[order][:-1]).any(axis=1))
    assert changes == len(different) - 1  # equal ones are neighbours
    assert not np.array_equal(both[order], both)


def test_equal_examples_are_in_the_order_of_their_weights():
    rows, labels, weights = np.ones((5, 2)), np.zeros(5), np.array([3.0, 1.0, 2.0, 5.0, 4.0])
    assert weights[by_content(rows, labels, weights)].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (np.ones(39), ValueError, r"sample_weight must have shape \(40,\), one weight an example, not \(39,\)"),
        (np.r_[np.ones(39), -1], ValueError, "sample_weight must be finite and at least 0, not -1.0 at row 39"),
        (np.r_[np.nan, np.ones(39)], ValueError, "sample_weight must be finite and at least 0, not nan at row 0"),
        (np.zeros(40), ValueError, "sample_weight is 0 for all examples"),
        (np.full(40, 1e308), ValueError, r"sample_weight must be of a size that sums can hold, not up to 1e\+308"),
        (np.full(40, 1e-60), ValueError, "sample_weight must be of a size that sums can hold, not up to 1e-60"),
        (["a"] * 40, TypeError, "sample_weight must be numbers"),
    ],
)
def test_what_are_no_weights_is_refused(weights, error, message):
    trained = model("squared").fit(X, SCORE)
    before = trained.coef_
    with pytest.raises(error, match=message):
        trained.fit(X, SCORE, sample_weight=weights)
    assert trained.coef_ is before
