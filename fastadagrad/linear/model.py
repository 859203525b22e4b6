"""Linear models, trained by ADAGRAD or another method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..data.columns import check_names
from ..data.loading import warn_of_base
from ..data.tables import CSR, Table, as_features, names_of, with_width
from ..kernels.linear.losses import LOSSES
from ..support import array_file
from . import arguments, saved, targets
from .fitting import fit
from .links import LINKS, Link
from .methods import own_hyper
from .splits import bits_to_come, checked_validation, labelled
from .training import Scorer, as_examples
from .typed_keywords import OwnHyper


class LinearModel:
    """Linear classifier or regression, trained one example (or minibatch) at a time.

    Parameters
    ----------
    loss : {"auto", "logistic", "squared", "hinge", "softmax", "poisson", "quantile"}
        "auto": logistic for two different labels; softmax for more, if they are strings or whole numbers of
        which at most 100 differ; else squared. "poisson" takes counts, of at least 0, whose mean is the
        exponential of the score; where float64 cannot hold that, it is infinite. "quantile" is the pinball loss,
        by which a prediction is a quantile of the label.
    method : str
        Name of the method that trains it, as `fastadagrad.build` takes it: ADAGRAD, or any other that needs no more
        than gradients. DoG, DoWG and D-adaptation measure all weights at each step, and ESGD wants Hessian-vector
        products: they are refused.
    learning_rate : float or "auto", optional
        By default 0.1, or the method's own; of ADAGRAD the distance of the first step, in scaled units (see `scale`).
        "auto" finds one by short fits on some of the
        training examples, cross-validated (by `seed`; those for validation are not looked at), at the price of
        about two fits, or of several if examples are few. Ctrl-C meanwhile raises KeyboardInterrupt.
    momentum, nesterov, l1, l2, weight_decay, decoupled_weight_decay
        As of :class:`fastadagrad.ADAGRAD`. l1 and l2 are strengths per example; they and the decays act on
        the weights of the scaled features, and never on the intercept.
    quantile : float
        Share of the labels that are to be below the prediction, between 0 and 1, of the loss "quantile" alone.
    batch_size : int
        Examples per update; their mean gradient counts.
    max_epochs : int, optional
        Passes over the training examples; by default 10, or as many as 10,000 updates with single examples
        take, but at most 50.
    patience, min_improvement
        Stop after more than `patience` epochs in a row that did not improve the validation loss (without
        validation: the progressive loss, that is of each example before its update) by more than
        `min_improvement` of the last that did. The weights kept are those of the lowest validation loss,
        by however little (without validation: of the last epoch).
    intercept : bool
    scale : {"auto", "standard", "maxabs", "none"}
        Of the features while training: to mean 0 and standard deviation 1, or to a largest absolute value of
        1; "auto" is "standard" for dense and "maxabs" for sparse ones. Real labels are standardised too, and
        counts divided by their mean, unless it is "none" or there is no intercept, so that their unit does not
        matter; but the squared loss is in its square, and infinite or 0 where float64 cannot hold that. The
        finished weights are for features as they come.
    validation : float, Table or (X, y)
        Fraction of the training examples to set aside, chosen by `seed`, or separate examples. A fraction takes
        its share of each class, but never the only example of one. A label of no class of the training, among
        separate examples, is a miss for "valid_accuracy"; "valid_loss" is that of the others.
    shuffle : bool
        Whether each epoch has its own order.
    seed : int
        Of the orders and the fraction. The same seed and data give the same bits.
    dtype : {float32, float64}
        Of the arithmetic while training. Features are scaled in their own dtype first, and then rounded.
    lazy : {"exact", "touched", "dense"}
        How a sparse feature that an example lacks follows momentum, decay, l1 and l2: in closed form when it
        next occurs, not at all, or by stepping every feature each time. RMSProp, ADADELTA, RProp and Adam change
        what they keep of a feature in each step, and have no closed form: of sparse X they want one of the others.
    hash_bits : int, optional
        Hash the columns of a sparse X, up to 2**63 of them, into 2**hash_bits, before anything is made for each
        column; `predict` and the like do the same. Values whose columns fall together in a row are added.
    **own
        Hyperparameters of the method alone: `rms_regularizer` of ADAGRAD, `ftrl_l1` of FTRL, which no more than l1
        acts on the intercept, `beta1_halflife` of Adam, ...

    Attributes
    ----------
    coef_, intercept_ : ndarray
        float64, (features,) and (), or (features, classes) and (classes,) for softmax.
    learning_rate_ : float
        As it was given, or found.
    history : list of dict
        One an epoch: "epoch", "loss" (progressive), and "valid_loss" and the like.
    best_epoch, stopped_because : int, str
        Which epoch's weights these are, 0 before the first has ended ("interrupted" ones without validation
        have part of the next epoch too); "max_epochs", "patience", "non-finite loss" or "interrupted".
    zero_based : bool or None
        Whether columns counted from 0 in the svmlight text trained on: load what is to be scored with the same.
    seconds, features_per_second : float
        Time that the training loops took, compilation aside, and stored features done in each.

    Examples
    --------
    >>> import numpy as np
    >>> from fastadagrad.linear import LinearModel
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = LinearModel().fit(X, X[:, 0] > X[:, 1])
    >>> model.predict([[1, 0, 0], [0, 1, 0]])
    array([ True, False])
    """

    coef_: NDArray[np.float64]
    intercept_: NDArray[np.float64]
    learning_rate_: float

    def __init__(
        self,
        loss: Literal["auto", "logistic", "squared", "hinge", "softmax", "poisson", "quantile"] = "auto",
        *,
        method: str = "adagrad",
        learning_rate: float | Literal["auto"] | None = None,
        momentum: float = 0.0,
        nesterov: bool = False,
        l1: float = 0.0,
        l2: float = 0.0,
        weight_decay: float = 0.0,
        decoupled_weight_decay: float = 0.0,
        quantile: float = 0.5,
        batch_size: int = 1,
        max_epochs: int | None = None,
        patience: int = 5,
        min_improvement: float = 0.0,
        intercept: bool = True,
        scale: Literal["auto", "standard", "maxabs", "none"] = "auto",
        validation: float | Table | tuple[Any, Any] = 0.0,
        shuffle: bool = True,
        seed: int = 0,
        dtype: DTypeLike = np.float32,
        lazy: Literal["exact", "touched", "dense"] = "exact",
        hash_bits: int | None = None,
        **own: Unpack[OwnHyper],
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__", "own")}
        given = arguments.refuse_unknown(given, own)
        self._parameters, self._settings, self._conduct = arguments.check(given)
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self.stopped_because = ""
        self.seconds = self.features_per_second = 0.0
        self.feature_names: tuple[str, ...] | None = None
        self.zero_based: bool | None = None
        self._targets = targets.Targets("")

    def __setattr__(self, name: str, value: Any) -> None:
        if name.strip("_") == name and hasattr(self, "_parameters"):  # a fit's own have a _ behind them
            arguments.refuse_misplaced(self, name, self._parameters)
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        default = (type(self).__init__.__kwdefaults__ or {}) | own_hyper(self._settings.rule)
        own = [f"{k}={_shown(v)}" for k, v in self._parameters.items() if k != "loss" and v != default[k]]
        return f"LinearModel({', '.join([repr(self._parameters['loss']), *own])})"

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

    @property
    def method(self) -> str:
        """Name of the method that trains it."""
        return str(self._parameters["method"])

    def fit(self, X: Any, y: Any = None, valid: Any = None, progress: bool | Callable[..., Any] = False) -> LinearModel:
        """Train from scratch.

        Parameters
        ----------
        X : array-like (n, features), sparse matrix, DataFrame or Table
            A Table has its labels with it.
        y : array-like (n,)
            Numbers or strings.
        valid : float, Table or (X, y), optional
            A fraction of the examples, or others, for validation, instead of the model's own `validation`.
            After each epoch their loss decides which weights are the best, and these are kept.
        progress : bool or callable
            True shows a bar; a callable gets each epoch's entry of `history`.

        Returns
        -------
        LinearModel
            Itself. Ctrl-C ends the training early: with the weights so far, even of an unfinished epoch; or,
            once examples for validation have judged an epoch, with those of the best.
        """
        p = self._parameters
        valid = p["validation"] if valid is None else checked_validation("valid", valid)
        table = labelled(X, y, None, self.hash_bits)
        found = fit(p, self._settings, self._conduct, table, valid, progress)
        self.coef_, self.intercept_, self._targets, self.learning_rate_ = found[:4]
        outcome = found.outcome
        self.history, self.best_epoch, self.stopped_because = outcome.history, outcome.best_epoch, outcome.ended_by
        self.feature_names = table.feature_names
        self.zero_based = X.zero_based if isinstance(X, Table) else None
        self.seconds = outcome.seconds
        self.features_per_second = found.values * len(outcome.history) / max(outcome.seconds, 1e-9)
        return self

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
        expected = len(self.coef_)
        if isinstance(features, CSR):
            return with_width(features, expected, "X")
        if features.shape[1] != expected:
            raise ValueError(f"X must have {expected} features, as in training, got {features.shape[1]}")
        return features

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Scores (n,), or (n, classes) for softmax; the predictions themselves for numbers, and their logarithms for
        counts.

        Parameters
        ----------
        X : array-like (n, features), sparse matrix, DataFrame or Table

        Returns
        -------
        ndarray of float64
        """
        features = self._features(X)
        examples = as_examples(features, np.zeros(features.shape[0]))
        return Scorer(self._targets).scores(examples, self.coef_, self.intercept_[None])

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels (n,): the likeliest class, the number, or the mean of the count.

        Parameters
        ----------
        X : array-like (n, features), sparse matrix, DataFrame or Table
        """
        return self.labels_of(self.decision_function(X))

    def labels_of(self, scores: NDArray[np.float64]) -> NDArray[Any]:
        """What `predict` returns, from the scores of `decision_function`."""
        return self._link.predicted(scores, self.classes_)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities (n, classes) in the order of `classes_`; logistic and softmax only.

        Parameters
        ----------
        X : array-like (n, features), sparse matrix, DataFrame or Table
        """
        return self.probabilities_of(self.decision_function(X))

    def probabilities_of(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """What `predict_proba` returns, from the scores of `decision_function`."""
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
        y : array-like (n,)

        Returns
        -------
        dict
            The squared loss is half the mean squared error.
        """
        table = labelled(X, y, np.float64, self.hash_bits)
        return self.evaluation_of(self.decision_function(table), table.labels)

    def evaluation_of(self, scores: NDArray[np.float64], labels: NDArray[Any]) -> dict[str, float]:
        """What `evaluate` returns, from the scores of `decision_function`."""
        self._check_trained()
        chosen = targets.Targets(
            self.loss, self.classes_, option=self._targets.option
        )  # scores are in the labels' own unit
        return Scorer(chosen).monitors(scores, chosen.encode(labels, np.float64, unknown=True))

    def save(self, path: array_file.Target) -> None:
        """Write the model to a file.

        Parameters
        ----------
        path : path-like or file object
            The file of a path is replaced as a whole or not at all. A file object is open in binary mode.
        """
        if not hasattr(self, "coef_"):
            raise RuntimeError("this model has not been trained: call fit first")
        validation = self._parameters["validation"]
        fitted = saved.Fitted(
            {**self._parameters, "validation": validation if isinstance(validation, float) else 0.0},
            self.coef_,
            self.intercept_,
            self._targets,
            self.history,
            self.best_epoch,
            self.stopped_because,
            self.feature_names,
            self.zero_based,
            self.learning_rate_,
        )
        saved.write(path, fitted)

    @classmethod
    def load(cls, path: array_file.Target) -> LinearModel:
        """Read a model that `save` wrote.

        Parameters
        ----------
        path : path-like or file object
            A file object is open in binary mode, and read from where it stands.

        Returns
        -------
        LinearModel

        Raises
        ------
        ValueError
            If the file is damaged, of another kind, or of a newer version.
        TypeError
            If a file object is open in text mode.
        """
        fitted = saved.read(path)
        try:
            model = cls(**fitted.parameters)
        except (TypeError, ValueError) as error:
            raise saved.refusal(path, error) from None
        model.coef_, model.intercept_, model._targets = fitted.coef, fitted.intercept, fitted.targets
        model.history, model.best_epoch = fitted.history, fitted.best_epoch
        model.stopped_because, model.learning_rate_ = fitted.stopped_because, fitted.learning_rate
        model.feature_names, model.zero_based = fitted.feature_names, fitted.zero_based
        return model


def _shown(value: Any) -> str:
    if isinstance(value, tuple | Table):
        return "(X, y)" if isinstance(value, tuple) else "Table"
    return f"np.{value.__name__}" if isinstance(value, type) else repr(value)
