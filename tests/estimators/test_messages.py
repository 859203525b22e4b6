"""What the estimators refuse, they refuse by the names of their own parameters and with the values that were given."""

import inspect
import logging
import re
import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import cross_val_score

from fastadagrad.data import memory_at_hand
from fastadagrad.estimators.parameters import OURS
from fastadagrad.sklearn import AdaGradClassifier, AdaGradRegressor

X, Y = load_iris(return_X_y=True)
REAL_X, REAL_Y = load_diabetes(return_X_y=True)
DATA = {AdaGradClassifier: (X, Y), AdaGradRegressor: (REAL_X, REAL_Y)}
STRANGE = {"text": "nonsense", "list": [1.5, 2.5], "array": np.arange(3.0), "object": object(), "complex": 1j}
NUMBERS = {"minus": -3, "half": -0.5, "nan": float("nan"), "infinity": float("inf"), "huge": 10**400}
# Words of linear models that mean nothing to somebody who uses an estimator.
OF_LINEAR_MODELS = re.compile(
    rf"LinearModel|hash_bits|_step\b|with l[12]\b|\bl[12]=|\b({'|'.join(OURS)})(=| must | is '| ')"
)
# What each parameter may be, beside which everything below is nonsense.
TAKES = {
    "max_iter": {"None"},
    "n_jobs": {"None", "minus"},
    "random_state": {"None"},
    "learning_rate": {"None", "array"},
    "implicit": {"None"},
    "method_params": {"None"},
    "class_weight": {"None"},
    "penalty": {"None"},
}


def refused(make, message=None, **parameters):
    """The message with which `fit` refuses parameters; they have been kept as they were given until then."""
    model = make(**parameters)
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        model.fit(*DATA[make])
    assert not hasattr(model, "coef_")
    assert OF_LINEAR_MODELS.search(str(caught.value)) is None
    return str(caught.value)


def values_of(name):
    for label, value in (STRANGE | NUMBERS | {"None": None}).items():
        if label not in TAKES.get(name, ()):
            yield label, value


NONSENSE = [
    (make, name, label, value)
    for make in DATA
    for name in inspect.signature(make).parameters
    for label, value in values_of(name)
    if not (name in ("max_iter", "n_jobs") and label == "huge")
]


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [pytest.param(m, n, v, id=f"{m.__name__}-{n}-{label}") for m, n, label, v in NONSENSE],
)
def test_nonsense_is_refused_by_name(make, name, value):
    more = {"delta": {"loss": "huber"}, "quantile": {"loss": "quantile"}}.get(name, {})
    found = refused(make, **more, **{name: value})
    assert re.search(rf"\b{name}\b", found)
    if not isinstance(value, np.ndarray | list | int) and not callable(value):
        assert repr(value)[:12] in found


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"penalty": "l1", "momentum": 0.5},
            r"penalty='l1' cannot be combined with momentum=0.5: .* use momentum=0, or penalty=None with method_params",
        ),
        (
            {"penalty": "elasticnet", "method": "ftrl"},
            "penalty='elasticnet' does not go with method='ftrl', which has penalties of its own: use penalty=None, "
            "and ftrl_l1 or ftrl_l2 in method_params",
        ),
        (
            {"penalty": "l2", "method": "rda"},
            "penalty='l2' does not go with method='rda', whose only penalty is l1: use penalty='l1'",
        ),
        (
            {"penalty": "l2", "method": "rprop"},
            "penalty='l2' does not go with method='rprop', .* use penalty=None, or weight_decay in method_params",
        ),
        (
            {"penalty": "l1", "method": "rda", "method_params": {"rda_l1": 0.1}},
            "method_params has 'rda_l1', which penalty='l1' sets to alpha: drop one",
        ),
        ({"method_params": {"foo": 1}}, "method_params has no 'foo': method 'adagrad' has rms_regularizer, "),
        ({"method_params": {3: 1}}, "method_params has no 3: method 'adagrad' has"),
        (
            {"method_params": {"rms_regulariser": 1.0}},
            "method_params has no 'rms_regulariser': did you mean 'rms_regularizer'",
        ),
        ({"method_params": {"eps": 1.0}}, "method_params has no 'eps': did you mean 'rms_regularizer'"),
        ({"method_params": {"l1": 1.0}}, "method_params has no 'l1': set penalty='l1' and alpha"),
        ({"method_params": {"l2": 1.0}}, "method_params has no 'l2': set penalty='l2' and alpha"),
        ({"method_params": {"max_epochs": 3}}, "method_params has no 'max_epochs': it is max_iter of the estimator"),
        ({"method_params": {"dtype": "float32"}}, "method_params has no 'dtype': the estimator takes that of X"),
        (
            {"method_params": {"batch_size": 3}},
            "method_params has 'batch_size', a parameter of the estimator itself: set it there",
        ),
        (
            {"method_params": {"beta1_halflife": 3.0}},
            "method_params has no 'beta1_halflife': it is for method 'adam' or .* of its own, 'adagrad' has rms_reg",
        ),
        (
            {"method_params": {"rms_regularizer": -1.0}},
            r"method_params\['rms_regularizer'\] must be finite and at least 0, not -1.0",
        ),
        (
            {"method": "adadelta", "method_params": {"rms_regularizer": 0.0}},
            r"method_params\['rms_regularizer'\] must be above 0",
        ),
        (
            {"learning_rate": 2.0, "method_params": {"decoupled_weight_decay": 0.7}},
            r"learning_rate \* method_params\['decoupled_weight_decay'\] must be below 1",
        ),
        (
            {"early_stopping": True, "validation_fraction": 0.001},
            "validation_fraction=0.001 of 442 examples is 0: none would be left on one side",
        ),
        ({"learning_rate": np.array([0.1])}, r"learning_rate must be a number, not array\(\[0.1\]\)"),
        ({"learning_rate": lambda step: 0.1}, "learning_rate must be a number: a schedule would"),
        ({"random_state": -1}, "random_state must be an int from 0 to 4294967295, a RandomState or None, not -1"),
        ({"random_state": 2**32}, "random_state must be an int from 0 to 4294967295, .* not 4294967296"),
        ({"random_state": np.random.default_rng(0)}, r"random_state must be .*, not Generator"),
        ({"n_jobs": 0}, "n_jobs must be None or a whole number other than 0, not 0"),
        ({"method": "l1"}, "there is no method 'l1'"),
        ({"method": "seed"}, "there is no method 'seed'"),
    ],
    ids=lambda each: re.sub(" at 0x[0-9a-fA-F]+", "", str(each)),
)
def test_what_does_not_go_together(parameters, message):
    refused(AdaGradRegressor, message, **parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"penalty": "l2"}, r"learning_rate \* alpha is 1e\+299, which float32 cannot hold"),
        ({"penalty": "l1", "method": "rda"}, r"alpha makes a threshold of 1e\+300 in RDA .*, which float32"),
    ],
)
def test_strengths_that_float32_cannot_hold(parameters, message):
    with pytest.raises(ValueError, match=message):
        AdaGradRegressor(alpha=1e300, **parameters).fit(REAL_X.astype(np.float32), REAL_Y)


def test_steps_that_cannot_be_caught_up():
    with pytest.raises(ValueError, match=r"method_params\['weight_decay'\] cannot be caught up .* penalty='l2'"):
        AdaGradRegressor(method_params={"weight_decay": 0.1}).fit(scipy.sparse.csr_matrix(X * (X > 5)), Y)


def test_examples_that_are_all_alone_in_their_class():
    model = AdaGradClassifier("softmax", early_stopping=True, validation_fraction=0.5)
    with pytest.raises(ValueError, match=r"validation_fraction=0\.5 leaves no example .*; use early_stopping=False"):
        model.fit(X[:4], [*"abcd"])


def test_columns_for_which_there_is_no_memory(monkeypatch):
    monkeypatch.setattr(memory_at_hand, "bytes_at_hand", lambda: 1 << 20)
    wide = scipy.sparse.csr_matrix(([1.0, 2.0], ([0, 1], [3, 10**7])), (2, 10**8))
    with pytest.raises(ValueError, match=r"X has 100,000,000 columns.*; FeatureHasher of sklearn.feature_extraction"):
        AdaGradClassifier().fit(wide, [0, 1])


def test_what_cannot_change_between_parts():
    model = AdaGradClassifier().partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"with fit_intercept 'True', with which .* and fit_intercept is 'False'"):
        model.set_params(fit_intercept=False).partial_fit(X, Y)
    with pytest.raises(ValueError, match="with method 'adagrad', with which it began, and method is 'sgd' now"):
        model.set_params(fit_intercept=True, method="sgd").partial_fit(X, Y)
    with pytest.raises(ValueError, match=r"momentum .*: begin with a new model"):
        model.set_params(method="adagrad", momentum=0.5).partial_fit(X, Y)


def test_values_are_not_taken_for_names():
    """Labels and names of methods may be spelt as parameters of linear models are."""
    y = np.where(Y > 0, "seed", "intercept")
    model = AdaGradClassifier().partial_fit(X, y, classes=["intercept", "seed"])
    with pytest.raises(ValueError, match="y has the label 'validation', which is none of the classes"):
        model.partial_fit(X, np.where(Y > 0, "validation", "intercept"))


def test_an_option_of_another_loss_does_not_matter():
    same, other = (AdaGradRegressor(delta=d, quantile=q, random_state=0) for d, q in ((1.0, 0.5), (2.0, 0.9)))
    np.testing.assert_array_equal(same.fit(REAL_X, REAL_Y).coef_, other.fit(REAL_X, REAL_Y).coef_)


@pytest.mark.parametrize("way", [AdaGradRegressor.fit, AdaGradRegressor.partial_fit, cross_val_score])
@pytest.mark.parametrize("targets", [1, 2])
def test_a_loss_that_is_not_finite_warns_of_the_users_line(way, targets):
    options = {"method": "sgd", "learning_rate": 1e6, "implicit": False, "scale": "none", "random_state": 0}
    with pytest.warns(ConvergenceWarning, match="the loss was not finite") as found:
        way(AdaGradRegressor(**options), REAL_X * 1e6, np.column_stack([REAL_Y] * targets))
    assert {each.filename for each in found if each.category is ConvergenceWarning} == {__file__}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"loss": "squared"}, "loss must be one of 'auto', 'logistic', 'hinge', 'softmax', not 'squared'"),
        ({"penalty": "l3"}, "penalty must be one of None, 'l1', 'l2', 'elasticnet', not 'l3'"),
        ({"alpha": -1.0}, "alpha must be finite and at least 0, not -1.0"),
        ({"l1_ratio": 1.5}, "l1_ratio must be at most 1, not 1.5"),
        ({"max_iter": 0}, "max_iter must be a whole number of at least 1, not 0"),
        ({"tol": -1.0}, "tol must be finite and at least 0"),
        ({"n_iter_no_change": -1}, "n_iter_no_change must be a whole number of at least 0"),
        ({"early_stopping": True, "validation_fraction": 1.0}, "validation_fraction must be between 0 and 1"),
        ({"fit_intercept": "yes"}, "fit_intercept must be True or False, not 'yes'"),
        ({"early_stopping": "yes"}, "early_stopping must be True or False, not 'yes'"),
        ({"warm_start": 2}, "warm_start must be True or False, not 2"),
        ({"shuffle": "yes"}, "shuffle must be"),
        ({"method": "adagard"}, "did you mean 'adagrad'"),
        ({"method": "dog"}, "does not train linear models"),
        ({"method_params": {"rms_regulariser": 1.0}}, "did you mean 'rms_regularizer'"),
        ({"method_params": {"l1": 1.0}}, "method_params has no 'l1': set penalty='l1'"),
        ({"method_params": 3}, "method_params must be a dict"),
        ({"scale": "minmax"}, "scale must be one of"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"learning_rate": -1.0}, "learning_rate must be"),
        ({"random_state": "x"}, "random_state must be an int from 0 to 4294967295, a RandomState or None, not 'x'"),
    ],
    ids=str,
)
def test_parameters_that_make_no_sense_are_refused_in_fit(parameters, message):
    model = AdaGradClassifier(**parameters)  # not before, as scikit-learn wants it
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(X, Y)
    assert not hasattr(model, "coef_")


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="y has the one class 0, and a classifier needs two classes or more"):
        AdaGradClassifier().fit(X, np.zeros(150, int))
    with pytest.raises(ValueError, match="the weights leave examples of one class"):
        AdaGradClassifier().fit(X, Y == 0, sample_weight=(Y == 0).astype(float))
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        AdaGradClassifier().partial_fit(X, Y)
    with pytest.raises(ValueError, match="y has the label 2, which is none of the classes"):
        AdaGradClassifier().partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(ValueError, match="is not what the first call to partial_fit had"):
        AdaGradClassifier().partial_fit(X, Y, classes=[0, 1, 2]).partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(ValueError, match="class_weight='balanced' counts all examples"):
        AdaGradClassifier(class_weight="balanced").partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"y must have 1 columns, as in the fit before, got 2"):
        AdaGradRegressor().partial_fit(X, X[:, 0]).partial_fit(X, X[:, :2])
    with pytest.raises(ValueError, match="needs counts"):
        AdaGradRegressor("poisson").fit(X, -X[:, 0])
    with pytest.raises(NotFittedError):
        AdaGradRegressor().predict(X)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_loss_that_was_still_falling_is_warned_of(n_jobs):
    X, y = load_iris(return_X_y=True)
    for loss in ("auto", "logistic"):  # one output, and several
        with pytest.warns(
            ConvergenceWarning, match="the training loss was still falling, by .*: a larger max"
        ) as found:
            AdaGradClassifier(loss, max_iter=2, random_state=0, n_jobs=n_jobs).fit(X, y)
        assert [each.filename for each in found] == [__file__]
    model = AdaGradClassifier(max_iter=2, learning_rate=0.01, early_stopping=True, random_state=0)
    with pytest.warns(ConvergenceWarning, match="the validation loss was still falling, by .*: a larger max_iter"):
        model.fit(X, y)


def test_nothing_is_warned_of_the_default_number_of_epochs(caplog):
    X, y = load_iris(return_X_y=True)
    with caplog.at_level(logging.INFO, "fastadagrad"), warnings.catch_warnings():
        warnings.simplefilter("error")
        AdaGradClassifier(random_state=0).fit(X, y)
        AdaGradClassifier(max_iter=2, random_state=0).partial_fit(X, y, classes=[0, 1, 2])
        AdaGradRegressor(max_iter=1000, random_state=0).fit(*load_diabetes(return_X_y=True))
    (text,) = (record.getMessage() for record in caplog.records if "still falling" in record.getMessage())
    assert text.endswith(": a larger max_iter may help")
