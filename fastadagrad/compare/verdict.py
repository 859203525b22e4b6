"""The verdict of a comparison: which method is best on which problem, by how much, and how sure that is.

Everything here is made of the lines of `summary`. A gap is the share of start minus best that is left after the last
epoch, with the method's best rate: 1 is the start, 0 the best loss (see `Bounds.gap`). Gaps that differ by LEAST_GAP or
less are tied.

The interval of a gap is a percentile bootstrap over the seeds of their median. Methods are compared in pairs, problem
by problem and seed by seed, with the same start values and order of data, where neither run failed, by a test of the
logarithms of their gaps (`significance`). Its p says whether other seeds would probably give the same order on these
problems. For other problems only problems can speak: J. Demsar, "Statistical Comparisons of Classifiers over Multiple
Data Sets", JMLR 7 (2006), by which the test is also made of the problems' medians, where there are enough of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..support.plurals import plural
from .significance import LEAST_PAIRS, SURE, holm, interval, medians, wilcoxon
from .summary import LEAST_GAP, Line, quartiles

LARGEST_GAP = 10.0  # gaps beyond, and those of runs that diverged, count as this one where gaps are compared


class Entry(NamedTuple):
    """One cell of the matrix of problems x methods: what a method has reached on a problem with its best rate."""

    problem: str
    method: str
    rank: int  # 1 for the lowest gap; methods that are tied share a rank, and the next ranks are left out
    # Median over the seeds whose run did not fail; infinite where half of these runs diverged, or ended above a start
    # that no run of any method has got below, and where all failed.
    gap: float
    low: float | None  # ends of the gap's interval of LEVEL; None with one seed
    high: float | None
    loss: float  # median of the final losses
    score: float | None  # median of the final scores, such as the accuracy; None if the problem has no score
    rate: float | None  # the best rate; None if the method takes none, or if the loss is infinite
    edge: str  # "low" or "high" if the best rate is at that end of its grid, else ""
    diverged: int  # runs, of all rates
    failed: int
    runs: int
    counted: int  # seeds that medians are over: those whose run with the best rate did not fail
    seeds: int

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
    """The method in the first place compared with another one, over the pairs of problem and seed that both have.

    A method has a pair unless its run with the best rate failed.
    """

    method: str  # the other
    better: int  # pairs in which the first has the lower gap
    worse: int
    pairs: int  # those that are tied included
    factor: float | None  # median over the pairs of the other's gap over the first's; None if there are no pairs
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
        The first method with each of the others, in the order of `standings`: in how many of the pairs of problem and
        seed that both have it has the lower gap, by which factor, and p of Wilcoxon's signed rank test, corrected by
        Holm.
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
    low, high = interval([np.array(line.of_counted(line.gaps))])
    return Entry(
        line.problem,
        line.method,
        rank,
        line.gap,
        low,
        high,
        line.final.median,
        line.score,
        line.rate if math.isfinite(line.loss) else None,
        line.edge,
        line.diverged,
        line.failed,
        line.runs,
        line.counted,
        line.seeds,
    )


def _standing(method: str, means: Sequence[float], entries: Mapping[tuple[str, str], Entry]) -> Standing:
    own = [entry for entry in entries.values() if entry.method == method]
    gap = quartiles(entry.gap for entry in own).median
    return Standing(method, sum(entry.leads for entry in own), float(np.mean(means)), gap)


def _order(standing: Standing) -> tuple[float, int, float, str]:
    return standing.mean_rank, -standing.wins, standing.gap, standing.method


def _paired(lines: Sequence[Line], methods: Sequence[str], problems: Sequence[str]) -> tuple[Paired, ...]:
    logs = {method: _logs(lines, method, problems) for method in methods}
    first, others = logs[methods[0]], methods[1:]
    differences = {method: _differences(logs[method], first) for method in others}
    by_pairs = holm([wilcoxon(np.concatenate(each)) for each in differences.values()])
    by_problems = holm([wilcoxon(np.array([medians(x) for x in each if x.size])) for each in differences.values()])
    found = []
    for method, p, p_problems in zip(others, by_pairs, by_problems, strict=True):
        every = np.concatenate(differences[method])
        low, high = interval(differences[method])
        better, worse = int((every > 0).sum()), int((every < 0).sum())
        factor = 10 ** float(medians(every)) if every.size else None
        ends = (None if low is None else 10**low, None if high is None else 10**high)
        found.append(Paired(method, better, worse, every.size, factor, *ends, p, p_problems))
    return tuple(found)


def _logs(lines: Sequence[Line], method: str, problems: Sequence[str]) -> list[Any]:
    """For each problem the logarithms of a method's gaps, each at least that of LEAST_GAP, at most of LARGEST_GAP.

    Those of seeds whose run failed are NaN.
    """
    own = {line.problem: line for line in lines if line.method == method}
    logs = [np.log10(np.clip(np.array(own[problem].gaps), LEAST_GAP, LARGEST_GAP)) for problem in problems]
    for problem, each in zip(problems, logs, strict=True):
        each[[*own[problem].failed_seeds]] = np.nan
    return logs


def _differences(logs: Sequence[Any], first: Sequence[Any]) -> list[Any]:
    """For each problem how far the logarithms are above those of the first, of the seeds that both have."""
    differences = (other - own for other, own in zip(logs, first, strict=True))
    return [each[~np.isnan(each)] for each in differences]


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
        return f"{said}{_and_failures(entries)}{_and_edges(entries, level)}."
    said = f"{first.method} is best on {where}{shared}" if first.wins else f"{first.method} has the lowest mean rank"
    said += _and_how_sure(paired[0], several=len(problems) > 1)
    return f"{said}{_and_failures(entries)}{_and_edges(entries, [first.method])}."


def _and_how_sure(next_one: Paired, several: bool) -> str:
    """How often the first method is ahead of the next one, and whether that can be chance."""
    kind = "pair of problem and seed" if several else "seed"
    if not next_one.pairs:
        return f"; there is no {kind} with a run of {next_one.method}, the next, that can be compared"
    pairs = plural(next_one.pairs, kind, "pairs of problem and seed" if several else "seeds")
    said = f"; its final loss is below that of {next_one.method}, the next, in {next_one.better} of {pairs}"
    if next_one.p is None:
        return f"{said}, too few for a test, which takes {LEAST_PAIRS}"
    explained = "may explain" if next_one.p > SURE else "hardly explain"
    return f"{said}, which the seeds alone {explained} (p = {next_one.p:.2g})"


def _leaders(entries: Mapping[tuple[str, str], Entry], problem: str) -> list[str]:
    return [entry.method for (name, _), entry in entries.items() if name == problem and entry.leads]


def _and_failures(entries: Mapping[tuple[str, str], Entry]) -> str:
    """What is to be said of methods that have no result for some seeds."""
    partly = dict.fromkeys(entry.method for entry in entries.values() if 0 < entry.counted < entry.seeds)
    return f"; seeds whose runs failed are left out for {', '.join(partly)}" if partly else ""


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
