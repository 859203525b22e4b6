"""The plan of a comparison: the grid of problems, methods, seeds and learning rates, and the epochs of each run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .contenders import Contender
from .problem import Problem

RATES = "1e-4:10:11"
SEEDS = 5


class Cell(NamedTuple):
    """One run of the grid, as yet to be made."""

    problem: str
    identity: str
    method: str
    seed: int
    rate: float | None  # None: the method needs no learning rate
    epochs: int


@dataclass(frozen=True)
class Plan:
    """Problems x methods x seeds x rates, all with the same epochs."""

    problems: tuple[Problem, ...]
    methods: tuple[Contender, ...]
    rates: tuple[float, ...]
    seeds: int
    epochs: Mapping[str, int]  # by problem
    best: Mapping[str, float] = field(default_factory=dict)  # the optimum of the problems that know theirs
    added: Mapping[tuple[str, str], tuple[float, ...]] = field(default_factory=dict)  # rates beyond the grid's ends

    def rates_of(self, problem: str, method: Contender) -> tuple[float | None, ...]:
        """The rates with which a method runs on a problem, rising: the grid's, and those by which it was extended."""
        if method.rate_free:
            return (None,)
        return tuple(sorted({*self.rates, *self.added.get((problem, method.label), ())}))

    def cells(self) -> Iterator[Cell]:
        """Every run, problem by problem and seed by seed."""
        for problem in self.problems:
            for seed in range(self.seeds):
                for method in self.methods:
                    for rate in self.rates_of(problem.name, method):
                        epochs = self.epochs[problem.name]
                        yield Cell(problem.name, problem.identity, method.label, seed, rate, epochs)

    def described(self) -> dict[str, Any]:
        """The plan in types that JSON has."""
        return {
            "problems": {
                p.name: {"origin": p.origin, "convex": p.convex, "identity": p.identity} for p in self.problems
            },
            "methods": {m.label: {"method": m.name, "rate_free": m.rate_free, **m.options} for m in self.methods},
            "rates": list(self.rates),
            "seeds": self.seeds,
            "epochs": dict(self.epochs),
        }


def as_rates(given: str | Sequence[float]) -> tuple[float, ...]:
    """Learning rates from ``LOW:HIGH:N``, N of them equally far apart in their logarithms, or from numbers.

    Examples
    --------
    >>> from fastadagrad.compare.grid import as_rates
    >>> as_rates("0.01:1:3")
    (0.01, 0.1, 1.0)
    """
    rates = _grid(given) if isinstance(given, str) else [float(rate) for rate in given]
    if not rates or not all(0 < rate < math.inf for rate in rates) or len({*rates}) < len(rates):
        raise ValueError(f"rates must be different numbers above 0, not {given!r}")
    return tuple(sorted(rates))


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
