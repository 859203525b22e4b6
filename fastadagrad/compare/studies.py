"""The protocol of AlgoPerf: a few learning rates drawn at random, of which the fastest to the target counts.

G. Dahl et al., "Benchmarking Neural Network Training Algorithms", arXiv:2306.07179, external tuning. In each of five
studies a method has five trials, whose learning rates are drawn log-uniformly from the range of `rates`, the same for
all methods. A study's time is that of its fastest trial to the target. A problem's time is the median of the studies',
so that it counts only if three of five reach the target. The score of a method is the area under its performance
profile over the problems, for factors of the fastest method from 1 to 4: 1 if it is always the fastest, 0 if it never
gets there within four times that.

The target is that of the grid's tables (see `summary`), as there is no earlier benchmark that could set it. A method
that takes no rate has one trial.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..support.checks import checked_share, whole_number
from ..support.plurals import plural
from .comparison import checked_jobs, folder_of, make_plan
from .contenders import Contender
from .grid import RATES, Plan
from .making import make_runs
from .pool import refuse_unguarded
from .problem import Problem
from .result_table import NEVER, aligned
from .results import made_by, parquet, run_records, write_results
from .running import Run
from .summary import TAU, bounds_of, epoch_of_target, quartiles

STUDIES, TRIALS = 5, 5
WORST_FACTOR = 4.0  # up to which a profile counts


@dataclass(frozen=True)
class DrawnPlan(Plan):
    """A plan in which each seed is a study, with rates of its own between the lowest and the highest."""

    trials: int = TRIALS

    def rates_in(self, problem: str, method: Contender, seed: int) -> tuple[float | None, ...]:
        """The rates of the trials of a study, rising: the same for all methods and problems."""
        if method.rate_free:
            return (None,)
        low, high = math.log10(self.rates[0]), math.log10(self.rates[-1])
        drawn = np.random.default_rng([seed, 2]).uniform(low, high, self.trials)
        return tuple(sorted(float(f"{10**exponent:.6g}") for exponent in drawn))

    def rates_of(self, problem: str, method: Contender) -> tuple[float | None, ...]:
        """The rates of all studies, rising."""
        if method.rate_free:
            return (None,)
        drawn = {rate for seed in range(self.seeds) for rate in self.rates_in(problem, method, seed)}
        return tuple(sorted(rate for rate in drawn if rate is not None))

    def described(self) -> dict[str, Any]:
        """The plan in types that JSON has."""
        return {**super().described(), "protocol": "algoperf", "trials": self.trials}


class Timed(NamedTuple):
    """What a method has needed on one problem."""

    problem: str
    method: str
    epochs: tuple[float, ...]  # to the target, of each study's fastest trial; infinite where none got there
    seconds: tuple[float, ...]

    @property
    def reached(self) -> int:
        """The number of studies that reached the target."""
        return sum(math.isfinite(each) for each in self.epochs)

    @property
    def median_epochs(self) -> float:
        """The problem's time in epochs; infinite unless more than half of the studies reached the target."""
        return _median(self.epochs)

    @property
    def median_seconds(self) -> float:
        """The problem's time in seconds of the processor."""
        return _median(self.seconds)


def _median(values: Sequence[float]) -> float:
    """The median, infinite unless more than half of the values are finite."""
    finite = sum(math.isfinite(value) for value in values)
    return quartiles(values).median if 2 * finite > len(values) else math.inf


class AlgoPerf(NamedTuple):
    """The results of the protocol of AlgoPerf.

    Attributes
    ----------
    folder : Path
        Folder of results.
    plan : DrawnPlan
        Problems, methods, seeds, epochs and the rates that each study has drawn.
    runs : tuple of Run
        The runs, each with the losses and the seconds of its epochs.
    times : tuple of Timed
        The epochs and seconds to the target of each problem and method, by study.
    by_epochs, by_seconds : dict of str to float
        The score of each method, from 0 to 1.
    tau : float
        Tolerance of the target.

    Examples
    --------
    >>> import tempfile
    >>> from fastadagrad.compare import algoperf
    >>> with tempfile.TemporaryDirectory() as out:
    ...     found = algoperf("quadratic:10", "cocob", studies=3, jobs=0, out=out)
    >>> found.by_epochs, found.times[0].reached
    ({'cocob': 1.0}, 3)
    """

    folder: Path
    plan: DrawnPlan
    runs: tuple[Run, ...]
    times: tuple[Timed, ...]
    by_epochs: dict[str, float]
    by_seconds: dict[str, float]
    tau: float

    def __str__(self) -> str:
        return text_of(self)


def algoperf(
    problems: str | Problem | Sequence[str | Problem],
    methods: str | type | Sequence[str | type] | None = None,
    *,
    rates: str | Sequence[float] = RATES,
    studies: int = STUDIES,
    trials: int = TRIALS,
    epochs: int | None = None,
    jobs: int | None = None,
    out: str | os.PathLike[str] | None = None,
    tau: float = TAU,
    progress: bool = False,
) -> AlgoPerf:
    """Compare methods by the protocol of AlgoPerf.

    Parameters
    ----------
    problems : str, Problem or sequence of them
        As those of `compare`.
    methods : str, class, or sequence of them, optional
        As those of `compare`.
    rates : str or sequence of float
        Their lowest and their highest are the ends of the range from which rates are drawn.
    studies : int
        Repetitions of the whole search, each with start values, an order of the data and rates of its own.
    trials : int
        Learning rates that each study draws.
    epochs : int, optional
        Epochs of every run; by default each problem has its own number.
    jobs : int, optional
        Processes, as those of `compare`.
    out : path-like, optional
        Folder for the results, which is made and taken up as that of `compare`.
    tau : float
        Tolerance of the target, as that of `compare`.
    progress : bool
        Show a bar.

    Returns
    -------
    AlgoPerf
        The results; ``str`` makes a table of them.

    Raises
    ------
    ValueError, TypeError, OSError, RuntimeError
        As by `compare`.

    Examples
    --------
    >>> import tempfile
    >>> from fastadagrad.compare import algoperf
    >>> with tempfile.TemporaryDirectory() as out:
    ...     found = algoperf("quadratic:10", ["sgd", "adagrad"], rates="0.1:1:2", studies=1, trials=2, jobs=0, out=out)
    >>> len(found.runs), [*found.by_epochs]
    (4, ['sgd', 'adagrad'])
    """
    refuse_unguarded()
    studies, trials = whole_number("studies", studies, 1), whole_number("trials", trials, 1)
    tau = checked_share("tau", tau)
    plan = DrawnPlan(**vars(make_plan(problems, methods, rates, studies, epochs)), trials=trials)
    workers = checked_jobs(jobs)
    parquet()
    folder = folder_of(out, plan)
    _, runs = make_runs(folder, plan, workers, progress)
    times = times_of(plan, runs, tau)
    by_epochs, by_seconds = (scores_of(times, name) for name in ("median_epochs", "median_seconds"))
    found = AlgoPerf(folder, plan, tuple(runs), times, by_epochs, by_seconds, tau)
    write_results(folder, runs, as_json(found))
    return found


def times_of(plan: Plan, runs: Sequence[Run], tau: float) -> tuple[Timed, ...]:
    """The times of each method's studies on each problem."""
    found = []
    for problem in plan.problems:
        several = [run for run in runs if run.cell.problem == problem.name]
        bounds = bounds_of(several, plan.best.get(problem.name))
        for method in plan.methods:
            epochs, seconds = [math.inf] * plan.seeds, [math.inf] * plan.seeds
            for run in several:
                seed = run.cell.seed
                at = epoch_of_target(run, bounds[seed], tau) if run.cell.method == method.label else None
                if at is not None:
                    epochs[seed] = min(epochs[seed], float(at))
                    seconds[seed] = min(seconds[seed], run.seconds[at])
            found.append(Timed(problem.name, method.label, tuple(epochs), tuple(seconds)))
    return tuple(found)


def scores_of(times: Sequence[Timed], measure: str) -> dict[str, float]:
    """The area under each method's profile, between factors of 1 and WORST_FACTOR, as a share of the largest possible.

    Examples
    --------
    >>> from fastadagrad.compare.studies import Timed, scores_of
    >>> scores_of([Timed("p", "a", (2.0,), (1.0,)), Timed("p", "b", (5.0,), (1.0,))], "median_epochs")
    {'a': 1.0, 'b': 0.5}
    """
    least: dict[str, float] = {}
    for each in times:
        least[each.problem] = min(least.get(each.problem, math.inf), getattr(each, measure))
    areas: dict[str, list[float]] = {each.method: [] for each in times}
    for each in times:
        time = getattr(each, measure)
        if math.isfinite(time):
            factor = time / least[each.problem] if least[each.problem] else (1.0 if time == 0 else math.inf)
            areas[each.method].append(max(0.0, (WORST_FACTOR - factor) / (WORST_FACTOR - 1)))
    return {method: sum(own) / len(least) for method, own in areas.items()}


def text_of(found: AlgoPerf) -> str:
    """The results as text: a row for each method, the highest score first."""
    problems = [problem.name for problem in found.plan.problems]
    order = sorted(found.by_epochs, key=lambda method: (-found.by_epochs[method], -found.by_seconds[method], method))
    cell = {
        (each.problem, each.method): f"{NEVER if math.isinf(t := each.median_epochs) else f'{t:.3g}'} ({each.reached})"
        for each in found.times
    }
    rows = [("method", "score by epochs", "by seconds", *problems)]
    for method in order:
        scores = f"{found.by_epochs[method]:.3f}", f"{found.by_seconds[method]:.3f}"
        rows.append((method, *scores, *(cell[problem, method] for problem in problems)))
    note = (
        f"Epochs to the target of the fastest of {plural(found.plan.trials, 'trial')}, "
        f"{'in the one study' if found.plan.seeds == 1 else f'median of {found.plan.seeds} studies'}; in brackets how "
        "many studies got there: more than half must. A score is the area under the performance profile."
    )
    return "\n".join([*aligned(rows, range(len(rows[0]))), "", note])


def as_json(found: AlgoPerf) -> dict[str, Any]:
    """The results in types that JSON has."""
    times = [{**each._asdict(), "reached": each.reached, "median_epochs": each.median_epochs} for each in found.times]
    scores = [
        {"method": method, "by_epochs": found.by_epochs[method], "by_seconds": found.by_seconds[method]}
        for method in found.by_epochs
    ]
    runs = run_records(found.runs)
    return {
        "about": made_by(tau=found.tau),
        "plan": found.plan.described(),
        "scores": scores,
        "times": times,
        "runs": runs,
    }
