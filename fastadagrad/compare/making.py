"""The work of a comparison: missing runs are made, the grid is extended where it has to be, and steps are timed."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ..support.extras import needed
from ..support.interrupts import whole
from ..support.log import logger
from ..support.plurals import plural
from . import by_mpi
from .costs import Cost, costs_of
from .grid import Cell, Plan
from .journal import Journal
from .pool import run_here, run_in_processes
from .problems import task_of
from .results import COSTS, open_folder, read_json, write_json
from .running import FAILURE, Run
from .summary import edge_of

SECONDS_BETWEEN_LINES = 30


def make_runs(folder: Path, plan: Plan, jobs: int, progress: bool) -> tuple[Plan, list[Run]]:
    """Make the runs of a plan that a folder lacks, then those with the rates by which it has to be extended.

    Which rates these are follows from the runs alone, so that it is the same however often the work was cut off. A run
    that raised is a result; it is made again by the next call.

    Returns
    -------
    tuple of Plan and list of Run
        The plan with the rates that were added, and its runs, in its order.
    """
    journal, done = open_folder(folder, plan)
    try:
        while True:
            _make_missing(folder, plan, journal, done, jobs, progress)
            runs = [done[cell] for cell in plan.cells()]
            wider = plan.wider(_edges(plan, runs)) if plan.extends else plan
            if wider is plan:
                break
            plan = wider
    finally:
        journal.close()
    _tell_of_failures(runs)
    return plan, runs


def _make_missing(folder: Path, plan: Plan, journal: Journal, done: dict[Cell, Run], jobs: int, progress: bool) -> None:
    cells = list(plan.cells())
    missing = [cell for cell in cells if cell not in done]
    if not missing:
        return
    there = len(cells) - len(missing)
    if plan.added:
        logger.info("best rates are at ends of the grid: it goes on there")
    elif there:
        logger.info("%d of %d runs are in %s already", there, len(cells), folder)
    try:
        with closing(_results(missing, plan, jobs)) as results:
            for run in _shown(results, len(missing), progress, jobs):
                with whole():  # so that every run that is written is counted
                    journal.append(run)
                    done[run.cell] = run
                    there += 1
    except KeyboardInterrupt:
        logger.warning("%d of %d runs are kept in %s: the same command goes on", there, len(cells), folder)
        raise


def _edges(plan: Plan, runs: Sequence[Run]) -> dict[tuple[str, str], str]:
    """The end of its grid at which the best rate of each problem and method is, or "" (see `edge_of`)."""
    own: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        own.setdefault((run.cell.problem, run.cell.method), []).append(run)
    free = {method.label for method in plan.methods if method.rate_free}
    return {pair: "" if pair[1] in free else edge_of(each) for pair, each in own.items()}


def _tell_of_failures(runs: Sequence[Run]) -> None:
    failed = [run for run in runs if run.failed]
    if not failed:
        return
    kinds = dict.fromkeys(run.failed for run in failed)
    first = failed[0]
    at = "" if first.cell.rate is None else f", learning rate {first.cell.rate:g}"
    where = f"{first.cell.problem} by {first.cell.method}{at}, seed {first.cell.seed}"
    others = f" ({len(kinds)} different errors)" if len(kinds) > 1 else ""
    logger.warning(
        "%d of %s failed%s; the same command makes what failed again. The first is %s: %s",
        len(failed),
        plural(len(runs), "run"),
        others,
        where,
        first.failed,
    )


def _results(cells: Sequence[Cell], plan: Plan, jobs: int) -> Generator[Run, None, None]:
    problems = {problem.name: problem for problem in plan.problems}
    methods = {method.label: method for method in plan.methods}
    if by_mpi.workers():
        return by_mpi.run_by_mpi(cells, problems, methods)
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
    """Log the number of runs, then from time to time how many are done and how long the others will take.

    A thread does so, as a single run may take longer than the time between two lines.
    """
    workers = min(by_mpi.workers() or jobs, total)
    where = "this process" if workers == 0 else plural(workers, "process", "processes")
    logger.info("%s in %s", plural(total, "run"), where)
    began, done, ended = time.monotonic(), 0, threading.Event()

    def tell() -> None:
        while not ended.wait(SECONDS_BETWEEN_LINES):
            logger.info("%d of %s done%s", done, plural(total, "run"), _left(time.monotonic() - began, done, total))

    threading.Thread(target=tell, daemon=True).start()
    try:
        for run in results:
            done += 1
            yield run
    finally:
        ended.set()


def _left(passed: float, done: int, total: int) -> str:
    """How long the runs that are not done will take; nothing before the first is done."""
    if done == 0:
        return ""
    left = passed / done * (total - done)
    return f", about {left / 60:.0f} min left" if left >= 90 else f", about {left:.0f} s left"


def measured_costs(folder: Path, plan: Plan) -> dict[str, dict[str, Cost]]:
    """The costs of the methods' steps, measured once: those of an earlier call with these methods are kept.

    Methods whose steps fail, or that have no steps of their own, are left out.
    """
    stored = read_json(folder / COSTS) or {}
    costs: dict[str, dict[str, Cost]] = {}
    names = {method.label: f"{method.label} {method.identity}".strip() for method in plan.methods}
    for problem in plan.problems:
        key = f"{problem.name} {problem.identity}".strip()
        known: Mapping[str, dict[str, Any] | None] = stored.get(key, {})
        if not known.keys() >= {*names.values()}:
            try:
                measured = costs_of(task_of(problem, 0), plan.methods)
            except FAILURE as error:  # of the user's problem: its runs have told
                logger.debug("no costs of %s: %s", problem.name, error)
                measured = {}
            found = {name: measured.get(label) for label, name in names.items()}
            known = stored[key] = {name: cost and cost._asdict() for name, cost in found.items()}
            write_json(folder / COSTS, stored)
        pairs = ((label, known[name]) for label, name in names.items())
        costs[problem.name] = {label: Cost(**cost) for label, cost in pairs if cost is not None}
    return costs
