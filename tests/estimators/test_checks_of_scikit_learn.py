"""scikit-learn's own checks of estimators: all pass, and none is expected to fail."""

import warnings

import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from fastadagrad.sklearn import AdaGradClassifier, AdaGradRegressor

VARIANTS = [
    AdaGradClassifier(),
    AdaGradClassifier("logistic", penalty="elasticnet", n_jobs=2),
    AdaGradClassifier("hinge", average=True),
    AdaGradClassifier("softmax", method="ftrl", learning_rate=0.3),
    AdaGradClassifier(early_stopping=True, random_state=0),
    AdaGradRegressor(),
    AdaGradRegressor("huber", penalty="l1", average=3),
    AdaGradRegressor("quantile", n_jobs=2),
    AdaGradRegressor(method="adam", learning_rate=0.01, lazy="touched", method_params={"beta1_halflife": 3.0}),
    AdaGradRegressor(early_stopping=True, random_state=0),
]
# Weights of examples that are set aside are not repetitions: another share of them would be set aside.
NOT_WITH_EARLY_STOPPING = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}


def failures(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check_estimator(estimator, on_fail=None, on_skip=None)
    skipped = {each["check_name"] for each in found if each["status"] == "skipped"}
    assert skipped <= {"check_array_api_input"}  # which wants a variable of the environment
    assert len(found) > 45
    return {each["check_name"]: each["exception"] for each in found if each["status"] not in ("passed", "skipped")}


@pytest.mark.parametrize("estimator", [VARIANTS[0], pytest.param(VARIANTS[5], marks=pytest.mark.slow)], ids=repr)
def test_the_defaults(estimator):
    assert failures(estimator) == {}


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [*VARIANTS[1:5], *VARIANTS[6:]], ids=repr)
def test_variants(estimator):
    allowed = NOT_WITH_EARLY_STOPPING if estimator.early_stopping else set()
    assert {*failures(estimator)} <= allowed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(AdaGradClassifier(random_state=0), LogisticRegression()), (AdaGradRegressor(random_state=0), LinearRegression())],
)
def test_in_a_pipeline_only_what_fails_of_the_pipeline_itself(ours, theirs):
    found, expected = (failures(make_pipeline(StandardScaler(), each)) for each in (ours, theirs))
    assert {*found} == {*expected}
