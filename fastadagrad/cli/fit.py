"""Train a linear model on a file or a built-in data set."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..mpi.launched import is_one_of_several
from ..support.contents import STDIN
from ..support.extras import needed
from ..support.log import logger
from ..support.numbered_files import Unwritten
from . import example_files, fit_processes, fit_report, fit_stream, screen, streaming
from .fit_options import add_arguments

if TYPE_CHECKING:
    from ..data.streams import Stream
    from ..data.tables import Table
    from ..linear import LinearModel

__all__ = ["EXAMPLES", "USAGE", "add_arguments", "run"]

USAGE = "SOURCE [options]"
EXAMPLES = (
    "fit digits --valid 0.2",
    "fit train.svm.gz --valid 0.1 --test test.svm --model model.npz --plot losses.png",
    "fit counts.npz --loss poisson --l2 1e-4 --learning-rate auto --json",
    "fit clicks.parquet --target clicked --drop id --hash-bits 20 --model model.npz",
    "fit - --stream --hash-bits 20 --resume yesterday.npz --model today.npz",
    "fit clicks.parquet --target clicked --stream --checkpoint run --every 5min --resume --model model.npz",
)
MANY_CLASSES = 100  # from which on a warning says that the labels may be numbers to be predicted


# Options that are no keywords of a model.
_OUTPUTS = {"model", "plot", "json", "quiet", "progress"}
_OWN = {"command", "source", "valid", "test", "target", "zero_based", "features", *_OUTPUTS}
_OWN |= {*streaming.KEYWORDS, *streaming.OF_FIT}


def run(arguments: argparse.Namespace) -> int:
    """Run the command: load, train, save, evaluate and report."""
    if is_one_of_several("fit"):
        return fit_processes.run(arguments, _run)
    return _run(arguments)


def _run(arguments: argparse.Namespace, comm: Any = None) -> int:
    """Run the command in one process, or in one of the several of a communicator, of which process 0 tells."""
    options = {name: value for name, value in vars(arguments).items() if name not in _OWN}
    streamed, checkpoints = streaming.is_wanted(arguments), streaming.checkpoints_of(arguments)
    streaming.check(arguments, streamed)
    model = fit_stream.model_of(arguments, options)
    if arguments.progress:
        needed("tqdm.auto", "--progress")
    _check_paths(arguments)
    examples = fit_stream.open_source(arguments, model) if streamed else _load(arguments, model)
    if examples.hash_bits != model.hash_bits:  # as there are strings
        model = fit_stream.model_of(arguments, {**options, "hash_bits": examples.hash_bits})
    test = None if arguments.test is None else _load_like(examples, arguments.test, arguments)
    valid = _validation(examples, arguments)
    _warn_of_many_classes(examples, model)
    leads = comm is None or comm.Get_rank() == 0
    out = screen.Screen(patient=bool(arguments.model or arguments.plot))
    talks = not (arguments.json or arguments.quiet)
    if talks:
        out.say(fit_report.description(examples))
    stream_rows = fit_stream.Rows(out if talks else None)
    bar = arguments.progress and sys.stderr.isatty() and not arguments.quiet
    rows = fit_report.EpochRows(out) if talks and not (streamed or bar) else None
    failures = list[Exception]()
    try:
        model.fit(examples, valid=valid, progress=stream_rows if streamed else rows or bar, comm=comm, **checkpoints)
    except Unwritten as error:  # the model is trained
        failures.append(error)
    if not leads:
        return 0
    report = fit_report.report_of(model, examples, stream_rows)
    _write(model, {"model": arguments.model, "plot": arguments.plot}, report, failures)
    _evaluate(model, {**_parts(model, examples, valid, options.get("seed", 0)), "test": test}, report, failures)
    if arguments.json:
        screen.print_json(report)
    elif talks:
        if streamed:
            stream_rows.finish(model.best_epoch)
        else:
            fit_report.finish_rows(model, rows, out)
        sparse = any(name.endswith("l1") and value for name, value in options.items())
        fit_report.print_summary(model, report, out, sparse)
    for failure in failures:
        raise failure
    out.close()
    return 130 if model.stopped_because == "interrupted" else 0


def _evaluate(
    model: LinearModel,
    parts: Mapping[str, Table | dict[str, float] | None],
    report: dict[str, Any],
    failures: list[Exception],
) -> None:
    """Add the evaluation of each part to the report; some have been evaluated already."""
    for name, part in parts.items():
        if isinstance(part, dict):
            report[name] = part
        elif part is not None:
            with _kept(failures):
                report[name] = model.evaluate(part)


def _check_paths(arguments: argparse.Namespace) -> None:
    """Check paths before the training, so that an error in one does not lose the result of hours."""
    from ..support import figures

    inputs = {"SOURCE": arguments.source, "--valid": arguments.valid, "--test": arguments.test}
    paths = {"--model": arguments.model, "--plot": arguments.plot}
    example_files.check_stdin(inputs.values())
    for name, path in paths.items():
        if path == STDIN:
            raise ValueError(f"{name} must be a file, as standard output has the report: a file called - is ./-")
    if arguments.plot is not None:
        figures.check_path(arguments.plot)
    example_files.check_outputs(paths, inputs)


@contextmanager
def _kept(failures: list[Exception]) -> Iterator[None]:
    """Collect a failure of the block instead of raising it; the first is raised at the end, others are logged."""
    try:
        yield
    except Exception as error:
        if failures:
            logger.error("%s", error)
        failures.append(error)


def _write(
    model: LinearModel, paths: Mapping[str, str | None], report: dict[str, Any], failures: list[Exception]
) -> None:
    """Write the files that were asked for, the model first; the report then names those that have been written."""
    from ..linear.plot import draw_epochs
    from ..support import figures

    for name, path in paths.items():
        if path is None:
            continue
        if not model.history:
            logger.warning("no epoch was finished: %s is left as it was", path)
            continue
        with _kept(failures):
            if name == "model":
                model.save(path)
            else:
                figures.save(figures.drawing(draw_epochs, model), path)
            report[name] = path


def _load(arguments: argparse.Namespace, model: LinearModel) -> Table:
    """Read SOURCE whole."""
    from ..data.loading import load

    base, bits = example_files.base(arguments.zero_based, None), model.hash_bits
    if streaming.has_named_columns(arguments, arguments.source):
        return streaming.open_stream(arguments, arguments.source, hash_bits=bits, zero_based=base).table()
    streaming.check_unnamed(arguments)
    width, target = arguments.features, arguments.target
    return load(arguments.source, dtype=None, target=target, n_features=width, zero_based=base, hash_bits=bits)


def _load_like(table: Table | Stream, source: str, arguments: argparse.Namespace) -> Table:
    """Load examples for validation or test, with the columns of the training examples, from any kind of file."""
    from ..data.columns import check_names
    from ..data.loading import load, takes_target
    from ..data.streams import Stream, settle_columns

    if table.columns is not None and streaming.has_named_columns(arguments, source):
        like = settle_columns(table) if isinstance(table, Stream) else table.columns
        return streaming.open_stream(arguments, source, hash_bits=table.hash_bits, zero_based="auto", like=like).table()
    target = arguments.target if takes_target(source) else None
    base = example_files.base(arguments.zero_based, table.zero_based)
    width = table.n_features if isinstance(table, Stream) else table.features.shape[1]
    found = load(source, dtype=None, target=target, n_features=width, zero_based=base, hash_bits=table.hash_bits)
    check_names(found.feature_names, table.feature_names, source)
    return found


def _validation(table: Table | Stream, arguments: argparse.Namespace) -> float | Table | None:
    if arguments.valid is None:
        return None
    try:
        fraction = float(arguments.valid)
    except ValueError:
        return _load_like(table, arguments.valid, arguments)
    if not 0 < fraction < 1:
        raise ValueError(f"--valid must be a file or a fraction between 0 and 1, not {arguments.valid}")
    return fraction


def _parts(
    model: LinearModel, table: Table | Stream, valid: float | Table | None, seed: int
) -> dict[str, Table | dict[str, float] | None]:
    """Return the examples that the model was trained on, and those held out; a fraction is split as by `fit`.

    A stream is not read once more; what was set aside of it has been evaluated while training.
    """
    from ..data.tables import Table
    from ..linear.splits import split
    from ..linear.targets import Targets

    if not isinstance(table, Table):
        return {"valid": fit_stream.validation_of(model) if isinstance(valid, float) else valid}
    if not isinstance(valid, float):
        return {"train": table, "valid": valid}
    level = logger.level
    logger.setLevel(logging.WARNING)  # `fit` has logged what there is to say of the split
    try:
        train, held_out = split(table, valid, seed, Targets(model.loss, model.classes_))
    finally:
        logger.setLevel(level)
    return {"train": train, "valid": held_out}


def _warn_of_many_classes(table: Table | Stream, model: LinearModel) -> None:
    """Warn if there are so many classes that the labels are probably numbers to be predicted."""
    import numpy as np

    from ..data.tables import Table

    if not isinstance(table, Table):
        return
    if model.loss == "softmax" and (classes := len(np.unique(table.labels))) > MANY_CLASSES:
        logger.warning("%d different labels, each a class of its own: for numbers, use --loss squared", classes)
