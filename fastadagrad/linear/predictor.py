"""What a trained linear model says of examples: scores, labels, probabilities, and how good they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import check_names
from ..data.loading import warn_of_base
from ..data.tables import CSR, Table, as_features, names_of
from ..kernels.linear.losses import LOSSES
from . import targets
from .links import LINKS, Link
from .splits import bits_to_come, labelled, with_width_of
from .training import Scorer, as_examples


class Predictor:
    """Weights, and the labels that they have been trained for."""

    coef_: NDArray[np.float64]
    intercept_: NDArray[np.float64]
    feature_names: tuple[str, ...] | None
    zero_based: bool | None
    _parameters: dict[str, Any]
    _targets: targets.Targets

    @property
    def classes_(self) -> NDArray[Any] | None:
        """Labels in ascending order; None for real ones."""
        return self._targets.classes

    @property
    def hash_bits(self) -> int | None:
        """Into 2**hash_bits columns those of a sparse X are hashed; None: they are not."""
        bits: int | None = self._parameters["hash_bits"]
        return bits

    @property
    def loss(self) -> str:
        """The loss in use: what "auto" came to, once fitted."""
        return self._targets.loss or str(self._parameters["loss"])

    def _check_trained(self) -> None:
        if not hasattr(self, "coef_"):
            raise RuntimeError("this model has not been trained: call fit first, or LinearModel.load")

    @property
    def _link(self) -> Link:
        self._check_trained()
        return LINKS[self._targets.record.link]

    def _features(self, X: Any) -> NDArray[Any] | CSR:
        self._check_trained()
        check_names(names_of(X), self.feature_names, "X")
        if isinstance(X, Table):
            warn_of_base(X, len(self.coef_), self.zero_based)
        bits = bits_to_come(X, self.hash_bits)
        features = as_features(X.features if isinstance(X, Table) else X, dtype=np.float64, hash_bits=bits)
        return with_width_of(features, len(self.coef_))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """What the weights make of each example, before it becomes a label.

        Parameters
        ----------
        X : array-like (n, features), sparse matrix, DataFrame or Table
            Examples with the columns of the training, in their order.

        Returns
        -------
        ndarray of float64, (n,) or (n, classes)
            The latter for softmax. Of real labels these are the predictions themselves, of counts their logarithms.

        Raises
        ------
        TypeError, ValueError
            If X is none of these, has other columns than the training, or holds NaN or infinity.
        RuntimeError
            If the model has not been trained.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.linear import LinearModel
        >>> X = np.array([[1.0], [2.0], [-1.0], [-2.0]])
        >>> model = LinearModel("logistic").fit(X, ["up", "up", "down", "down"])
        >>> model.decision_function([[3.0]]).shape, model.decision_function([[3.0]])[0].item() > 0
        ((1,), True)
        """
        features = self._features(X)
        examples = as_examples(features, np.zeros(features.shape[0]))
        return Scorer(self._targets).scores(examples, self.coef_, self.intercept_[None])

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels (n,): the likeliest class, the number, or the mean of the count.

        Parameters
        ----------
        X : array-like (n, features), sparse matrix, DataFrame or Table
            Examples with the columns of the training, in their order.

        Returns
        -------
        ndarray, (n,)
            Of the dtype of `classes_`; float64 where there are none, in the unit of the labels of the training.

        Raises
        ------
        TypeError, ValueError
            If X is none of these, has other columns than the training, or holds NaN or infinity.
        RuntimeError
            If the model has not been trained.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.linear import LinearModel
        >>> X = np.array([[1.0], [2.0], [-1.0], [-2.0]])
        >>> model = LinearModel("logistic").fit(X, ["up", "up", "down", "down"])
        >>> model.predict([[3.0], [-3.0]])
        array(['up', 'down'], dtype='<U4')
        """
        return self.labels_of(self.decision_function(X))

    def labels_of(self, scores: NDArray[np.float64]) -> NDArray[Any]:
        """What `predict` returns, from the scores of `decision_function`.

        Parameters
        ----------
        scores : ndarray of float64, (n,) or (n, classes)
            From `decision_function`.

        Returns
        -------
        ndarray, (n,)
            As of `predict`.

        Raises
        ------
        RuntimeError
            If the model has not been trained.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.linear import LinearModel
        >>> X = np.array([[1.0], [2.0], [-1.0], [-2.0]])
        >>> model = LinearModel("logistic").fit(X, ["up", "up", "down", "down"])
        >>> model.labels_of(np.array([0.5, -0.5]))
        array(['up', 'down'], dtype='<U4')
        """
        return self._link.predicted(scores, self.classes_)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of the classes; logistic and softmax only.

        Parameters
        ----------
        X : array-like (n, features), sparse matrix, DataFrame or Table
            Examples with the columns of the training, in their order.

        Returns
        -------
        ndarray of float64, (n, classes)
            In the order of `classes_`; the sum of a row is 1.

        Raises
        ------
        TypeError, ValueError
            If X is none of these, has other columns than the training, or holds NaN or infinity; or if the loss gives
            no probabilities.
        RuntimeError
            If the model has not been trained.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.linear import LinearModel
        >>> X = np.array([[1.0], [2.0], [-1.0], [-2.0]])
        >>> model = LinearModel("logistic").fit(X, ["up", "up", "down", "down"])
        >>> model.predict_proba([[3.0]]).round(1)
        array([[0., 1.]])
        """
        return self.probabilities_of(self.decision_function(X))

    def probabilities_of(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """What `predict_proba` returns, from the scores of `decision_function`.

        Parameters
        ----------
        scores : ndarray of float64, (n,) or (n, classes)
            From `decision_function`.

        Returns
        -------
        ndarray of float64, (n, classes)
            As of `predict_proba`.

        Raises
        ------
        ValueError
            If the loss gives no probabilities.
        RuntimeError
            If the model has not been trained.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.linear import LinearModel
        >>> X = np.array([[1.0], [2.0], [-1.0], [-2.0]])
        >>> model = LinearModel("logistic").fit(X, ["up", "up", "down", "down"])
        >>> model.probabilities_of(np.array([0.0]))
        array([[0.5, 0.5]])
        """
        probabilities = self._link.probabilities
        if probabilities is None:
            able = " or ".join(loss.name for loss in LOSSES.values() if LINKS[loss.link].probabilities)
            raise ValueError(f"{self.loss} loss gives no probabilities: train with {able}")
        return probabilities(scores)

    def evaluate(self, X: Any, y: Any = None) -> dict[str, float]:
        """Mean loss, and what else belongs to it.

        That is "accuracy"; root mean squared error ("rmse") and "r2"; of counts the mean Poisson "deviance" and the
        share of it that is explained, "d2"; of quantiles the share of labels that are not above them, "coverage".

        A label of no class of the training is a miss for the accuracy, and of no account for the loss (NaN if all are
        such); "unknown_labels" is the number of them, if there are any. A number and a string that spells it are one
        label.

        Parameters
        ----------
        X : array-like (n, features), sparse matrix, DataFrame or Table
            Examples with the columns of the training, in their order.
        y : array-like (n,), optional
            Labels, as of the training; a Table has its own.

        Returns
        -------
        dict of str to float
            "loss" is in the loss's own unit; the squared one is half the mean squared error.

        Raises
        ------
        TypeError, ValueError
            If X or y is none of these, if X has other columns than the training, or holds NaN or infinity.
        RuntimeError
            If the model has not been trained.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.linear import LinearModel
        >>> X = np.array([[1.0], [2.0], [-1.0], [-2.0]])
        >>> model = LinearModel("logistic").fit(X, ["up", "up", "down", "down"])
        >>> model.evaluate(X, ["up", "up", "down", "up"])["accuracy"]
        0.75
        """
        table = labelled(X, y, np.float64, self.hash_bits)
        return self.evaluation_of(self.decision_function(table), table.labels)

    def evaluation_of(self, scores: NDArray[np.float64], labels: NDArray[Any]) -> dict[str, float]:
        """What `evaluate` returns, from the scores of `decision_function`.

        Parameters
        ----------
        scores : ndarray of float64, (n,) or (n, classes)
            From `decision_function`.
        labels : ndarray (n,)
            What the examples really are.

        Returns
        -------
        dict of str to float
            As of `evaluate`.

        Raises
        ------
        TypeError, ValueError
            If the labels are none that a model of this loss can be judged by.
        RuntimeError
            If the model has not been trained.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.linear import LinearModel
        >>> X = np.array([[1.0], [2.0], [-1.0], [-2.0]])
        >>> model = LinearModel("logistic").fit(X, ["up", "up", "down", "down"])
        >>> model.evaluation_of(np.array([0.5, -0.5]), np.array(["up", "up"]))["accuracy"]
        0.5
        """
        self._check_trained()
        # With no spread, as the scores are in the unit of the labels.
        chosen = targets.Targets(self.loss, self.classes_, option=self._targets.option)
        encoded = chosen.encode(labels, np.float64, unknown=True)
        return Scorer(chosen).monitors(scores, as_examples(np.empty((len(encoded), 0)), encoded))
