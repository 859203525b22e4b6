"""One run of `Optimizer.iterate`: epochs, validation, early stopping, and how it all ends."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .dataset import Dataset, sample_count
from .ledger import Epoch, Monitored
from .log import logger
from .monitors import WeightedMean
from .stopping import Patience

if TYPE_CHECKING:
    from .optimizer import Optimizer

@dataclass
class Progress:
    """Where a run stands: enough to go on from a saved file as if it had not stopped."""

    epochs: int = 0
    updates: int = 0
    validated: bool = False  # at the beginning of this epoch
    changed: bool = False  # since the last validation
    valid: Monitored = field(default_factory=dict)
    sums: Monitored = field(default_factory=dict)
    weight: float = 0.0


class Interrupts:
    """Holds Ctrl-C back while the iteration works; a second one raises."""

    def __init__(self) -> None:
        self.pending = False

    def _note(self, signum: int, frame: Any) -> None:
        if self.pending:
            raise KeyboardInterrupt
        self.pending = True
        logger.warning("interrupted: stopping after this step (Ctrl-C again stops at once)")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Only where Python's own handler is at work: a program that has its own keeps it."""
        own = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if own:
            signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            if own:
                signal.signal(signal.SIGINT, signal.default_int_handler)


class Run:
    """The state machine behind `iterate`: `epochs()` yields a pair of monitors for each."""

    def __init__(
        self,
        optimizer: Optimizer,
        train: Dataset | None,
        valid: Dataset | None,
        max_updates: int | None,
        max_epochs: int | None,
        resumed: dict[str, Any] | None,
    ) -> None:
        self._optimizer, self._train, self._valid = optimizer, train, valid
        self._max_updates, self._max_epochs = max_updates, max_epochs
        self._progress = Progress()
        conduct = optimizer.conduct
        self._patience = Patience(conduct.patience, conduct.min_improvement)
        self._validate_every = conduct.validate_every
        self._interrupts = Interrupts()
        self.has_best = False
        self._reason: str | None = None
        self.last_train: Monitored | None = None
        if resumed is not None and "progress" in resumed:
            self._progress = Progress(**resumed["progress"])
            self._patience.restore(resumed["patience"])
            self.has_best = resumed["has_best"]

    def state(self) -> dict[str, Any]:
        """What `resumed` takes up again."""
        return {"progress": vars(self._progress), "patience": self._patience.state(), "has_best": self.has_best}

    @property
    def last_valid(self) -> Monitored:
        return self._progress.valid

    def epochs(self) -> Iterator[tuple[Monitored, Monitored]]:
        """Yield (train monitors, validation monitors) until the run ends; see `Optimizer.iterate`."""
        reason = "error"
        try:
            while self._reason is None:
                with self._interrupts.held():
                    pair = self._next_epoch()
                if pair is not None:
                    yield pair
            reason = self._reason
        except GeneratorExit:
            reason = "closed"
            raise
        except KeyboardInterrupt:
            reason = "interrupted"
            raise
        finally:
            self._optimizer.end_run(self, reason)

    def _next_epoch(self) -> tuple[Monitored, Monitored] | None:
        progress = self._progress
        if not self._at_limit() and progress.epochs % self._validate_every == 0 and not progress.validated:
            self._validate()
            progress.validated = True
        if self._reason is None:
            self._train_epoch()
        trained = progress.weight > 0 and self._reason != "non-finite loss"
        if trained:
            self.last_train = WeightedMean(progress.sums, progress.weight).means()
            progress.sums, progress.weight, progress.validated = {}, 0.0, False
            progress.epochs += 1
        if self._reason == "interrupted" or (self._reason is None and self._at_limit()):
            self._finish()
        if not trained or self.last_train is None:
            return None
        self._optimizer.history.append(Epoch(progress.epochs, self._optimizer.steps, self.last_train, progress.valid))
        return self.last_train, dict(progress.valid)

    def _at_limit(self) -> bool:
        """Note the reason if the run has had all its updates or epochs."""
        if self._max_updates is not None and self._progress.updates >= self._max_updates:
            self._reason = "max_updates"
        elif self._max_epochs is not None and self._progress.epochs >= self._max_epochs:
            self._reason = "max_epochs"
        return self._reason is not None

    def _finish(self) -> None:
        """Validate what has changed since the last validation, so that no progress is lost."""
        reason = self._reason
        if self._progress.changed or not self._progress.valid:
            self._validate()
        if self._reason != "non-finite loss":
            self._reason = reason

    def _validate(self) -> None:
        progress = self._progress
        progress.valid = self._optimizer.evaluate(self._valid)
        progress.changed = False
        loss = progress.valid["loss"]
        if not math.isfinite(loss):
            self._stop_for_non_finite(loss, "validation")
            return
        improved = self._patience.update(loss)
        if improved:
            self._optimizer.remember_best(loss, progress.valid, progress.epochs)
            self.has_best = True
        logger.info("validation %d loss=%.6g%s", progress.epochs, loss, " *" if improved else "")
        if self._patience.elapsed:
            self._reason = "patience"

    def _train_epoch(self) -> None:
        progress, optimizer = self._progress, self._optimizer
        for batch in [()] if self._train is None else self._train:
            if self._interrupts.pending:
                self._reason = "interrupted"
                return
            arguments = optimizer.objective.arguments(batch)
            values = optimizer.train_on(arguments)
            if not math.isfinite(values["loss"]):
                self._stop_for_non_finite(values["loss"], "training")
                return
            mean = WeightedMean(progress.sums, progress.weight)
            mean.add(values, 1 if self._train is None else sample_count(batch, self._train.axis))
            progress.sums, progress.weight = mean.sums, mean.weight
            progress.updates += 1
            progress.changed = True
            optimizer.run_updates(arguments)
            if self._max_updates is not None and progress.updates >= self._max_updates:
                return

    def _stop_for_non_finite(self, loss: float, where: str) -> None:
        self._reason = "non-finite loss"
        logger.warning("the %s loss is %s: stopping with the best parameters so far", where, loss)
