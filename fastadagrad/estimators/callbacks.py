"""Support of scikit-learn's callbacks, which exist since version 1.9: each epoch of a fit is a task for callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from ..linear.fitting import Unscale

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupportMixin
    from sklearn.callback import with_callbacks as with_callbacks
except ImportError:  # scikit-learn is older than 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]  # in its place, so that both have the same bases
        """A mixin without attributes."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        return method


FittedAs = Callable[[NDArray[Any], NDArray[Any]], dict[str, Any]]  # (weights, intercept) -> attributes of an estimator


class Epochs:
    """Tells callbacks of the epochs of a fit, with the attributes that the estimator would have if it ended there."""

    def __init__(self, estimator: Any, context: Any, X: Any, y: Any, fitted_as: FittedAs, unscale: Unscale) -> None:
        self._estimator, self._root, self._data = estimator, context, {"X": X, "y": y}
        self._fitted_as, self._unscale = fitted_as, unscale
        self._task: Any = None

    def begin_epoch(self) -> None:
        self._task = self._root.subcontext(task_name="epoch")
        self._task.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def end_epoch(self, entry: dict[str, float], weights: tuple[NDArray[Any], NDArray[Any]]) -> bool:
        return bool(
            self._task.call_on_fit_task_end(
                estimator=self._estimator,
                reconstruction_attributes=lambda: self._fitted_as(*self._unscale(weights)),
                **self._data,
            )
        )
