"""Compare methods on problems, over seeds and learning rates."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from ..mpi.launched import is_one_of_several
from ..support.extras import needed
from . import screen, table1

USAGE = "PROBLEM [PROBLEM ...] [options]"
EXAMPLES = (
    "compare rosenbrock digits-mlp --quick",
    "compare train.svm --methods sgd:momentum=0.9 adagrad ftrl --seeds 3 --out first",
    "compare digits breast_cancer --methods adagrad adam:paper scipy:L-BFGS-B",
    "compare text.tsv --recipe table1 --positive spam",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("problems", nargs="*", metavar="PROBLEM", help=_problems())
    methods = "names, as in sgd:momentum=0.9,nesterov=1 or adam:paper (all that there are); torch:NAME, optax:NAME, "
    methods += "scipy:L-BFGS-B, or module:Class of your own, with a method step(gradients); may be repeated"
    parser.add_argument("--methods", nargs="+", action="extend", metavar="METHOD", help=methods)
    parser.add_argument("--list", action="store_true", help="print the names of problems and methods, and end")
    parser.add_argument("--rates", metavar="LOW:HIGH:N", help="learning rates, evenly in their logarithms (1e-4:10:11)")
    beyond = "go on beyond an end of the rates where a method's best rate is there (but for --quick)"
    parser.add_argument("--extend", action=argparse.BooleanOptionalAction, help=beyond)
    parser.add_argument("--seeds", type=int, metavar="N", help="start values and orders of the data (5)")
    parser.add_argument("--epochs", type=int, metavar="N", help="budget of every run (each problem's own)")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (one a core); 0: in this one")
    taken_up = "folder of results, taken up if it is there (comparison; if that has others, comparison-2, and so on)"
    parser.add_argument("--out", metavar="DIR", help=taken_up)
    parser.add_argument(
        "--recipe",
        choices=("algoperf", "table1"),
        help="algoperf: 5 rates drawn from the range of --rates in each of 5 studies (--seeds), of which the fastest "
        f"to the target counts, if 3 studies get there. {table1.HELP}",
    )
    table1.add_arguments(parser)
    parser.add_argument(
        "--quick", action="store_true", default=None, help="one seed, 4 rates, 3 epochs, to see that it works"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quiet", action="store_true", help="beside the table, print warnings and errors only")
    bar = "show a bar (where standard error is a terminal; else a line each half a minute)"
    parser.add_argument("--progress", action=argparse.BooleanOptionalAction, help=bar)


def _problems() -> str:
    from ..compare.problems import HELP

    return HELP


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the table, and say where the rest is; process 0 of an MPI job does, for which the others run."""
    if not is_one_of_several("compare"):
        return _run(arguments)
    if arguments.jobs is not None:
        raise ValueError("--jobs is for a comparison without mpiexec, which has started its processes: leave it out")
    from ..compare.by_mpi import handing_out

    with handing_out() as leads:
        return _run(arguments) if leads else 0


def _run(arguments: argparse.Namespace) -> int:
    if arguments.list:
        return _list()
    if not arguments.problems:
        raise ValueError(_no_problem(arguments.methods or []))
    if arguments.recipe == "table1":
        return table1.run(arguments)
    if arguments.recipe == "algoperf":
        return _run_algoperf(arguments)
    own = table1.given(arguments, table1.OWN)
    if own:
        raise ValueError(f"--{own[0]} is of --recipe table1: leave it out, or add the recipe")
    from ..compare import comparison
    from ..compare.result_table import whole_text

    options = {name: getattr(arguments, name) for name in ("rates", "seeds", "epochs")}
    usual = {"rates": comparison.QUICK_RATES, "seeds": 1, "epochs": comparison.QUICK_EPOCHS} if arguments.quick else {}
    given: dict[str, Any] = usual | {name: value for name, value in options.items() if value is not None}
    given["extend"] = not arguments.quick if arguments.extend is None else arguments.extend
    found = comparison.compare(
        arguments.problems,
        arguments.methods,
        jobs=arguments.jobs,
        out=arguments.out,
        progress=_with_bar(arguments),
        **given,
    )
    if arguments.json:
        screen.print_json(found.as_json())
    else:
        print(whole_text(found.plan, found.lines, found.verdict, screen.width()))
        print(f"\nreport: {found.folder / 'report.html'}")
    return 0


def _with_bar(arguments: argparse.Namespace) -> bool:
    """Whether to show a bar; RuntimeError if it is asked for and cannot be made."""
    wanted: bool = sys.stderr.isatty() and not arguments.quiet if arguments.progress is None else arguments.progress
    if wanted:
        needed("tqdm.auto", "--progress")
    return wanted


def _run_algoperf(arguments: argparse.Namespace) -> int:
    """Compare by the protocol of AlgoPerf, and print its table."""
    from ..compare.studies import TRIALS, algoperf, as_json

    idle = table1.given(arguments, (*table1.OWN, "quick", "extend"))
    if idle:
        raise ValueError(
            f"--recipe algoperf takes no --{idle[0]}: it draws {TRIALS} rates a study from those of --rates"
        )
    options = {"rates": arguments.rates, "studies": arguments.seeds, "epochs": arguments.epochs}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    more: dict[str, Any] = {"jobs": arguments.jobs, "out": arguments.out, "progress": _with_bar(arguments)}
    found = algoperf(arguments.problems, arguments.methods, **given, **more)
    if arguments.json:
        screen.print_json(as_json(found))
    else:
        print(found)
        print(f"\nruns: {found.folder / 'results.csv'}")
    return 0


def _list() -> int:
    """Print the names of problems and methods, one on each line, which shell scripts can read."""
    from ..compare.problems import NAMED
    from ..data.loading import BUILT_IN
    from ..optimizer.methods import METHODS

    for kind, names in (("problems", [*NAMED, *BUILT_IN]), ("methods", METHODS)):
        print(f"{kind}:")
        for name in names:
            print(f"  {name}")
    return 0


def _no_problem(methods: Sequence[str]) -> str:
    """Return the error message for a missing PROBLEM.

    The usual reason is that `--methods`, which takes several values, has taken the problem for one of them.
    """
    from ..compare.contenders import is_outside
    from ..compare.problems import NAMED
    from ..optimizer.methods import METHODS

    expected = f"PROBLEM is missing: expected {_problems()}"
    names = [(spec, spec.partition(":")[0]) for spec in methods if spec.partition(":")[0].lower() not in METHODS]
    taken = [spec for spec, name in names if name in NAMED or not is_outside(spec)]
    if not taken:
        return expected
    return f"PROBLEM is missing, and --methods has {taken[0]!r}, which is no method: name problems before --methods"
