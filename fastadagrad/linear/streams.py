"""A fit to a stream: in bounded memory, with blocks read and parsed in the background while others are trained on.

If the stream can be read again, a first pass finds the number of features, their scales, and which labels there are,
and chooses the examples on which learning rates are tried, and those that are set aside; then come the epochs. A stream
that can be read once only is trained on as it comes: which labels there are, and how numbers among them are scaled, is
found of its first buffer, and features have the scales of all that has been read. Some millions of values make a
buffer, in which the order of the examples is drawn by the seed; from a file that allows it, the blocks that make a
buffer come from all over the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

from ..data.streams import Stream
from ..data.tables import Table
from ..engine.options import Conduct, Settings
from ..support.stopping import Patience
from .epochs import NON_FINITE, Outcome, Run
from .fed import Fed
from .feeds import BUFFER, Feed
from .fitting import Fit, State, unscaled
from .judges import Judges
from .progressive import Progressive, Watch
from .stream_preparation import prepare
from .training import importance_of, is_dense

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

    Raises
    ------
    ValueError, TypeError
        If an option of the model has no meaning for a stream, or the examples do not suit the model.
    """
    given, fraction = (None, valid) if isinstance(valid, float) else (valid, 0.0)
    begun = prepare(p, settings, stream, start, fraction, classes, buffer)
    source, settings = begun.source, begun.settings
    trained, means = (None, ()) if start is None else (start.trained, start.means)
    trainer = Fed(p, settings, source.preparing, trained, means)
    source.trainer = trainer
    feeds = source.feeds(1)
    try:
        feed = next(feeds, None)
        if feed is None:
            raise ValueError(f"{stream.name} has no rows to train on")
        trainer.feed(feed.examples)
        held_out = given if begun.held_out is None else begun.held_out
        judges = None if held_out is None else Judges(held_out, stream, source.preparing, is_dense(feed.examples), p)
        run = StreamRun(trainer, judges, Patience(conduct.patience, conduct.min_improvement))
        first = chain([feed], feeds)
        outcome = run.over(begun.epochs, lambda epoch: first if epoch == 1 else source.feeds(epoch), tell, watch)
    finally:
        feeds.close()
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

    def __init__(self, trainer: Fed, judges: Judges | None, patience: Patience) -> None:
        super().__init__(trainer, None, patience)  # type: ignore[arg-type]
        self._fed, self._judges = trainer, judges
        self.values = 0  # of all examples that were trained on

    def over(self, epochs: int, feeds: Callable[[int], Iterator[Feed]], tell: Tell, watch: Watch | None) -> Outcome:
        """Train for at most so many epochs, each on the buffers that `feeds` gives for its number."""
        judges = self._judges
        judge = None if judges is None else lambda: judges.loss(*self._fed.parameters)
        try:
            for epoch in range(1, epochs + 1):
                progressive = Progressive(self._fed.targets, watch, epoch, self._fed.batch_size, judge)
                self._fed.begin_epoch()
                for feed in feeds(epoch):
                    self._train_on(feed, progressive)
                if not progressive.weight:
                    raise ValueError("all examples of the stream have weight 0, or there are none: nothing to train on")
                self._fed.end_epoch()
                progressive.finish()
                self._mean_label = progressive.mean_label
                self._held_out = None if judges is None else judges.examples
                entry = self._close_epoch(epoch, progressive.loss)
                entry["constant_loss"] = progressive.constant_loss
                tell(entry)
                if self.stopped_because != "max_epochs":
                    break
        except KeyboardInterrupt:
            self.stopped_because = "interrupted"
            self._keep_unfinished()
        return Outcome(self.weights, self.history, self.best_epoch, self.stopped_because, self._fed.seconds)

    def _train_on(self, feed: Feed, progressive: Progressive) -> None:
        self._fed.feed(feed.examples)
        self.values += feed.examples.values.size
        labels, importance = feed.examples.labels, importance_of(feed.examples)
        for part in progressive.stretches(len(feed.order)):
            some = feed.order[part]
            loss = self._fed.train(some)
            progressive.add(loss, labels[some], None if importance is None else importance[some])
