"""The base of the classifier and the regressor: parameters and their checks, and fits of one output or several."""

from __future__ import annotations

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
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..data.tables import as_table
from ..engine.place import readable
from ..linear import fitting
from ..linear.epochs import NON_FINITE, Outcome, falling, tell_of_falling
from ..linear.fitting import Fit, State
from ..linear.targets import Targets
from ..linear.visits import checked_weights
from ..support.asking import asking
from ..support.warned import warn
from .callbacks import CallbackSupportMixin, Epochs
from .parameters import Checked, in_own_words

SET_BEFORE_TRAINING = ("n_features_in_", "feature_names_in_", "classes_", "_one_column")


class Problem(NamedTuple):
    """The labels, the targets and the weights of examples with which one output is trained."""

    labels: NDArray[Any]
    targets: Targets
    weights: NDArray[np.float64] | None


class LinearEstimator(CallbackSupportMixin, BaseEstimator, metaclass=ABCMeta):
    """Training, prediction and checks of parameters that the classifier and the regressor share."""

    coef_: Any
    intercept_: NDArray[Any]
    n_features_in_: int
    n_iter_: int
    _states: list[State | None]

    # Training

    def _validated(self, X: Any, y: Any, *, reset: bool, **of_labels: Any) -> tuple[Any, Any]:
        """X as an array or a CSR matrix of float32 or float64, and y; with `reset`, the columns of X are noted."""
        X, y, kinds = readable("X", X), readable("y", y), [np.float64, np.float32]
        with asking("X or y", X, y):
            return validate_data(self, X, y, reset=reset, accept_sparse="csr", dtype=kinds, order="C", **of_labels)

    def _weights(self, sample_weight: Any, X: Any) -> NDArray[np.float64] | None:
        if sample_weight is None:
            return None
        sample_weight = readable("sample_weight", sample_weight)
        with asking("sample_weight", sample_weight):
            return checked_weights(_check_sample_weight(sample_weight, X, dtype=np.float64), X.shape[0])

    def _train(
        self, X: Any, y: Any, problems: Sequence[Problem], checked: Checked, starts: Sequence[State | None]
    ) -> None:
        """Fit one output after the other, or several at a time, and take over the results."""
        with in_own_words(self):
            self._train_each(X, y, problems, checked, starts)

    def _train_each(
        self, X: Any, y: Any, problems: Sequence[Problem], checked: Checked, starts: Sequence[State | None]
    ) -> None:
        if checked.parameters["validation"] and X.shape[0] < 2:
            raise ValueError("early_stopping sets examples aside, and X has only one sample")
        table = as_table(X, problems[0].labels, dtype=None)  # which looks at X once for all outputs
        context = self._context(X, y, leaf=len(problems) > 1)

        def train(problem: Problem, start: State | None) -> Fit:
            def epochs(unscale: fitting.Unscale) -> Epochs:
                return Epochs(self, context, X, y, self._attributes_of_one, unscale)

            return fitting.fit(
                *checked,
                replace(table, labels=problem.labels, weights=problem.weights),
                checked.parameters["validation"],
                progress=False,
                chosen=problem.targets,
                start=start,
                keeps=True,
                by_content=checked.parameters["shuffle"],
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
        """Take over the results of the fits; nothing is set if one was interrupted, or if `dtype` cannot hold them."""
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
            text = "the loss was not finite: the weights are those of the epoch before"
            warn(f"{text}; scale X, or use a smaller learning_rate", ConvergenceWarning)
        self._tell_of_falling(outcomes)

    def _tell_of_falling(self, outcomes: Sequence[Outcome]) -> None:
        """Warn of a loss that was still falling after `max_iter` epochs; of the default number, the log has it."""
        text = next(filter(None, (falling(outcome.history, outcome.ended_by) for outcome in outcomes)), "")
        if text and self.max_iter is not None:
            warn(f"{text}: a larger max_iter may help", ConvergenceWarning)
        else:
            tell_of_falling(text, "max_iter", asked=False)

    @abstractmethod
    def _attributes(self, weights: Sequence[NDArray[Any]], intercepts: Sequence[NDArray[Any]]) -> dict[str, Any]:
        """The fitted attributes by name, from the weights and the intercept of each output."""

    def _attributes_of_one(self, weights: NDArray[Any], intercept: NDArray[Any]) -> dict[str, Any]:
        return self._attributes([weights], [intercept])

    # Predictions

    def _scores(self, X: Any) -> NDArray[Any]:
        """Scores of examples, (samples,) or (samples, outputs)."""
        check_is_fitted(self)
        X = readable("X", X)
        with asking("X", X):
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
