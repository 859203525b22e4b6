"""What linear models share that are trained, on examples in memory or on a stream, and take the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..data.columns import check_names
from ..data.streams import Stream
from ..data.tables import Table
from ..engine.options import Conduct, Settings
from ..support.interrupts import whole
from .divided import ALONE, Processes
from .epochs import falling, tell_of_falling
from .fit_checkpoints import FitCheckpoints
from .fitting import Fit, State
from .persistent import PersistentPredictor
from .splits import with_width_of
from .stream_arguments import adopted_bits, as_validation, check_going_on, reports
from .streams import fit_stream


class Trainable(PersistentPredictor):
    """A predictor with the parameters by which it is trained."""

    _settings: Settings
    _conduct: Conduct
    seconds: float
    features_per_second: float

    @property
    def _start(self) -> State | None:
        """The state that `fit` goes on from."""
        return self._state if self._parameters["warm_start"] else None

    def _continued(self, table: Table) -> tuple[Table, State | None]:
        """Examples with the columns of those before, and the state to go on from; None if training begins."""
        if self._state is None:
            return table, None
        check_names(table.feature_names, self.feature_names, "X")
        return replace(table, features=with_width_of(table.features, len(self.coef_))), self._state

    def _streamed(
        self,
        stream: Stream,
        valid: Any,
        progress: bool | Callable[..., Any],
        start: State | None,
        classes: Any = None,
        more: Mapping[str, Any] | None = None,
        files: FitCheckpoints | None = None,
        processes: Processes = ALONE,
    ) -> Fit:
        """Train on a stream."""
        self._parameters["hash_bits"] = adopted_bits(stream, self.hash_bits, start is not None)
        if start is not None:
            check_going_on(stream, self.feature_names, self.columns_)
        p = {**self._parameters, **(more or {})}
        held_out = as_validation(valid, self.hash_bits)
        tell, watch = reports(progress, processes.leads)
        how: dict[str, Any] = {"tell": tell, "watch": watch, "start": start, "classes": classes, "files": files}
        return fit_stream(p, self._settings, self._conduct, stream, held_out, **how, processes=processes)

    def _take_stream(self, found: Fit, stream: Stream, anew: bool = False) -> None:
        self._take(found, stream, keeps=True, anew=anew, columns=(stream.zero_based, stream.columns))

    def _take(
        self,
        found: Fit,
        table: Table | Stream,
        *,
        keeps: bool,
        anew: bool = False,
        columns: tuple[Any, Any] | None = None,
    ) -> None:
        """Take over the result of a fit, whose epochs are added to the history, or make it `anew`."""
        with whole():  # a signal leaves the model as it was, or as it is after the fit
            history = [] if anew else self.history
            outcome, before = found.outcome, len(history)
            if columns is not None:
                self.zero_based, self.columns_ = columns
            self.coef_, self.intercept_, self._targets, self.learning_rate_ = found[:4]
            self._state, self._keeps = found.state, keeps
            self.history = [*history, *({**entry, "epoch": before + entry["epoch"]} for entry in outcome.history)]
            self.best_epoch, self.stopped_because = before + outcome.best_epoch, outcome.ended_by
            self.feature_names = table.feature_names
            self.seconds = outcome.seconds
            self.features_per_second = found.values * len(outcome.history) / max(outcome.seconds, 1e-9)
        if anew:
            text = falling(outcome.history, outcome.ended_by)
            tell_of_falling(text, "max_epochs", asked=self._parameters["max_epochs"] is not None)
