"""Train a linear model on a file or a built-in data set."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ..engine.registry import names_of_simple_rules, rule_named
from ..kernels.linear.losses import LOSSES, OPTIONS
from ..support.contents import STDIN
from ..support.extras import needed
from ..support.log import logger
from . import example_files, fit_stream, screen, streaming

if TYPE_CHECKING:
    from ..data.streams import Stream
    from ..data.tables import Table
    from ..linear import LinearModel

COLUMNS = {
    "loss": "progressive",
    "valid_loss": "valid loss",
    **{f"valid_{name}": name for loss in LOSSES.values() for name in loss.monitors},
}
_DEFAULT = argparse.SUPPRESS  # an option that is not given is left to LinearModel
USAGE = "SOURCE [options]"
EXAMPLES = (
    "fit digits --valid 0.2",
    "fit train.svm.gz --valid 0.1 --test test.svm --model model.npz --plot losses.png",
    "fit counts.npz --loss poisson --l2 1e-4 --learning-rate auto --json",
    "fit clicks.parquet --target clicked --drop id --hash-bits 20 --model model.npz",
    "fit - --stream --hash-bits 20 --resume yesterday.npz --model today.npz",
)
MANY_CLASSES = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    source = (
        "svmlight text (also compressed), CSV, Parquet, Arrow IPC, .npz, iris, wine, digits, breast_cancer, diabetes, "
        "or - (standard input)"
    )
    parser.add_argument("source", metavar="SOURCE", help=source)
    parser.add_argument("--valid", metavar="FILE|FRACTION", help="keep the weights that do best on these examples")
    parser.add_argument("--test", metavar="FILE", help="evaluate the finished model on these examples")
    parser.add_argument("--model", metavar="OUT", help="write the model to this file")
    parser.add_argument("--plot", metavar="OUT", help="draw the losses of the epochs: .png, .svg or .pdf")
    example_files.add_arguments(parser, "true if SOURCE has a column 0")
    parser.add_argument("--features", type=int, metavar="N", help="number of features, if SOURCE may lack the last")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only, and what --json does")
    bar = "show a bar instead of a row for each epoch (no), where standard error is a terminal"
    parser.add_argument("--progress", action=argparse.BooleanOptionalAction, default=False, help=bar)
    streaming.add_arguments(parser)
    streaming.add_training_arguments(parser)
    _add_model_options(parser.add_argument_group("model and training"))


def _add_model_options(group: Any) -> None:
    def choice(flag: str, text: str, *choices: str) -> None:
        group.add_argument(flag, choices=choices, default=_DEFAULT, help=text)

    def number(flag: str, text: str, kind: type = float, dest: str | None = None) -> None:
        more = {"dest": dest} if dest else {}
        group.add_argument(flag, type=kind, metavar="N" if kind is int else "X", default=_DEFAULT, help=text, **more)

    def switch(flag: str, text: str, **more: Any) -> None:
        group.add_argument(flag, default=_DEFAULT, help=text, **more)

    methods = names_of_simple_rules()
    choice("--loss", "by default what suits the labels (auto)", "auto", *LOSSES)
    for name, (loss, option) in OPTIONS.items():
        number(f"--{name}", f"of the {loss} loss: {option.meaning} ({option.default:g})")
    switch("--method", f"{', '.join(methods)} (adagrad)", metavar="NAME")
    switch("--learning-rate", "auto: by trials (auto for adagrad, or the method's own)", type=_rate, metavar="X|auto")
    averaged = (
        "mean of the weights of all training, or of the last N epochs, or no mean (auto: of all, later ones counting "
        "more, for adagrad without l1)"
    )
    switch("--average", averaged, type=_average, metavar="auto|yes|no|N")
    implicit = "steps that no rate makes overshoot (where they can be, for adagrad)"
    switch("--implicit", implicit, action=argparse.BooleanOptionalAction)
    number("--l1", "strength of the penalty on |w|, per example (0)")
    number("--l2", "strength of the penalty on w*w/2, per example (0)")
    number("--momentum", "share of a step that the next one repeats (0)")
    switch("--nesterov", "momentum by Nesterov's formula (no)", action="store_true")
    number("--weight-decay", "added to each gradient, times the weight (0)")
    number("--decoupled-weight-decay", "by which weights shrink in a step, times the learning rate (0)")
    number("--batch-size", "examples per update (1)", int)
    number("--epochs", "passes over the examples (10; more if they are few)", int, dest="max_epochs")
    number("--patience", "epochs without improvement to bear (5)", int)
    number("--min-improvement", "least relative improvement that counts (0)")
    number("--seed", "of the order of the examples, and of the fraction for --valid (0)", int)
    switch("--no-shuffle", "the same order in each epoch, that of SOURCE", dest="shuffle", action="store_false")
    switch("--no-intercept", "scores without a constant", dest="intercept", action="store_false")
    scaled = "features to mean 0 and deviation 1, to a largest size of 1, or as they come (auto: the first if dense)"
    choice("--scale", scaled, "auto", "standard", "maxabs", "none")
    choice("--dtype", "of the arithmetic while training (float32)", "float32", "float64")
    absent = (
        "how absent features follow momentum, decay and penalties: in closed form, not at all, in each step (exact)"
    )
    choice("--lazy", absent, "exact", "touched", "dense")
    number("--hash-bits", "hash the columns of sparse examples into 2**N (no hashing)", int)
    for name, (takers, default) in _own_hyperparameters(methods).items():
        flag, text = f"--{name.replace('_', '-')}", f"of {', '.join(takers)}"
        if isinstance(default, bool):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=_DEFAULT, help=text)
        else:
            number(flag, text)


def _own_hyperparameters(methods: list[str]) -> dict[str, tuple[list[str], Any]]:
    """Hyperparameters that only some methods take, each with the names of these methods and a default."""
    found: dict[str, tuple[list[str], Any]] = {}
    for method in methods:
        for field in fields(rule_named(method).Hyperparameters):
            found.setdefault(field.name, ([], field.default))[0].append(method)
    return found


def _rate(text: str) -> float | str:
    try:
        return text if text == "auto" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number or auto, not {text!r}") from None


def _average(text: str) -> bool | int | str:
    words: dict[str, bool | str] = {"auto": "auto", "yes": True, "no": False}
    if text in words:
        return words[text]
    if text.isdecimal() and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(f"must be auto, yes, no or a number of epochs, not {text!r}")


_OUTPUTS = {"model", "plot", "json", "quiet", "progress"}
_OWN = {"command", "source", "valid", "test", "target", "zero_based", "features", *_OUTPUTS}
_OWN |= {*streaming.KEYWORDS, *streaming.OF_FIT}


def run(arguments: argparse.Namespace) -> int:
    """Run the command: load, train, save, evaluate and report."""
    options = {name: value for name, value in vars(arguments).items() if name not in _OWN}
    streamed = streaming.is_wanted(arguments)
    model = fit_stream.model_of(arguments, options)
    if arguments.progress:
        needed("tqdm.auto", "--progress")
    bar = arguments.progress and sys.stderr.isatty() and not arguments.quiet
    _check_paths(arguments)
    examples = fit_stream.open_source(arguments, model) if streamed else _load(arguments, model)
    if examples.hash_bits != model.hash_bits:  # as there are strings
        model = fit_stream.model_of(arguments, {**options, "hash_bits": examples.hash_bits})
    test = None if arguments.test is None else _load_like(examples, arguments.test, arguments)
    valid = _validation(examples, arguments)
    _warn_of_many_classes(examples, model)
    out = screen.Screen(patient=bool(arguments.model or arguments.plot))
    talks = not (arguments.json or arguments.quiet)
    rows = fit_stream.Rows(out if talks else None)
    show = rows if streamed else _Rows(out) if talks and not bar else None
    if talks:
        out.say(_describe(examples))
    model.fit(examples, valid=valid, progress=show or bar)
    report, failures = _report(model, examples, rows.examples), list[Exception]()
    _write(model, {"model": arguments.model, "plot": arguments.plot}, report, failures)
    parts = {**_parts(model, examples, valid, vars(arguments).get("seed", 0)), "test": test}
    for name, evaluated in parts.items():
        if evaluated is not None:
            with _kept(failures):
                report[name] = model.evaluate(evaluated)
    if streamed and isinstance(valid, float):
        report["valid"] = fit_stream.validation_of(model)
    if arguments.json:
        screen.print_json(report)
    elif talks:
        if isinstance(show, _Rows) or not streamed:
            _finish_rows(model, show, out)
        _print_summary(model, report, out)
    for failure in failures:
        raise failure
    out.close()
    return 130 if model.stopped_because == "interrupted" else 0


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
) -> dict[str, Table | None]:
    """Return the examples that the model was trained on, and those held out; a fraction is split as by `fit`.

    A stream is not read once more to be evaluated, nor is what was set aside of it.
    """
    from ..data.tables import Table
    from ..linear.splits import split
    from ..linear.targets import Targets

    if not isinstance(table, Table):
        return {"valid": None if isinstance(valid, float) else valid}
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


def _report(model: LinearModel, table: Table | Stream, examples: int) -> dict[str, Any]:
    """What there is to report of a fit; `examples` is the number of those in an epoch of a stream."""
    from ..data.tables import Table
    from ..linear.epochs import still_falling

    return {
        "source": table.name,
        "loss": model.loss,
        "method": model.method,
        "examples": len(table.labels) if isinstance(table, Table) else examples,
        "features": model.n_features,
        "classes": None if model.classes_ is None else model.classes_.tolist(),
        "learning_rate": model.learning_rate_,
        "still_falling": still_falling(model.history, model.stopped_because),
        "zero_weights": model.coef_.size - model.nonzero_weights,
        "epochs": len(model.history),
        "best_epoch": model.best_epoch,
        "stopped_because": model.stopped_because,
        "seconds": model.seconds,
        "features_per_second": model.features_per_second,
        "history": model.history,
    }


def _describe(table: Table | Stream) -> str:
    from ..data.tables import CSR, Table

    if not isinstance(table, Table):
        kind = f"hashed into {2**table.hash_bits:,}" if table.hash_bits else "features as they come"
        return f"{table.name}: a stream, {kind}"
    n, width = table.features.shape
    kind = f"{table.features.data.size / n:.4g} of {width:,}" if isinstance(table.features, CSR) else f"{width:,}"
    return f"{table.name}: {n:,} examples, {kind} features each"


class _Rows:
    """A table that prints a row for each of the first ten epochs and for every tenth; `finish` adds the last rows."""

    def __init__(self, out: screen.Screen) -> None:
        self._out = out
        self._columns: list[str] = []
        self._told = 0.0

    def __call__(self, entry: dict[str, float]) -> None:
        if not self._columns:
            self._columns = [name for name in COLUMNS if name in entry]
            self._out.say(" ".join(["epoch", *(f"{COLUMNS[name]:>12}" for name in self._columns)]))
        if entry["epoch"] <= 10 or entry["epoch"] % 10 == 0:
            self._say(entry)

    def _say(self, entry: dict[str, float], mark: str = "") -> None:
        self._told = entry["epoch"]
        number = f"{int(entry['epoch'])}{mark}"
        self._out.say(" ".join([f"{number:>5}", *(f"{entry[name]:12.5g}" for name in self._columns)]))

    def finish(self, history: list[dict[str, float]], kept: int) -> None:
        """Print the last epoch if it has no row, and the epoch whose weights are kept, marked `*`, if it is another."""
        if history and history[-1]["epoch"] != self._told:
            self._say(history[-1])
        if history and 0 < kept < len(history):
            self._say(history[kept - 1], "*")


def _finish_rows(model: LinearModel, show: _Rows | fit_stream.Rows | None, out: screen.Screen) -> None:
    if not isinstance(show, _Rows):  # a bar was shown while training, so no row has been printed
        show = _Rows(out)
        for entry in model.history:
            show(entry)
    show.finish(model.history, model.best_epoch)


def _print_summary(model: LinearModel, report: dict[str, Any], out: screen.Screen) -> None:
    out.say(
        f"{report['loss']} loss, {'' if report['method'] == 'adagrad' else report['method'] + ', '}"
        f"learning rate {report['learning_rate']:.3g}, "
        f"epoch {model.best_epoch} of {report['epochs']} kept ({model.stopped_because}), "
        f"{report['seconds']:.3g} s ({report['features_per_second'] / 1e6:.3g} million features/s)"
    )
    if share := report["still_falling"]:
        out.say(
            f"the loss was still falling, by {share:.1%} in the last epoch: --epochs {2 * report['epochs']} may help"
        )
    for name in ("train", "valid", "test"):
        if report.get(name):
            out.say(f"{name}: {example_files.shown(report[name])}")
    for name in ("model", "plot"):
        if name in report:
            out.say(f"{name} written to {report[name]}")
