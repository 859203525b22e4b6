"""Linear models as scikit-learn's estimators: `AdaGradClassifier` and `AdaGradRegressor`.

Examples
--------
>>> from sklearn.datasets import load_iris
>>> from sklearn.model_selection import cross_val_score
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> from fastadagrad.sklearn import AdaGradClassifier
>>> X, y = load_iris(return_X_y=True)
>>> pipeline = make_pipeline(StandardScaler(), AdaGradClassifier(random_state=0))
>>> bool(cross_val_score(pipeline, X, y).mean() > 0.9)
True
"""

from __future__ import annotations

from importlib.util import find_spec

from .support.extras import how_to_install

if find_spec("sklearn") is None:
    raise ImportError(f"fastadagrad.sklearn needs {how_to_install('sklearn')}")

from .estimators.classifier import AdaGradClassifier  # whose bases are scikit-learn's
from .estimators.regressor import AdaGradRegressor

__all__ = ["AdaGradClassifier", "AdaGradRegressor"]
