"""The plan of a comparison: the grid of problems, methods, seeds and learning rates, and the epochs of each run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ..support.asking import shown
from ..support.checks import checked_number
from .contenders import Contender
from .problem import Problem

RATES = "1e-4:10:11"
SEEDS = 5
MOST_ADDED = 6  # rates by which the grid is extended at each of its ends, at most


class Cell(NamedTuple):
    """One run of the grid, as yet to be made: the key by which the folder of results has it."""

    problem: str
    identity: str  # of problem and method: it changes with the file or the module that one of them is made from
    method: str
    seed: int
    rate: float | None  # None: the method needs no learning rate
    epochs: int


@dataclass(frozen=True)
class Plan:
    """Problems x methods x seeds x rates, all with the same epochs.

    Where a method's best rate on a problem is at an end of the grid, its grid is extended beyond that end in the steps
    in which the last two rates lie apart, until the best rate is inside, or MOST_ADDED rates have been added.
    """

    problems: tuple[Problem, ...]
    methods: tuple[Contender, ...]
    rates: tuple[float, ...]
    seeds: int
    epochs: Mapping[str, int]  # by problem
    best: Mapping[str, float] = field(default_factory=dict)  # the optimum of the problems that know theirs
    extends: bool = False  # whether the grid may be extended
    added: Mapping[tuple[str, str], tuple[float, ...]] = field(default_factory=dict)  # rates beyond the grid's ends
    scores: Mapping[str, str] = field(default_factory=dict)  # what the scores of problems that have one are called

    def rates_of(self, problem: str, method: Contender) -> tuple[float | None, ...]:
        """The rates with which a method runs on a problem, rising: the grid's, and those by which it was extended."""
        if method.rate_free:
            return (None,)
        return tuple(sorted({*self.rates, *self.added.get((problem, method.label), ())}))

    def rates_in(self, problem: str, method: Contender, seed: int) -> tuple[float | None, ...]:
        """The rates with which a method runs with one seed: here all of `rates_of`, whatever the seed."""
        return self.rates_of(problem, method)

    def cells(self) -> Iterator[Cell]:
        """Every run, problem by problem and seed by seed."""
        for problem in self.problems:
            for seed in range(self.seeds):
                for method in self.methods:
                    for rate in self.rates_in(problem.name, method, seed):
                        yield self._cell(problem, method, seed, rate)

    def possible_cells(self) -> Iterator[Cell]:
        """Every run of the plan, and every one by which it may be extended."""
        yield from self.cells()
        beyond = [rate for end in self.beyond for rate in end]
        for problem in self.problems:
            for seed in range(self.seeds):
                for method in self.methods:
                    for rate in [] if method.rate_free else beyond:
                        yield self._cell(problem, method, seed, rate)

    def _cell(self, problem: Problem, method: Contender, seed: int, rate: float | None) -> Cell:
        identity = " ".join(filter(None, (problem.identity, method.identity)))
        return Cell(problem.name, identity, method.label, seed, rate, self.epochs[problem.name])

    @property
    def beyond(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The rates by which the grid may be extended, below it and above it, the nearest first."""
        if not self.extends or len(self.rates) < 2:
            return (), ()
        return _beyond(self.rates[0], self.rates[1]), _beyond(self.rates[-1], self.rates[-2])

    def wider(self, edges: Mapping[tuple[str, str], str]) -> Plan:
        """The plan with one rate more for each problem and method whose best rate is at an end of its grid.

        Parameters
        ----------
        edges : mapping
            (problem, method) -> "low" or "high", the end at which the best rate is, or "".

        Returns
        -------
        Plan
            This plan, if no rate is to be added.
        """
        added = dict(self.added)
        low, high = self.beyond
        for pair, edge in edges.items():
            own = added.get(pair, ())
            more = [rate for rate in {"low": low, "high": high, "": ()}[edge] if rate not in own]
            if more:
                added[pair] = (*own, more[0])
        return self if added == self.added else replace(self, added=added)

    def described(self) -> dict[str, Any]:
        """The plan in types that JSON has."""
        return {
            "problems": {
                p.name: {"origin": p.origin, "convex": p.convex, "identity": p.identity} for p in self.problems
            },
            "methods": {m.label: {"method": m.name, "rate_free": m.rate_free, **m.options} for m in self.methods},
            "unlike_the_papers": {m.label: list(m.unlike_paper) for m in self.methods if m.unlike_paper},
            "rates": list(self.rates),
            "rates_added": [{"problem": p, "method": m, "rates": sorted(r)} for (p, m), r in self.added.items()],
            "optimum": dict(self.best),
            "scores": dict(self.scores),
            "seeds": self.seeds,
            "epochs": dict(self.epochs),
        }


def as_rates(given: str | Sequence[float]) -> tuple[float, ...]:
    """Learning rates from ``LOW:HIGH:N``, N of them equally far apart in their logarithms, or from numbers.

    Raises
    ------
    TypeError, ValueError
        If they are no different numbers above 0.

    Examples
    --------
    >>> from fastadagrad.compare.grid import as_rates
    >>> as_rates("0.01:1:3")
    (0.01, 0.1, 1.0)
    """
    if isinstance(given, str):
        return tuple(_grid(given))
    if not isinstance(given, Iterable):
        raise TypeError(f"rates must be LOW:HIGH:N, as in {RATES}, or a sequence of numbers, not {shown(given)}")
    rates = [checked_number("each of rates", rate) for rate in given]
    if not rates or 0 in rates or len({*rates}) < len(rates):
        raise ValueError(f"rates must be one number above 0, or several different ones, not {shown(given)}")
    return tuple(sorted(rates))


def _beyond(last: float, inside: float) -> tuple[float, ...]:
    """The rates beyond the last one of a grid, as far apart as it is from its neighbour."""
    rates = (last * (last / inside) ** k for k in range(1, MOST_ADDED + 1))
    return tuple(float(f"{rate:.6g}") for rate in rates if 1e-300 < rate < 1e300)


def _grid(text: str) -> list[float]:
    expected = f"rates must be LOW:HIGH:N, as in {RATES}, not {text!r}"
    try:
        low, high, count = text.split(":")
        lowest, highest, n = float(low), float(high), int(count)
    except ValueError:
        raise ValueError(expected) from None
    if not (0 < lowest < math.inf and lowest <= highest < math.inf and n >= 1) or (n == 1) != (lowest == highest):
        raise ValueError(f"{expected}: expected 0 < LOW < HIGH and N of at least 2, or LOW = HIGH and N = 1")
    exponents = np.linspace(math.log10(lowest), math.log10(highest), n)
    return [float(f"{10**exponent:.6g}") for exponent in exponents]  # the digits that tables show
