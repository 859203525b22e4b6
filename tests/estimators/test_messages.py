"""What the estimators refuse, they refuse by the names of their own parameters and with the values that were given."""

import inspect
import re

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_diabetes, load_iris

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
        AdaGradRegressor(method_params={"weight_decay": 0.1}).fit(scipy.sparse.csr_matrix(X), Y)


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
