"""The summary of a comparison: a line of results for each method on each problem, and performance profiles.

Targets are as in J. J. More, S. M. Wild, "Benchmarking Derivative-Free Optimization Algorithms", SIAM J. Optimization
20 (2009): a run with this seed has solved the problem once its loss is at most

    f_best + tau * (f_start - f_best)

f_start at the start, f_best the optimum where the problem knows it, else the lowest of all runs with the seed, of any
method and rate, in any epoch. Performance profiles are as in E. D. Dolan, J. J. More, "Benchmarking optimization
software with performance profiles", Mathematical Programming 91 (2002).

A run that failed says nothing of its method: medians are over the seeds whose runs did not fail. A run that diverged
is a result, an infinite loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .contenders import Contender
from .costs import Cost
from .grid import Plan
from .running import Run

TAU = 0.01  # tolerance of the target, as in the formula above
GOOD = 0.1  # largest gap to the best loss at which a learning rate is good
LEAST_GAP = 1e-6  # smaller gaps differ by rounding only
LEAST_FOR_QUARTILES = 4  # values, below which their spread is told from the lowest to the highest


class Quartiles(NamedTuple):
    """Quartiles of numbers that may be infinite."""

    low: float
    median: float
    high: float


def quartiles(values: Iterable[float]) -> Quartiles:
    """Quartiles by linear interpolation between the sorted values; infinite between a number and infinity.

    Examples
    --------
    >>> from fastadagrad.compare.summary import quartiles
    >>> quartiles([1.0, 2.0, 3.0, 10.0])
    Quartiles(low=1.75, median=2.5, high=4.75)
    """
    ordered = sorted(values)

    def at(share: float) -> float:
        place = share * (len(ordered) - 1)
        below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
        weight = place - math.floor(place)
        return below if weight == 0 or below == above else below + weight * (above - below)

    return Quartiles(at(0.25), at(0.5), at(0.75))


def spread(values: Iterable[float]) -> Quartiles:
    """Quartiles; of fewer than LEAST_FOR_QUARTILES values the lowest, the median and the highest.

    Examples
    --------
    >>> from fastadagrad.compare.summary import spread
    >>> spread([2.0, 1.0])
    Quartiles(low=1.0, median=1.5, high=2.0)
    """
    several = [*values]
    found = quartiles(several)
    if len(several) >= LEAST_FOR_QUARTILES:
        return found
    return Quartiles(min(several), found.median, max(several))


def median_of(values: Iterable[float]) -> float:
    """The median of numbers that may be infinite; infinite if there are none.

    Examples
    --------
    >>> from fastadagrad.compare.summary import median_of
    >>> median_of([3.0, 1.0]), median_of([])
    (2.0, inf)
    """
    several = [*values]
    return quartiles(several).median if several else math.inf


def that_did_not_fail(runs: Iterable[Run]) -> list[Run]:
    """The runs that medians are over: those that did not fail, or all if all of them failed."""
    several = [*runs]
    return [run for run in several if not run.failed] or several


class Bounds(NamedTuple):
    """Start loss and best loss of one problem and seed; both are infinite where no run got as far as a loss."""

    start: float
    best: float

    def gap(self, loss: float) -> float:
        """A loss on the scale from best to start: 1 at the start, 0 at the best loss."""
        if not math.isfinite(self.start):
            return math.inf
        if self.start == self.best:
            return 0.0 if loss <= self.best else math.inf
        return (loss - self.best) / (self.start - self.best)


def bounds_of(runs: Iterable[Run], known: float | None = None) -> dict[int, Bounds]:
    """The bounds of each seed, from all runs of one problem.

    Parameters
    ----------
    runs : iterable of Run
    known : float, optional
        The optimum, where the problem knows it (`Task.best`). A run that gets below shows that it is none, and then the
        lowest loss of all runs is the best as it is elsewhere.
    """
    found: dict[int, Bounds] = {}
    for run in runs:
        at = found.get(run.cell.seed, Bounds(math.inf, math.inf))
        start = at.start if math.isfinite(at.start) else run.valid[0]
        found[run.cell.seed] = Bounds(start, min(at.best, *run.valid))
    if known is None:
        return found
    return {seed: each._replace(best=min(each.best, known)) for seed, each in found.items()}


def epoch_of_target(run: Run, bounds: Bounds, tau: float) -> int | None:
    """The first epoch after which the run has solved the problem; None if it never has."""
    return next((epoch for epoch, loss in enumerate(run.valid) if bounds.gap(loss) <= tau), None)


class Rated(NamedTuple):
    """The results of one learning rate of a method, over the seeds."""

    rate: float | None
    final: Quartiles
    gap: float  # median over the seeds; see `Bounds.gap`
    failed: int = 0  # number of runs that failed, which final and gap leave out


@dataclass(frozen=True)
class Line:
    """The results of one method on one problem; times to the target are infinite where it is not met.

    Tuples with an entry for each seed are in the order of the seeds. The entries of `failed_seeds` are those of a run
    that never got anywhere, and no median counts them.
    """

    problem: str
    method: str
    rate_free: bool
    rate: float | None  # the best rate; see `best_rate`
    final: Quartiles  # final losses with the best rate; see `spread`
    epochs_to_target: tuple[float, ...]  # with the best rate, for each seed
    seconds_to_target: tuple[float, ...]
    rates: tuple[Rated, ...]
    good: tuple[float, float] | None  # the lowest and highest of the good rates around the best
    open_ended: bool  # whether the good rates reach an end of the grid
    diverged: int  # number of runs that diverged, of all rates
    runs: int
    cost: Cost | None = None
    failed: int = 0  # number of runs that failed, of all rates
    failures: tuple[str, ...] = ()  # the different messages of runs that failed
    edge: str = ""  # "low" or "high" if the best rate is at that end of its grid, and has a finite final loss
    finals: tuple[float, ...] = ()  # final losses with the best rate, for each seed
    gaps: tuple[float, ...] = ()  # gaps of the final losses to the best, with the best rate, for each seed
    scores: tuple[float, ...] = ()  # final scores, such as accuracies, with the best rate, for each seed; () without
    failed_seeds: tuple[int, ...] = ()  # seeds whose run with the best rate failed

    @property
    def decades(self) -> float | None:
        """Width of the range of good rates, None if there is none."""
        return None if self.good is None else math.log10(self.good[1] / self.good[0])

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        return len(self.epochs_to_target)

    @property
    def counted(self) -> int:
        """Number of seeds that medians are over: those whose run with the best rate did not fail."""
        return self.seeds - len(self.failed_seeds)

    def of_counted(self, values: Sequence[float]) -> list[float]:
        """The values of the seeds that medians are over, of a tuple with an entry for each seed."""
        return [value for seed, value in enumerate(values) if seed not in self.failed_seeds]

    @property
    def gap(self) -> float:
        """Median over the seeds of the gap of the final loss to the best, with the best rate."""
        return median_of(self.of_counted(self.gaps))

    @property
    def loss(self) -> float:
        """Median over the seeds of the final loss, with the best rate."""
        return self.final.median

    @property
    def score(self) -> float | None:
        """Median over the seeds of the final score, None if the problem has none."""
        return -median_of(-score for score in self.of_counted(self.scores)) if self.scores else None


def summarise(
    plan: Plan, runs: Iterable[Run], costs: Mapping[str, Mapping[str, Cost]], tau: float = TAU, good: float = GOOD
) -> list[Line]:
    """A line for each problem and method, in the plan's order."""
    by_problem: dict[str, list[Run]] = {problem.name: [] for problem in plan.problems}
    for run in runs:
        by_problem[run.cell.problem].append(run)
    lines = []
    for name, several in by_problem.items():
        bounds = bounds_of(several, plan.best.get(name))
        for method in plan.methods:
            own = [run for run in several if run.cell.method == method.label]
            cost = costs.get(name, {}).get(method.label)
            lines.append(_line(name, method, own, bounds, tau, good, cost))
    return lines


def best_rate(runs: Sequence[Run]) -> tuple[list[float | None], int]:
    """The rates of one method's runs on one problem, rising, and the position of the best.

    The best has the lowest median of final losses, and is the lowest of those that are alike. It is one of the rates
    with which the fewest runs failed, so that no rate is best for the seeds that it lacks.
    """
    rates = sorted({run.cell.rate for run in runs}, key=lambda rate: rate or 0.0)
    several = [[run for run in runs if run.cell.rate == rate] for rate in rates]
    order = [(sum(bool(run.failed) for run in own), _median_final(own)) for own in several]
    return rates, min(range(len(rates)), key=order.__getitem__)


def _median_final(runs: Iterable[Run]) -> float:
    return median_of(run.final for run in that_did_not_fail(runs))


def edge_of(runs: Sequence[Run]) -> str:
    """The end of its grid, "low" or "high", at which the best rate of one method on one problem is; else "".

    It is at none if there is but one rate, if all runs failed, or if another rate does as well, but for LEAST_GAP of
    what the method has gained, over the seeds that both have: it may be behind for its failed runs alone. This goes by
    the method's own runs, so that it does not depend on which others it is compared with.
    """
    rates, best = best_rate(runs)
    if len(rates) < 2 or 0 < best < len(rates) - 1 or all(run.failed for run in runs):
        return ""
    of_best = {run.cell.seed: run for run in runs if run.cell.rate == rates[best] and not run.failed}
    start = median_of(run.valid[0] for run in runs if math.isfinite(run.valid[0]))
    for rate in rates[:best] + rates[best + 1 :]:
        shared = [r for r in runs if r.cell.rate == rate and r.cell.seed in of_best and not r.failed]
        last = median_of(of_best[run.cell.seed].final for run in shared)
        if math.isfinite(last) and median_of(run.final for run in shared) - last <= LEAST_GAP * abs(start - last):
            return ""
    return "low" if best == 0 else "high"


def _line(
    problem: str,
    method: Contender,
    runs: Sequence[Run],
    bounds: Mapping[int, Bounds],
    tau: float,
    good: float,
    cost: Cost | None,
) -> Line:
    order, best = best_rate(runs)
    rates = tuple(_rated(rate, runs, bounds) for rate in order)
    chosen = [run for run in runs if run.cell.rate == rates[best].rate]
    reached = [(run, epoch_of_target(run, bounds[run.cell.seed], tau)) for run in chosen]
    span = None if method.rate_free else good_range([each.gap for each in rates], best, good)
    return Line(
        problem,
        method.label,
        method.rate_free,
        rates[best].rate,
        rates[best].final,
        tuple(math.inf if epoch is None else float(epoch) for _, epoch in reached),
        tuple(math.inf if epoch is None else run.seconds[epoch] for run, epoch in reached),
        rates,
        None if span is None else (_number(rates[span[0]]), _number(rates[span[1]])),
        span is not None and (span[0] == 0 or span[1] == len(rates) - 1),
        sum(run.diverged is not None and not run.failed for run in runs),
        len(runs),
        cost,
        failed=sum(bool(run.failed) for run in runs),
        failures=tuple(dict.fromkeys(run.failed for run in runs if run.failed)),
        edge="" if method.rate_free or not math.isfinite(rates[best].final.median) else edge_of(runs),
        finals=tuple(run.final for run in chosen),
        gaps=tuple(bounds[run.cell.seed].gap(run.final) for run in chosen),
        scores=_scores(chosen),
        failed_seeds=tuple(run.cell.seed for run in chosen if run.failed),
    )


def _scores(runs: Sequence[Run]) -> tuple[float, ...]:
    """The final score of each run; -inf of one that ended before its first."""
    if not any(run.scores for run in runs):
        return ()
    return tuple(run.scores[-1] if run.scores else -math.inf for run in runs)


def _rated(rate: float | None, runs: Sequence[Run], bounds: Mapping[int, Bounds]) -> Rated:
    own = [run for run in runs if run.cell.rate == rate]
    counted = that_did_not_fail(own)
    gap = median_of(bounds[run.cell.seed].gap(run.final) for run in counted)
    return Rated(rate, spread(run.final for run in counted), gap, sum(bool(run.failed) for run in own))


def _number(rated: Rated) -> float:
    """The rate of a method that takes one."""
    assert rated.rate is not None
    return rated.rate


def good_range(gaps: Sequence[float], best: int, good: float) -> tuple[int, int] | None:
    """Positions of the first and the last of the neighbouring rates around the best whose gaps are at most `good`.

    None if the best rate itself leaves more.

    Examples
    --------
    >>> from fastadagrad.compare.summary import good_range
    >>> good_range([0.05, 0.3, 0.1, 0.0, 0.09, 2.0], best=3, good=0.1)
    (2, 4)
    """
    if gaps[best] > good:
        return None
    low = high = best
    while low > 0 and gaps[low - 1] <= good:
        low -= 1
    while high < len(gaps) - 1 and gaps[high + 1] <= good:
        high += 1
    return low, high


def profiles(
    lines: Sequence[Line], measure: Callable[[Line], Sequence[float]]
) -> dict[str, tuple[tuple[float, ...], float]]:
    """Performance profiles: for each method the sorted ratios of its times to the fastest method's times.

    Parameters
    ----------
    lines : sequence of Line
        Results of all problems.
    measure : callable
        ``measure(line)`` returns the times to the target, by seed.

    Returns
    -------
    dict
        Method -> (ratios, pairs). There is a ratio for each pair of problem and seed that the method has solved. The
        share of pairs solved within a factor r of the fastest method is the number of ratios up to r over `pairs`.
        Pairs that no method solved are counted, and so are those of runs that failed, which are not solved; pairs
        solved at the start are not.
    """
    times: dict[tuple[str, int], dict[str, float]] = {}
    for line in lines:
        for seed, value in enumerate(measure(line)):
            times.setdefault((line.problem, seed), {})[line.method] = value
    pairs = {pair: each for pair, each in times.items() if min(each.values()) > 0}
    found: dict[str, tuple[tuple[float, ...], float]] = {}
    for method in dict.fromkeys(line.method for line in lines):
        own = [(each[method], min(each.values())) for each in pairs.values() if method in each]
        found[method] = tuple(sorted(t / least for t, least in own if t < math.inf)), float(len(pairs))
    return found


def share_within(ratios: Sequence[float], pairs: float, factor: float) -> float:
    """Value of a performance profile: the share of pairs solved within a factor of the fastest method.

    Examples
    --------
    >>> from fastadagrad.compare.summary import share_within
    >>> share_within((1.0, 1.5, 4.0), 4, 2.0)
    0.5
    """
    return float(np.searchsorted(ratios, factor, side="right") / pairs) if pairs else 0.0
