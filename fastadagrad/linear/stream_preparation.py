"""What is found out of a stream before training on it begins: scales, labels, a rate, and what is set aside."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.ahead import closed_at_end
from ..data.labels import as_labels
from ..data.streams import Stream, read_blocks
from ..data.tables import CSR, Table
from ..engine.options import Settings
from ..support.log import logger
from .divided import ALONE, Processes
from .feeds import Preparing
from .fitting import ENOUGH_UPDATES, FEWEST_EPOCHS, MOST_EPOCHS, State, check_width, continued, means_kept, with_rate
from .methods import finds_rate
from .rate_trials import MOST_EXAMPLES
from .sampling import FOR_RATES, Aside, Sample, numbers_of
from .stream_rates import tried_rate
from .stream_sources import AHEAD, Once, Passes, Source
from .survey import Block, Survey
from .targets import Targets
from .training import bytes_a_feature

OF_SCALES = 8  # bytes of a feature's scale, which the state of a stream keeps


class Beginning(NamedTuple):
    """What training on a stream begins with."""

    source: Source
    settings: Settings
    epochs: int
    held_out: Table | None  # the examples that were set aside


def prepare(
    p: Mapping[str, Any],
    settings: Settings,
    stream: Stream,
    start: State | None,
    fraction: float,
    classes: Any,
    buffer: int,
    rate: float | None = None,
    processes: Processes = ALONE,
) -> Beginning:
    """Look a stream through, or its first buffer if it can be read once only, and find a rate if that is wanted.

    Parameters
    ----------
    fraction : float
        The fraction of the examples that is to be set aside.
    classes, buffer
        As in `fit_stream`.
    rate : float, optional
        A learning rate that is known, in the place of one that is to be found.
    processes : Processes
        Of which one finds the rate.

    Raises
    ------
    ValueError
        If the stream has no labels, no rows or no features, or more features than memory has room for; or if one that
        can be read once only is to set a fraction aside.
    """
    _check_labelled(stream)
    aside = Aside(fraction, p["seed"]) if fraction else None
    if aside is not None and not stream.repeatable:
        raise ValueError(
            f"validation={fraction:g} of {stream.name}, which can be read once only, would choose among weights of one "
            "epoch, whose progressive loss is that of examples before they train: leave it out, or give a file"
        )
    classes = stream.classes if classes is None else classes
    rows, sample = 0, None
    if start is not None:
        source, settings = _going_on(p, settings, stream, start, classes, buffer, aside)
    else:
        seeks = rate is None and finds_rate(p["learning_rate"], settings.rule.name)
        sample = Sample(MOST_EXAMPLES) if seeks else None
        width = 2**stream.hash_bits if stream.hash_bits is not None else stream.n_features
        if width is not None:
            _check_width(p, settings, width, 0)
        survey = Survey(p, settings, width)
        source = _looked_through(p, stream, survey, classes, buffer, aside, sample)
        rows = survey.rows
        del survey  # whose arrays have a number for each feature
    if not source.preparing.width:
        raise ValueError(f"{stream.name} has nothing to learn from: 0 features")
    _check_width(p, settings, source.preparing.width, source.preparing.targets.outputs)
    held_out = None if aside is None else aside.table()
    epochs = _epochs(p, stream, rows)
    tried = None if sample is None else sample.table()
    if tried is not None:
        find = partial(tried_rate, tried, source.preparing, p, settings, epochs)
        settings = with_rate(settings, processes.of_leader(find))
    if rate is not None:
        settings = with_rate(settings, rate)
    return Beginning(source, settings, epochs, held_out)


def _check_labelled(stream: Stream) -> None:
    """Raise ValueError if a stream has no labels, or need not have any."""
    columns = stream.columns
    if columns is not None and columns.target is None:
        raise ValueError(f"{stream.name} has no column of labels to train on: name the one that has (target, --target)")
    if not stream.labelled:
        raise ValueError(f"{stream.name} was opened with labelled=False, and training takes labels")


def _going_on(
    p: Mapping[str, Any],
    settings: Settings,
    stream: Stream,
    start: State,
    classes: Any,
    buffer: int,
    aside: Aside | None,
) -> tuple[Source, Settings]:
    """The source of training that goes on, for which a stream is looked through only to set examples aside."""
    targets, settings = continued(start, p, settings)
    _check_classes(classes, targets)
    if aside is not None:
        with closed_at_end(read_blocks(stream, partial(_numbered, aside), ahead=AHEAD)) as parts:
            for part in parts:
                aside.add(*part)
    preparing = Preparing(start.scaling, targets, len(start.trained.weights.p), p["dtype"], aside)
    return Passes(stream, preparing, p, start.trained.steps, buffer), settings


def _check_classes(classes: Any, targets: Targets) -> None:
    """Raise ValueError if classes are named that are not those with which training began."""
    if classes is None or targets.classes is None:
        return
    named = np.unique(as_labels(classes))
    if len(named) != len(targets.classes) or not targets.known(named).all():
        raise ValueError(f"classes={list(classes)!r} are not those with which training began: {targets.classes_shown}")


def _numbered(aside: Aside, table: Table) -> tuple[Table, NDArray[np.float64]]:
    return table, aside.numbers_of(table)


def _looked_through(
    p: Mapping[str, Any],
    stream: Stream,
    survey: Survey,
    classes: Any,
    buffer: int,
    aside: Aside | None,
    sample: Sample | None,
) -> Source:
    """The source of training that begins; the survey, the sample and what is set aside get what is read for it."""

    def add_to_sample(table: Table) -> None:
        if sample is not None:
            sample.add(table, numbers_of(table, p["seed"], FOR_RATES))

    if not stream.repeatable:
        return Once(stream, survey, p, classes, buffer, add_to_sample)
    with closed_at_end(read_blocks(stream, partial(_examined, survey, aside), ahead=AHEAD)) as blocks:
        for block, whole, numbers in blocks:
            survey.add(block)
            add_to_sample(block.table)
            if aside is not None:
                aside.add(whole, numbers)
    if not survey.rows:
        raise ValueError(f"{stream.name} has no rows to train on")
    preparing = Preparing(survey.scaling(), survey.targets(classes), survey.width, p["dtype"], aside)
    return Passes(stream, preparing, p, 0, buffer)


def _examined(survey: Survey, aside: Aside | None, table: Table) -> tuple[Block, Table, NDArray[np.float64]]:
    """What is found of the rows of a block that are trained on, and the labels of all; this may run in a thread."""
    if aside is None:
        return survey.examine(table), table, np.empty(0)
    numbers = aside.numbers_of(table)
    block = survey.examine(aside.never_in(table, numbers))
    return block._replace(labels=np.unique(table.labels)), table, numbers


def _check_width(p: Mapping[str, Any], settings: Settings, width: int, outputs: int) -> None:
    """Raise ValueError if there are more features than memory has room for; hashed ones need not occur."""
    how = p["batch_size"], p["lazy"], p["dtype"], means_kept(p, settings, width)
    rows = CSR(np.empty(0), np.empty(0, np.int32), np.zeros(1, np.int64), (0, width))
    check_width(rows, bytes_a_feature(outputs, settings, *how) + OF_SCALES)


def _epochs(p: Mapping[str, Any], stream: Stream, rows: int) -> int:
    """The number of epochs; `rows` is that of the examples, 0 if nobody knows."""
    if not stream.repeatable:
        if p["max_epochs"] not in (None, 1):
            logger.warning("%s can be read once only: one epoch, not %d", stream.name, p["max_epochs"])
        return 1
    enough = -(-ENOUGH_UPDATES // rows) if rows else FEWEST_EPOCHS
    return p["max_epochs"] or min(max(FEWEST_EPOCHS, enough), MOST_EPOCHS)
