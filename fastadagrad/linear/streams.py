"""A fit to a stream: in bounded memory, with blocks read and parsed in the background while others are trained on.

If the stream can be read again, a first pass finds the number of features, their scales, and which labels there are;
then come the epochs. A stream that can be read once only is trained on as it comes: which labels there are, and how
numbers among them are scaled, is found of its first buffer, and features have the scales of all that has been read.
Some millions of values make a buffer, in which the order of the examples is drawn by the seed; from a file that allows
it, the blocks that make a buffer come from all over the file.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..data.streams import Stream
from ..data.tables import Table
from ..engine.options import Conduct, Settings
from ..support.log import logger
from ..support.stopping import Patience
from .averaging import mean_of
from .epochs import NON_FINITE, Outcome, Run
from .feeds import BUFFER, Feed, Prepared, Preparing, buffers, values_of
from .fitting import ENOUGH_UPDATES, FEWEST_EPOCHS, MOST_EPOCHS, Fit, State, continued, is_implicit, lazy_of, unscaled
from .judges import Judges
from .progressive import Progressive, Watch
from .running import rescale
from .scaling import Scaling
from .survey import Block, Survey
from .training import Examples, Trained, Trainer, importance_of, is_dense

AHEAD = 6  # blocks that are prepared while others are trained on
Tell = Callable[[dict[str, float]], object]
Make = Callable[..., Trainer]


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
    source: _Source
    if start is not None:
        chosen, settings = continued(start, p, settings)
        preparing = Preparing(start.scaling, chosen, survey.width, p["dtype"])
        source = _Passes(stream, preparing, p, start.trained.steps, buffer)
    elif stream.repeatable:
        with closing(stream.read(survey.examine, ahead=AHEAD)) as blocks:  # type: ignore[type-var]
            for block in blocks:
                survey.add(block)
        preparing = Preparing(survey.scaling(), survey.targets(classes), survey.width, p["dtype"])
        source = _Passes(stream, preparing, p, 0, buffer)
    else:
        source = _Once(stream, survey, p, classes, buffer)
    if not survey.width and survey.sparse is not None:
        raise ValueError(f"{stream.name} has nothing to learn from: 0 features")
    epochs = _epochs(p, stream, survey.rows)
    return _train(p, settings, conduct, stream, source, valid, start, epochs, tell, watch)


def _refuse(p: Mapping[str, Any], start: State | None) -> None:
    if p["learning_rate"] == "auto" and start is None:
        raise ValueError("learning_rate='auto' tries rates on all of the examples: give a number to train on a stream")
    if p["average"] not in (False, "auto"):
        raise ValueError("average is not made of a stream: leave it out, or read the examples whole")


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
    source: _Source,
    valid: Table | None,
    start: State | None,
    epochs: int,
    tell: Tell,
    watch: Watch | None,
) -> Fit:
    trainer = _Fed(p, settings, source.preparing, None if start is None else start.trained)
    source.trainer = trainer
    feeds = source.feeds(1)
    try:
        feed = next(feeds, None)
        if feed is None:
            raise ValueError("the stream has no rows to train on")
        trainer.feed(feed.examples)
        if start is not None and start.means:  # the average is not made of a stream: training goes on from it
            for own, mean in zip(trainer.parameters, mean_of(start.means, p["dtype"]), strict=True):
                own[...] = mean
        judges = None if valid is None else Judges(valid, stream, source.preparing, is_dense(feed.examples), p)
        run = _StreamRun(trainer, judges, Patience(conduct.patience, conduct.min_improvement))
        first = chain([feed], feeds)
        outcome = run.over(epochs, lambda epoch: first if epoch == 1 else source.feeds(epoch), tell, watch)
    finally:
        feeds.close()
    chosen, scale = source.preparing.targets, source.preparing.scale
    rate, state = settings.learning_rate_at(0), start
    if outcome.ended_by != NON_FINITE:
        for own, kept in zip(trainer.parameters, outcome.weights, strict=True):
            own[...] = kept  # what comes next goes on from there
        state = State(trainer.trained, scale.copy(), chosen, settings.rule.name, settings.slots, p["intercept"], rate)
    weights, intercept = unscaled(outcome.weights, scale.copy(), chosen)
    return Fit(weights, intercept, chosen, rate, outcome, trainer.values // max(1, len(outcome.history)), state)


class _Source(Protocol):
    """What gives the buffers of each epoch, prepared as it says."""

    preparing: Preparing
    trainer: _Fed

    def feeds(self, epoch: int) -> Generator[Feed, None, None]: ...


class _Passes:
    """A stream whose scales are known, and which is read anew for each epoch, if there are several."""

    trainer: _Fed

    def __init__(self, stream: Stream, preparing: Preparing, p: Mapping[str, Any], steps: int, buffer: int) -> None:
        self.preparing, self._stream, self._buffer = preparing, stream, buffer
        self._rng = _orders(p, steps)
        self._seed = None if self._rng is None else [p["seed"], 2, steps]

    def feeds(self, epoch: int) -> Generator[Feed, None, None]:
        order = None
        if self._seed is not None:
            order = np.random.default_rng([*self._seed, epoch]).permutation
        blocks = self._stream.read(self.preparing, order, AHEAD)
        with closing(blocks):  # type: ignore[type-var]
            yield from buffers(blocks, list, self._rng, self._buffer)


class _Once:
    """A stream that can be read once only; its scales grow with what has been read, and the weights go with them."""

    trainer: _Fed

    def __init__(self, stream: Stream, survey: Survey, p: Mapping[str, Any], classes: Any, buffer: int) -> None:
        self._survey, self._buffer, self._rng = survey, buffer, _orders(p, 0)
        self._blocks = stream.read(survey.examine, ahead=AHEAD)
        self._first = list[Block]()
        values = 0
        for block in self._blocks:
            survey.add(block)
            self._first.append(block)
            values += values_of(block.table)
            if values >= buffer:
                break
        survey.settle()
        self.preparing = Preparing(survey.scaling(), survey.targets(classes), survey.width, p["dtype"])

    def _tables(self) -> Iterator[Table]:
        while self._first:
            yield self._first.pop(0).table
        for block in self._blocks:
            self._survey.add(block)
            yield block.table

    def _prepared(self, tables: list[Table]) -> list[Prepared]:
        scale = self._survey.scaling()
        self.trainer.rescale(self.preparing.scale, scale)
        self.preparing.scale = scale
        return [self.preparing(table) for table in tables]

    def feeds(self, epoch: int) -> Generator[Feed, None, None]:
        with closing(self._blocks):  # type: ignore[type-var]
            yield from buffers(self._tables(), self._prepared, self._rng, self._buffer)


def _orders(p: Mapping[str, Any], steps: int) -> np.random.Generator | None:
    return np.random.default_rng([p["seed"], 1, *([steps] if steps else [])]) if p["shuffle"] else None


class _Fed:
    """A trainer that is fed one buffer after another."""

    def __init__(self, p: Mapping[str, Any], settings: Settings, preparing: Preparing, start: Trained | None) -> None:
        self.targets, self._start, self._preparing, self._p, self._settings = (
            preparing.targets,
            start,
            preparing,
            p,
            settings,
        )
        self.batch_size = int(p["batch_size"])
        self._trainer: Trainer | None = None
        self._seconds = 0.0
        self.values = 0

    def feed(self, examples: Examples) -> Trainer:
        """The trainer, with these examples."""
        trainer = self._trainer
        if trainer is not None and type(trainer.examples) is type(examples):
            trainer.feed(examples)
            return trainer
        if trainer is not None:  # from now on, examples have an importance, or no longer
            self._start = trainer.trained
            self._seconds += trainer.seconds
        p, sparse = self._p, not is_dense(examples)
        self._trainer = Trainer(
            examples,
            self._settings,
            features=self._preparing.width,
            targets=self.targets,
            batch_size=p["batch_size"],
            lazy=lazy_of(p, self._settings, sparse),
            intercept=p["intercept"],
            implicit=is_implicit(p, self._settings, p["lazy"], sparse),
            start=self._start,
        )
        self._start = None
        return self._trainer

    def rescale(self, old: Scaling, new: Scaling) -> None:
        if self._trainer is not None:
            rescale(self._trainer, old, new)

    @property
    def _now(self) -> Trainer:
        assert self._trainer is not None  # as it has been fed
        return self._trainer

    @property
    def trained(self) -> Trained:
        return self._now.trained

    @property
    def parameters(self) -> tuple[NDArray[Any], NDArray[Any]]:
        return self._now.parameters

    @property
    def stuck(self) -> int:
        return self._now.stuck

    @property
    def seconds(self) -> float:
        return self._seconds + self._now.seconds


class _StreamRun(Run):
    """A run whose epochs are made of buffers."""

    def __init__(self, trainer: _Fed, judges: Judges | None, patience: Patience) -> None:
        super().__init__(trainer, None, patience)  # type: ignore[arg-type]
        self._fed, self._judges = trainer, judges

    def over(self, epochs: int, feeds: Callable[[int], Iterator[Feed]], tell: Tell, watch: Watch | None) -> Outcome:
        """Train for at most so many epochs, each on the buffers that `feeds` gives for its number."""
        try:
            for epoch in range(1, epochs + 1):
                progressive = Progressive(self._fed.targets, watch, epoch, self._fed.batch_size)
                for feed in feeds(epoch):
                    self._train_on(feed, progressive)
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
        trainer = self._fed.feed(feed.examples)
        self._fed.values += feed.examples.values.size
        labels, importance = feed.examples.labels, importance_of(feed.examples)
        for part in progressive.stretches(len(feed.order)):
            some = feed.order[part]
            loss = trainer.train(some)
            progressive.add(loss, labels[some], None if importance is None else importance[some])
