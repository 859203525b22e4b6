"""The epochs of a linear model's fit, with validation, early stopping, and the choice of the weights to keep."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..kernels.linear.layouts import shuffle
from ..support.asking import whether
from ..support.extras import needed
from ..support.interrupts import whole
from ..support.log import IN_REPORT, logger
from ..support.stopping import Patience
from .averaging import AveragingTrainer
from .fit_checkpoints import FitCheckpoints, Progress, Taken
from .scaling import only_finite
from .training import Examples, Scorer, Trainer, importance_of

NON_FINITE = "non-finite loss"
FALLING = 0.01  # share by which the loss falls over the last part of the epochs, if more epochs are worth a word
LAST_PART = 5  # one epoch in so many
AnyTrainer = Trainer | AveragingTrainer
Report = Callable[[int], object]  # gets the number of examples just done
Tell = Callable[[dict[str, float]], object]  # gets an epoch's entry of the history


class Outcome(NamedTuple):
    """The result of a run of epochs."""

    weights: tuple[NDArray[Any], NDArray[Any]]  # weights and intercept
    history: list[dict[str, float]]
    best_epoch: int
    ended_by: str
    seconds: float


def still_falling(history: list[dict[str, float]], ended_by: str) -> float:
    """The share by which the loss fell over the last fifth of the epochs, if it was still falling; else 0.

    There are to be no more epochs because there were as many as the fit may have. Where there are examples for
    validation, it is their loss, and it is falling only if it is the lowest in the last epoch.
    """
    if ended_by != "max_epochs" or len(history) < 2:
        return 0.0
    losses = [entry.get(_judging(history), math.nan) for entry in history]
    before, last = losses[-1 - _last_part(history)], losses[-1]
    fallen = 1 - last / before if before > 0 else 0.0
    if "valid_loss" in history[-1] and last > min(losses):
        return 0.0
    return fallen if math.isfinite(fallen) and fallen > FALLING else 0.0


def _judging(history: list[dict[str, float]]) -> str:
    """Which entry of a history says whether more epochs would help."""
    return "valid_loss" if "valid_loss" in history[-1] else "loss"


def _last_part(history: list[dict[str, float]]) -> int:
    """A fifth of the epochs, rounded up."""
    return -(-len(history) // LAST_PART)


def falling(history: list[dict[str, float]], ended_by: str) -> str:
    """The same in words: which loss was still falling, and by how much; empty if none was."""
    share = still_falling(history, ended_by)
    if not share:
        return ""
    which = "validation" if _judging(history) == "valid_loss" else "training"
    part = _last_part(history)
    epochs = f"the last {part} of {len(history)} epochs" if part > 1 else f"the last of {len(history)} epochs"
    return f"the {which} loss was still falling, by {share:.1%} in {epochs}"


def tell_of_falling(text: str, option: str, asked: bool) -> None:
    """Log what `falling` says, if it does: as a warning if the user has `asked` for so many epochs.

    The default number of epochs is meant for predictions, to which many losses fall further than it helps.
    """
    if text:
        level = logging.WARNING if asked else logging.INFO
        logger.log(level, "%s: a larger %s may help", text, option, extra={IN_REPORT: True})


class Watcher(Protocol):
    """An object that is told of the beginning and the end of each epoch, and that may end the run."""

    def begin_epoch(self) -> None: ...
    def end_epoch(self, entry: dict[str, float], weights: tuple[NDArray[Any], NDArray[Any]]) -> bool:
        """Whether to stop, given an epoch's entry of the history, and the weights and the intercept as they are."""


class Run:
    """A run of epochs until a limit, patience, an interruption or a non-finite loss ends it; it keeps the weights."""

    def __init__(
        self, trainer: AnyTrainer, held_out: Examples | None, patience: Patience, scorer: Scorer | None = None
    ) -> None:
        self._trainer, self._held_out, self._patience = trainer, held_out, patience
        self._mean_label = 0.0
        self._scorer = scorer or Scorer(trainer.targets)
        self.history: list[dict[str, float]] = []
        self.best_epoch, self.stopped_because = 0, "max_epochs"
        self._warned = False  # whether it has warned of weights that no gradient moves any more
        weights, intercept = trainer.parameters
        self.weights = np.array(weights, order="C"), intercept.copy()
        self.done = 0  # epochs, before those to come
        self.seconds = 0.0  # of the training before

    def state(self) -> dict[str, Any]:
        """The state from which a run goes on, but for its weights, in types that JSON has."""
        return {
            "history": [dict(entry) for entry in self.history],
            "best_epoch": self.best_epoch,
            "stopped_because": self.stopped_because,
            "patience": self._patience.state(),
            "warned": self._warned,
            "seconds": self.seconds + self._trainer.seconds,
        }

    def restore(self, taken: Taken) -> None:
        """Go on from a checkpoint; a run that had stopped for want of patience may have more of it now."""
        state = taken.header["run"]
        self._patience.restore(state["patience"])
        self.history, self.done = [dict(entry) for entry in state["history"]], taken.epoch
        self.best_epoch, self._warned, self.seconds = state["best_epoch"], state["warned"], float(state["seconds"])
        if state["stopped_because"] == "patience" and self._patience.elapsed:
            self.stopped_because = "patience"
        for own, other in zip(self.weights, taken.kept, strict=True):
            np.copyto(own, other)

    def _save(self, files: FitCheckpoints) -> None:
        trainer = self._trainer
        means, visits = trainer.averages if isinstance(trainer, AveragingTrainer) else ((), ())
        rate = trainer.settings.learning_rate_at(0)
        files.save(Progress(self.done, self.state(), self.weights, means, visits), trainer.trained, rate)

    def _save_if_due(self, files: FitCheckpoints | None, epoch: int, epochs: int) -> None:
        """Note that an epoch is done, and save a checkpoint if one is due, or if the epoch is the last."""
        self.done = epoch
        last = epoch == epochs or self.stopped_because != "max_epochs"
        if files is not None and self.stopped_because != NON_FINITE and (last or files.is_due(epoch)):
            self._save(files)

    def run(
        self,
        epochs: int,
        order: NDArray[np.int64],
        rng: np.random.Generator | None,
        report: Report | None,
        tell: Tell,
        watcher: Watcher | None = None,
        files: FitCheckpoints | None = None,
    ) -> Outcome:
        """Train for at most `epochs` epochs on examples in this order, or in an order that `rng` draws for each."""
        drawn = np.arange(len(order))
        in_order = np.array_equal(order, drawn)
        examples = self._trainer.examples
        importance = importance_of(examples)
        weights = None if importance is None else importance[order]
        self._mean_label = self._scorer.targets.mean_label(examples.labels[order], weights)
        for _ in range(self.done if rng is not None else 0):  # each order is drawn from the one before
            shuffle(rng.random(len(order)), drawn)  # type: ignore[union-attr]
        for entry in self.history:
            tell(entry)
        try:
            for epoch in range(self.done + 1, epochs + 1):
                if self.stopped_because != "max_epochs":
                    break
                if watcher is not None:
                    watcher.begin_epoch()
                if rng is not None:
                    shuffle(rng.random(len(order)), drawn)
                loss = self._trainer.epoch(drawn if in_order else order[drawn], report)
                entry = self._close_epoch(epoch, loss)
                tell(entry)
                if watcher is not None and watcher.end_epoch(entry, self._trainer.parameters):
                    self.stopped_because = "callback"
                self._save_if_due(files, epoch, epochs)
        except KeyboardInterrupt:
            self.stopped_because = "interrupted"
            self._keep_unfinished()
        seconds = self.seconds + self._trainer.seconds
        return Outcome(self.weights, self.history, self.best_epoch, self.stopped_because, seconds)

    def _keep_unfinished(self) -> None:
        """Keep the weights of an unfinished epoch after Ctrl-C, unless validation has judged earlier weights the best.

        The weights are whole: Python interrupts only between calls of the compiled loop.
        """
        judged = self._held_out is not None and self.best_epoch > 0
        if judged or not only_finite(*self._trainer.parameters):
            logger.warning("interrupted: keeping the weights of epoch %d", self.best_epoch)
            return
        self._keep()
        logger.warning("interrupted: keeping the weights so far")

    def _keep(self) -> None:
        for kept, current in zip(self.weights, self._trainer.parameters, strict=True):
            np.copyto(kept, current)

    def _close_epoch(self, epoch: int, loss: float) -> dict[str, float]:
        """Validate, keep the weights if they are the best so far, and decide whether to go on."""
        entry: dict[str, float] = {"epoch": epoch, "loss": self._scorer.targets.in_own_unit(loss, self._mean_label)}
        weights = self._trainer.parameters
        if not (math.isfinite(loss) and only_finite(*weights)):
            self.stopped_because = NON_FINITE
            logger.warning("the loss of epoch %d is %s: keeping the weights before it", epoch, loss)
        else:
            judged = loss
            if self._held_out is not None:
                judged, found = self._scorer.judged(self._held_out, *weights)
                entry |= {f"valid_{name}": value for name, value in found.items()}
            with whole():  # a signal parts neither the weights from one another nor the best epoch from its entry
                if self._patience.update(judged) or self._held_out is None:
                    self._keep()
                    self.best_epoch = epoch
                if self._patience.elapsed:
                    self.stopped_because = "patience"
                self.history.append(entry)
            self._warn_of_stuck(epoch, weights[0].dtype)
            return entry
        self.history.append(entry)
        return entry

    def _warn_of_stuck(self, epoch: int, dtype: np.dtype[Any]) -> None:
        """Warn, once in a fit, of weights that no gradient moves any more."""
        stuck = 0 if self._warned else self._trainer.stuck
        if stuck:
            self._warned = True
            logger.warning(
                "epoch %d: %d weights no longer move, as %s cannot hold the sums of their squared gradients: use a "
                "smaller learning rate, scale='auto' or float64",
                epoch,
                stuck,
                dtype,
            )


@contextmanager
def reporting(
    progress: bool | Tell, epochs: int, examples: int, shown: bool = True
) -> Iterator[tuple[Report | None, Tell]]:
    """Two callables to report examples and epochs to: those of a progress bar, of the user, or none at all.

    A bar may be `shown` or not, as by those of several processes that do not show it.
    """
    if callable(progress):
        yield None, progress
        return
    if not whether("progress", progress) or not shown:
        yield None, lambda entry: None
        return
    with needed("tqdm.auto", "progress=True").tqdm(total=epochs * examples, unit=" examples", unit_scale=True) as bar:
        yield bar.update, lambda entry: bar.set_postfix({k: f"{v:.4g}" for k, v in entry.items()})
