"""The page for those who come from scikit-learn: its rows of arguments, calls and defaults against both libraries."""

import inspect

import numpy as np
import pytest
from pages import call, codes, section, table

pytest.importorskip("sklearn", reason="needs the extra fit")

from sklearn.linear_model import SGDClassifier, SGDRegressor

import fastadagrad as fa
from fastadagrad.sklearn import AdaGradClassifier, AdaGradRegressor

PAGE = "migrating/scikit_learn.md"
OURS = {"SGDClassifier": AdaGradClassifier, "SGDRegressor": AdaGradRegressor}
THEIRS = {"SGDClassifier": SGDClassifier, "SGDRegressor": SGDRegressor}
rng = np.random.default_rng(0)
X = rng.standard_normal((300, 6))
SCORES = X[:, 0] - X[:, 1] + 0.5 * rng.standard_normal(300)


def names(cell):
    return {text.partition("=")[0] for text in codes(cell)}


def parameters(classes):
    return {name for each in classes.values() for name in inspect.signature(each).parameters}


@pytest.mark.parametrize("row", table(PAGE, "Arguments"), ids=lambda row: row[0])
def test_arguments(row):
    assert names(row[0]) <= parameters(THEIRS)
    assert (names(row[0]) if row[1] == "the same names" else names(row[1])) <= parameters(OURS)


def test_losses_that_only_one_of_them_has():
    (text,) = [part for part in section(PAGE, "Arguments").split("\n\n") if part.startswith('`"modified_huber"')]
    theirs, ours = (codes(part) for part in text.split("no counterpart"))
    assert len(theirs) == 6
    y = SCORES > 0
    for name in (each.strip('"') for each in theirs[:3]):
        with pytest.raises(ValueError, match="loss"):
            AdaGradClassifier(loss=name).fit(X, y)
    for name in (each.strip('"') for each in ours):
        with pytest.raises(ValueError, match="loss"):
            (SGDClassifier if name == "softmax" else SGDRegressor)(loss=name).fit(X, y)
        assert name in fa.LinearModel.__doc__


@pytest.mark.parametrize(("left", "right"), table(PAGE, "Calls")[:5], ids=lambda cell: cell[:40])
def test_calls(left, right):
    """The same weights from the same data in the same order."""
    scope = {**THEIRS, **{each.__name__: each for each in OURS.values()}}
    theirs, ours = eval(codes(left)[0], scope), eval(codes(right)[0], scope)
    y = SCORES > 0 if "Classifier" in left else SCORES
    theirs.fit(X, y)
    ours.fit(X, y)
    assert np.abs(theirs.coef_).max() > 0.5
    for a, b in ((theirs.coef_, ours.coef_), (theirs.intercept_, ours.intercept_)):
        np.testing.assert_allclose(np.ravel(b), np.ravel(a), rtol=0, atol=1e-12)


def default(of, name):
    return inspect.signature(of).parameters[name].default


class TestDefaults:
    def test_each_row_is_here(self):
        lines = section(PAGE, "Calls").split("What differs by default:")[1].splitlines()
        told = [line.split("|")[1].strip() for line in lines if line.startswith("|")][2:]
        assert told == [
            "method",
            "the rate",
            "a step",
            "the weights that are kept",
            "features",
            "targets of a regressor",
            "a loss that was still falling after `max_iter`",
            "penalty",
            "loss of a classifier",
            "epochs",
            'penalty `"l2"`',
            'penalty `"l1"`',
            "intercept of sparse data",
        ]

    def test_method_features_penalty_loss_epochs(self):
        assert default(SGDClassifier, "learning_rate") == "optimal"
        assert default(SGDRegressor, "learning_rate") == "invscaling"
        for ours in OURS.values():
            assert default(ours, "method") == "adagrad"
            assert default(ours, "scale") == "auto"
            assert default(ours, "penalty") is None
            assert default(ours, "max_iter") is None
        assert default(SGDClassifier, "penalty") == "l2"
        assert (default(SGDClassifier, "loss"), default(AdaGradClassifier, "loss")) == ("hinge", "auto")
        assert default(SGDClassifier, "max_iter") == 1000
        for examples, epochs in ((2000, 10), (500, 20), (100, 50)):
            x = rng.standard_normal((examples, 2))
            assert AdaGradClassifier(learning_rate=0.1).fit(x, x[:, 0] > 0).n_iter_ == epochs

    def test_rate_steps_and_weights(self):
        assert (default(SGDRegressor, "eta0"), default(SGDClassifier, "average")) == (0.01, False)
        x, y = rng.standard_normal((200, 3)), rng.standard_normal(200)
        for option, same, other in (
            ("learning_rate", "auto", 0.0314),
            ("implicit", True, False),
            ("average", "auto", False),
        ):
            fits = [AdaGradRegressor(random_state=0, **how).fit(x, y) for how in ({}, {option: same}, {option: other})]
            np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)
            assert (fits[0].coef_ != fits[2].coef_).any()

    def test_scale_of_features(self):
        sparse = pytest.importorskip("scipy.sparse", reason="needs the extra scipy")
        few = np.where(rng.random((200, 8)) < 0.2, 5 * rng.random((200, 8)), 0.0)
        few[:, 0] = 1.0
        rows_of_length_1 = few / np.sqrt((few * few).sum(axis=1, keepdims=True))
        most = np.where(rng.random((200, 8)) < 0.8, 5 * rng.random((200, 8)), 0.0)
        y = rng.random(200) > 0.5
        for x, scale in ((few, "maxabs"), (rows_of_length_1, "none"), (most, "standard")):
            given = x if scale == "standard" else sparse.csr_array(x)
            auto, named = (
                AdaGradClassifier(learning_rate=0.1, scale=each, random_state=0).fit(features, y)
                for each, features in (("auto", sparse.csr_array(x)), (scale, given))
            )
            np.testing.assert_allclose(auto.coef_, named.coef_, rtol=1e-9)

    def test_l2_shrinks_or_divides(self):
        """Under a gradient of 0, of an example far on its side of the hinge."""
        x, y = np.array([[1000.0], [-1000.0]]), [1, 0]
        rate, alpha = 0.5, 0.1
        common = {"penalty": "l2", "alpha": alpha, "max_iter": 1, "shuffle": False, "fit_intercept": False}
        theirs = SGDClassifier("hinge", **common, tol=None, learning_rate="constant", eta0=rate).fit(x, y)
        ours = AdaGradClassifier("hinge", **common, method="sgd", learning_rate=rate, scale="none").fit(x, y)
        first = rate * 1000.0  # the weight after its first example
        assert theirs.coef_.item() == pytest.approx(first * (1 - rate * alpha), rel=1e-12)
        assert ours.coef_.item() == pytest.approx(first / (1 + rate * alpha) ** 2, rel=1e-12)

    def test_intercept_of_sparse_data(self):
        sparse = pytest.importorskip("scipy.sparse", reason="needs the extra scipy")
        x, y = sparse.csr_array(np.zeros((1, 1)) + 1e-9), [3.0]
        theirs = SGDRegressor(penalty=None, learning_rate="constant", eta0=0.1, max_iter=1, tol=None).fit(x, y)
        ours = AdaGradRegressor(method="sgd", learning_rate=0.1, scale="none", max_iter=1).fit(x, y)
        assert theirs.intercept_.item() == pytest.approx(0.3 * 0.01, rel=1e-6)
        assert ours.intercept_.item() == pytest.approx(0.3, rel=1e-6)


def test_calls_are_all_run():
    assert [call(codes(left)[0])[0] for left, _ in table(PAGE, "Calls")].count("SGDClassifier") == 3
    assert len(table(PAGE, "Calls")) == 5
