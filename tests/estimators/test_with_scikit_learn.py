"""The estimators inside scikit-learn's tools."""

import joblib
import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import BaggingRegressor, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # without which there is no halving
from sklearn.feature_selection import SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.metrics import RocCurveDisplay, get_scorer
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastadagrad.sklearn import AdaGradClassifier, AdaGradRegressor

X, Y = load_breast_cancer(return_X_y=True)
X3, Y3 = load_iris(return_X_y=True)
REAL_X, REAL_Y = load_diabetes(return_X_y=True)


def test_grid_search_over_processes():
    grid = {"alpha": [1e-4, 1.0], "penalty": ["l1", "l2"], "learning_rate": [None, 0.3]}
    search = GridSearchCV(AdaGradClassifier(random_state=0), grid, n_jobs=2, cv=3).fit(X, Y)
    assert search.best_params_["alpha"] == 1e-4
    assert search.best_score_ > 0.95
    alone = GridSearchCV(AdaGradClassifier(random_state=0), grid, cv=3).fit(X, Y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])


def test_halving():
    search = HalvingRandomSearchCV(
        AdaGradClassifier(random_state=0), {"learning_rate": loguniform(1e-3, 1)}, random_state=0
    )
    assert search.fit(X, Y).best_score_ > 0.9


def test_pipelines_and_cross_validation():
    pipeline = make_pipeline(StandardScaler(), AdaGradClassifier(random_state=0))
    assert cross_val_score(pipeline, X, Y, cv=3).mean() > 0.95
    assert cross_val_score(make_pipeline(StandardScaler(), AdaGradRegressor()), REAL_X, REAL_Y, cv=3).mean() > 0.4
    pytest.importorskip("pandas")
    pipeline.set_output(transform="pandas").fit(X, Y)
    assert pipeline[-1].feature_names_in_[0] == "x0"


def test_calibration():
    calibrated = CalibratedClassifierCV(AdaGradClassifier("hinge", random_state=0)).fit(X3, Y3)
    assert calibrated.predict_proba(X3).shape == (150, 3)
    assert calibrated.score(X3, Y3) > 0.8


@pytest.mark.parametrize(
    "tool",
    [
        OneVsRestClassifier(AdaGradClassifier(random_state=0)),
        VotingClassifier([("a", AdaGradClassifier(random_state=0)), ("b", AdaGradClassifier("hinge"))]),
    ],
)
def test_ensembles(tool):
    assert tool.fit(X3, Y3).score(X3, Y3) > 0.8


def test_bagging_and_several_outputs():
    assert (
        BaggingRegressor(AdaGradRegressor(), n_estimators=3, random_state=0).fit(REAL_X, REAL_Y).score(REAL_X, REAL_Y)
        > 0.4
    )
    several = MultiOutputClassifier(AdaGradClassifier(random_state=0)).fit(X3, np.stack([Y3, Y3 > 0], axis=1))
    assert several.predict(X3).shape == (150, 2)


def test_selection_inspection_and_scoring():
    model = AdaGradClassifier(penalty="l1", alpha=0.02, method="adagrad_da", random_state=0).fit(X, Y)
    chosen = SelectFromModel(model, prefit=True, threshold=1e-9).transform(X)
    assert chosen.shape[1] == np.count_nonzero(model.coef_) < 30
    assert permutation_importance(model, X, Y, n_repeats=2, random_state=0).importances.shape == (30, 2)
    assert get_scorer("roc_auc")(model, X, Y) > 0.98
    assert get_scorer("neg_log_loss")(model, X, Y) > -0.3
    pytest.importorskip("matplotlib")
    assert RocCurveDisplay.from_estimator(model, X, Y).roc_auc > 0.98


def test_joblib_files(tmp_path):
    model = AdaGradClassifier(random_state=0).fit(X, Y)
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_metadata_are_routed():
    weights = np.random.default_rng(0).integers(0, 3, len(Y))
    with config_context(enable_metadata_routing=True):
        model = AdaGradClassifier(random_state=0).set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, model).fit(X, Y, sample_weight=weights)
    scaled = StandardScaler().fit_transform(X)
    expected = AdaGradClassifier(random_state=0).fit(scaled, Y, sample_weight=weights)
    np.testing.assert_array_equal(pipeline[-1].coef_, expected.coef_)


class Recorder:
    """A callback that notes what it is told, and ends the fit after some epochs."""

    def __init__(self, stop_after=None):
        self.stop_after, self.scores, self.begun = stop_after, [], 0

    def setup(self, estimator, context):
        self.scores.clear()

    def teardown(self, estimator, context):
        self.begun = -self.begun

    def on_fit_task_begin(self, estimator, context):
        self.begun += context.task_name == "epoch"

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        if context.task_name != "epoch":
            return False
        self.scores.append(fitted_estimator.score(X, y))
        return len(self.scores) == self.stop_after


def test_callbacks():
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
    told = Recorder()
    model = AdaGradClassifier(max_iter=4, random_state=0).set_callbacks(told).fit(X, Y)
    assert (len(told.scores), told.begun) == (4, -4)
    assert told.scores[-1] == model.score(X, Y)
    stopping = Recorder(stop_after=2)
    four, two = (AdaGradClassifier(max_iter=each, learning_rate=0.1, random_state=0) for each in (4, 2))
    stopped = four.set_callbacks(stopping).fit(X, Y)
    two.fit(X, Y)
    assert stopped.n_iter_ == 2
    np.testing.assert_array_equal(stopped.coef_, two.coef_)
    AdaGradClassifier("hinge", max_iter=2).set_callbacks(Recorder()).fit(X3, Y3)
