"""One run: a method with one learning rate on one task, validated after each epoch."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np

from ..data.dataset import Dataset
from ..optimizer.adaptive import SGD
from .contenders import Contender
from .grid import Cell
from .problem import Task
from .training import OwnTrainer, SteppingTrainer, Trainer

DIVERGENCE = (ArithmeticError, np.linalg.LinAlgError)  # errors that too long steps lead to
FAILURE = (Exception, SystemExit)  # what ends a run alone: a problem or a method that exits ends no comparison
UNCHANGED = (
    "step has not changed the parameters: it must write into the arrays that the method was made with, as "
    "`array -= update` does; `array = array - update` makes others"
)
LONGEST = 300  # characters of an error that are kept


@dataclass(frozen=True)
class Run:
    """The result of a cell of the grid.

    Each tuple has an entry for the start and one for each epoch. From the first epoch on whose loss is not finite, or
    in which the run has raised, all losses are infinite.
    """

    cell: Cell
    steps_an_epoch: int
    valid: tuple[float, ...]
    train: tuple[float, ...]  # mean over the batches of an epoch; at the start the validation's
    seconds: tuple[float, ...]  # processor time spent on training until the end of each epoch
    scores: tuple[float, ...] = ()  # `Task.score` of the samples to validate on; -inf where the loss is infinite
    failed: str = ""  # the error with which it has ended, if that was none of arithmetic, which is divergence

    @property
    def final(self) -> float:
        """Validation loss after the last epoch."""
        return self.valid[-1]

    @property
    def diverged(self) -> int | None:
        """The first epoch with a loss that is not finite."""
        return next((epoch for epoch, loss in enumerate(self.valid) if not math.isfinite(loss)), None)


@contextmanager
def unwarned() -> Iterator[None]:
    """Suppress warnings of overflow, which is a result like others for a run with too high a learning rate."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def run(cell: Cell, task: Task, method: Contender, lazy: str) -> Run:
    """Train from the start values as `Optimizer.iterate` does, but without early stopping and without restoring.

    Times are processor times of training, without validation, so that other processes hardly lengthen them. A run that
    raises ends there: an error of arithmetic is divergence, any other error is told in `Run.failed`.
    """
    valid, train, seconds, scores = [], [], [], []
    steps, failed = 0, ""
    try:
        with unwarned():
            trainer = method.build(task.loss, task.copied(), cell.rate, lazy)
            data, held_out, steps = task.training(cell.seed), task.validation(), task.steps_an_epoch
            valid.append(trainer.loss(held_out))
            scores.append(_score(task, trainer, held_out, valid[-1]))
            train, seconds = valid[:], [0.0]
            while len(valid) <= cell.epochs and math.isfinite(valid[-1]):
                began = time.process_time()
                loss = trainer.train_epoch(data, task.updates)
                passed = time.process_time() - began
                if len(valid) == cell.epochs and not trainer.has_trained():
                    raise TypeError(UNCHANGED)
                reached = trainer.loss(held_out) if math.isfinite(loss) else math.inf
                scores.append(_score(task, trainer, held_out, reached))
                train, valid, seconds = [*train, loss], [*valid, reached], [*seconds, seconds[-1] + passed]
    except DIVERGENCE:
        pass
    except FAILURE as error:
        failed = told(error)
    return _filled(cell, steps, valid, train, seconds, scores if task.score is not None else [], failed)


def broken(cell: Cell, error: BaseException) -> Run:
    """The run of a cell that has raised before its first loss was known."""
    return _filled(cell, 0, [], [], [], [], "" if isinstance(error, DIVERGENCE) else told(error))


def told(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _filled(
    cell: Cell,
    steps: int,
    valid: Sequence[float],
    train: Sequence[float],
    seconds: Sequence[float],
    scores: Sequence[float],
    failed: str,
) -> Run:
    """A run whose lists are filled up to the last epoch."""
    length = cell.epochs + 1

    def filled(values: Sequence[float], value: float) -> tuple[float, ...]:
        return (*values, *repeat(value, length - len(values)))

    spent = filled(seconds, seconds[-1] if seconds else 0.0)
    known = filled(scores, -math.inf) if scores else ()
    return Run(cell, steps, filled(valid[: len(train)], math.inf), filled(train, math.inf), spent, known, failed)


def _score(task: Task, trainer: Trainer, data: Dataset | None, loss: float) -> float:
    """The task's score of the validation samples; -inf where it has none, or where the loss is infinite."""
    if task.score is None or not math.isfinite(loss):
        return -math.inf
    return trainer.score(task.score, data)


def check_start(name: str, task: Task) -> None:
    """Raise ValueError, or the error of the loss, for a user's task whose loss fails at the start values."""
    trainer = OwnTrainer(SGD(task.loss, task.copied(), threads=1))
    with unwarned():
        loss = trainer.loss(task.validation())
        _score(task, trainer, task.validation(), loss)
        with suppress(*DIVERGENCE):
            trainer.train_on(first_batch(task))
    if not math.isfinite(loss):
        raise ValueError(f"problem {name!r}: the validation loss of the start values must be finite, not {loss}")


def first_batch(task: Task) -> Any:
    """The batch of the first step with seed 0."""
    data = task.training(0)
    return () if data is None else next(iter(data))


def lazy_for(task: Task, method: Contender) -> str:
    """The option `lazy` with which a method takes the gradients of a task, found by one step, which also compiles it.

    It is "touched" for all methods, as frameworks treat row-sparse gradients, but "dense" for methods that cannot leave
    rows out, and for those from elsewhere, which have no such option.
    """
    if not method.has_lazy:
        with suppress(*FAILURE):  # the runs tell of it
            _try_step(task, method, "dense")
        return "dense"
    try:
        _try_step(task, method, "touched")
    except ValueError as error:
        if "lazy='dense'" not in str(error):
            raise
        _try_step(task, method, "dense")
        return "dense"
    return "touched"


def _try_step(task: Task, method: Contender, lazy: str) -> None:
    """Make one step before runs are timed: the first of a process may compile and import."""
    with unwarned(), suppress(*DIVERGENCE):
        trainer = method.build(task.loss, task.copied(), None, lazy)
        if isinstance(trainer, SteppingTrainer):
            trainer.train_on(first_batch(task))
