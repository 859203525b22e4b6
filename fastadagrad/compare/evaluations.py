"""Contenders that decide themselves where to evaluate loss and gradient: methods of `scipy.optimize.minimize`."""

from __future__ import annotations

import queue
import threading
import warnings
import weakref
from collections.abc import Mapping
from itertools import repeat
from typing import Any

import numpy as np

from ..data.dataset import Dataset, sample_count
from ..engine.rows import Rows
from ..optimizer.adaptive import SGD
from ..optimizer.by_gradients import session_of
from ..support.extras import needed

METHODS = ("L-BFGS-B", "BFGS", "CG", "TNC", "SLSQP")  # those that go by gradients, and by no more


class _Ended(Exception):
    """Raised in the thread of a method that is no longer asked."""


class ByEvaluations:
    """Parameters that a method of `scipy.optimize.minimize` trains, within the budget that the others have.

    Such a method needs the loss of all samples, so that one evaluation of loss and gradient is the pass over the data
    that is an epoch of the others; without data, an epoch has as many evaluations as the others have updates. What has
    been reached is the point with the lowest loss so far: a line search tries others. Once the method has converged,
    or given up, the parameters stay.

    The method runs in a thread of its own, and only while its next point is waited for.
    """

    def __init__(self, loss: Any, params: Any, method: str, options: Mapping[str, Any]) -> None:
        self.evaluator = SGD(loss, params, threads=1)
        self._session = session_of(self.evaluator)
        self._arrays: list[Any] = [*self.evaluator.params.values()]
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._reached, self._lowest, self._last = self._flat(self._arrays), np.inf, np.inf
        arguments = (self._reached.copy(), method, dict(options), self._asked, self._answers)
        threading.Thread(target=_minimize, args=arguments, daemon=True).start()
        self._end = weakref.finalize(self, self._answers.put, None)
        self._point: Any = self._next()

    def evaluate(self, data: Any) -> Mapping[str, float]:
        """The loss of data at the point that has been reached, as `Optimizer.evaluate` gives it."""
        return self.evaluator.evaluate(data)

    def train_epoch(self, data: Dataset | None, updates: int) -> float:
        """Answer as many evaluations as an epoch has; the last loss.

        Raises
        ------
        Exception
            What SciPy has raised.
        """
        for _ in range(1 if data is not None else updates):
            if self._point is None:  # the method has ended
                break
            self._set(self._point)
            self._last, gradient = self._value_and_gradient(data)
            if self._last < self._lowest:
                self._lowest, self._reached = self._last, self._point
            self._answers.put((self._last, gradient))
            self._point = self._next()
        self._set(self._reached)
        return float(self._lowest)

    def _next(self) -> Any:
        """The next point that the method asks for, None if it has ended."""
        point, error = self._asked.get()
        if error is not None:
            raise error
        return point

    def _value_and_gradient(self, data: Dataset | None) -> tuple[float, Any]:
        objective = self._session.objective
        total, value, gradient = 0, 0.0, np.zeros(self._reached.size)
        for batch in repeat((), 1) if data is None else data:
            count = 1 if data is None else sample_count(batch)
            each, gradients = objective.value_and_gradients(objective.arguments(batch))
            own = [dense(g, array) for g, array in zip(gradients, self._arrays, strict=True)]
            total, value = total + count, value + count * each
            gradient += count * self._flat(own)
        return value / total, gradient / total

    def _flat(self, arrays: Any) -> Any:
        return np.concatenate([np.asarray(array, np.float64).ravel() for array in arrays])

    def _set(self, point: Any) -> None:
        at = 0
        for array in self._arrays:
            array[...] = point[at : at + array.size].reshape(array.shape)
            at += array.size


def dense(gradient: Any, like: Any) -> Any:
    """A gradient as an array of the parameter's shape: repeated rows are added up."""
    if isinstance(gradient, Rows):
        table = np.zeros_like(like)
        np.add.at(table, gradient.indices, gradient.values)
        return table
    if isinstance(gradient, np.ndarray):
        return gradient
    return np.ascontiguousarray(gradient.toarray() if hasattr(gradient, "toarray") else gradient)


def _minimize(start: Any, method: str, options: dict[str, Any], asked: Any, answers: Any) -> None:
    """Run SciPy; each evaluation is asked for, and waits for the answer, which is None when nobody asks any more."""

    def evaluated(point: Any) -> Any:
        asked.put((np.array(point), None))
        answer = answers.get()
        if answer is None:
            raise _Ended
        return answer

    try:
        optimize = needed("scipy.optimize", f"method scipy:{method}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            optimize.minimize(evaluated, start, jac=True, method=method, options=options)
        asked.put((None, None))
    except _Ended:
        pass
    except BaseException as error:
        asked.put((None, error))
