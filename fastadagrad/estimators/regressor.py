"""A linear regression for scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from ..linear.links import LINKS
from ..linear.targets import choose
from ..support.checks import one_of
from . import parameters
from .base import LinearEstimator, Problem
from .callbacks import with_callbacks

LOSSES = ("squared", "huber", "poisson", "quantile")


class AdaGradRegressor(RegressorMixin, LinearEstimator):
    """Linear regression, trained by AdaGrad or another method one example, or minibatch, at a time.

    It is `fastadagrad.LinearModel` with scikit-learn's names and shapes. Targets are always numbers, also if they are
    few different whole numbers, which LinearModel may take for classes.

    Parameters
    ----------
    loss : {"squared", "huber", "poisson", "quantile"}, default "squared"
        "huber" is squared for errors up to `delta` and linear beyond; "poisson" is for counts, whose mean is the
        exponential of the score; by "quantile" predictions are a quantile of the target.
    delta : float, default 1
        Error, in the unit of y, from which on the loss "huber" is linear.
    quantile : float, default 0.5
        Share of the targets that are to be below the prediction, for the loss "quantile".
    penalty : {None, "l1", "l2", "elasticnet"}, default None
        Penalty on the weights of the scaled features (see `scale`) for targets of spread 1, never on the intercept.
    alpha : float, default 1e-4
        Strength of the penalty, beside the mean loss: alpha*|w| or alpha/2*w**2.
    l1_ratio : float, default 0.15
        Share of l1 in "elasticnet".
    method : str, default "adagrad"
        Name of the method, as `fastadagrad.build` takes it; methods that need more than gradients are refused.
    learning_rate : float or "auto", optional
        "auto" finds a rate by short fits to at most 10,000 of the examples, of which parts are held out. By default
        "auto" for ADAGRAD, and else the method's own default, or 0.1; in `partial_fit` always the latter.
    momentum, nesterov : float, bool, default 0 and False
        As in `fastadagrad.ADAGRAD`.
    batch_size : int, default 1
        Examples per update.
    max_iter : int, optional
        Number of epochs. By default enough for 10,000 updates, but at least 10 and at most 50.
    tol, n_iter_no_change : float and int, default 1e-5 and 5
        Stop after more than `n_iter_no_change` epochs in a row that did not lower the loss by more than the share `tol`
        of it. With `early_stopping` it is the loss of the examples set aside, else that of each example before its
        update.
    fit_intercept : bool, default True
        Whether a constant is added to the scores.
    scale : {"auto", "standard", "maxabs", "none"}, default "auto"
        How features are scaled while training, as in `fastadagrad.LinearModel`: "auto" is "standard" for dense X, and
        for sparse X of which more than half is stored, "none" for sparse rows of length 1, else "maxabs". Unless
        `scale` is "none" or there is no intercept, targets are standardised, too. In `partial_fit` "auto" is "none".
        `coef_` is for the unscaled features and targets.
    shuffle : bool, default True
        Whether each epoch has its own order. The orders, and the choice of the examples that are set aside, depend on
        the contents of the examples, and not on the order in which they are given.
    average : bool, int or "auto", default "auto"
        True: the weights are the mean of those that training passed through; an int: the mean over so many last epochs.
        It goes on from call to call of `partial_fit`. "auto": for ADAGRAD without l1, the mean of all, in which an
        epoch counts by about the third power of its number, but not in `partial_fit`; else False.
    implicit : bool, optional
        Whether steps are implicit, so that no learning rate makes them overshoot, as in `fastadagrad.LinearModel`. By
        default they are for ADAGRAD with single examples and no momentum; SGD and RMSProp can make them, too.
    warm_start : bool, default False
        Whether `fit` goes on from where the fit before it ended, with its scales, and its learning rate if
        that was found.
    early_stopping : bool, default False
        Whether the share `validation_fraction` of the examples is set aside; the weights kept are then those with the
        lowest loss on these examples.
    validation_fraction : float, default 0.1
        Share of the examples that `early_stopping` sets aside, between 0 and 1.
    lazy : {"exact", "touched", "dense"}, default "exact"
        As in `fastadagrad.LinearModel`, for sparse X.
    method_params : dict, optional
        Hyperparameters of the method alone, as {"rms_regularizer": 0.1}, `weight_decay` and `decoupled_weight_decay`.
    n_jobs : int, optional
        Threads for the columns of y, if it has several.
    random_state : int, RandomState or None, default None
        Seed of the orders and of the choice of examples set aside. With an int the same data give the same bits.

    Attributes
    ----------
    coef_ : ndarray (features,) or (targets, features)
        The weights, in the dtype of X, float32 or float64.
    intercept_ : ndarray (1,) or (targets,)
    n_iter_ : int
        Epochs of the fit; the largest number, if y has several columns.
    n_features_in_ : int
    feature_names_in_ : ndarray (features,)
        Names of the columns, if X has them.

    Raises
    ------
    ValueError, TypeError
        By `fit` and `partial_fit`, for a parameter that makes no sense, named in the message.

    Notes
    -----
    The notes of `AdaGradClassifier`, on weights of examples and on what goes on from where, hold here, too.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastadagrad.sklearn import AdaGradRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = AdaGradRegressor(random_state=0).fit(X, y)
    >>> model.coef_.shape, bool(model.score(X, y) > 0.45)
    ((10,), True)
    """

    def __init__(
        self,
        loss: Literal["squared", "huber", "poisson", "quantile"] = "squared",
        *,
        delta: float = 1.0,
        quantile: float = 0.5,
        penalty: Literal["l1", "l2", "elasticnet"] | None = None,
        alpha: float = 1e-4,
        l1_ratio: float = 0.15,
        method: str = "adagrad",
        learning_rate: float | Literal["auto"] | None = None,
        momentum: float = 0.0,
        nesterov: bool = False,
        batch_size: int = 1,
        max_iter: int | None = None,
        tol: float = 1e-5,
        n_iter_no_change: int = 5,
        fit_intercept: bool = True,
        scale: Literal["auto", "standard", "maxabs", "none"] = "auto",
        shuffle: bool = True,
        average: bool | int | Literal["auto"] = "auto",
        implicit: bool | None = None,
        warm_start: bool = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        lazy: Literal["exact", "touched", "dense"] = "exact",
        method_params: dict[str, Any] | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.loss = loss
        self.delta = delta
        self.quantile = quantile
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.method = method
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.nesterov = nesterov
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.fit_intercept = fit_intercept
        self.scale = scale
        self.shuffle = shuffle
        self.average = average
        self.implicit = implicit
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.lazy = lazy
        self.method_params = method_params
        self.n_jobs = n_jobs
        self.random_state = random_state

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on examples with targets.

        Parameters
        ----------
        X : array-like or sparse matrix (n, features)
            float32 stays float32; other numbers become float64.
        y : array-like (n,) or (n, targets)
            Numbers.
        sample_weight : array-like (n,), optional
            How much each example counts, at least 0.

        Returns
        -------
        self : AdaGradRegressor

        Raises
        ------
        ValueError, TypeError
            If X, y or the weights are of another kind, or for a parameter that makes no sense.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.sklearn import AdaGradRegressor
        >>> X = np.arange(100.0)[:, None] / 100
        >>> AdaGradRegressor(random_state=0).fit(X, 3 * X[:, 0] + 1).coef_.round(1)
        array([3.])
        """
        going_on = parameters.truth(self, "warm_start") and hasattr(self, "_states")
        with self._unchanged_if_it_fails():
            return self._fit(X, y, sample_weight, going_on=going_on, once=False)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on more examples, once on each.

        Parameters
        ----------
        X : array-like or sparse matrix (n, features)
            Examples with the columns of the calls before.
        y : array-like (n,) or (n, targets)
            Numbers.
        sample_weight : array-like (n,), optional
            As in `fit`.

        Returns
        -------
        self : AdaGradRegressor

        Raises
        ------
        ValueError, TypeError
            As in `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.sklearn import AdaGradRegressor
        >>> X = np.arange(100.0)[:, None] / 100
        >>> model = AdaGradRegressor(learning_rate=0.5, random_state=0)
        >>> for _ in range(50):
        ...     model = model.partial_fit(X, 3 * X[:, 0] + 1)
        >>> model.coef_.round(1)
        array([3.])
        """
        with self._unchanged_if_it_fails():
            return self._fit(X, y, sample_weight, going_on=hasattr(self, "_states"), once=True)

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, going_on: bool, once: bool) -> Self:
        X, y = self._validated(X, y, reset=not going_on, multi_output=True, y_numeric=True)
        one_of("loss", self.loss, LOSSES)
        checked = parameters.checked(self, self.loss, X.dtype.type, parameters.seed_of(self.random_state), once=once)
        weights = self._weights(sample_weight, X)
        columns = np.ascontiguousarray(np.asarray(y, np.float64).reshape(len(y), -1).T)
        problems = [Problem(labels, choose(self.loss, labels, checked.parameters), weights) for labels in columns]
        states = self._states if going_on else [None] * len(problems)
        if len(states) != len(problems):
            raise ValueError(f"y must have {len(states)} columns, as in the fit before, got {len(problems)}")
        self._one_column = y.ndim == 1
        self._train(X, y, problems, checked, states)
        return self

    def _attributes(self, weights: Sequence[NDArray[Any]], intercepts: Sequence[NDArray[Any]]) -> dict[str, Any]:
        return {"coef_": weights[0] if self._one_column else np.stack(weights), "intercept_": np.array(intercepts)}

    @property
    def _flat(self) -> bool:
        return self._one_column

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict targets.

        Parameters
        ----------
        X : array-like or sparse matrix (n, features)
            Examples with the columns of the training.

        Returns
        -------
        ndarray (n,) or (n, targets)
            Predictions; for the loss "poisson" they are means of counts, the exponentials of the scores.

        Raises
        ------
        ValueError
            If X has other columns than the training, or holds NaN or infinity.
        NotFittedError
            If there has been no fit.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.sklearn import AdaGradRegressor
        >>> X = np.arange(100.0)[:, None] / 100
        >>> AdaGradRegressor(random_state=0).fit(X, 3 * X[:, 0] + 1).predict([[2.0]]).round(1)
        array([7.])
        """
        scores = self._scores(X)
        scores = scores if self._one_column or scores.ndim == 2 else scores[:, None]
        if self.loss != "poisson":
            return scores
        means = LINKS["log"].predicted(scores.astype(np.float64), None)
        return np.asarray(means.astype(scores.dtype))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags
