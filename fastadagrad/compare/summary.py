"""The summary of a comparison: a line of results for each method on each problem, and performance profiles.

Targets are as in J. J. More, S. M. Wild, "Benchmarking Derivative-Free Optimization Algorithms", SIAM J. Optimization
20 (2009): a run with this seed has solved the problem once its loss is at most

    f_best + tau * (f_start - f_best)

f_start at the start, f_best the lowest of all runs with the seed, of any method and rate, in any epoch. Performance
profiles are as in E. D. Dolan, J. J. More, "Benchmarking optimization software with performance profiles", Mathematical
Programming 91 (2002).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .costs import Cost
from .grid import Plan
from .running import Run

TAU = 0.01  # tolerance of the target, as in the formula above
GOOD = 0.1  # largest gap to the best loss at which a learning rate is good


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


class Bounds(NamedTuple):
    """Start loss and best loss of one problem and seed."""

    start: float
    best: float

    def gap(self, loss: float) -> float:
        """A loss on the scale from best to start: 1 at the start, 0 at the best loss."""
        if self.start == self.best:
            return 0.0 if loss <= self.best else math.inf
        return (loss - self.best) / (self.start - self.best)


def bounds_of(runs: Iterable[Run]) -> dict[int, Bounds]:
    """The bounds of each seed, from all runs of one problem."""
    found: dict[int, Bounds] = {}
    for run in runs:
        lowest = min(run.valid)
        known = found.get(run.cell.seed)
        found[run.cell.seed] = Bounds(run.valid[0], lowest if known is None else min(known.best, lowest))
    return found


def epoch_of_target(run: Run, bounds: Bounds, tau: float) -> int | None:
    """The first epoch after which the run has solved the problem; None if it never has."""
    return next((epoch for epoch, loss in enumerate(run.valid) if bounds.gap(loss) <= tau), None)


class Rated(NamedTuple):
    """The results of one learning rate of a method, over the seeds."""

    rate: float | None
    final: Quartiles
    gap: float  # median over the seeds; see `Bounds.gap`


@dataclass(frozen=True)
class Line:
    """The results of one method on one problem; times to the target are infinite where it is not met."""

    problem: str
    method: str
    rate_free: bool
    rate: float | None  # the best rate, which has the lowest median of final losses
    final: Quartiles  # final losses with the best rate
    epochs_to_target: tuple[float, ...]  # with the best rate, for each seed
    seconds_to_target: tuple[float, ...]
    rates: tuple[Rated, ...]
    good: tuple[float, float] | None  # the lowest and highest of the good rates around the best
    open_ended: bool  # whether the good rates reach an end of the grid
    diverged: int  # number of runs that diverged, of all rates
    runs: int
    cost: Cost | None = None

    @property
    def decades(self) -> float | None:
        """Width of the range of good rates, None if there is none."""
        return None if self.good is None else math.log10(self.good[1] / self.good[0])


def summarise(
    plan: Plan, runs: Iterable[Run], costs: Mapping[str, Mapping[str, Cost]], tau: float = TAU, good: float = GOOD
) -> list[Line]:
    """A line for each problem and method, in the plan's order."""
    by_problem: dict[str, list[Run]] = {problem.name: [] for problem in plan.problems}
    for run in runs:
        by_problem[run.cell.problem].append(run)
    lines = []
    for name, several in by_problem.items():
        bounds = bounds_of(several)
        for method in plan.methods:
            own = [run for run in several if run.cell.method == method.label]
            cost = costs.get(name, {}).get(method.label)
            lines.append(_line(name, method.label, method.rate_free, own, bounds, tau, good, cost))
    return lines


def _line(
    problem: str,
    method: str,
    rate_free: bool,
    runs: Sequence[Run],
    bounds: Mapping[int, Bounds],
    tau: float,
    good: float,
    cost: Cost | None,
) -> Line:
    rates = tuple(
        _rated(rate, runs, bounds) for rate in sorted({run.cell.rate for run in runs}, key=lambda r: r or 0.0)
    )
    best = min(range(len(rates)), key=lambda i: rates[i].final.median)
    chosen = [run for run in runs if run.cell.rate == rates[best].rate]
    reached = [(run, epoch_of_target(run, bounds[run.cell.seed], tau)) for run in chosen]
    low, high = (None, None) if rate_free else good_range([r.gap for r in rates], best, good)
    span = None if low is None or high is None else (rates[low].rate, rates[high].rate)
    return Line(
        problem,
        method,
        rate_free,
        rates[best].rate,
        rates[best].final,
        tuple(math.inf if epoch is None else float(epoch) for _, epoch in reached),
        tuple(math.inf if epoch is None else run.seconds[epoch] for run, epoch in reached),
        rates,
        span,  # type: ignore[arg-type]  # rates are numbers unless the method needs none
        span is not None and (low == 0 or high == len(rates) - 1),
        sum(run.diverged is not None for run in runs),
        len(runs),
        cost,
    )


def _rated(rate: float | None, runs: Sequence[Run], bounds: Mapping[int, Bounds]) -> Rated:
    own = [run for run in runs if run.cell.rate == rate]
    gaps = quartiles(bounds[run.cell.seed].gap(run.final) for run in own)
    return Rated(rate, quartiles(run.final for run in own), gaps.median)


def good_range(gaps: Sequence[float], best: int, good: float) -> tuple[int, int] | tuple[None, None]:
    """Positions of the first and the last of the neighbouring rates around the best whose gaps are at most `good`.

    Examples
    --------
    >>> from fastadagrad.compare.summary import good_range
    >>> good_range([0.05, 0.3, 0.1, 0.0, 0.09, 2.0], best=3, good=0.1)
    (2, 4)
    """
    if gaps[best] > good:
        return None, None
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
        Pairs that no method solved are counted, pairs solved at the start are not.
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
