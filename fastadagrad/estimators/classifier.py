"""A linear classifier for scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import column_or_1d

from ..engine.place import readable
from ..linear.targets import Targets
from ..linear.visits import checked_weights
from ..support.asking import asking, shown
from ..support.checks import one_of
from . import parameters
from .base import Problem
from .callbacks import with_callbacks
from .class_predictor import ClassPredictor

LOSSES = ("auto", "logistic", "hinge", "softmax")


class AdaGradClassifier(ClassifierMixin, ClassPredictor):
    """Linear classifier, trained by AdaGrad or another method one example, or minibatch, at a time.

    It is `fastadagrad.LinearModel` with scikit-learn's names and shapes.

    Parameters
    ----------
    loss : {"auto", "logistic", "hinge", "softmax"}, default "auto"
        "auto" is logistic for two classes and softmax for more. With "logistic" and "hinge", more than two classes are
        each trained against the rest.
    penalty : {None, "l1", "l2", "elasticnet"}, default None
        Penalty on the weights of the scaled features (see `scale`), never on the intercept.
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
        for sparse X of which more than half is stored, "none" for sparse rows of length 1, else "maxabs"; and "none" in
        `partial_fit`. `coef_` is for the unscaled features.
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
        Whether `fit` goes on from where the fit before it ended, with its classes and scales, and its learning
        rate if that was found.
    early_stopping : bool, default False
        Whether the share `validation_fraction` of the examples of each class is set aside; the weights kept are then
        those with the lowest loss on these examples.
    validation_fraction : float, default 0.1
        Share of the examples that `early_stopping` sets aside, between 0 and 1.
    class_weight : dict or "balanced", optional
        Factor for the weights of the examples of each class.
    lazy : {"exact", "touched", "dense"}, default "exact"
        As in `fastadagrad.LinearModel`, for sparse X.
    method_params : dict, optional
        Hyperparameters of the method alone, as {"rms_regularizer": 0.1}, `weight_decay` and `decoupled_weight_decay`.
    n_jobs : int, optional
        Threads for classes that are each trained against the rest.
    random_state : int, RandomState or None, default None
        Seed of the orders and of the choice of examples set aside. With an int the same data give the same bits.

    Attributes
    ----------
    classes_ : ndarray (classes,)
    coef_ : ndarray (1, features) or (classes, features)
        The weights, in the dtype of X, float32 or float64.
    intercept_ : ndarray (1,) or (classes,)
    n_iter_ : int
        Epochs of the fit; the largest number, if there are several fits.
    n_features_in_ : int
    feature_names_in_ : ndarray (features,)
        Names of the columns, if X has them.

    Raises
    ------
    ValueError, TypeError
        By `fit` and `partial_fit`, for a parameter that makes no sense, named in the message.

    Notes
    -----
    An example of weight 3 is visited three times an epoch, so that whole weights give what repetitions give, up to
    rounding; not so where weights are above 9 on average, which are then visited less often, nor with `early_stopping`,
    which sets examples aside as a whole: else one of weight 3 could judge what it trains.

    `partial_fit`, and `fit` with `warm_start`, go on from the weights that were kept, the last or the best, and from
    what the method keeps beside the last ones; methods of dual averaging place the weights by the latter alone. With
    `average` True or an int the mean goes on, and a `partial_fit` is an epoch that counts by its examples; with "auto",
    `partial_fit` goes on from the mean, and makes no more of it. In `partial_fit`, `early_stopping` has no meaning.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastadagrad.sklearn import AdaGradClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = AdaGradClassifier(random_state=0).fit(X, y)
    >>> model.coef_.shape, bool(model.score(X, y) > 0.9)
    ((3, 4), True)
    """

    def __init__(
        self,
        loss: Literal["auto", "logistic", "hinge", "softmax"] = "auto",
        *,
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
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        lazy: Literal["exact", "touched", "dense"] = "exact",
        method_params: dict[str, Any] | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.loss = loss
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
        self.class_weight = class_weight
        self.lazy = lazy
        self.method_params = method_params
        self.n_jobs = n_jobs
        self.random_state = random_state

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on examples with labels.

        Parameters
        ----------
        X : array-like or sparse matrix (n, features)
            float32 stays float32; other numbers become float64.
        y : array-like (n,)
            Labels of any kind.
        sample_weight : array-like (n,), optional
            How much each example counts, at least 0.

        Returns
        -------
        self : AdaGradClassifier

        Raises
        ------
        ValueError, TypeError
            If X, y or the weights are of another kind, if y has one class, or for a parameter that makes no sense.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastadagrad.sklearn import AdaGradClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> AdaGradClassifier(random_state=0).fit(X, y).classes_
        array([0, 1, 2])
        """
        going_on = parameters.truth(self, "warm_start") and hasattr(self, "_states")
        with self._unchanged_if_it_fails():
            X, y = self._validated(X, y, reset=not going_on)
            return self._fit(X, y, sample_weight, None, going_on=going_on, once=False)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train on more examples, once on each.

        Parameters
        ----------
        X : array-like or sparse matrix (n, features)
            Examples with the columns of the calls before.
        y : array-like (n,)
            Labels of any kind.
        classes : array-like (classes,), optional
            All labels that will ever come; the first call needs them.
        sample_weight : array-like (n,), optional
            As in `fit`.

        Returns
        -------
        self : AdaGradClassifier

        Raises
        ------
        ValueError, TypeError
            As in `fit`; if the first call has no classes; or if `class_weight` is "balanced", which needs all examples.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastadagrad.sklearn import AdaGradClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = AdaGradClassifier(learning_rate=0.5, random_state=0)
        >>> for rows in (slice(0, 150, 2), slice(1, 150, 2)) * 20:
        ...     model = model.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        >>> bool(model.score(X, y) > 0.9)
        True
        """
        going_on = hasattr(self, "_states")
        if not going_on and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit")
        if self._is_balanced():
            raise ValueError(
                "class_weight='balanced' counts all examples, and partial_fit sees some: pass the weights themselves, "
                "as compute_class_weight of sklearn.utils.class_weight gives them"
            )
        classes = readable("classes", classes)
        with asking("classes", classes):
            others = going_on and classes is not None and not np.array_equal(unique_labels(classes), self.classes_)
        if others:
            given = f"classes={shown(classes)} is not what the first call to partial_fit had"
            raise ValueError(f"{given}: pass {self.classes_}, or no classes")
        with self._unchanged_if_it_fails():
            X, y = self._validated(X, y, reset=not going_on)
            return self._fit(X, y, sample_weight, classes, going_on=going_on, once=True)

    def _fit(self, X: Any, y: Any, sample_weight: Any, classes: Any, *, going_on: bool, once: bool) -> Self:
        with asking("y", y):
            check_classification_targets(y)
            y = column_or_1d(y, warn=True)
        with asking("classes", classes):
            known = self.classes_ if going_on else unique_labels(y if classes is None else classes)
        one_of("loss", self.loss, LOSSES)
        if len(known) < 2:
            raise ValueError(f"y has the one class {known.tolist()[0]!r}, and a classifier needs two classes or more")
        strange = np.setdiff1d(y, known)
        if strange.size:
            raise ValueError(f"y has the label {strange.tolist()[0]!r}, which is none of the classes {known}")
        loss = ("logistic" if len(known) == 2 else "softmax") if self.loss == "auto" else self.loss
        checked = parameters.checked(self, loss, X.dtype.type, parameters.seed_of(self.random_state), once=once)
        positions = np.searchsorted(known, y)
        weights = self._weights_of_classes(self._weights(sample_weight, X), known, y, positions)
        if weights is not None and not once and len(np.unique(positions[weights > 0])) < 2:
            raise ValueError("the weights leave examples of one class, and the classifier needs two classes or more")
        problems = _problems(loss, positions, len(known), weights)
        states = self._states if going_on else [None] * len(problems)
        if len(states) != len(problems):
            raise ValueError(
                f"loss is {self.loss!r} now, and training goes on with the loss with which it began: set loss to that "
                "one, or begin anew by fit with warm_start=False"
            )
        self.classes_ = known
        self._train(X, y, problems, checked, states)
        return self

    def _is_balanced(self) -> bool:
        with asking("class_weight", self.class_weight):
            return isinstance(self.class_weight, str) and self.class_weight == "balanced"

    def _weights_of_classes(
        self, weights: NDArray[np.float64] | None, known: Any, y: Any, positions: Any
    ) -> NDArray[np.float64] | None:
        """Weights of the examples, each multiplied by the weight of its class."""
        if self.class_weight is None:
            return weights
        factors = np.ones(len(known))
        if self._is_balanced():
            sums = np.bincount(positions, weights, len(known))
            factors[sums > 0] = sums.sum() / (np.count_nonzero(sums) * sums[sums > 0])
        else:
            try:  # it refuses what is no dict of classes
                with asking("class_weight"):
                    factors = np.asarray(compute_class_weight(self.class_weight, classes=known, y=y), np.float64)
            except TypeError:
                factors[:] = np.nan
            if not (np.isfinite(factors).all() and (factors >= 0).all()):
                raise ValueError(f"class_weight must have finite numbers of at least 0, not {shown(self.class_weight)}")
        return checked_weights(factors[positions] * (1.0 if weights is None else weights), len(positions))

    def _attributes(self, weights: Sequence[NDArray[Any]], intercepts: Sequence[NDArray[Any]]) -> dict[str, Any]:
        if weights[0].ndim == 2:  # softmax has (features, classes); two classes are told apart by their difference
            coef, intercept = np.ascontiguousarray(weights[0].T), intercepts[0]
            two = len(coef) == 2
            return {
                "coef_": np.diff(coef, axis=0) if two else coef,
                "intercept_": np.diff(intercept) if two else intercept,
            }
        return {"coef_": np.stack(weights), "intercept_": np.array(intercepts)}


def _problems(loss: str, positions: NDArray[Any], count: int, weights: Any) -> list[Problem]:
    """One problem of all classes, or one of each class against the rest."""
    if loss == "softmax":
        return [Problem(positions, Targets(loss, np.arange(count)), weights)]
    targets = Targets(loss, np.array([False, True]))
    members = [positions == k for k in ([1] if count == 2 else range(count))]
    return [Problem(labels, targets, weights) for labels in members]
