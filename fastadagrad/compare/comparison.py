"""A whole comparison: it makes the runs that are missing, then writes tables, figures and a report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from ..support.asking import asking, path_text, whether
from ..support.checks import checked_share, whole_number
from ..support.extras import needed
from ..support.figures import new_figure
from ..support.log import logger
from .contenders import as_contenders
from .grid import RATES, SEEDS, Plan, as_rates
from .making import make_runs, measured_costs
from .material import Material
from .named_objects import refused_exit
from .pool import refuse_unguarded
from .problem import Problem
from .problems import as_problems, task_of
from .report import write_report
from .result_table import as_records, whole_text
from .results import made_by, others_in, parquet, run_records, write_results
from .running import Run, check_start
from .summary import GOOD, TAU, Line, summarise
from .verdict import Verdict, as_record, verdict_of

FOLDER = "comparison"
QUICK_RATES, QUICK_EPOCHS = "1e-3:1:4", 3


@dataclass(frozen=True)
class Comparison:
    """The results of a comparison.

    Attributes
    ----------
    folder : Path
        Folder of results, figures and report.
    plan : Plan
        Problems, methods, rates, seeds and epochs.
    runs : tuple of Run
        The runs, each with the losses and the seconds of its epochs.
    lines : tuple of Line
        A summary for each problem and method.
    about : dict of str to object
        Versions, machine, date and command.

    Examples
    --------
    >>> import tempfile
    >>> from fastadagrad.compare import compare
    >>> with tempfile.TemporaryDirectory() as out:
    ...     found = compare("quadratic:100", "adagrad", rates=[1.0], seeds=1, jobs=0, out=out, report=False)
    >>> len(found.runs), len(found.lines), "adagrad" in str(found)
    (1, 1, True)
    >>> found.verdict.sentence
    'adagrad alone was run: name more methods to compare it with.'
    """

    folder: Path
    plan: Plan
    runs: tuple[Run, ...]
    lines: tuple[Line, ...]
    about: dict[str, Any]

    @cached_property
    def verdict(self) -> Verdict:
        """The verdict: which method is best on which problem, by how much, and how sure that is.

        Returns
        -------
        Verdict

        Raises
        ------
        RuntimeError
            If SciPy is not installed.
        """
        return verdict_of(self.lines)

    def __str__(self) -> str:
        return whole_text(self.plan, self.lines, self.verdict)

    def as_json(self) -> dict[str, Any]:
        """Return the contents of results.json.

        Returns
        -------
        dict of str to object
            In types that JSON has: "about", "plan", "verdict", "table" (the lines) and "runs", with losses in the
            problem's unit.

        Examples
        --------
        >>> import tempfile
        >>> from fastadagrad.compare import compare
        >>> with tempfile.TemporaryDirectory() as out:
        ...     found = compare("quadratic:100", "adagrad", rates=[1.0], seeds=1, jobs=0, out=out, report=False)
        >>> [*found.as_json()], found.as_json()["runs"][0]["method"]
        (['about', 'plan', 'verdict', 'table', 'runs'], 'adagrad')
        """
        return {
            "about": self.about,
            "plan": self.plan.described(),
            "verdict": as_record(self.verdict),
            "table": as_records(self.lines),
            "runs": run_records(self.runs),
        }


def compare(
    problems: str | Problem | Sequence[str | Problem],
    methods: str | type | Sequence[str | type] | None = None,
    *,
    rates: str | Sequence[float] = RATES,
    seeds: int = SEEDS,
    epochs: int | None = None,
    jobs: int | None = None,
    out: str | os.PathLike[str] | None = None,
    tau: float = TAU,
    report: bool = True,
    progress: bool = False,
    extend: bool = True,
) -> Comparison:
    """Run methods on problems with an equal budget, and show which does best, how fast, and how reliably.

    Every method has the same start values, order of data, epochs and learning rates; a method that takes no learning
    rate runs once a seed. Each run has one thread. Finished runs stay in the folder `out`: when `compare` is called
    again, also after Ctrl-C or a crash, or with more methods, rates or seeds, it makes only the runs that are missing.
    A run that raises ends: as diverged, with an infinite loss, after an ArithmeticError or a LinAlgError of
    NumPy, as failed after any other, which is told. Medians leave failed runs out, and the next call makes them again.

    Parameters
    ----------
    problems : str, Problem or sequence of them
        See `fastadagrad.compare.problems.problem_named`.
    methods : str, class, or sequence of them, optional
        Each is ``name`` or ``name:option=value,...``; ``name:paper`` has the numbers of the method's paper. So are
        ``torch:Adagrad``, ``optax:adagrad``, ``scipy:L-BFGS-B`` and ``module:Class`` or a class with a method `step`:
        see `fastadagrad.compare.outside`. By default every method that there is.
    rates : str or sequence of float
        ``LOW:HIGH:N``, or the learning rates.
    seeds : int
        Number of seeds. Each gives start values and an order of the data, for each rate.
    epochs : int, optional
        Epochs of every run; by default each problem has its own number.
    jobs : int, optional
        Processes; by default one for each core. Each runs the script that it is started from, which must make this call
        under ``if __name__ == "__main__":``. 0: in this process, where NumPy's libraries have the threads they have.
    out : path-like, optional
        Folder for the results, made if it is not there. By default "comparison", or, where that has runs of another
        comparison, "comparison-2", and so on: the first that has none.
    tau : float
        Tolerance of the target: how far a loss may be above the best, as a share of start minus best.
    report : bool
        Draw figures (needs the extra ``compare``) and write report.html.
    progress : bool
        Show a bar.
    extend : bool
        Where a method's best rate on a problem is at an end of `rates`, go on beyond that end with this method, in the
        same steps, until its best rate is inside, or 6 rates have been added.

    Returns
    -------
    Comparison
        The results; ``str`` makes a table of them.

    Raises
    ------
    ValueError, TypeError
        For arguments that make no sense; and if `out` has results of other versions or of another machine, or of more
        than this comparison, which would be lost from its tables and its report.
    OSError
        If a file cannot be read or written.
    RuntimeError
        If a process ends before its time, an extra is missing, or a problem exits before its first step.

    Examples
    --------
    >>> import tempfile
    >>> from fastadagrad.compare import compare
    >>> with tempfile.TemporaryDirectory() as out:
    ...     found = compare("quadratic:100", ["sgd", "adagrad"], rates="0.1:1:2", jobs=0, out=out, report=False)
    >>> [line.method for line in found.lines]
    ['sgd', 'adagrad']
    """
    refuse_unguarded()
    extend, report, progress = whether("extend", extend), whether("report", report), whether("progress", progress)
    plan = make_plan(problems, methods, rates, seeds, epochs, extend)
    workers = checked_jobs(jobs)
    tau = checked_share("tau", tau)
    parquet()
    needed("scipy.stats", "the verdict of a comparison")
    if report:
        new_figure()
    folder = folder_of(out, plan)
    plan, runs = make_runs(folder, plan, workers, progress)
    costs = measured_costs(folder, plan)
    lines = tuple(summarise(plan, runs, costs, tau))
    about = made_by(jobs=workers, tau=tau, good=GOOD)
    found = Comparison(folder, plan, tuple(runs), lines, about)
    write_results(folder, runs, found.as_json())
    if report:
        write_report(folder, Material(plan, runs, lines, tau), about)
    return found


def _listed(what: str, given: Any, *kinds: type) -> Any:
    """An argument that is of one of these kinds or cannot be gone through, or a list of what it has."""
    with asking(what, given):
        if isinstance(given, kinds):
            return given
        try:
            return list(given)
        except TypeError:
            return given


def make_plan(
    problems: str | Problem | Sequence[str | Problem],
    methods: str | type | Sequence[str | type] | None,
    rates: str | Sequence[float],
    seeds: int,
    epochs: int | None,
    extend: bool = False,
) -> Plan:
    """Make the plan of a comparison, checking everything that can be checked before work starts."""
    problems = _listed("problems", problems, str, Problem)
    methods = _listed("methods", methods, str, type, type(None))
    with asking("rates", rates):
        grid = as_rates(rates)
    seeds = whole_number("seeds", seeds, 1)
    epochs = None if epochs is None else whole_number("epochs", epochs, 1)
    chosen = as_problems(problems)  # before the methods, as the user's own module may register one
    contenders = as_contenders(methods)
    budgets, best, scores = {}, {}, {}
    for problem in chosen:
        with refused_exit(f"problem {problem.name!r}"):
            task = task_of(problem, 0)
            check_start(problem.name, task)
        budgets[problem.name] = task.epochs if epochs is None else epochs
        if task.best is not None:
            best[problem.name] = float(task.best)
        if task.score is not None:
            scores[problem.name] = task.score_name
    return Plan(chosen, contenders, grid, seeds, budgets, best, extend, scores=scores)


def folder_of(out: str | os.PathLike[str] | None, plan: Plan) -> Path:
    """The folder for the results: the one that is given, or the first of the default ones that is free."""
    if out is None:
        return _free_folder(plan)
    return Path(path_text("out", out, "the path of a folder, or None"))


def _free_folder(plan: Plan) -> Path:
    """Return the first of the default folders that has no runs of another comparison."""
    for number in count(1):
        folder = Path(FOLDER if number == 1 else f"{FOLDER}-{number}")
        if not others_in(folder, plan):
            return folder
        logger.info("%s has runs of another comparison: trying the next folder", folder)
    raise AssertionError


def checked_jobs(jobs: int | None) -> int:
    """The number of processes: as given, or one for each core."""
    if jobs is None:
        return os.cpu_count() or 1
    return whole_number("jobs", jobs, 0)
