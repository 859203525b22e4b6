"""The predictions of a trained linear model, scores, labels and probabilities, and how good they are."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..data.array_likes import NUMERIC, as_array
from ..data.columns import check_hashed, check_names
from ..data.labels import one_label_each
from ..data.loading import warn_of_base
from ..data.roles import Columns
from ..data.tables import CSR, Table, as_features, names_of
from ..kernels.linear.losses import LOSSES
from ..support.asking import asking
from . import targets
from .few_weights import FewWeights
from .links import LINKS, Link
from .splits import bits_to_come, labelled, with_width_of
from .training import Scorer, as_examples


class Predictor:
    """The part of a linear model that predicts, from weights and the labels that they have been trained for."""

    intercept_: NDArray[np.float64]
    feature_names: tuple[str, ...] | None
    zero_based: bool | None
    columns_: Columns | None
    _parameters: dict[str, Any]
    _targets: targets.Targets

    @property
    def _weights(self) -> NDArray[np.float64] | FewWeights:
        """The weights as they are held: all of them, or those that are not 0, as a file may have them."""
        held: NDArray[np.float64] | FewWeights = vars(self)["coef_"]
        return held

    @property
    def coef_(self) -> NDArray[np.float64]:
        """The weights of the features, (features,), or (features, classes) for softmax.

        A model that was loaded from a file with non-zero weights only makes an array of all of them here. To score
        sparse rows it needs none.
        """
        if not self._is_trained:
            raise AttributeError(f"this {type(self).__name__} has no coef_, as it has not been trained", name="coef_")
        if isinstance(self._weights, FewWeights):
            vars(self)["coef_"] = self._weights.dense()
        return cast(NDArray[np.float64], self._weights)

    @coef_.setter
    def coef_(self, weights: NDArray[np.float64] | FewWeights) -> None:
        vars(self)["coef_"] = weights

    @property
    def n_features(self) -> int:
        """Number of features of the training."""
        self._check_trained()
        return self._weights.shape[0]

    @property
    def nonzero_weights(self) -> int:
        """Number of weights that are not 0."""
        self._check_trained()
        held = self._weights
        return int(np.count_nonzero(held.values if isinstance(held, FewWeights) else held))

    @property
    def _is_trained(self) -> bool:
        return "coef_" in vars(self)

    @property
    def classes_(self) -> NDArray[Any] | None:
        """Labels in ascending order; None for real ones."""
        return self._targets.classes

    @property
    def hash_bits(self) -> int | None:
        """The columns of a sparse X are hashed into 2**hash_bits; None: they are not hashed."""
        bits: int | None = self._parameters["hash_bits"]
        return bits

    @property
    def loss(self) -> str:
        """The loss in use; for "auto", the loss that was chosen, once the model is fitted."""
        return self._targets.loss or str(self._parameters["loss"])

    def _check_trained(self) -> None:
        if not self._is_trained:
            raise RuntimeError("this model has not been trained: call fit first, or LinearModel.load")

    @property
    def _link(self) -> Link:
        self._check_trained()
        return LINKS[self._targets.record.link]

    def _checked(self, scores: Any) -> NDArray[np.float64]:
        """Scores as float64; TypeError or ValueError for others than `decision_function` returns."""
        self._check_trained()
        found, outputs = as_array(scores, "scores"), self._targets.outputs
        if found.dtype.kind not in NUMERIC:
            raise TypeError(f"scores must be the numbers that decision_function returns, not {found.dtype}")
        if found.ndim != (2 if outputs else 1) or (outputs and found.shape[1] != outputs):
            expected = f"(n, {outputs})" if outputs else "(n,)"
            raise ValueError(f"scores must have shape {expected}, as decision_function returns them, not {found.shape}")
        return np.asarray(found, np.float64)

    @asking("X")
    def _features(self, X: Any) -> NDArray[Any] | CSR:
        self._check_trained()
        check_names(names_of(X), self.feature_names, "X")
        if isinstance(X, Table):
            warn_of_base(X, self.n_features, self.zero_based)
        bits = bits_to_come(X, self.hash_bits)
        if isinstance(X, Table) and X.hash_bits is not None:
            check_hashed(X.columns, self.columns_, X.name)
        features = as_features(X.features if isinstance(X, Table) else X, dtype=np.float64, hash_bits=bits)
        return with_width_of(features, self.n_features)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Compute the scores of examples, from which labels and probabilities follow.

        Parameters
        ----------
        X : array-like (n, features), sparse matrix, DataFrame or Table
            Examples with the columns of the training, in their order.

        Returns
        -------
        ndarray of float64, (n,) or (n, classes)
            Scores, (n, classes) for softmax. For real labels they are the predictions, for counts the predictions'
            logarithms.

        Raises
        ------
        TypeError, ValueError
            If X is of another kind, has other columns than the training, or holds NaN or infinity.
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
        if isinstance(features, CSR) and isinstance(self._weights, FewWeights):
            features, weights = self._weights.for_rows(features)
        else:
            weights = self.coef_
        examples = as_examples(features, np.zeros(features.shape[0]))
        return Scorer(self._targets).scores(examples, weights, self.intercept_[None])

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict labels (n,): the likeliest class, the number, or the mean of the count.

        Parameters
        ----------
        X : array-like (n, features), sparse matrix, DataFrame or Table
            Examples with the columns of the training, in their order.

        Returns
        -------
        ndarray, (n,)
            Labels of the dtype of `classes_`; without classes, float64 in the unit of the labels of the training.

        Raises
        ------
        TypeError, ValueError
            If X is of another kind, has other columns than the training, or holds NaN or infinity.
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
        """Predict labels, as `predict` does, from the scores of `decision_function`.

        Parameters
        ----------
        scores : ndarray of float64, (n,) or (n, classes)
            Scores that `decision_function` has returned.

        Returns
        -------
        ndarray, (n,)
            Labels as `predict` returns them.

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
        return self._link.predicted(self._checked(scores), self.classes_)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict probabilities of the classes; for the losses logistic and softmax only.

        Parameters
        ----------
        X : array-like (n, features), sparse matrix, DataFrame or Table
            Examples with the columns of the training, in their order.

        Returns
        -------
        ndarray of float64, (n, classes)
            Probabilities in the order of `classes_`; the sum of a row is 1.

        Raises
        ------
        TypeError, ValueError
            If X is of another kind, has other columns than the training, or holds NaN or infinity; or if the loss gives
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
        """Predict probabilities, as `predict_proba` does, from the scores of `decision_function`.

        Parameters
        ----------
        scores : ndarray of float64, (n,) or (n, classes)
            Scores that `decision_function` has returned.

        Returns
        -------
        ndarray of float64, (n, classes)
            Probabilities as `predict_proba` returns them.

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
        return probabilities(self._checked(scores))

    def evaluate(self, X: Any, y: Any = None) -> dict[str, float]:
        """Compute the mean loss and the other monitors of the loss.

        The monitors are "accuracy" for classes; root mean squared error ("rmse") and "r2" for real labels; for counts
        the mean Poisson "deviance" and the share of it that is explained, "d2"; for quantiles the share of labels that
        are not above the predictions, "coverage".

        A label that is not among the classes of the training counts as a miss for the accuracy, and not at all for the
        loss (which is NaN if there are no others); "unknown_labels" is the number of such labels, if there are any. A
        number and a string that spells this number are the same label.

        Parameters
        ----------
        X : array-like (n, features), sparse matrix, DataFrame or Table
            Examples with the columns of the training, in their order.
        y : array-like (n,), optional
            Labels like those of the training; a Table has its own.

        Returns
        -------
        dict of str to float
            "loss", in the loss's own unit, and the monitors; the squared loss is half the mean squared error.

        Raises
        ------
        TypeError, ValueError
            If X or y is of another kind, if X has other columns than the training, or holds NaN or infinity.
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
        """Compute the mean loss and the monitors, as `evaluate` does, from the scores of `decision_function`.

        Parameters
        ----------
        scores : ndarray of float64, (n,) or (n, classes)
            Scores that `decision_function` has returned.
        labels : ndarray (n,)
            The true labels of the examples.

        Returns
        -------
        dict of str to float
            Numbers as `evaluate` returns them.

        Raises
        ------
        TypeError, ValueError
            If the labels do not suit the loss.
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
        # The spread is left at 1, as the scores are in the unit of the labels.
        chosen = targets.Targets(self.loss, self.classes_, option=self._targets.option)
        scores, labels = self._checked(scores), one_label_each(labels, "labels")
        if len(labels) != len(scores):
            raise ValueError(f"scores and labels must be of one length, not {len(scores)} and {len(labels)}")
        return Scorer(chosen).monitors(scores, chosen.encode(labels, np.float64, unknown=True))
