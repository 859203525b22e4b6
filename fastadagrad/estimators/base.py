"""The base of the classifier and the regressor: parameters and their checks, and fits of one output or several."""

from __future__ import annotations

import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..data.tables import as_table
from ..engine.options import Conduct, Settings
from ..linear import arguments, fitting
from ..linear.epochs import NON_FINITE
from ..linear.fitting import Fit, State
from ..linear.methods import own_hyper, rule_for
from ..linear.targets import Targets
from ..linear.visits import checked_weights
from ..support.checks import checked_number, whole_number
from .callbacks import CallbackSupportMixin, Epochs

DECAYS = ("weight_decay", "decoupled_weight_decay")
OWN_L1 = "rda_l1"  # of dual averaging, which has the same penalty in the formula itself
SET_BEFORE_TRAINING = ("n_features_in_", "feature_names_in_", "classes_", "_one_column")
PENALTIES = (None, "l1", "l2", "elasticnet")


class Problem(NamedTuple):
    """The labels, the targets and the weights of examples with which one output is trained."""

    labels: NDArray[Any]
    targets: Targets
    weights: NDArray[np.float64] | None


class Checked(NamedTuple):
    """Checked parameters of an estimator, as linear models take them."""

    parameters: dict[str, Any]
    settings: Settings
    conduct: Conduct


class LinearEstimator(CallbackSupportMixin, BaseEstimator, metaclass=ABCMeta):
    """Training, prediction and checks of parameters that the classifier and the regressor share."""

    coef_: Any
    intercept_: NDArray[Any]
    n_features_in_: int
    n_iter_: int
    _states: list[State | None]

    # Parameters, by the names that subclasses set

    def _checked(self, loss: str, dtype: Any, seed: int, *, once: bool = False) -> Checked:
        """Check parameters for a fit or, with `once`, for the single epoch of a `partial_fit`."""
        epochs = None if self.max_iter is None else whole_number("max_iter", self.max_iter, 1)
        if once and isinstance(self.learning_rate, str):
            raise ValueError("learning_rate='auto' tries rates on all of the examples: give partial_fit a number")
        held_out = self._validation_share() if self._truth("early_stopping") and not once else 0.0
        parameters = {
            "loss": loss,
            "method": self.method,
            "learning_rate": self.learning_rate,
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "quantile": getattr(self, "quantile", 0.5) if loss == "quantile" else 0.5,
            "delta": getattr(self, "delta", 1.0) if loss == "huber" else 1.0,
            "batch_size": self.batch_size,
            "max_epochs": 1 if once else epochs,
            "patience": whole_number("n_iter_no_change", self.n_iter_no_change, 0),
            "min_improvement": checked_number("tol", self.tol),
            "intercept": self._truth("fit_intercept"),
            "scale": "none" if once and self.scale == "auto" else self.scale,
            "validation": held_out,
            "shuffle": self.shuffle,
            "seed": seed,
            "dtype": dtype,
            "lazy": self.lazy,
            "average": self.average,
            "warm_start": True,
            "hash_bits": None,
            **self._penalties(),
        }
        more = {} if self.method_params is None else self.method_params
        if not isinstance(more, dict):
            raise TypeError(f"method_params must be a dict of hyperparameters, not {type(more).__name__}")
        twice = [name for name in more if name in parameters]
        if twice:
            raise ValueError(f"method_params has {', '.join(twice)}, which the estimator itself has as a parameter")
        own = {OWN_L1: parameters.pop(OWN_L1)} if OWN_L1 in parameters else {}
        own |= {name: value for name, value in more.items() if name not in DECAYS}
        parameters |= {name: more.get(name, 0.0) for name in DECAYS}
        return Checked(*arguments.check(arguments.refuse_unknown(parameters, own)))

    def _truth(self, name: str) -> bool:
        value = getattr(self, name)
        if not isinstance(value, bool | np.bool):
            raise TypeError(f"{name} must be True or False, not {value!r}")
        return bool(value)

    def _validation_share(self) -> float:
        share = checked_number("validation_fraction", self.validation_fraction)
        if not 0 < share < 1:
            raise ValueError(f"validation_fraction must be between 0 and 1, and neither, not {share:g}")
        return share

    def _penalties(self) -> dict[str, float]:
        """Strengths of l1 and l2, by the names of a linear model's parameters."""
        if self.penalty not in PENALTIES:
            raise ValueError(f"penalty must be one of {', '.join(map(repr, PENALTIES))}, not {self.penalty!r}")
        alpha, ratio = checked_number("alpha", self.alpha), checked_number("l1_ratio", self.l1_ratio)
        if ratio > 1:
            raise ValueError(f"l1_ratio must be at most 1, not {ratio:g}: it is the share of l1 in the penalty")
        share = {None: 0.0, "l1": 1.0, "l2": 0.0, "elasticnet": ratio}[self.penalty]
        l1, l2 = (0.0, 0.0) if self.penalty is None else (alpha * share, alpha * (1.0 - share))
        in_formula = OWN_L1 in own_hyper(rule_for(self.method)) and l1 > 0
        return {"l1": 0.0, "l2": l2, OWN_L1: l1} if in_formula else {"l1": l1, "l2": l2}

    # Training

    def _validated(self, X: Any, y: Any, *, reset: bool, **of_labels: Any) -> tuple[Any, Any]:
        return validate_data(
            self, X, y, reset=reset, accept_sparse="csr", dtype=[np.float64, np.float32], order="C", **of_labels
        )

    def _weights(self, sample_weight: Any, X: Any) -> NDArray[np.float64] | None:
        if sample_weight is None:
            return None
        return checked_weights(_check_sample_weight(sample_weight, X, dtype=np.float64), X.shape[0])

    def _train(
        self, X: Any, y: Any, problems: Sequence[Problem], checked: Checked, starts: Sequence[State | None]
    ) -> None:
        """Fit one output after the other, or several at a time, and take over the results."""
        if checked.parameters["validation"] and X.shape[0] < 2:
            raise ValueError("early_stopping sets examples aside, and X has only one sample")
        table = as_table(X, problems[0].labels, dtype=None)  # which looks at X once for all outputs
        context = self._context(X, y, leaf=len(problems) > 1)

        def train(problem: Problem, start: State | None) -> Fit:
            def epochs(unscale: fitting.Unscale) -> Epochs:
                return Epochs(self, context, X, y, self._attributes_of_one, unscale)

            p, settings, conduct = checked
            return fitting.fit(
                p,
                settings,
                conduct,
                replace(table, labels=problem.labels, weights=problem.weights),
                p["validation"],
                False,
                chosen=problem.targets,
                start=start,
                keeps=True,
                by_content=p["shuffle"],
                watched=epochs if context is not None and len(problems) == 1 else None,
            )

        if len(problems) == 1:
            fits = [train(problems[0], starts[0])]
        else:
            pairs = zip(problems, starts, strict=True)
            fits = Parallel(n_jobs=self.n_jobs, prefer="threads")(delayed(train)(*pair) for pair in pairs)
        self._take(fits, X.dtype)
        if context is not None:
            context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes=dict)

    @contextmanager
    def _unchanged_if_it_fails(self) -> Iterator[None]:
        """Give the estimator back the attributes that are set before training, if what follows raises."""
        before = {name: vars(self)[name] for name in SET_BEFORE_TRAINING if name in vars(self)}
        try:
            yield
        except BaseException:
            for name in SET_BEFORE_TRAINING:
                self.__dict__.pop(name, None)
            self.__dict__.update(before)
            raise

    def _context(self, X: Any, y: Any, *, leaf: bool) -> Any:
        """The context through which scikit-learn's callbacks are told of a fit; None if there are no callbacks.

        Several outputs have several fits, so that there are no epochs of the estimator to tell of; `leaf` is True then.
        """
        if not getattr(self, "_skl_callbacks", None):
            return None
        context = self._init_callback_context(max_subtasks=0 if leaf else self.max_iter)
        return context.call_on_fit_task_begin(estimator=self, X=X, y=y)

    def _take(self, fits: Sequence[Fit], dtype: Any) -> None:
        outcomes = [fit.outcome for fit in fits]
        if any(outcome.ended_by == "interrupted" for outcome in outcomes):
            raise KeyboardInterrupt
        found = self._attributes([fit.coef for fit in fits], [fit.intercept for fit in fits])
        with np.errstate(over="ignore"):
            found = {name: value.astype(dtype, copy=False) for name, value in found.items()}
        if not all(np.isfinite(value).all() for value in found.values()):
            raise ValueError(f"{np.dtype(dtype)} cannot hold the weights: give X as float64, or multiply X or y")
        self._states = [fit.state for fit in fits]
        self.n_iter_ = max(len(outcome.history) for outcome in outcomes)
        self.__dict__.update(found)
        if any(outcome.ended_by == NON_FINITE for outcome in outcomes):
            warnings.warn(
                "the loss was not finite: the weights are those of the epoch before; scale X, or use a smaller "
                "learning_rate",
                ConvergenceWarning,
                stacklevel=4,
            )

    @abstractmethod
    def _attributes(self, weights: Sequence[NDArray[Any]], intercepts: Sequence[NDArray[Any]]) -> dict[str, Any]:
        """The fitted attributes by name, from the weights and the intercept of each output."""

    def _attributes_of_one(self, weights: NDArray[Any], intercept: NDArray[Any]) -> dict[str, Any]:
        return self._attributes([weights], [intercept])

    def _seed(self) -> int:
        state = self.random_state
        return int(state) if isinstance(state, int | np.integer) else int(check_random_state(state).randint(2**31 - 1))

    # Predictions

    def _scores(self, X: Any) -> NDArray[Any]:
        """Scores of examples, (samples,) or (samples, outputs)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=[np.float64, np.float32])
        scores = safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_
        return scores.ravel() if scores.ndim > 1 and scores.shape[1] == 1 else scores

    def densify(self) -> Self:
        """Make `coef_` a NumPy array again, after `sparsify`.

        Returns
        -------
        self : estimator
            Itself.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.sklearn import AdaGradRegressor
        >>> X = np.arange(100.0)[:, None] / 100
        >>> model = AdaGradRegressor(random_state=0).fit(X, 3 * X[:, 0] + 1).sparsify()
        >>> model.densify().coef_.shape
        (1,)
        """
        check_is_fitted(self)
        if sparse.issparse(self.coef_):
            coef = self.coef_.toarray()
            self.coef_ = coef[0] if self._flat else coef
        return self

    def sparsify(self) -> Self:
        """Make `coef_` a sparse matrix, which takes less memory if most weights are 0, as after a penalty l1.

        Returns
        -------
        self : estimator
            Itself.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.sklearn import AdaGradRegressor
        >>> X = np.arange(200.0).reshape(100, 2) / 100
        >>> AdaGradRegressor(random_state=0).fit(X, 3 * X[:, 0] + 1).sparsify().coef_.shape
        (1, 2)
        """
        check_is_fitted(self)
        self.coef_ = sparse.csr_matrix(self.coef_)
        return self

    @property
    def _flat(self) -> bool:
        """Whether `coef_` has one axis, as it has for the single output of a regression."""
        return False

    def __sklearn_is_fitted__(self) -> bool:
        """Say whether there are weights: a fit that failed may leave other attributes, as the number of features."""
        return hasattr(self, "coef_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
