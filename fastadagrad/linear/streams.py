"""A fit to a stream: in bounded memory, with blocks read and parsed in the background while others are trained on.

If the stream can be read again, a first pass finds the number of features, their scales, and which labels there are;
then come the epochs. A stream that can be read once only is trained on as it comes: which labels there are, and how
numbers among them are scaled, is found of its first buffer, and features have the scales of all that has been read.
Some millions of values make a buffer, in which the order of the examples is drawn by the seed; from a file that allows
it, the blocks that make a buffer come from all over the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.ahead import closed_at_end
from ..data.labels import as_labels
from ..data.streams import Stream, read_blocks
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
from .methods import finds_rate
from .progressive import Progressive, Watch
from .rate_trials import MOST_EXAMPLES
from .sampling import FOR_RATES, Aside, Sample, numbers_of
from .stream_rates import with_tried_rate
from .stream_sources import AHEAD, Once, Passes, Source
from .survey import Block, Survey
from .targets import Targets
from .training import bytes_a_feature, importance_of, is_dense

OF_SCALES = 8  # bytes of a feature's scale, which the state of a stream keeps
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
    _check_labelled(stream)
    given, aside = (None, _aside(p, stream, valid)) if isinstance(valid, float) else (valid, None)
    begun = _begun(p, settings, stream, start, stream.classes if classes is None else classes, buffer, aside)
    preparing = begun.source.preparing
    if not preparing.width:
        raise ValueError(f"{stream.name} has nothing to learn from: 0 features")
    _check_width(p, begun.settings, preparing)
    held_out = given if aside is None else aside.table()
    epochs = _epochs(p, stream, begun.rows)
    rows = begun.sample.table() if begun.sample is not None else None
    if rows is not None:
        settings = with_tried_rate(rows, preparing, p, settings, epochs)
        begun = begun._replace(settings=settings, sample=None)
    return _train(p, begun.settings, conduct, stream, begun.source, held_out, start, epochs, tell, watch)


def _check_labelled(stream: Stream) -> None:
    """Raise ValueError if a stream has no labels, or need not have any."""
    columns = stream.columns
    if columns is not None and columns.target is None:
        raise ValueError(f"{stream.name} has no column of labels to train on: name the one that has (target, --target)")
    if not stream.labelled:
        raise ValueError(f"{stream.name} was opened with labelled=False, and training takes labels")


class _Begun(NamedTuple):
    """What there is before training begins."""

    source: Source
    settings: Settings
    rows: int  # that have been seen, except those set aside; 0 if none have been
    sample: Sample | None = None  # of the rows, on which rates are to be tried


def _begun(
    p: Mapping[str, Any],
    settings: Settings,
    stream: Stream,
    start: State | None,
    classes: Any,
    buffer: int,
    aside: Aside | None,
) -> _Begun:
    """The source of buffers, and what was found of the stream in order to make it."""
    if start is not None:
        chosen, settings = continued(start, p, settings)
        _check_classes(classes, chosen)
        preparing = Preparing(start.scaling, chosen, len(start.trained.weights.p), p["dtype"], aside)
        if aside is not None:
            with closed_at_end(read_blocks(stream, partial(_numbered, aside), ahead=AHEAD)) as parts:
                for part in parts:
                    aside.add(*part)
        return _Begun(Passes(stream, preparing, p, start.trained.steps, buffer), settings, 0)
    known = 2**stream.hash_bits if stream.hash_bits is not None else stream.n_features
    survey = Survey(p, settings, known)
    sample = Sample(MOST_EXAMPLES) if finds_rate(p["learning_rate"], settings.rule.name) else None

    def add_to_sample(table: Table) -> None:
        if sample is not None:
            sample.add(table, numbers_of(table, p["seed"], FOR_RATES))

    if not stream.repeatable:
        source = Once(stream, survey, p, classes, buffer, add_to_sample)
        return _Begun(source, settings, survey.rows, sample)

    with closed_at_end(read_blocks(stream, partial(_examined, survey, aside), ahead=AHEAD)) as blocks:
        for block, whole, numbers in blocks:
            survey.add(block)
            add_to_sample(block.table)
            if aside is not None:
                aside.add(whole, numbers)
    if not survey.rows:
        raise ValueError(f"{stream.name} has no rows to train on")
    preparing = Preparing(survey.scaling(), survey.targets(classes), survey.width, p["dtype"], aside)
    return _Begun(Passes(stream, preparing, p, 0, buffer), settings, survey.rows, sample)


def _check_classes(classes: Any, targets: Targets) -> None:
    """Raise ValueError if classes are named that are not those with which training began."""
    if classes is None or targets.classes is None:
        return
    named = np.unique(as_labels(classes))
    if len(named) != len(targets.classes) or not targets.known(named).all():
        raise ValueError(f"classes={list(classes)!r} are not those with which training began: {targets.classes_shown}")


def _examined(survey: Survey, aside: Aside | None, table: Table) -> tuple[Block, Table, NDArray[np.float64]]:
    """What is found of the rows of a block that are trained on, and the labels of all; this may run in a thread."""
    if aside is None:
        return survey.examine(table), table, np.empty(0)
    numbers = aside.numbers_of(table)
    block = survey.examine(aside.left_of(table, numbers))
    return block._replace(labels=np.unique(table.labels)), table, numbers


def _numbered(aside: Aside, table: Table) -> tuple[Table, NDArray[np.float64]]:
    return table, aside.numbers_of(table)


def _aside(p: Mapping[str, Any], stream: Stream, fraction: float) -> Aside | None:
    """What is to be set aside for validation.

    Raises
    ------
    ValueError
        If the stream can be read once only.
    """
    if not fraction:
        return None
    if not stream.repeatable:
        raise ValueError(
            f"validation={fraction:g} of {stream.name}, which can be read once only, would choose among weights of one "
            "epoch, whose progressive loss is that of examples before they train: leave it out, or give a file"
        )
    return Aside(fraction, p["seed"])


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
            raise ValueError(f"{stream.name} has no rows to train on")
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
