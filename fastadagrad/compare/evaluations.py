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
from ..optimizer.adaptive import SGD
from ..support.extras import needed
from .training import Trainer, as_dense

METHODS = ("L-BFGS-B", "BFGS", "CG", "TNC", "SLSQP")  # those that go by gradients, and by no more


class _Ended(Exception):
    """Raised in the thread of a method that is no longer asked."""


class ByEvaluations(Trainer):
    """Parameters that a method of `scipy.optimize.minimize` trains, within the budget that the others have.

    Such a method needs the loss of all samples, so that one evaluation of loss and gradient is the pass over the data
    that is an epoch of the others; without data, an epoch has as many evaluations as the others have updates. After an
    epoch the parameters are those with the lowest loss so far, as a line search tries worse ones, too. Once the method
    has converged, or given up, they stay.

    The method runs in a thread of its own, and only while its next point is waited for.
    """

    def __init__(self, loss: Any, params: Any, method: str, options: Mapping[str, Any]) -> None:
        super().__init__(SGD(loss, params, threads=1))
        self._arrays: list[Any] = [*self.optimizer.params.values()]
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._reached, self._lowest = self._flat(self._arrays), np.inf
        arguments = (self._reached.copy(), method, dict(options), self._asked, self._answers)
        threading.Thread(target=_minimize, args=arguments, daemon=True).start()
        self._end = weakref.finalize(self, self._answers.put, None)
        self._point: Any = self._next()

    def train_epoch(self, data: Dataset | None, updates: int) -> float:
        """Answer as many evaluations as an epoch has; the lowest loss so far.

        Raises
        ------
        Exception
            What SciPy, or the loss, has raised.
        """
        for _ in range(1 if data is not None else updates):
            if self._point is None:  # the method has ended
                break
            self._set(self._point)
            loss, gradient = self._value_and_gradient(data)
            if loss < self._lowest:
                self._lowest, self._reached = loss, self._point
            self._answers.put((loss, gradient))
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
            each, gradients = objective.value_and_gradients(self._arguments(batch))
            total, value = total + count, value + count * each
            gradient += count * self._flat(as_dense(gradients, self._arrays))
        return value / total, gradient / total

    def _flat(self, arrays: Any) -> Any:
        return np.concatenate([np.asarray(array, np.float64).ravel() for array in arrays])

    def _set(self, point: Any) -> None:
        at = 0
        for array in self._arrays:
            array[...] = point[at : at + array.size].reshape(array.shape)
            at += array.size


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
