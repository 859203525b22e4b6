"""The recipe `table1` of the command `compare`: the experiment of Duchi, Hazan and Singer's Table 1."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ..support.log import logger
from . import screen

HELP = (
    "table1: of PROBLEM, one file of two classes (.tsv is text, label and tab first), the experiment of Table 1 of the "
    "AdaGrad paper: RDA, FB, AdaGrad-RDA, AdaGrad-FB, PA and AROW, one pass, each with its best rate; takes --rates, "
    "--seeds, --positive, --delta, --text, --json"
)
OWN = ("positive", "delta", "text")  # options of this recipe alone
# Options of `compare` that this recipe does not take.
REFUSED = ("methods", "epochs", "jobs", "quick", "extend", "out", "progress")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that only this recipe has."""
    positive = "with table1: the class that is told from the others, or a pattern of several, as 'comp.*'"
    parser.add_argument("--positive", metavar="LABEL", help=positive)
    delta = "with table1: what the AdaGrad methods add to the root of the sum of squares (1e-8)"
    parser.add_argument("--delta", type=float, metavar="D", help=delta)
    text = "with table1: features of a text, 1 for each word, 1 for each pair of neighbouring words, or tf-idf (words)"
    parser.add_argument("--text", choices=("words", "bigrams", "tf-idf"), help=text)


def given(arguments: argparse.Namespace, names: Sequence[str]) -> list[str]:
    """The options, of these, that were given, whatever their value."""
    return [name for name in names if getattr(arguments, name) is not None]


def run(arguments: argparse.Namespace) -> int:
    """Run the experiment, and print its table."""
    from ..compare import duchi
    from ..compare.grid import as_rates
    from ..compare.results import command_line, machine

    idle = given(arguments, REFUSED)
    if idle or len(arguments.problems) != 1:
        found = f"--{idle[0]}" if idle else f"{len(arguments.problems)} of them"
        refused = f"--{', --'.join(REFUSED[:-1])} or --{REFUSED[-1]}"
        raise ValueError(f"--recipe table1 takes one file, and no {refused}, not {found}")
    options = {"positive": arguments.positive, "delta": arguments.delta, "text": arguments.text}
    options["shuffles"] = arguments.seeds
    chosen: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if arguments.rates is not None:
        chosen["rates"] = as_rates(arguments.rates)
    lines = duchi.table1(*arguments.problems, tell=None if arguments.quiet else logger.info, **chosen)
    if arguments.json:
        about = {"command": command_line(), "machine": machine(), "source": arguments.problems[0]}
        screen.print_json({**about, "lines": duchi.as_records(lines)})
    else:
        print(duchi.text_of(lines))
    return 0
