"""One run of `Optimizer.iterate`: epochs, validation, early stopping, and the end of the run."""

from __future__ import annotations

import atexit
import inspect
import logging
import math
import weakref
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..data.dataset import Dataset, sample_count
from ..engine.engine import Engine
from ..engine.options import Conduct, Rule
from ..support.interrupts import Interrupts, whole
from ..support.log import logger
from ..support.numbered_files import Checkpoints
from ..support.stopping import Patience
from .history import Best, Epoch, History, Monitored, Validation, note
from .monitors import WeightedMean
from .objective import Objective

ENDS = ("patience", "max_epochs", "max_updates")  # at which a run has come to its result
FULFILLED = ("interrupted", "max_updates", "max_epochs")  # ends at which the last parameters have yet to be validated

Touches = Callable[..., Mapping[str, Any]]
Epochs = Generator[tuple[Monitored, Monitored], None, None]

_under_way: weakref.WeakSet[Run] = weakref.WeakSet()


@atexit.register
def _abandon_all() -> None:
    """Close runs that nobody has ended, at the exit of Python, where the loss cannot be called any more."""
    for run in [*_under_way]:
        run.abandon()


@dataclass
class Progress:
    """Where a run stands: all that a run needs to go on from a saved file as if it had not stopped."""

    epochs: int = 0
    updates: int = 0
    validated: bool = False  # whether there has been a validation at the beginning of this epoch
    changed: bool = False  # whether parameters have changed since the last validation
    valid: Monitored = field(default_factory=dict)
    sums: Monitored = field(default_factory=dict)  # weighted sums of monitors in this epoch
    weight: float = 0.0


class Trained(Protocol):
    """The attributes and methods that a run uses of the session whose parameters it trains."""

    rule: Rule
    engine: Engine
    conduct: Conduct

    @property
    def objective(self) -> Objective: ...
    @property
    def steps(self) -> int: ...
    @property
    def history(self) -> History: ...
    @property
    def best(self) -> Best | None: ...

    def begin_run(self, run: Run) -> None: ...
    def is_under_way(self, run: Run) -> bool: ...
    def end_run(self, run: Run, reason: str, restores: bool, outcome: str) -> None: ...
    def arguments_of(self, batch: Any, axis: int) -> Any: ...
    def anywhere(self, happened: bool) -> bool: ...
    def has_left_alone(self, error: BaseException) -> bool: ...
    def train_on(self, arguments: tuple[Any, ...]) -> Monitored: ...
    def run_updates(self, arguments: tuple[Any, ...]) -> None: ...
    def means_over(self, data: Dataset | None, stop: Callable[[], bool] | None = None) -> Monitored | None: ...
    def remember_best(self, loss: float, monitors: Monitored, epoch: int) -> None: ...
    def save_checkpoint(self, path: str) -> None: ...
    def save_end_to(self, path: str, ended: Mapping[str, Any]) -> None: ...


class Run:
    """The state machine behind `iterate`: `epochs()` yields a pair of monitors for each epoch."""

    def __init__(
        self,
        optimizer: Trained,
        train: Dataset | None,
        valid: Dataset | None,
        max_updates: int | None,
        max_epochs: int | None,
        hyper: Mapping[str, Any],
        touches: Touches | None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self.checkpoints = checkpoints
        self.take_up: Callable[[], None] | None = None  # lets the session take over the newest checkpoint
        self._optimizer, self._train, self._valid = optimizer, train, valid
        self._max_updates, self._max_epochs, self.hyper, self.touches = max_updates, max_epochs, hyper, touches
        self.datasets = {role: data for role, data in (("train", train), ("valid", valid)) if data is not None}
        self._progress = Progress()
        self._patience = Patience()
        self.interrupts = Interrupts()
        self._reason: str | None = None
        self._took_its_end = False  # whether it goes on from a run that had ended, so that there is nothing to do
        self._generators: list[weakref.ref[Epochs]] = []
        self._abandoned = False
        self.has_best = False
        self._at_best = False  # whether the parameters are those of the best validation
        self.last_train: Monitored | None = None
        self._changes = 0  # the engine's count of changes from outside, as of the latest epoch
        self._yet_to_be_listed = False  # whether the latest epoch is not yet in the history

    def state(self) -> dict[str, Any]:
        """The state from which `resume` goes on."""
        return {"progress": dict(vars(self._progress)), "patience": self._patience.state(), "has_best": self.has_best}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from the state of a saved run."""
        self._progress = Progress(**state["progress"])
        self._patience.restore(state["patience"])
        self.has_best = state["has_best"]
        if self._progress.epochs and self._optimizer.history:
            self.last_train = self._optimizer.history[-1].train

    def is_over(self, ended: Mapping[str, Any], conduct: Conduct) -> bool:
        """Whether a run that has ended so would have ended with this run's limits, too."""
        progress, failures = ended["progress"], ended["patience"]["failures"]
        return (
            (ended["reason"] == "patience" and failures > conduct.patience)
            or (self._max_updates is not None and progress["updates"] >= self._max_updates)
            or (self._max_epochs is not None and progress["epochs"] >= self._max_epochs)
        )

    def take_end(self, ended: Mapping[str, Any]) -> None:
        """Take over the end of a saved run, so that this run ends as that did, without an epoch."""
        self.resume(ended)
        self._reason, self._took_its_end, self._at_best = ended["reason"], True, ended["has_best"]

    @property
    def last_valid(self) -> Monitored:
        return self._progress.valid

    def epochs(self, shown: Callable[[Epochs], Epochs] | None = None) -> Epochs:
        """Pairs (train monitors, validation monitors) until the run ends; see `Optimizer.iterate`.

        `shown` wraps the run's generator, as in a progress bar; closing the wrapper closes the run's generator.
        """
        generator = self._epochs()
        self._generators = [weakref.ref(generator)]
        if shown is not None:
            generator = shown(generator)
            self._generators.append(weakref.ref(generator))
        return generator

    def close(self) -> None:
        """End the run early, as if its loop had been left."""
        generator = self._generators[0]() if self._generators else None
        if generator is not None and inspect.getgeneratorstate(generator) == inspect.GEN_RUNNING:
            raise RuntimeError("the loss, a monitor or an update cannot end the iteration that it is called by")
        if generator is not None:
            generator.close()

    def abandon(self) -> None:
        """Close the run's generators without another validation, and leave the parameters as they are."""
        self._abandoned = True
        for generator in [reference() for reference in self._generators]:
            if generator is not None and inspect.getgeneratorstate(generator) == inspect.GEN_SUSPENDED:
                generator.close()

    def _epochs(self) -> Epochs:
        optimizer = self._optimizer
        try:
            optimizer.begin_run(self)
        except BaseException:
            self._let_folder_go()
            raise
        _under_way.add(self)
        reason, left = "error", False
        try:
            while self._reason is None:
                self._changes = optimizer.engine.changes
                with self.interrupts.held():
                    pair = self._next_epoch()
                self._changes = optimizer.engine.changes
                if pair is not None:
                    left = True
                    yield pair
                    left = False
                    self._note_changes_of_the_body()
                    self._save_after_epoch()
            if self._progress.changed and self._reason in FULFILLED:
                self._validate_once_more()
            reason = self._reason
        except KeyboardInterrupt:
            reason = "interrupted"
            raise
        except Exception as error:
            self._abandoned = optimizer.has_left_alone(error)  # to end the run, processes exchange messages
            raise
        finally:
            _under_way.discard(self)
            try:
                if not self._abandoned:
                    self._end(reason, left)
                    self._save_end(reason)
            finally:
                self._let_folder_go()
        if self.checkpoints is not None:
            self.checkpoints.raise_failure()

    # Checkpoints

    def _save(self) -> None:
        if self.checkpoints is not None:
            self.checkpoints.save(self._optimizer.save_checkpoint)

    def _save_after_epoch(self) -> None:
        """Write a checkpoint, if one is due, after the body of the loop has had its say."""
        checkpoints = self.checkpoints
        if checkpoints is not None and self._reason is None and checkpoints.is_due(self._progress.epochs):
            with self.interrupts.held():
                self._save()

    def _save_end(self, reason: str) -> None:
        """Write the result of a run that has come to its end, from which nothing can go on, beside the checkpoints."""
        if self.checkpoints is not None and reason in ENDS and not self._took_its_end:
            ended = {"reason": reason, **self.state()}
            with whole():
                self.checkpoints.save(lambda path: self._optimizer.save_end_to(path, ended), ended=True)

    def _let_folder_go(self) -> None:
        if self.checkpoints is not None:
            self.checkpoints.end()

    def _note_changes_of_the_body(self) -> None:
        if self._optimizer.engine.changes != self._changes:
            self._progress.changed, self._at_best = True, False

    def _end(self, reason: str, left: bool) -> None:
        """End the run: the last parameters are validated, if the loop was left, and the best ones are kept."""
        changed_since = left and self._optimizer.engine.changes != self._changes
        try:
            if left and not changed_since and self._optimizer.is_under_way(self):
                self._reason = "closed" if reason == "error" else reason
                reason = "error"
                self._validate_once_more()
                reason = self._reason
            elif left:
                reason = "closed"
        except KeyboardInterrupt:
            reason = "interrupted"
            raise
        finally:
            restores = self.has_best and not changed_since
            self._optimizer.end_run(self, reason, restores, self._outcome(restores, changed_since))

    def _outcome(self, restores: bool, changed_since: bool) -> str:
        """Whether the best parameters are restored at the end, and why not, in words for the log."""
        best = self._optimizer.best
        if not restores or best is None:
            why = "they have been changed since" if changed_since else "nothing has been validated"
            return f"the parameters are left as they are: {why}"
        which = "kept" if self._at_best else f"restored from epoch {best.epoch}, step {best.steps}"
        return f"the best parameters are {which}, validation loss {best.loss:.6g}"

    def _validate_once_more(self) -> None:
        """Validate changed parameters after the pair of the last epoch has been yielded."""
        before = self.interrupts.pending
        with self.interrupts.held():
            self._validate_the_last(stop=lambda: self.interrupts.pending and not before)
        history, progress = self._optimizer.history, self._progress
        if history and history[-1].epoch == progress.epochs:
            history[-1] = history[-1]._replace(valid=progress.valid)

    def _next_epoch(self) -> tuple[Monitored, Monitored] | None:
        progress, conduct = self._progress, self._optimizer.conduct
        self._stop_at_limit()
        if self._reason is None and not progress.validated and progress.epochs % conduct.validate_every == 0:
            self._validate()
            progress.validated = True
        if self._reason is None:
            self._train_epoch()
        trained = bool(progress.sums) and self._reason != "non-finite loss"
        if trained:
            self.last_train = WeightedMean(progress.sums, progress.weight).means()
            progress.sums, progress.weight, progress.validated = {}, 0.0, False
            progress.epochs += 1
            self._yet_to_be_listed = True
            self._tell(self._optimizer.rule.name.upper(), self.last_train)
            self._stop_at_limit()
        if self._reason in FULFILLED:
            self._validate_the_last()
        if not trained or self.last_train is None:
            return None
        self._optimizer.history.append(Epoch(progress.epochs, self._optimizer.steps, self.last_train, progress.valid))
        self._yet_to_be_listed = False
        return dict(self.last_train), dict(progress.valid)

    def _stop_at_limit(self) -> None:
        """Note the reason if the run has had all its updates or epochs."""
        if self._reason is not None:
            return
        if self._max_updates is not None and self._progress.updates >= self._max_updates:
            self._reason = "max_updates"
        elif self._max_epochs is not None and self._progress.epochs >= self._max_epochs:
            self._reason = "max_epochs"

    def _validate_the_last(self, stop: Callable[[], bool] | None = None) -> None:
        """Validate the parameters if they have changed since the last validation, so that no progress is lost."""
        reason = self._reason
        if self._progress.changed or not self._progress.valid:
            self._validate(stop)
        if self._reason not in ("non-finite loss", "interrupted"):
            self._reason = reason

    def _validate(self, stop: Callable[[], bool] | None = None) -> None:
        """Validate, and remember the best; if `stop` returns true between two batches, only note the interruption."""
        progress, patience, conduct = self._progress, self._patience, self._optimizer.conduct
        found = self._optimizer.means_over(self._valid, stop)
        if found is None:
            self._reason = "interrupted"
            return
        progress.valid = found
        progress.changed = False
        self._note_validation(found)
        loss = progress.valid["loss"]
        if not math.isfinite(loss):
            self._stop_for_non_finite(loss, "validation")
            return
        patience.patience, patience.min_improvement = conduct.patience, conduct.min_improvement
        lowest = patience.update(loss)
        if lowest:
            self._optimizer.remember_best(loss, progress.valid, progress.epochs)
            self.has_best = self._at_best = True
        self._tell("validation", progress.valid, " *" if lowest else "")
        if patience.elapsed:
            self._reason = "patience"

    def _note_validation(self, found: Monitored) -> None:
        """List it in the history, unless it is of what a first epoch has left that is none."""
        progress, history = self._progress, self._optimizer.history
        if progress.epochs or not progress.updates:
            listed = len(history) + self._yet_to_be_listed
            note(history, Validation(listed, progress.epochs, self._optimizer.steps, found))

    def _tell(self, what: str, monitors: Monitored, mark: str = "") -> None:
        """Log one line: what the values are of, the number of epochs so far, and every monitor."""
        if logger.isEnabledFor(logging.INFO):
            values = " ".join(f"{name}={value:.6g}" for name, value in monitors.items())
            logger.info("%s %d %s%s", what, self._progress.epochs, values, mark)

    def _train_epoch(self) -> None:
        progress, optimizer, checkpoints = self._progress, self._optimizer, self.checkpoints
        axis = 0 if self._train is None else self._train.axis
        if optimizer.anywhere(self.interrupts.pending):
            self._interrupt()
            return
        for batch in self._batches():
            arguments = optimizer.arguments_of(batch, axis)
            values = optimizer.train_on(arguments)
            if not math.isfinite(values["loss"]):
                self._stop_for_non_finite(values["loss"], "training")
                return
            mean = WeightedMean(progress.sums, progress.weight)
            mean.add(values, 1 if self._train is None else sample_count(batch, axis))
            progress.sums, progress.weight = mean.sums, mean.weight
            progress.updates += 1
            progress.changed, self._at_best = True, False
            optimizer.run_updates(arguments)
            if self._max_updates is not None and progress.updates >= self._max_updates:
                return
            if optimizer.anywhere(self.interrupts.pending):
                self._interrupt()
                return
            if checkpoints is not None and checkpoints.is_due_by_time():
                self._save()

    def _interrupt(self) -> None:
        """End the run after Ctrl-C; from the checkpoint it can go on as if it had not been ended."""
        self._save()
        self._reason = "interrupted"

    def _batches(self) -> Iterable[Any]:
        """The batches of this epoch, or the rest of them if the run was saved in the midst of the epoch."""
        resumed = bool(self._progress.sums)
        if self._train is None:
            return [] if resumed else [()]
        return self._train.rest() if resumed else self._train

    def _stop_for_non_finite(self, loss: float, where: str) -> None:
        self._reason = "non-finite loss"
        logger.warning("the %s loss is %s: stopping with the best parameters so far", where, loss)
