"""The cost of a step: the time of the step alone, without the loss, and the memory of the method's state."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from ..optimizer.by_gradients import session_of
from ..optimizer.optimizer import Optimizer
from .contenders import Contender
from .outside import Outside, OutsideContender
from .problem import Task
from .running import first_batch, lazy_for, unwarned

ROUNDS, ROUND_SECONDS, MOST_CALLS = 25, 2e-3, 50


class Cost(NamedTuple):
    """The cost of one method's step on one problem."""

    microseconds: float  # median time of a step
    bytes: float | None  # of state for each element of the parameters; None if it is not known
    low: float | None = None  # quartiles of the time
    high: float | None = None


class _Stepping:
    """One method's optimizer, which steps with the gradients of the start again and again."""

    def __init__(self, task: Task, method: Contender) -> None:
        own, self._start = task.copied(), task.copied()
        self._opt = method.build(task.loss, own, None, lazy_for(task, method))
        if isinstance(self._opt, Outside):
            self._restart: Callable[[], None] = self._opt.restart
            self._given: list[Any] = [self._opt.gradients_of(first_batch(task))]
        else:
            self._restart = self._start_again
            session = session_of(self._opt)
            objective = session.objective
            arguments = objective.arguments(first_batch(task))
            _, flat = objective.value_and_gradients(arguments)
            given = [given for given in (flat, session.products(arguments)) if given]
            self._given = [session.params.restructure(arrays) for arrays in given]
        self.calls = 1
        self.calls = max(1, min(MOST_CALLS, int(ROUND_SECONDS / max(self.seconds(), 1e-7))))

    def _start_again(self) -> None:
        self._opt.set_params(self._start)
        self._opt.reset()

    def seconds(self) -> float:
        """Seconds of one step, from many steps timed together."""
        self._restart()
        step, given = self._opt.step, self._given
        step(*given)
        began = time.perf_counter()
        for _ in range(self.calls):
            step(*given)
        return (time.perf_counter() - began) / self.calls

    @property
    def bytes(self) -> float | None:
        """Bytes of state for each element of the parameters; None if they are not known."""
        return self._opt.state_bytes() if isinstance(self._opt, Outside) else state_bytes(self._opt)


def state_bytes(opt: Optimizer) -> float:
    """Bytes of state for each element of the parameters."""
    held = sum(np.asarray(slot).nbytes for slots in opt.state.values() for slot in slots.values())
    return held / sum(array.size for array in opt.params.values())


def costs_of(task: Task, methods: Sequence[Contender]) -> Mapping[str, Cost]:
    """Time and memory of each method's steps alone, gradients given, on one thread; the methods take turns.

    Methods whose steps raise are left out, and so are those that have no steps of their own.
    """
    with unwarned():
        stepping = {}
        for method in methods:
            if isinstance(method, OutsideContender) and method.framework == "scipy":
                continue
            with suppress(Exception):  # its runs tell which
                stepping[method.label] = _Stepping(task, method)
        turns: dict[str, list[float]] = {label: [] for label in stepping}
        for _ in range(ROUNDS):
            for label, one in stepping.items():
                turns[label].append(one.seconds())
    found = {}
    for label, one in stepping.items():
        low, middle, high = (1e6 * float(value) for value in np.quantile(turns[label], (0.25, 0.5, 0.75)))
        found[label] = Cost(middle, one.bytes, low, high)
    return found
