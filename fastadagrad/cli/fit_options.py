"""The options of the command `fit`: of sources and outputs, and the parameters of the model."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from ..engine.registry import names_of_simple_rules, rule_named
from ..kernels.linear.losses import LOSSES, OPTIONS
from . import example_files, streaming

_DEFAULT = argparse.SUPPRESS  # an option that is not given is left to LinearModel


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
    number("--min-improvement", "least relative improvement that counts (1e-05)")
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
