"""What users of scikit-learn expect of a linear estimator: rows of the table in docs/conventions.md."""

from itertools import combinations

import numpy as np
import pytest
import scipy.sparse
from conventions import rows
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris

from fastadagrad.sklearn import AdaGradClassifier, AdaGradRegressor

ROWS, row = rows()
X, Y = load_iris(return_X_y=True)
REAL_X, REAL_Y = load_diabetes(return_X_y=True)


@row(
    "parameters are kept as they are given, `fit` checks them; `get_params`, `set_params` and `clone`",
    "the same",
)
def test_parameters():
    model = AdaGradClassifier(alpha="much")
    assert model.get_params()["alpha"] == "much"
    assert clone(model).set_params(alpha=1.0).alpha == 1.0
    with pytest.raises(TypeError, match="alpha must be a number, not 'much'"):
        model.fit(X, Y)


@row(
    "`coef_` is (1, features) or (classes, features) of a classifier, (features,) of a regressor",
    "the same, also for `softmax` of two classes",
)
def test_shapes():
    assert AdaGradClassifier().fit(X, Y > 0).coef_.shape == (1, 4)
    assert AdaGradClassifier("softmax").fit(X, Y > 0).coef_.shape == (1, 4)
    assert AdaGradClassifier().fit(X, Y).coef_.shape == (3, 4)
    assert AdaGradRegressor().fit(REAL_X, REAL_Y).coef_.shape == (10,)
    assert AdaGradRegressor().fit(REAL_X, np.stack([REAL_Y] * 2, axis=1)).coef_.shape == (2, 10)


@row(
    "`LogisticRegression` is multinomial for more than two classes, `SGDClassifier` one against the rest",
    'multinomial (`softmax`) by default; `loss="logistic"` and `"hinge"` are one against the rest',
)
def test_several_classes():
    default, softmax = (AdaGradClassifier(loss, random_state=0).fit(X, Y) for loss in ("auto", "softmax"))
    np.testing.assert_array_equal(default.coef_, softmax.coef_)
    rest = AdaGradClassifier("logistic", random_state=0).fit(X, Y)
    alone = AdaGradClassifier("logistic", random_state=0).fit(X, Y == 2)
    np.testing.assert_array_equal(rest.coef_[2], alone.coef_[0])


@row(
    '`SGDClassifier` calls the losses "log_loss" and "hinge", `SGDRegressor` "squared_error" and "huber"',
    '"logistic", "hinge", "softmax"; "squared", "huber", "poisson", "quantile": another name is refused with these',
)
def test_names_of_losses():
    with pytest.raises(ValueError, match="loss must be one of 'auto', 'logistic', 'hinge', 'softmax', not 'log_loss'"):
        AdaGradClassifier("log_loss").fit(X, Y)
    with pytest.raises(ValueError, match=r"loss must be one of 'squared', .*, not 'squared_error'"):
        AdaGradRegressor("squared_error").fit(REAL_X, REAL_Y)


@row(
    '`SGDClassifier` has a penalty by default: "l2" with `alpha=1e-4`',
    "none by default; `penalty`, `alpha` and `l1_ratio` have the same meaning, for features as they are scaled",
)
def test_penalties():
    plain, none = (AdaGradClassifier(alpha=a, random_state=0).fit(X, Y) for a in (1e-4, 100.0))
    np.testing.assert_array_equal(plain.coef_, none.coef_)
    strong = AdaGradClassifier(penalty="l2", alpha=100.0, random_state=0).fit(X, Y)
    assert np.abs(strong.coef_).max() < 0.1 * np.abs(plain.coef_).max()


@row(
    "features are to be scaled before `SGDClassifier`",
    '`scale="auto"` does so while training; `coef_` is for features as they come',
)
def test_scale():
    units = np.array([1e-3, 1.0, 1e3, 1e6])
    model, other = (AdaGradClassifier(shuffle=False, random_state=0).fit(X * unit, Y) for unit in (1.0, units))
    np.testing.assert_allclose(other.coef_ * units, model.coef_, rtol=1e-6)


@row(
    "`max_iter` epochs at most; `SGDClassifier` has 1,000 and stops by `tol=1e-3` and `n_iter_no_change=5`",
    "10 to 50 epochs by default; `tol` is a share of the loss, 1e-5 by default; `n_iter_` counts epochs",
)
def test_epochs():
    assert AdaGradClassifier(max_iter=3).fit(X, Y).n_iter_ == 3
    assert AdaGradClassifier(n_iter_no_change=0, tol=0.9, max_iter=40).fit(X, Y).n_iter_ == 2
    assert AdaGradClassifier(n_iter_no_change=10**6).fit(X, Y).n_iter_ == 50


@row(
    "`sample_weight=2` should be the example twice; of `SGDClassifier` it is not",
    "it is, up to rounding, unless weights are above 9 on average, or examples are set aside",
)
def test_weights():
    weights = np.arange(150) % 4
    weighed = AdaGradClassifier(random_state=0).fit(X, Y, sample_weight=weights)
    repeated = AdaGradClassifier(random_state=0).fit(X.repeat(weights, 0), Y.repeat(weights))
    np.testing.assert_allclose(weighed.coef_, repeated.coef_, rtol=1e-9)


@row(
    "an int as `random_state` makes a fit repeatable; the order of the rows matters to `SGDClassifier`",
    "the same bits each time; the order of the rows is of no account, up to rounding, with `shuffle=True`",
)
def test_random_state():
    moved = np.random.default_rng(0).permutation(150)
    model, again = (AdaGradClassifier(random_state=0).fit(X, Y) for _ in range(2))
    np.testing.assert_array_equal(model.coef_, again.coef_)
    for options in ({}, {"early_stopping": True}):
        first = AdaGradClassifier(random_state=0, **options).fit(X, Y)
        other = AdaGradClassifier(random_state=0, **options).fit(X[moved], Y[moved])
        np.testing.assert_allclose(other.coef_, first.coef_, rtol=1e-9)


@row(
    "`partial_fit` makes one epoch of what it is given; the first call of a classifier wants `classes`",
    'the same; there `scale="auto"` leaves the features as they come; no rate is found, and no average is made',
)
def test_partial_fit():
    parts = AdaGradClassifier(shuffle=False).partial_fit(X[::2], Y[::2], classes=[0, 1, 2])
    parts.partial_fit(X[1::2], Y[1::2])
    order = np.r_[0:150:2, 1:150:2]
    options = {"scale": "none", "max_iter": 1, "learning_rate": 0.1, "average": False}
    whole = AdaGradClassifier(shuffle=False, **options).fit(X[order], Y[order])
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-9)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        AdaGradClassifier().partial_fit(X, Y)


@row(
    "`warm_start=True`: `fit` goes on from the weights that there are",
    "from the weights, what the method keeps beside them, the scales and the classes",
)
def test_warm_start():
    whole = AdaGradRegressor(max_iter=4, learning_rate=0.1, shuffle=False).fit(REAL_X, REAL_Y)
    warm = (
        AdaGradRegressor(max_iter=2, learning_rate=0.1, shuffle=False, warm_start=True)
        .fit(REAL_X, REAL_Y)
        .fit(REAL_X, REAL_Y)
    )
    np.testing.assert_array_equal(warm.coef_, whole.coef_)


@row(
    "`early_stopping=True` sets `validation_fraction` aside and stops by its score; the last weights are kept",
    "the weights kept are those of the lowest loss on the examples set aside",
)
def test_early_stopping():
    noise, options = np.random.default_rng(0).normal(size=(200, 21)), {"early_stopping": True, "random_state": 1}
    options |= {"learning_rate": 0.1, "average": False}
    stopped = AdaGradRegressor(**options, n_iter_no_change=3).fit(noise[:, 1:], noise[:, 0])
    assert stopped.n_iter_ < 50
    short = AdaGradRegressor(**options, max_iter=stopped.n_iter_ - 4).fit(noise[:, 1:], noise[:, 0])
    np.testing.assert_array_equal(stopped.coef_, short.coef_)


@row(
    "`average=True` averages the weights of all steps, `average=10` from the tenth example on; `partial_fit` goes on",
    "`True`: the weights at up to 16 points of each epoch; an int: the same in the last so many epochs; "
    "`partial_fit` goes on",
)
def test_average():
    parts, first, second = (AdaGradRegressor(average=each, shuffle=False, random_state=0) for each in (True, 1, 1))
    ends = [model.partial_fit(REAL_X, REAL_Y).partial_fit(REAL_X, REAL_Y).coef_ for model in (parts, second)]
    np.testing.assert_allclose(ends[0], (first.partial_fit(REAL_X, REAL_Y).coef_ + ends[1]) / 2, rtol=1e-10)
    last = AdaGradRegressor(average=1, max_iter=1, shuffle=False, random_state=0).fit(REAL_X, REAL_Y)
    every = AdaGradRegressor(average=True, max_iter=1, shuffle=False, random_state=0).fit(REAL_X, REAL_Y)
    np.testing.assert_array_equal(last.coef_, every.coef_)
    options = {"max_iter": 2, "learning_rate": 0.1, "shuffle": False}
    fits = [AdaGradRegressor(average=each, **options).fit(REAL_X, REAL_Y).coef_ for each in ("auto", True, False)]
    for one, other in combinations(fits, 2):  # by default later epochs count more
        assert not np.array_equal(one, other)


@row(
    '`class_weight` is a dict or "balanced"',
    "the same, on top of `sample_weight`",
)
def test_class_weight():
    model = AdaGradClassifier(class_weight={0: 2, 1: 1, 2: 3}, random_state=0).fit(X, Y, sample_weight=np.full(150, 2))
    other = AdaGradClassifier(random_state=0).fit(X, Y, sample_weight=np.array([4, 2, 6])[Y])
    np.testing.assert_array_equal(model.coef_, other.coef_)


@row(
    "X may be sparse; float32 is kept",
    "the same, with int32 and int64 indices; `coef_` has the dtype of X",
)
def test_sparse():
    wide = scipy.sparse.csr_matrix(X.astype(np.float32))
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    model = AdaGradClassifier(random_state=0).fit(wide, Y)
    assert model.coef_.dtype == model.decision_function(wide).dtype == np.float32


@row(
    "a regressor takes whole numbers as numbers",
    "the same: `LinearModel` guesses classes where its loss is not named, the estimators do not",
)
def test_whole_numbers():
    ages = np.arange(442) % 55
    assert AdaGradRegressor().fit(REAL_X, ages).coef_.shape == (10,)


@row(
    "`predict_proba` is an attribute only where there are probabilities",
    "the same",
)
def test_probabilities():
    assert not hasattr(AdaGradClassifier("hinge"), "predict_proba")
    assert AdaGradClassifier().fit(X, Y).predict_proba(X).shape == (150, 3)


@row(
    "Ctrl-C in a fit raises KeyboardInterrupt",
    "the same; a fit of `LinearModel` ends with the weights so far",
)
def test_interrupts(monkeypatch):
    from fastadagrad.linear.training import Trainer

    train = Trainer.train

    def interrupted(self, order, report=None):
        train(self, order, report)
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "train", interrupted)
    model = AdaGradClassifier()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert not hasattr(model, "coef_")


@row(
    "a fit that diverges raises ValueError",
    "ConvergenceWarning; the weights are those of the epoch before",
)
def test_divergence():
    from sklearn.exceptions import ConvergenceWarning

    model = AdaGradRegressor(method="sgd", learning_rate=1e6, implicit=False, scale="none", random_state=0)
    with pytest.warns(ConvergenceWarning):
        model.fit(REAL_X * 1e6, REAL_Y)
    assert np.isfinite(model.coef_).all()


def test_the_table_has_these_rows():
    from conventions import table

    assert table("scikit-learn") == [*ROWS.values()]
    assert len(ROWS) == sum(name.startswith("test_") for name in globals()) - 1
