"""A fit to a stream: in bounded memory, with blocks read and parsed in the background while others are trained on.

If the stream can be read again, a first pass finds the number of features, their scales, and which labels there are,
and chooses the examples on which learning rates are tried, and those that are set aside; then come the epochs. A stream
that can be read once only is trained on as it comes: which labels there are, and how numbers among them are scaled, is
found of its first buffer, and features have the scales of all that has been read. Some millions of values make a
buffer, in which the order of the examples is drawn by the seed; from a file that allows it, the blocks that make a
buffer come from all over the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

from ..data.streams import Stream
from ..data.tables import Table
from ..engine.options import Conduct, Settings
from ..support import interrupts
from ..support.stopping import Patience
from . import stream_resuming
from .divided import ALONE, Processes
from .epochs import NON_FINITE, Outcome, Run
from .fed import Fed
from .feeds import BUFFER, Feed
from .fit_checkpoints import FitCheckpoints, Progress
from .fitting import Fit, State, about_model
from .judges import Judges
from .progressive import Progressive, Watch
from .stream_preparation import prepare
from .stream_resuming import Place
from .stream_sources import Passes
from .training import importance_of, is_dense
from .unscaling import unscaled

Tell = Callable[[dict[str, float]], object]


def fit_stream(
    p: Mapping[str, Any],
    settings: Settings,
    conduct: Conduct,
    stream: Stream,
    valid: Table | float | None,
    *,
    tell: Tell,
    watch: Watch | None = None,
    start: State | None = None,
    classes: Any = None,
    buffer: int = BUFFER,
    files: FitCheckpoints | None = None,
    processes: Processes = ALONE,
) -> Fit:
    """Train with a model's parameters `p` on a stream.

    Parameters
    ----------
    valid : Table, float or None
        Examples that judge the weights after each epoch, or the fraction of the stream's that is set aside to do so.
    tell, watch : callable
        Get each epoch's entry of the history, and the rows of the progressive losses.
    start : State, optional
        The state to go on from, with its scales and labels.
    classes : array-like, optional
        All labels, for a loss of classes; by default those of the first pass, or of the first buffer.
    buffer : int
        Values of the examples whose order is drawn together.
    files : FitCheckpoints, optional
        Checkpoints to write and, if there is one to begin with, to go on from.
    processes : Processes
        Those that divide each batch; each reads all of the stream.

    Raises
    ------
    ValueError, TypeError
        If an option of the model has no meaning for a stream, or the examples do not suit the model.
    """
    given, fraction = (None, valid) if isinstance(valid, float) else (valid, 0.0)
    taken = None if files is None else files.taken
    rate = None if taken is None else taken.learning_rate
    begun = prepare(p, settings, stream, start, fraction, classes, buffer, rate, processes)
    source, settings = begun.source, begun.settings
    held_out = given if begun.held_out is None else begun.held_out
    if files is not None or processes.several:
        about = stream_resuming.about(source.preparing, held_out)
        processes.refuse_others(about | about_model(p, start))
        if files is not None:
            files.compare(**about)
    trained, means = (None, ()) if start is None else (start.trained, start.means)
    trainer = Fed(p, settings, source.preparing, trained, means, processes.trainer)
    source.trainer = trainer
    unread = start is not None and not fraction and stream.repeatable  # else a first pass has been made
    if taken is not None and taken.epoch and unread and isinstance(source, Passes):
        source.look_through()
    place = stream_resuming.Place(source, taken)
    try:
        examples = place.enter(trainer, stream.name)
        judges = None if held_out is None else Judges(held_out, stream, source.preparing, is_dense(examples), p)
        run = StreamRun(trainer, judges, Patience(conduct.patience, conduct.min_improvement), place, files, processes)
        if files is not None and taken is not None:
            run.restore(taken)
            files.taken = taken = None  # and with it the memory of its arrays
        with processes.training(patient=files is not None):
            outcome = run.over(begun.epochs, processes.told(tell, answers=True), processes.told(watch))
    finally:
        place.close()
    targets, scale = source.preparing.targets, source.preparing.scale
    rate, state = settings.learning_rate_at(0), start
    if outcome.ended_by != NON_FINITE:
        means = trainer.go_on_from(outcome.weights, outcome.best_epoch)
        of_model = settings.rule.name, settings.slots, p["intercept"], rate
        state = State(trainer.trained, scale, targets, *of_model, means)
    weights, intercept = unscaled(outcome.weights, scale.copy(), targets)
    return Fit(weights, intercept, targets, rate, outcome, run.values // max(1, len(outcome.history)), state)


class StreamRun(Run):
    """A run whose epochs are made of buffers."""

    def __init__(
        self,
        trainer: Fed,
        judges: Judges | None,
        patience: Patience,
        place: Place,
        files: FitCheckpoints | None,
        processes: Processes,
    ) -> None:
        super().__init__(trainer, None, patience, processes.scorer(trainer.targets))  # type: ignore[arg-type]
        self._fed, self._judges, self._place, self._files = trainer, judges, place, files
        self._processes = processes

    @property
    def values(self) -> int:
        """Values of all examples that were trained on."""
        return self._place.values

    def over(self, epochs: int, tell: Tell, watch: Watch | None) -> Outcome:
        """Train until there have been so many epochs."""
        judges, files = self._judges, self._files
        judge = None if judges is None else lambda: judges.loss(*self._fed.parameters)
        for entry in self.history:
            tell(entry)
        try:
            for epoch in range(self.done + 1, epochs + 1):
                if self.stopped_because != "max_epochs":
                    break
                progressive = Progressive(self._fed.targets, watch, epoch, self._fed.batch_size, judge)
                self._train_epoch(epoch, progressive)
                if not progressive.weight:
                    raise ValueError("all examples of the stream have weight 0, or there are none: nothing to train on")
                self._fed.end_epoch()
                progressive.finish()
                self._mean_label = progressive.mean_label
                self._held_out = None if judges is None else judges.examples
                entry = self._close_epoch(epoch, progressive.loss)
                entry["constant_loss"] = progressive.constant_loss
                tell(entry)
                self._place.end_epoch()
                self._save_if_due(files, epoch, epochs)
        except KeyboardInterrupt:
            if files is not None and self._place.is_between_buffers:
                self._save(files)
            self.stopped_because = "interrupted"
            self._keep_unfinished()
        seconds = self.seconds + self._fed.seconds
        return Outcome(self.weights, self.history, self.best_epoch, self.stopped_because, seconds)

    def _train_epoch(self, epoch: int, progressive: Progressive) -> None:
        """Train on the buffers of an epoch, or on those that a checkpoint within it has left."""
        place, files = self._place, self._files
        if not place.go_on(progressive):
            self._fed.begin_epoch()
        for feed in self._processes.alike(place.feeds(epoch)):
            with nullcontext() if files is None else interrupts.whole():  # Ctrl-C waits for a place to go on from
                self._train_on(feed, progressive)
                place.passed(feed, progressive)
            self._processes.answer_signals()
            if files is not None and files.time_has_passed:
                self._save(files)
        place.end_buffers()

    def _train_on(self, feed: Feed, progressive: Progressive) -> None:
        self._fed.feed(feed.examples)
        labels, importance = feed.examples.labels, importance_of(feed.examples)
        firsts = feed.firsts
        if firsts is not None:
            progressive.pass_over(len(labels) - int(firsts.sum()))
        for part in progressive.stretches(len(feed.order), firsts):
            some = feed.order[part]
            loss = self._fed.train(some)
            of_part = None if importance is None else importance[some]
            progressive.add(loss, labels[some], of_part, None if firsts is None else firsts[part])

    def _save(self, files: FitCheckpoints) -> None:
        means, visits, within = self._fed.averages
        stream = {**self._place.state(), "mean": within}
        progress = Progress(self.done, self.state(), self.weights, means, visits, stream)
        files.save(progress, self._fed.trained, self._fed.learning_rate)
