"""The results from which figures and the report are drawn, and which methods stand out in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from .contenders import Contender
from .grid import Plan
from .running import Run
from .summary import TAU, Bounds, Line, bounds_of, that_did_not_fail
from .verdict import Verdict, verdict_of

MOST_WITHOUT_GREY = 6  # methods of which each has a colour of its own: more could not be told apart
EMPHASISED = 5  # methods with a colour where there are more; the others are grey
OURS = "adagrad"


@dataclass(frozen=True)
class Material:
    """The results from which figures are drawn."""

    plan: Plan
    runs: Sequence[Run]
    lines: Sequence[Line]
    tau: float = TAU

    @cached_property
    def bounds(self) -> dict[str, dict[int, Bounds]]:
        """Start and best loss of each problem's seeds."""
        found = {}
        for problem in self.plan.problems:
            own = (run for run in self.runs if run.cell.problem == problem.name)
            found[problem.name] = bounds_of(own, self.plan.best.get(problem.name))
        return found

    @cached_property
    def verdict(self) -> Verdict:
        """Which method is best on which problem, and how sure that is."""
        return verdict_of(self.lines)

    @cached_property
    def emphasised(self) -> tuple[str, ...]:
        """The methods with a colour, the best first; AdaGrad, which this library is about, is always among them."""
        labels = tuple(method.label for method in self.plan.methods)
        if not self.lines:
            return labels[:EMPHASISED]
        if len(labels) <= MOST_WITHOUT_GREY:
            return self.verdict.methods
        first = self.verdict.methods[:EMPHASISED]
        if OURS in self.verdict.methods and OURS not in first:
            first = (*first[: EMPHASISED - 1], OURS)
        return first

    @property
    def rated(self) -> bool:
        """Whether a method takes a learning rate."""
        return not all(method.rate_free for method in self.plan.methods)

    def line_of(self, problem: str, method: str) -> Line:
        """The summary of a method on a problem."""
        [line] = (line for line in self.lines if (line.problem, line.method) == (problem, method))
        return line

    def chosen(self, problem: str) -> Iterator[tuple[Contender, list[Run]]]:
        """Each method's runs with its best rate, but for failed ones; these only where all of them failed."""
        rates = {line.method: line.rate for line in self.lines if line.problem == problem}
        for method in self.plan.methods:
            wanted = (problem, method.label, rates[method.label])
            own = (run for run in self.runs if (run.cell.problem, run.cell.method, run.cell.rate) == wanted)
            yield method, that_did_not_fail(own)

    def of_rates(self, problem: str, method: str) -> dict[float | None, list[Run]]:
        """A method's runs on a problem by their rates, rising, but for failed ones where not all of a rate failed."""
        found: dict[float | None, list[Run]] = {}
        for run in self.runs:
            if (run.cell.problem, run.cell.method) == (problem, method):
                found.setdefault(run.cell.rate, []).append(run)
        return {rate: that_did_not_fail(found[rate]) for rate in sorted(found, key=lambda rate: rate or 0.0)}
