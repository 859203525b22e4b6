"""A whole comparison: it makes the runs that are missing, then writes tables, figures and a report."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from ..support.checks import whole_number
from ..support.extras import needed
from ..support.figures import new_figure
from ..support.interrupts import whole
from ..support.log import logger
from .contenders import as_contenders
from .costs import Cost, costs_of
from .figures import Material
from .grid import RATES, SEEDS, Cell, Plan, as_rates
from .pool import refuse_unguarded, run_here, run_in_processes
from .problem import Problem
from .problems import as_problems, task_of
from .report import write_report
from .result_table import as_records, text_table
from .results import (
    COSTS,
    RESULTS,
    command_line,
    machine,
    open_folder,
    others_in,
    parquet,
    read_json,
    write_csv,
    write_json,
    write_parquet,
)
from .running import Run, check_start
from .summary import GOOD, TAU, Line, summarise

FOLDER = "comparison"
QUICK_RATES, QUICK_EPOCHS = "1e-3:1:4", 3
SECONDS_BETWEEN_LINES = 30


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
    ...     found = compare("quadratic:100", "adagrad", rates="0.1:1:2", seeds=1, jobs=0, out=out, report=False)
    >>> len(found.runs), len(found.lines), "adagrad" in str(found)
    (2, 1, True)
    """

    folder: Path
    plan: Plan
    runs: tuple[Run, ...]
    lines: tuple[Line, ...]
    about: dict[str, Any]

    def __str__(self) -> str:
        return text_table(self.lines)

    def as_json(self) -> dict[str, Any]:
        """Return the contents of results.json.

        Returns
        -------
        dict of str to object
            In types that JSON has: "about", "plan", "table" (the lines) and "runs", with losses in the problem's unit.

        Examples
        --------
        >>> import tempfile
        >>> from fastadagrad.compare import compare
        >>> with tempfile.TemporaryDirectory() as out:
        ...     found = compare("quadratic:100", "adagrad", rates=[1.0], seeds=1, jobs=0, out=out, report=False)
        >>> [*found.as_json()], found.as_json()["runs"][0]["method"]
        (['about', 'plan', 'table', 'runs'], 'adagrad')
        """
        runs = [
            {
                **run.cell._asdict(),
                "final_loss": run.final,
                "best_loss": min(run.valid),
                "seconds": run.seconds[-1],
                "steps": run.steps_an_epoch * run.cell.epochs,
                "diverged": run.diverged,
            }
            for run in self.runs
        ]
        return {"about": self.about, "plan": self.plan.described(), "table": as_records(self.lines), "runs": runs}


def compare(
    problems: str | Problem | Sequence[str | Problem],
    methods: str | Sequence[str] | None = None,
    *,
    rates: str | Sequence[float] = RATES,
    seeds: int = SEEDS,
    epochs: int | None = None,
    jobs: int | None = None,
    out: str | os.PathLike[str] | None = None,
    tau: float = TAU,
    report: bool = True,
    progress: bool = False,
) -> Comparison:
    """Run methods on problems with an equal budget, and show which does best, how fast, and how reliably.

    Every method has the same start values, order of data, epochs and learning rates; a method that takes no learning
    rate runs once a seed. Each run has one thread. Finished runs stay in the folder `out`: when `compare` is called
    again, also after Ctrl-C or a crash, or with more methods, rates or seeds, it makes only the runs that are missing.

    Parameters
    ----------
    problems : str, Problem or sequence of them
        See `fastadagrad.compare.problems.problem_named`.
    methods : str or sequence of str, optional
        Each is ``name`` or ``name:option=value,...``. By default every method that there is.
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
        If a run fails, or an extra is missing.

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
    plan = make_plan(problems, methods, rates, seeds, epochs)
    workers = _checked_jobs(jobs)
    if not 0 < tau < 1:
        raise ValueError(f"tau must be between 0 and 1, not {tau!r}")
    parquet()
    if report:
        new_figure()
    folder = free_folder(plan) if out is None else Path(out)
    runs = _run_missing(folder, plan, workers, progress)
    costs = _costs(folder, plan)
    lines = tuple(summarise(plan, runs, costs, tau))
    about = {**machine(), "date": datetime.now(UTC).isoformat(timespec="seconds"), "jobs": workers}
    about |= {"command": command_line(), "tau": tau, "good": GOOD}
    found = Comparison(folder, plan, tuple(runs), lines, about)
    write_csv(folder / "results.csv", runs)
    write_parquet(folder / "results.parquet", runs)
    write_json(folder / RESULTS, found.as_json())
    if report:
        write_report(folder, Material(plan, runs, lines, tau), about)
    return found


def make_plan(
    problems: str | Problem | Sequence[str | Problem],
    methods: str | Sequence[str] | None,
    rates: str | Sequence[float],
    seeds: int,
    epochs: int | None,
) -> Plan:
    """Make the plan of a comparison, checking everything that can be checked before work starts."""
    grid = as_rates(rates)
    seeds = whole_number("seeds", seeds, 1)
    epochs = None if epochs is None else whole_number("epochs", epochs, 1)
    chosen = as_problems(problems)  # before the methods, as the user's own module may register one
    contenders = as_contenders(methods)
    budgets = {}
    for problem in chosen:
        task = task_of(problem, 0)
        check_start(problem.name, task, contenders[0])
        budgets[problem.name] = task.epochs if epochs is None else epochs
    return Plan(chosen, contenders, grid, seeds, budgets)


def free_folder(plan: Plan) -> Path:
    """Return the first of the default folders that has no runs of another comparison."""
    for number in count(1):
        folder = Path(FOLDER if number == 1 else f"{FOLDER}-{number}")
        if not others_in(folder, plan):
            return folder
        logger.info("%s has runs of another comparison: trying the next folder", folder)
    raise AssertionError


def _checked_jobs(jobs: int | None) -> int:
    if jobs is None:
        return os.cpu_count() or 1
    return whole_number("jobs", jobs, 0)


def _run_missing(folder: Path, plan: Plan, jobs: int, progress: bool) -> list[Run]:
    journal, done = open_folder(folder, plan)
    cells = list(plan.cells())
    missing = [cell for cell in cells if cell not in done]
    if done and missing:
        logger.info("%d of %d runs are in %s already", len(done), len(cells), folder)
    if missing:
        try:
            with closing(_results(missing, plan, jobs)) as results:
                for run in _shown(results, len(missing), progress, jobs):
                    with whole():  # so that every run that is written is counted
                        journal.append(run)
                        done[run.cell] = run
        except KeyboardInterrupt:
            logger.warning("%d of %d runs are kept in %s: the same command goes on", len(done), len(cells), folder)
            raise
        finally:
            journal.close()
    return [done[cell] for cell in cells]


def _results(cells: Sequence[Cell], plan: Plan, jobs: int) -> Generator[Run, None, None]:
    problems = {problem.name: problem for problem in plan.problems}
    methods = {method.label: method for method in plan.methods}
    if jobs == 0:
        return run_here(cells, problems, methods)
    return run_in_processes(cells, problems, methods, min(jobs, len(cells)))


def _shown(results: Iterable[Run], total: int, progress: bool, jobs: int) -> Iterator[Run]:
    if not progress:
        yield from _told(results, total, jobs)
        return
    with needed("tqdm.auto", "progress=True").tqdm(total=total, unit="run", smoothing=0.05) as bar:
        for run in results:
            bar.set_postfix_str(f"{run.cell.problem}, {run.cell.method}", refresh=False)
            bar.update()
            yield run


def _told(results: Iterable[Run], total: int, jobs: int) -> Iterator[Run]:
    """Log the number of runs, then from time to time how many are done and how long the others will take."""
    workers = min(jobs, total)
    where = "this process" if jobs == 0 else f"{workers} process{'es' if workers > 1 else ''}"
    logger.info("%d runs in %s", total, where)
    began = told = time.monotonic()
    for done, run in enumerate(results, 1):
        yield run
        now = time.monotonic()
        if now - told >= SECONDS_BETWEEN_LINES and done < total:
            told, left = now, (now - began) / done * (total - done)
            shown = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
            logger.info("%d of %d runs done, about %s left", done, total, shown)


def _costs(folder: Path, plan: Plan) -> dict[str, dict[str, Cost]]:
    """The costs of the methods' steps, measured once: those of an earlier call with these methods are kept."""
    stored = read_json(folder / COSTS) or {}
    costs: dict[str, dict[str, Cost]] = {}
    for problem in plan.problems:
        key = f"{problem.name} {problem.identity}".strip()
        known = stored.get(key, {})
        if not known.keys() >= {method.label for method in plan.methods}:
            measured = costs_of(task_of(problem, 0), plan.methods)
            known = stored[key] = {label: cost._asdict() for label, cost in measured.items()}
            write_json(folder / COSTS, stored)
        costs[problem.name] = {method.label: Cost(**known[method.label]) for method in plan.methods}
    return costs
