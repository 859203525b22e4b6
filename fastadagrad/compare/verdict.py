"""The verdict of a comparison: which method is best on which problem, by how much, and how sure that is.

Everything here is made of the lines of `summary`. A gap is the share of start minus best that is left after the last
epoch, with the method's best rate: 1 is the start, 0 the best loss (see `Bounds.gap`). Gaps that differ by LEAST_GAP or
less are tied.

The interval of a gap is a percentile bootstrap over the seeds of their median. Methods are compared in pairs, problem
by problem and seed by seed, with the same start values and order of data: F. Wilcoxon, "Individual Comparisons by
Ranking Methods", Biometrics Bulletin 1 (1945), of the logarithms of their gaps, with the correction of S. Holm, "A
Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979), as the first is
compared with each of the others. Its p says whether other seeds would probably give the same order on these problems.
For other problems only problems can speak: J. Demsar, "Statistical Comparisons of Classifiers over Multiple Data Sets",
JMLR 7 (2006), by which the test is also made of the problems' medians, where there are enough of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..support.extras import needed
from .summary import LEAST_GAP, Line, quartiles

LARGEST_GAP = 10.0  # gaps beyond, and those of runs that diverged or failed, count as this one where gaps are compared
RESAMPLES, LEVEL = 2000, 0.95
LEAST_PAIRS = 6  # with fewer the test cannot give a p below 0.05
SURE = 0.05


class Entry(NamedTuple):
    """One cell of the matrix of problems x methods: what a method has reached on a problem with its best rate."""

    problem: str
    method: str
    rank: int  # 1 for the lowest gap; methods that are tied share a rank, and the next ranks are left out
    # Median over the seeds; infinite where half of the seeds' runs diverged or failed, or ended above a start that no
    # run of any method has got below.
    gap: float
    low: float | None  # ends of the gap's interval of LEVEL; None with one seed
    high: float | None
    loss: float  # median of the final losses
    score: float | None  # median of the final scores, such as the accuracy; None if the problem has no score
    rate: float | None  # the best rate; None if the method takes none
    edge: str  # "low" or "high" if the best rate is at that end of its grid, else ""
    diverged: int  # runs, of all rates
    failed: int
    runs: int

    @property
    def leads(self) -> bool:
        """Whether the gap is finite and no method's is lower, so that the cell is highlighted."""
        return self.rank == 1 and math.isfinite(self.gap)


class Standing(NamedTuple):
    """What one method has reached over all problems."""

    method: str
    wins: int  # problems on which no method is better, shared ones included
    mean_rank: float  # mean over the problems; methods that are tied have the mean of the ranks that they share
    gap: float  # median over the problems of the entries' gaps


class Paired(NamedTuple):
    """The method in the first place compared with another one, over all pairs of problem and seed."""

    method: str  # the other
    better: int  # pairs in which the first has the lower gap
    worse: int
    pairs: int  # those that are tied included
    factor: float  # median over the pairs of the other's gap over the first's
    # Ends of the factor's interval of LEVEL, for which seeds are drawn anew within each problem; None with one seed.
    low: float | None
    high: float | None
    p: float | None  # of the test over the pairs, by Holm; None with fewer than LEAST_PAIRS
    # Of the test over the problems' medians, by Holm; None with fewer than LEAST_PAIRS of these.
    p_problems: float | None


class Verdict(NamedTuple):
    """Which method is best on which problem, by how much, and how sure that is: what stands above the tables.

    Attributes
    ----------
    sentence : str
        The verdict in one sentence.
    problems : tuple of str
        In the plan's order: rows of the matrix.
    methods : tuple of str
        The best first, as in `standings`: columns of the matrix.
    entries : mapping of (str, str) to Entry
        The matrix, by problem and method: rank, gap with its interval, loss, score, best rate, and runs that ended
        early.
    standings : tuple of Standing
        Of each method the problems won, the mean rank and the median gap, in the order of these.
    paired : tuple of Paired
        The first method with each of the others, in the order of `standings`: in how many pairs of problem and seed it
        has the lower gap, by which factor, and p of Wilcoxon's signed rank test, corrected by Holm.
    seeds : int
        Number of seeds.

    Examples
    --------
    >>> import tempfile
    >>> from fastadagrad.compare import compare
    >>> with tempfile.TemporaryDirectory() as out:
    ...     found = compare("quadratic:100", ["sgd", "cocob"], rates=[1e-3], seeds=1, jobs=0, out=out, report=False)
    >>> found.verdict.methods, found.verdict.entries["quadratic-100", "sgd"].rank
    (('cocob', 'sgd'), 2)
    """

    sentence: str
    problems: tuple[str, ...]
    methods: tuple[str, ...]
    entries: Mapping[tuple[str, str], Entry]
    standings: tuple[Standing, ...]
    paired: tuple[Paired, ...]
    seeds: int


class QualityProfile(NamedTuple):
    """The final gaps of a method over all pairs of problem and seed: a profile that needs no tolerance.

    The share of pairs in which at most a gap x is left is `share(x)`: a curve that rises earlier is better.
    """

    gaps: tuple[float, ...]  # rising, infinite for runs that diverged or failed, one for each pair
    pairs: int

    def share(self, gap: float) -> float:
        """The share of pairs whose gap is at most `gap`."""
        return float(np.searchsorted(self.gaps, gap, side="right")) / self.pairs if self.pairs else 0.0


def quality_profiles(lines: Sequence[Line]) -> dict[str, QualityProfile]:
    """A quality profile of each method.

    Examples
    --------
    >>> from fastadagrad.compare.verdict import QualityProfile
    >>> QualityProfile((0.0, 0.01, 0.5, float("inf")), 4).share(0.1)
    0.5
    """
    found: dict[str, list[float]] = {}
    for line in lines:
        found.setdefault(line.method, []).extend(line.gaps)
    return {method: QualityProfile(tuple(sorted(gaps)), len(gaps)) for method, gaps in found.items()}


def verdict_of(lines: Sequence[Line]) -> Verdict:
    """The verdict of the lines of a comparison, all methods on all problems.

    Raises
    ------
    RuntimeError
        If SciPy is not installed.
    """
    problems = tuple(dict.fromkeys(line.problem for line in lines))
    entries: dict[tuple[str, str], Entry] = {}
    means: dict[str, list[float]] = {line.method: [] for line in lines}
    for problem in problems:
        own = [line for line in lines if line.problem == problem]
        for line, (rank, mean) in zip(own, ranks([line.gap for line in own]), strict=True):
            entries[problem, line.method] = _entry(line, rank)
            means[line.method].append(mean)
    standings = tuple(sorted((_standing(name, means[name], entries) for name in means), key=_order))
    methods = tuple(standing.method for standing in standings)
    paired = _paired(lines, methods, problems)
    seeds = max((len(line.gaps) for line in lines), default=0)
    sentence = _sentence(standings, paired, problems, entries)
    return Verdict(sentence, problems, methods, entries, standings, paired, seeds)


def ranks(gaps: Sequence[float]) -> list[tuple[int, float]]:
    """The rank of each gap, which ties share, and the mean of the ranks that the tied ones would have had.

    Examples
    --------
    >>> from fastadagrad.compare.verdict import ranks
    >>> ranks([0.5, 0.0, 1e-9, float("inf")])
    [(3, 3.0), (1, 1.5), (1, 1.5), (4, 4.0)]
    """
    found: list[tuple[int, float]] = [(0, 0.0)] * len(gaps)
    order = sorted(range(len(gaps)), key=gaps.__getitem__)
    at = 0
    while at < len(order):
        tied = [i for i in order[at:] if gaps[i] == gaps[order[at]] or gaps[i] - gaps[order[at]] <= LEAST_GAP]
        for i in tied:
            found[i] = at + 1, at + (len(tied) + 1) / 2
        at += len(tied)
    return found


def _entry(line: Line, rank: int) -> Entry:
    low, high = interval(np.array([line.gaps]))
    return Entry(
        line.problem,
        line.method,
        rank,
        line.gap,
        low,
        high,
        line.final.median,
        line.score,
        line.rate,
        line.edge,
        line.diverged,
        line.failed,
        line.runs,
    )


def _standing(method: str, means: Sequence[float], entries: Mapping[tuple[str, str], Entry]) -> Standing:
    own = [entry for entry in entries.values() if entry.method == method]
    gap = quartiles(entry.gap for entry in own).median
    return Standing(method, sum(entry.leads for entry in own), float(np.mean(means)), gap)


def _order(standing: Standing) -> tuple[float, int, float, str]:
    return standing.mean_rank, -standing.wins, standing.gap, standing.method


def medians(values: Any) -> Any:
    """Medians along the last axis of an array, in which there may be infinities of one sign."""
    ordered = np.sort(values, axis=-1)
    middle = (ordered.shape[-1] - 1) / 2
    return (ordered[..., math.floor(middle)] + ordered[..., math.ceil(middle)]) / 2


def interval(values: Any) -> tuple[float | None, float | None]:
    """A percentile bootstrap interval of the median of all values.

    Parameters
    ----------
    values : array of float, shape (problems, seeds)
        Seeds are drawn anew for each problem, RESAMPLES times, by a generator with a fixed seed.

    Returns
    -------
    tuple of two floats, or of two None
        Lower and upper end; None where there is one seed.
    """
    groups, seeds = values.shape
    if seeds < 2:
        return None, None
    drawn = np.random.default_rng(0).integers(seeds, size=(RESAMPLES, groups, seeds))
    found = np.sort(medians(np.take_along_axis(values[None], drawn, axis=2).reshape(RESAMPLES, -1)))
    aside = round(RESAMPLES * (1 - LEVEL) / 2)
    return float(found[aside]), float(found[-1 - aside])


def _paired(lines: Sequence[Line], methods: Sequence[str], problems: Sequence[str]) -> tuple[Paired, ...]:
    logs = {method: _logs(lines, method, problems) for method in methods}
    first, others = logs[methods[0]], methods[1:]
    differences = {method: logs[method] - first for method in others}
    by_pairs = holm([wilcoxon(each.ravel()) for each in differences.values()])
    by_problems = holm([wilcoxon(medians(each)) for each in differences.values()])
    found = []
    for method, p, p_problems in zip(others, by_pairs, by_problems, strict=True):
        each = differences[method]
        low, high = interval(each)
        better, worse = int((each > 0).sum()), int((each < 0).sum())
        ends = (None if low is None else 10**low, None if high is None else 10**high)
        found.append(Paired(method, better, worse, each.size, 10 ** float(medians(each.ravel())), *ends, p, p_problems))
    return tuple(found)


def _logs(lines: Sequence[Line], method: str, problems: Sequence[str]) -> Any:
    """Logarithms of a method's gaps (problems, seeds), each at least that of LEAST_GAP, at most of LARGEST_GAP."""
    own = {line.problem: line.gaps for line in lines if line.method == method}
    return np.log10(np.clip(np.array([own[problem] for problem in problems]), LEAST_GAP, LARGEST_GAP))


def wilcoxon(differences: Any) -> float | None:
    """Two-sided p of Wilcoxon's signed rank test that differences are as often and as far above 0 as below.

    Differences of 0 have a rank, and half of it counts on each side. None with fewer than LEAST_PAIRS.
    """
    if differences.size < LEAST_PAIRS:
        return None
    if not differences.any():
        return 1.0
    stats = needed("scipy.stats", "the paired test of a comparison")
    return float(stats.wilcoxon(differences, zero_method="zsplit").pvalue)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Each p, corrected by Holm for there being several; None stays None.

    Examples
    --------
    >>> from fastadagrad.compare.verdict import holm
    >>> holm([0.01, 0.25, None, 0.02])
    [0.03, 0.25, None, 0.04]
    """
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    found: list[float | None] = [None] * len(p_values)
    least = 0.0
    for place, (p, i) in enumerate(order):
        least = max(least, min(1.0, p * (len(order) - place)))
        found[i] = least
    return found


def _sentence(
    standings: Sequence[Standing],
    paired: Sequence[Paired],
    problems: Sequence[str],
    entries: Mapping[tuple[str, str], Entry],
) -> str:
    first = standings[0]
    if not any(math.isfinite(entry.gap) for entry in entries.values()):
        if any(math.isfinite(entry.loss) for entry in entries.values()):
            return "No method has got below the loss of the start."
        return "No method has got to the end of its budget with a finite loss."
    if not paired:
        return f"{first.method} alone was run: name more methods to compare it with."
    level = [each.method for each in standings if (each.mean_rank, each.wins) == (first.mean_rank, first.wins)]
    where = problems[0] if len(problems) == 1 else f"{first.wins} of {len(problems)} problems"
    alone = all(
        not entries[problem, first.method].leads or _leaders(entries, problem) == [first.method] for problem in problems
    )
    shared = "" if alone else ", shared ones included"
    if len(level) > 1:
        names = f"{', '.join(level[:-1])} and {level[-1]}"
        if len(problems) == 1:
            said = f"{names} share the first place on {where}"
        elif first.wins:
            said = f"{names} share the first place: each is best on {where}{shared}"
        else:
            said = f"{names} share the lowest mean rank"
        return f"{said}{_and_edges(entries, level)}."
    said = f"{first.method} is best on {where}{shared}" if first.wins else f"{first.method} has the lowest mean rank"
    next_one = paired[0]
    said += f"; its final loss is below that of {next_one.method}, the next, in {next_one.better} of {next_one.pairs} "
    said += "seeds" if len(problems) == 1 else "pairs of problem and seed"
    if next_one.p is None:
        said += f", too few for a test, which takes {LEAST_PAIRS}"
    elif next_one.p > SURE:
        said += f", which the seeds alone may explain (p = {next_one.p:.2g})"
    else:
        said += f", which the seeds alone hardly explain (p = {next_one.p:.2g})"
    return f"{said}{_and_edges(entries, [first.method])}."


def _leaders(entries: Mapping[tuple[str, str], Entry], problem: str) -> list[str]:
    return [entry.method for (name, _), entry in entries.items() if name == problem and entry.leads]


def _and_edges(entries: Mapping[tuple[str, str], Entry], methods: Sequence[str]) -> str:
    """What is to be said of the best rates of the other methods that are at an end of their grids."""
    others = dict.fromkeys(entry.method for entry in entries.values() if entry.edge and entry.method not in methods)
    if not others:
        return ""
    return f"; rates beyond the grid may do better for {', '.join(others)}"


def as_record(verdict: Verdict) -> dict[str, Any]:
    """The verdict in types that JSON has."""
    return {
        "sentence": verdict.sentence,
        "seeds": verdict.seeds,
        "matrix": [entry._asdict() for entry in verdict.entries.values()],
        "standings": [standing._asdict() for standing in verdict.standings],
        "first_compared_with": [each._asdict() for each in verdict.paired],
    }
