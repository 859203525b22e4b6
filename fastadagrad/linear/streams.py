"""A fit to a stream: in bounded memory, with blocks read and parsed in the background while others are trained on.

If the stream can be read again, a first pass finds the number of features, their scales, and which labels there are;
then come the epochs. A stream that can be read once only is trained on as it comes: which labels there are, and how
numbers among them are scaled, is found of its first buffer, and features have the scales of all that has been read.
Some millions of values make a buffer, in which the order of the examples is drawn by the seed; from a file that allows
it, the blocks that make a buffer come from all over the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import Any

import numpy as np

from ..data.streams import Stream
from ..data.tables import CSR, Table
from ..engine.options import Conduct, Settings
from ..support.log import logger
from ..support.stopping import Patience
from .epochs import NON_FINITE, Outcome, Run
from .fed import Fed
from .feeds import BUFFER, Feed, Preparing
from .fitting import (
    ENOUGH_UPDATES,
    FEWEST_EPOCHS,
    MOST_EPOCHS,
    Fit,
    State,
    check_width,
    continued,
    means_kept,
    unscaled,
)
from .judges import Judges
from .progressive import Progressive, Watch
from .stream_sources import AHEAD, Once, Passes, Source
from .survey import Survey
from .training import bytes_a_feature, importance_of, is_dense

OF_SCALES = 8  # bytes of a feature's scale, which the state of a stream keeps
Tell = Callable[[dict[str, float]], object]


def fit_stream(
    p: Mapping[str, Any],
    settings: Settings,
    conduct: Conduct,
    stream: Stream,
    valid: Table | None,
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
    valid : Table or None
        Examples that judge the weights after each epoch.
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
    _refuse(p, start)
    classes = stream.classes if classes is None else classes
    known = 2**stream.hash_bits if stream.hash_bits is not None else stream.n_features
    survey = Survey(p, settings, known if start is None else len(start.trained.weights.p))
    source: Source
    if start is not None:
        chosen, settings = continued(start, p, settings)
        preparing = Preparing(start.scaling, chosen, survey.width, p["dtype"])
        source = Passes(stream, preparing, p, start.trained.steps, buffer)
    elif stream.repeatable:
        with closing(stream.read(survey.examine, ahead=AHEAD)) as blocks:  # type: ignore[type-var]
            for block in blocks:
                survey.add(block)
        preparing = Preparing(survey.scaling(), survey.targets(classes), survey.width, p["dtype"])
        source = Passes(stream, preparing, p, 0, buffer)
    else:
        source = Once(stream, survey, p, classes, buffer)
    if not survey.width and survey.sparse is not None:
        raise ValueError(f"{stream.name} has nothing to learn from: 0 features")
    _check_width(p, settings, source.preparing)
    epochs = _epochs(p, stream, survey.rows)
    return _train(p, settings, conduct, stream, source, valid, start, epochs, tell, watch)


def _refuse(p: Mapping[str, Any], start: State | None) -> None:
    if p["learning_rate"] == "auto" and start is None:
        raise ValueError("learning_rate='auto' tries rates on all of the examples: give a number to train on a stream")


def _check_width(p: Mapping[str, Any], settings: Settings, preparing: Preparing) -> None:
    """Raise ValueError if there are more features than memory has room for; those of hashing need not occur."""
    width, targets = preparing.width, preparing.targets
    how = p["batch_size"], p["lazy"], p["dtype"], means_kept(p, settings, width)
    rows = CSR(np.empty(0), np.empty(0, np.int32), np.zeros(1, np.int64), (0, width))
    check_width(rows, bytes_a_feature(targets.outputs, settings, *how) + OF_SCALES)


def _epochs(p: Mapping[str, Any], stream: Stream, rows: int) -> int:
    if not stream.repeatable:
        if p["max_epochs"] not in (None, 1):
            logger.warning("%s can be read once only: one epoch, not %d", stream.name, p["max_epochs"])
        return 1
    enough = -(-ENOUGH_UPDATES // rows) if rows else FEWEST_EPOCHS
    return p["max_epochs"] or min(max(FEWEST_EPOCHS, enough), MOST_EPOCHS)


def _train(
    p: Mapping[str, Any],
    settings: Settings,
    conduct: Conduct,
    stream: Stream,
    source: Source,
    valid: Table | None,
    start: State | None,
    epochs: int,
    tell: Tell,
    watch: Watch | None,
) -> Fit:
    from_before = () if start is None else (start.trained, start.means)
    trainer = Fed(p, settings, source.preparing, *from_before)
    source.trainer = trainer
    feeds = source.feeds(1)
    try:
        feed = next(feeds, None)
        if feed is None:
            raise ValueError("the stream has no rows to train on")
        trainer.feed(feed.examples)
        judges = None if valid is None else Judges(valid, stream, source.preparing, is_dense(feed.examples), p)
        run = _StreamRun(trainer, judges, Patience(conduct.patience, conduct.min_improvement))
        first = chain([feed], feeds)
        outcome = run.over(epochs, lambda epoch: first if epoch == 1 else source.feeds(epoch), tell, watch)
    finally:
        feeds.close()
    chosen, scale = source.preparing.targets, source.preparing.scale
    rate, state = settings.learning_rate_at(0), start
    if outcome.ended_by != NON_FINITE:
        means = trainer.go_on_from(outcome.weights, outcome.best_epoch)
        of_model = settings.rule.name, settings.slots, p["intercept"], rate
        state = State(trainer.trained, scale, chosen, *of_model, means)
    weights, intercept = unscaled(outcome.weights, scale.copy(), chosen)
    return Fit(weights, intercept, chosen, rate, outcome, run.values // max(1, len(outcome.history)), state)


class _StreamRun(Run):
    """A run whose epochs are made of buffers."""

    def __init__(self, trainer: Fed, judges: Judges | None, patience: Patience) -> None:
        super().__init__(trainer, None, patience)  # type: ignore[arg-type]
        self._fed, self._judges = trainer, judges
        self.values = 0  # of all examples that were trained on

    def over(self, epochs: int, feeds: Callable[[int], Iterator[Feed]], tell: Tell, watch: Watch | None) -> Outcome:
        """Train for at most so many epochs, each on the buffers that `feeds` gives for its number."""
        try:
            for epoch in range(1, epochs + 1):
                progressive = Progressive(self._fed.targets, watch, epoch, self._fed.batch_size)
                self._fed.begin_epoch()
                for feed in feeds(epoch):
                    self._train_on(feed, progressive)
                self._fed.end_epoch()
                progressive.finish()
                self._mean_label = progressive.mean_label
                self._held_out = None if self._judges is None else self._judges.examples
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
