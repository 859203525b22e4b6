"""The cost of a step: the time of the step alone, without the loss, and the memory of the method's state."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from .contenders import Contender
from .problem import Task
from .running import FAILURE, first_batch, lazy_for, unwarned
from .training import SteppingTrainer

TURNS, TURN_SECONDS = 25, 2e-3  # of each method
MOST_CALLS = 50  # steps of a turn


class Cost(NamedTuple):
    """The cost of one method's step on one problem."""

    microseconds: float  # median time of a step
    bytes: float | None  # of state for each element of the parameters; None if it is not known
    low: float | None = None  # quartiles of the time
    high: float | None = None


class _Turns:
    """The steps of one method, made again and again with what a batch gives at the start values."""

    def __init__(self, trainer: SteppingTrainer, batch: Any) -> None:
        self.trainer = trainer
        self._arguments = trainer.arguments_of_step(batch)
        self._calls = 1
        self._calls = max(1, min(MOST_CALLS, int(TURN_SECONDS / max(self.seconds(), 1e-7))))

    def seconds(self) -> float:
        """Seconds of one step, from the steps of a turn, which are timed together."""
        self.trainer.restart()
        step, arguments = self.trainer.step, self._arguments
        step(*arguments)
        began = time.perf_counter()
        for _ in range(self._calls):
            step(*arguments)
        return (time.perf_counter() - began) / self._calls


def costs_of(task: Task, methods: Sequence[Contender]) -> dict[str, Cost]:
    """Time and memory of each method's steps alone, gradients given, on one thread; the methods take turns.

    Methods whose steps raise are left out, and so are those that have no steps of their own.
    """
    turns: dict[str, _Turns] = {}
    seconds: dict[str, list[float]] = {}
    with unwarned():
        for method in methods:
            with suppress(*FAILURE):  # the method's runs have told of it
                trainer = method.build(task.loss, task.copied(), None, lazy_for(task, method))
                if isinstance(trainer, SteppingTrainer):
                    turns[method.label] = _Turns(trainer, first_batch(task))
        for _ in range(TURNS):
            for label, each in turns.items():
                seconds.setdefault(label, []).append(each.seconds())
    found = {}
    for label, each in turns.items():
        low, middle, high = (1e6 * float(value) for value in np.quantile(seconds[label], (0.25, 0.5, 0.75)))
        found[label] = Cost(middle, each.trainer.state_bytes(), low, high)
    return found
