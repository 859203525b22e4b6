"""The predictions of a trained classifier: scores, labels and probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.metaestimators import available_if

from ..linear.links import LINKS
from .base import LinearEstimator


def _gives_probabilities(estimator: ClassPredictor) -> bool:
    if estimator.loss == "hinge":
        raise AttributeError("loss='hinge' gives no probabilities: use 'logistic' or 'softmax'")
    return True


class ClassPredictor(LinearEstimator):
    """The part of a classifier that predicts, from weights of classes."""

    loss: str
    classes_: NDArray[Any]

    def decision_function(self, X: Any) -> NDArray[Any]:
        """Compute the score of each class or, of two classes, of the second.

        Parameters
        ----------
        X : array-like or sparse matrix (n, features)
            Examples with the columns of the training.

        Returns
        -------
        ndarray (n,) or (n, classes)
            Scores. Of two classes the second is the likelier one if its score is above 0; of more classes, the one with
            the largest score is.

        Raises
        ------
        ValueError
            If X has other columns than the training, or holds NaN or infinity.
        NotFittedError
            If there has been no fit.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastadagrad.sklearn import AdaGradClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> AdaGradClassifier(random_state=0).fit(X, y).decision_function(X[:2]).shape
        (2, 3)
        """
        return self._scores(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict labels.

        Parameters
        ----------
        X : array-like or sparse matrix (n, features)
            Examples with the columns of the training.

        Returns
        -------
        ndarray (n,)
            Members of `classes_`.

        Raises
        ------
        ValueError
            If X has other columns than the training, or holds NaN or infinity.
        NotFittedError
            If there has been no fit.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastadagrad.sklearn import AdaGradClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> AdaGradClassifier(random_state=0).fit(X, y).predict(X[::50])
        array([0, 1, 2])
        """
        scores = self.decision_function(X)
        chosen: NDArray[Any] = self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]
        return chosen

    @available_if(_gives_probabilities)
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict probabilities of the classes.

        If each class is trained against the rest, the values of the logistic function are divided by their sum.

        Parameters
        ----------
        X : array-like or sparse matrix (n, features)
            Examples with the columns of the training.

        Returns
        -------
        ndarray (n, classes)
            In the order of `classes_`.

        Raises
        ------
        ValueError
            If X has other columns than the training, or holds NaN or infinity.
        NotFittedError
            If there has been no fit.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastadagrad.sklearn import AdaGradClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> AdaGradClassifier(random_state=0).fit(X, y).predict_proba(X[:2]).argmax(axis=1)
        array([0, 0])
        """
        scores = self.decision_function(X)
        softmax = scores.ndim == 2 and self.loss in ("auto", "softmax")
        return _probabilities(scores.astype(np.float64), softmax=softmax).astype(scores.dtype)

    @available_if(_gives_probabilities)
    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Compute the logarithms of `predict_proba`.

        Parameters
        ----------
        X : array-like or sparse matrix (n, features)
            Examples with the columns of the training.

        Returns
        -------
        ndarray (n, classes)
            In the order of `classes_`.

        Raises
        ------
        ValueError
            If X has other columns than the training, or holds NaN or infinity.
        NotFittedError
            If there has been no fit.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastadagrad.sklearn import AdaGradClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> AdaGradClassifier(random_state=0).fit(X, y).predict_log_proba(X[:2]).argmax(axis=1)
        array([0, 0])
        """
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))


def _probabilities(scores: NDArray[np.float64], *, softmax: bool) -> NDArray[np.float64]:
    if softmax:
        by_softmax = LINKS["softmax"].probabilities
        assert by_softmax is not None
        return by_softmax(scores)
    by_logistic = LINKS["logit"].probabilities
    assert by_logistic is not None
    if scores.ndim == 1:
        return by_logistic(scores)
    each = by_logistic(np.ascontiguousarray(scores).reshape(-1))[:, 1].reshape(scores.shape)
    totals = each.sum(axis=1, keepdims=True)
    return np.where(totals > 0, each / np.where(totals > 0, totals, 1.0), 1.0 / scores.shape[1])
