"""Compare methods on problems, over seeds and learning rates."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..support.log import logger
from . import screen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("problems", nargs="+", metavar="PROBLEM", help=_problems())
    parser.add_argument(
        "--methods", nargs="+", metavar="METHOD", help="names, as in sgd:momentum=0.9,nesterov=1 (all that there are)"
    )
    parser.add_argument("--rates", metavar="LOW:HIGH:N", help="learning rates, evenly in their logarithms (1e-4:10:11)")
    parser.add_argument("--seeds", type=int, metavar="N", help="start values and orders of the data (5)")
    parser.add_argument("--epochs", type=int, metavar="N", help="budget of every run (each problem's own)")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (one a core); 0: in this one")
    parser.add_argument("--out", metavar="DIR", default="comparison", help="folder of results, taken up if it is there")
    parser.add_argument(
        "--recipe",
        choices=("table1",),
        help="of PROBLEM, one file of two classes (.tsv is text, label and tab first), the experiment of Table 1 of "
        "the AdaGrad paper: RDA, FB, AdaGrad-RDA and AdaGrad-FB, one pass; takes --rates, --seeds, --positive, --json",
    )
    parser.add_argument("--positive", metavar="LABEL", help="with --recipe: the class that is told from the others")
    parser.add_argument("--quick", action="store_true", help="one seed, 4 rates, 3 epochs, to see that it works")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quiet", action="store_true", help="log warnings only")
    parser.add_argument(
        "--progress", action=argparse.BooleanOptionalAction, help="show a bar (if stderr is a terminal)"
    )


def _problems() -> str:
    from ..compare.problems import HELP

    return HELP


def run(arguments: argparse.Namespace) -> int:
    """Run the command: compare, print the table, and say where the other results are."""
    if arguments.recipe is not None:
        return _run_table1(arguments)
    from ..compare import comparison

    options = {name: getattr(arguments, name) for name in ("rates", "seeds", "epochs")}
    usual = {"rates": comparison.QUICK_RATES, "seeds": 1, "epochs": comparison.QUICK_EPOCHS} if arguments.quick else {}
    given: dict[str, Any] = usual | {name: value for name, value in options.items() if value is not None}
    progress = sys.stderr.isatty() if arguments.progress is None else arguments.progress
    found = comparison.compare(
        arguments.problems, arguments.methods, jobs=arguments.jobs, out=arguments.out, progress=progress, **given
    )
    if arguments.json:
        screen.print_json(found.as_json())
    else:
        print(found)
        print(f"\nreport: {Path(arguments.out) / 'report.html'}")
    return 0


def _run_table1(arguments: argparse.Namespace) -> int:
    """Run the experiment of Duchi, Hazan and Singer, and print its table."""
    from ..compare import duchi
    from ..compare.grid import as_rates
    from ..compare.results import command_line, machine

    idle = [name for name in ("methods", "epochs", "jobs", "quick") if getattr(arguments, name)]
    if idle or len(arguments.problems) != 1:
        found = f"--{idle[0]}" if idle else f"{len(arguments.problems)} of them"
        raise ValueError(f"--recipe table1 takes one file, and no --methods, --epochs, --jobs or --quick, not {found}")
    given: dict[str, Any] = {"positive": arguments.positive}
    if arguments.rates is not None:
        given["rates"] = as_rates(arguments.rates)
    if arguments.seeds is not None:
        given["shuffles"] = arguments.seeds
    lines = duchi.table1(*arguments.problems, tell=None if arguments.quiet else logger.info, **given)
    if arguments.json:
        about = {"command": command_line(), "machine": machine(), "source": arguments.problems[0]}
        screen.print_json({**about, "lines": duchi.as_records(lines)})
    else:
        print(duchi.text_of(lines))
    return 0
