"""Shapes, dtypes and bits of the estimators, and what they refuse."""

import pickle
import sys

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError

from fastadagrad.estimators import classifier, regressor
from fastadagrad.kernels.linear.losses import LOSSES
from fastadagrad.linear import LinearModel
from fastadagrad.linear.methods import trainers
from fastadagrad.linear.targets import OF_CLASSES, REAL
from fastadagrad.sklearn import AdaGradClassifier, AdaGradRegressor

X, Y3 = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
Y2 = Y3 == 1
REAL_X, REAL_Y = load_diabetes(return_X_y=True)
COUNTS = np.floor(REAL_Y / 20)
CLASSIFIERS = ["logistic", "hinge", "softmax"]
REGRESSORS = ["squared", "huber", "poisson", "quantile"]
FORMS = {"dense": np.asarray, "csr": scipy.sparse.csr_array, "csc": scipy.sparse.csc_matrix}


def of_wide_indices(dense):
    matrix = scipy.sparse.csr_matrix(dense)
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return matrix


def test_every_loss_has_its_estimator():
    names = {kind: {loss.name for loss in LOSSES.values() if loss.labels in kind} for kind in (OF_CLASSES, REAL)}
    assert {*classifier.LOSSES} - {"auto"} == names[OF_CLASSES] == {*CLASSIFIERS}
    assert {*regressor.LOSSES} == names[REAL] == {*REGRESSORS}


@pytest.mark.parametrize("loss", CLASSIFIERS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_classifier_has_the_shapes_of_scikit_learn(loss, form, dtype):
    features = FORMS[form](X.astype(dtype))
    for y, rows in ((Y2, 1), (Y3, 3)):
        model = AdaGradClassifier(loss, random_state=0).fit(features, y)
        assert (model.coef_.shape, model.intercept_.shape) == ((rows, 4), (rows,))
        assert model.coef_.dtype == model.intercept_.dtype == dtype
        scores = model.decision_function(features)
        assert (scores.shape, scores.dtype) == ((150,) if rows == 1 else (150, 3), dtype)
        expected = model.classes_[(scores > 0).astype(int) if rows == 1 else scores.argmax(axis=1)]
        np.testing.assert_array_equal(model.predict(features), expected)
        if loss == "hinge":
            assert not hasattr(model, "predict_proba")
            continue
        probabilities = model.predict_proba(features)
        assert (probabilities.shape, probabilities.dtype) == ((150, max(rows, 2)), dtype)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(features))
        np.testing.assert_array_equal(model.predict_log_proba(features), np.log(probabilities))


@pytest.mark.parametrize("loss", REGRESSORS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_regressor_has_the_shapes_of_scikit_learn(loss, form, dtype):
    features = FORMS[form](REAL_X.astype(dtype))
    model = AdaGradRegressor(loss, random_state=0).fit(features, COUNTS)
    assert (model.coef_.shape, model.intercept_.shape) == ((10,), (1,))
    assert model.coef_.dtype == dtype
    alone = model.predict(features)
    assert (alone.shape, alone.dtype) == ((442,), dtype)
    several = AdaGradRegressor(loss, random_state=0, n_jobs=2).fit(features, np.stack([COUNTS, REAL_Y], axis=1))
    assert (several.coef_.shape, several.intercept_.shape) == ((2, 10), (2,))
    np.testing.assert_array_equal(several.coef_[0], model.coef_)
    np.testing.assert_allclose(several.predict(features)[:, 0], alone, rtol=1e-5)
    one = AdaGradRegressor(loss, random_state=0).fit(features, COUNTS[:, None])
    assert (one.coef_.shape, one.predict(features).shape) == ((1, 10), (442, 1))


@pytest.mark.parametrize("method", trainers())
@pytest.mark.parametrize("form", ["dense", "csr"])
def test_every_method_trains_with_the_bits_of_a_linear_model(method, form):
    lazy = "touched" if form == "csr" else "exact"
    expected = LinearModel("logistic", method=method, lazy=lazy, seed=3, shuffle=False, dtype=np.float64, max_epochs=3)
    expected.fit(FORMS[form](X), Y2)
    model = AdaGradClassifier(method=method, lazy=lazy, random_state=3, shuffle=False, max_iter=3)
    model.fit(FORMS[form](X), Y2)
    np.testing.assert_array_equal(model.coef_, expected.coef_[None])
    np.testing.assert_array_equal(model.intercept_, [expected.intercept_])


@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({"penalty": "l1", "alpha": 0.01}, {"l1": 0.01}),
        ({"penalty": "l2", "alpha": 0.01}, {"l2": 0.01}),
        ({"penalty": "elasticnet", "alpha": 0.01, "l1_ratio": 0.25}, {"l1": 0.0025, "l2": 0.0075}),
        ({"average": "auto", "implicit": False}, {"average": "auto", "implicit": False}),
        ({"implicit": True, "learning_rate": 0.3}, {"implicit": True, "learning_rate": 0.3}),
        ({"average": 2, "momentum": 0.5, "nesterov": True}, {"average": 2, "momentum": 0.5, "nesterov": True}),
        ({"early_stopping": True, "validation_fraction": 0.2}, {"validation": 0.2}),
        (
            {"batch_size": 8, "scale": "maxabs", "fit_intercept": False},
            {"batch_size": 8, "scale": "maxabs", "intercept": False},
        ),
        (
            {"method_params": {"rms_regularizer": 0.1, "weight_decay": 0.01}},
            {"rms_regularizer": 0.1, "weight_decay": 0.01},
        ),
        (
            {"learning_rate": "auto", "tol": 0.01, "n_iter_no_change": 2},
            {"learning_rate": "auto", "min_improvement": 0.01, "patience": 2},
        ),
    ],
    ids=str,
)
def test_parameters_are_those_of_a_linear_model(options, theirs):
    common = {"shuffle": False, "dtype": np.float64, "max_epochs": 5, "seed": 0}
    expected = LinearModel("squared", **{**common, **theirs}).fit(REAL_X, REAL_Y)
    model = AdaGradRegressor(shuffle=False, max_iter=5, random_state=0, **options).fit(REAL_X, REAL_Y)
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    assert model.n_iter_ == len(expected.history)


def test_the_order_of_examples_and_their_repetitions_are_of_no_account():
    rng = np.random.default_rng(0)
    weights, moved = rng.integers(0, 4, 150), rng.permutation(150)
    first = AdaGradClassifier(random_state=1).fit(X, Y3, sample_weight=weights)
    repeated = X.repeat(weights, axis=0), Y3.repeat(weights)
    for features, y, given in ((X[moved], Y3[moved], weights[moved]), (*repeated, None)):
        other = AdaGradClassifier(random_state=1).fit(features, y, sample_weight=given)
        np.testing.assert_allclose(other.coef_, first.coef_, rtol=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"early_stopping": True, "validation_fraction": 0.3},
        {"early_stopping": True, "class_weight": "balanced"},
        {"learning_rate": "auto"},
    ],
    ids=str,
)
@pytest.mark.parametrize("form", ["dense", "csr"])
def test_the_order_of_examples_is_of_no_account_where_some_are_drawn(options, form):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 150, 200)  # some of them twice or more
    moved, weights = rng.permutation(200), rng.integers(0, 4, 200) / 2
    for given in (None, weights):
        fits = []
        for order in (np.arange(200), moved):
            some = None if given is None else given[order]
            model = AdaGradClassifier("logistic", random_state=1, **options)
            fits.append(model.fit(FORMS[form](X[rows][order]), Y3[rows][order], sample_weight=some))
        assert fits[0].n_iter_ == fits[1].n_iter_
        np.testing.assert_allclose(fits[0].coef_, fits[1].coef_, rtol=1e-9)


def test_wide_indices_and_columns_names():
    pandas = pytest.importorskip("pandas")
    dense, wide = (AdaGradClassifier(scale="none", random_state=0).fit(f(X), Y3) for f in (np.asarray, of_wide_indices))
    np.testing.assert_allclose(wide.coef_, dense.coef_, rtol=1e-9)
    named = AdaGradClassifier().fit(pandas.DataFrame(X, columns=[*"abcd"]), Y3)
    assert named.feature_names_in_.tolist() == [*"abcd"]
    with pytest.raises(ValueError, match="feature names"):
        named.predict(pandas.DataFrame(X, columns=[*"abce"]))


@pytest.mark.parametrize("labels", [np.array(["no", "yes"]), np.array(["no", "yes"], object), [False, True], [-1, 1]])
def test_labels_of_any_kind(labels):
    y = np.asarray(labels)[Y2.astype(int)]
    model = AdaGradClassifier(random_state=0).fit(X, y)
    assert model.classes_.tolist() == list(labels)
    assert model.score(X, y) > 0.6
    assert {*model.predict(X)} == {*labels}


def test_whole_numbers_are_no_classes_for_a_regressor():
    model = AdaGradRegressor(random_state=0).fit(REAL_X, COUNTS.astype(int))
    assert model.coef_.shape == (10,)
    assert model.score(REAL_X, COUNTS) > 0.4


def test_class_weights():
    rare = np.r_[np.flatnonzero(Y3 == 0), np.flatnonzero(Y3 == 1)[:5]]
    x, y = X[rare][:, :1], Y3[rare]  # that overlap
    plain = AdaGradClassifier(random_state=0, shuffle=False).fit(x, y)
    factors = {0: 55 / (2 * 50), 1: 55 / (2 * 5)}
    balanced, named, weighed = (
        AdaGradClassifier(class_weight=each, random_state=0, shuffle=False) for each in ("balanced", factors, None)
    )
    balanced.fit(x, y)
    named.fit(x, y)
    weighed.fit(x, y, sample_weight=np.vectorize(factors.get)(y))
    np.testing.assert_array_equal(balanced.coef_, named.coef_)
    np.testing.assert_array_equal(balanced.coef_, weighed.coef_)
    assert balanced.decision_function(x).mean() > plain.decision_function(x).mean()


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: -1.0, 1: 1.0}, "class_weight must have finite numbers of at least 0"),
        ({0: np.nan, 1: 1.0}, "class_weight must have finite numbers of at least 0"),
        ({0: 0.0, 1: 1.0}, "the weights leave examples of one class"),
        ({5: 1.0}, "not in class_weight"),
        ("equal", "class_weight"),
    ],
)
def test_class_weights_that_make_no_sense(class_weight, message):
    with pytest.raises(ValueError, match=message):
        AdaGradClassifier(class_weight=class_weight).fit(X, Y2.astype(int))


def test_class_weights_of_classes_that_a_part_lacks():
    model = AdaGradClassifier(class_weight={1: 5.0}).partial_fit(X, Y3, classes=[0, 1, 2])
    assert model.partial_fit(X[Y3 != 1], Y3[Y3 != 1]).coef_.shape == (3, 4)


def test_weights_that_float32_cannot_hold_are_refused():
    with pytest.raises(ValueError, match="float32 cannot hold the weights: give X as float64"):
        AdaGradRegressor(random_state=0).fit(X.astype(np.float32), X[:, 0] * 1e39)


@pytest.mark.parametrize("form", ["dense", "csr"])
def test_parts(form):
    options = {"scale": "none", "max_iter": 1, "learning_rate": 0.1, "average": False}
    whole = AdaGradClassifier(shuffle=False, **options).fit(FORMS[form](X), Y3)
    parts = AdaGradClassifier(shuffle=False)
    for rows in (slice(0, 70), slice(70, 71), slice(71, 150)):
        parts.partial_fit(FORMS[form](X)[rows], Y3[rows], classes=[0, 1, 2])
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-10)
    several = AdaGradRegressor(shuffle=False)
    for rows in (slice(0, 70), slice(70, 150)):
        several.partial_fit(FORMS[form](X)[rows], X[rows, :2])
    assert several.coef_.shape == (2, 4)


def test_warm_start():
    cold = AdaGradClassifier(shuffle=False, max_iter=6, learning_rate=0.1).fit(X, Y3)
    warm = AdaGradClassifier(shuffle=False, max_iter=2, learning_rate=0.1, warm_start=True)
    for _ in range(3):
        warm.fit(X, Y3)
    np.testing.assert_array_equal(warm.coef_, cold.coef_)
    again = clone(warm).fit(X, Y3)
    assert not np.array_equal(again.coef_, cold.coef_)


def test_an_average_goes_on_from_part_to_part():
    parts = [(X[:50], Y3[:50]), (X[50:60], Y3[50:60]), (X[60:], Y3[60:])]
    each, mean = (AdaGradClassifier("hinge", shuffle=False, average=average) for average in (1, True))
    found = [each.partial_fit(*part, classes=[0, 1, 2]).coef_.copy() for part in parts]
    for part in parts:
        mean = pickle.loads(pickle.dumps(mean.partial_fit(*part, classes=[0, 1, 2])))
    np.testing.assert_allclose(mean.coef_, np.average(found, axis=0, weights=[50, 10, 90]), rtol=1e-10)
    kept = mean.coef_.copy()
    mean.set_params(average=False).partial_fit(X[:1], Y3[:1], sample_weight=[1e-12])
    np.testing.assert_allclose(mean.coef_, kept, rtol=1e-6)


def test_parameters_may_change_between_parts():
    changed, slow = (AdaGradClassifier(shuffle=False).partial_fit(X[:70], Y2[:70], classes=[0, 1]) for _ in range(2))
    slow.partial_fit(X[70:], Y2[70:])
    changed.set_params(learning_rate=1.0).partial_fit(X[70:], Y2[70:])
    assert np.abs(changed.coef_).sum() > np.abs(slow.coef_).sum()
    with pytest.raises(ValueError, match="training goes on with method 'adagrad', with which it began, and method is"):
        changed.set_params(method="sgd").partial_fit(X, Y2)
    with pytest.raises(ValueError, match="training goes on with slots 'accumulator', with which it began"):
        slow.set_params(momentum=0.5).partial_fit(X, Y2)
    with pytest.raises(ValueError, match="training goes on with loss 'logistic', with which it began"):
        slow.set_params(momentum=0.0, loss="hinge").partial_fit(X, Y2)
    with pytest.raises(ValueError, match="training goes on with fit_intercept 'True', with which it began"):
        slow.set_params(loss="auto", fit_intercept=False).partial_fit(X, Y2)
    with pytest.raises(ValueError, match="learning_rate='auto' tries rates on all of the examples"):
        AdaGradRegressor(learning_rate="auto").partial_fit(X, Y3)
    rest = AdaGradClassifier("logistic").partial_fit(X, Y3, classes=[0, 1, 2])
    with pytest.raises(
        ValueError, match="loss is 'softmax' now, and training goes on with the loss with which it began"
    ):
        rest.set_params(loss="softmax").partial_fit(X, Y3)


def test_a_fit_that_fails_leaves_the_estimator_as_it_was():
    model = AdaGradClassifier(penalty="l1", method="ftrl")  # which has penalties of its own
    with pytest.raises(ValueError, match="penalty='l1' does not go with method='ftrl'"):
        model.fit(X, Y3)
    assert not hasattr(model, "classes_")
    with pytest.raises(NotFittedError):
        model.predict(X)
    narrow = AdaGradRegressor().partial_fit(X[:, :1], Y3)
    with pytest.raises(ValueError, match="max_iter"):
        narrow.set_params(max_iter=0).fit(X, Y3)
    assert narrow.n_features_in_ == 1
    with pytest.raises(ValueError, match="X has 4 features"):
        narrow.set_params(max_iter=None).partial_fit(X, Y3)
    trained = AdaGradClassifier(random_state=0).fit(X, Y3)
    expected = trained.predict(X)
    with pytest.raises(ValueError, match=r"validation_fraction=0\.001"):
        trained.set_params(early_stopping=True, validation_fraction=0.001).fit(X, np.array(["a", "b"])[Y2 + 0])
    np.testing.assert_array_equal(trained.predict(X), expected)


def test_sparsify_and_densify():
    model = AdaGradRegressor(penalty="l1", alpha=0.1, method="adagrad_da", random_state=0).fit(REAL_X, REAL_Y)
    coef, expected = model.coef_.copy(), model.predict(REAL_X)
    assert model.sparsify() is model
    assert scipy.sparse.issparse(model.coef_)
    assert model.coef_.nnz == np.count_nonzero(coef) < 10
    np.testing.assert_allclose(model.predict(REAL_X), expected, rtol=1e-12)
    np.testing.assert_array_equal(model.densify().coef_, coef)


def test_copies_have_the_same_bits():
    model = AdaGradClassifier(random_state=0).fit(X, Y3)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(
        copied.partial_fit(X, Y3, classes=[0, 1, 2]).coef_, model.partial_fit(X, Y3, classes=[0, 1, 2]).coef_
    )


def test_random_states():
    same, other = (AdaGradClassifier(random_state=each).fit(X, Y3).coef_ for each in (5, 6))
    np.testing.assert_array_equal(AdaGradClassifier(random_state=5).fit(X, Y3).coef_, same)
    assert not np.array_equal(same, other)
    drawn = [AdaGradClassifier(random_state=np.random.RandomState(0)).fit(X, Y3).coef_ for _ in range(2)]
    np.testing.assert_array_equal(*drawn)


def test_without_scikit_learn_the_import_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "fastadagrad.sklearn")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"fastadagrad\.sklearn needs scikit-learn: pip install"):
        import fastadagrad.sklearn  # noqa: F401
