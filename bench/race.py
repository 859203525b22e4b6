"""Contenders of one benchmark take turns in one process, and a table tells how they compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pytest

OURS = "fastadagrad"
NOT_INSTALLED, NOT_MEASURED, MISSED = "not installed", "not measured", "MISSED"


class Line(NamedTuple):
    """A line of the table, in words."""

    work: str
    ours: str
    against: str
    theirs: str
    ratio: str
    target: str
    verdict: str


@dataclass
class Contender:
    """`call(*prepare())`, or `calls` of `call()` timed together."""

    name: str
    call: Callable[..., object]
    calls: int = 1
    prepare: Callable[[], tuple[Any, ...]] | None = None
    seconds: list[float] = field(default_factory=list)

    def take_turn(self) -> None:
        arguments = self.prepare() if self.prepare else ()
        call = self.call
        start = perf_counter()
        for _ in range(self.calls):
            call(*arguments)
        self.seconds.append((perf_counter() - start) / self.calls)


class Race:
    """One row of the table: what is done, by whom, and how much faster we are to be.

    pytest-benchmark times the first contender; the others take their turns between its rounds.
    """

    def __init__(self, work: str, benchmark: Any, lines: list[Line]) -> None:
        self.work, self.amount, self.unit = work, 0.0, ""
        self._benchmark, self._lines = benchmark, lines
        self._contenders: list[Contender] = []
        self._absent: dict[str, str] = {}
        self.medians: dict[str, float] = {}
        self.missed: list[str] = []

    def optional(self, package: str, *names: str, module: str | None = None) -> Any:
        """A peer's module; None if it is not installed, and then `names` count as absent."""
        try:
            return import_module(module or package)
        except (ImportError, OSError) as error:  # OSError: a library made for another torch
            reason = f"{package} is {NOT_INSTALLED} ({error}): pip install 'fastadagrad[bench]'"
            self._absent.update(dict.fromkeys(names, reason))
            return None

    def add(self, name: str, call: Callable[..., object], **how: Any) -> None:
        self._contenders.append(Contender(name, call, **how))

    def run(self, rounds: int) -> None:
        """Time everybody, in turns; one turn each to warm up."""
        ours, *others = self._contenders
        prepare = ours.prepare

        def take_turns(*_: Any) -> None:
            for other in others:
                other.take_turn()

        self._benchmark.group = self.work
        self._benchmark.pedantic(
            ours.call,
            setup=prepare and (lambda: (prepare(), {})),
            teardown=take_turns,
            rounds=rounds,
            warmup_rounds=1,
            iterations=ours.calls,
        )
        if self._benchmark.disabled:
            pytest.skip("benchmarks are disabled")
        self.medians = {other.name: median(other.seconds[1 : rounds + 1]) for other in others}
        self.medians[ours.name] = self._benchmark.stats.stats.median
        self._benchmark.extra_info.update(work=self.work, medians=self.medians, ratios={})

    def at_most(self, share: float, of: str, ours: str = OURS, net_of: str | None = None) -> None:
        """Our time is to be at most this share of another's, both less that of `net_of`."""
        target = f"{share:g} or less"
        if self._is_present(of, ours, target):
            nothing = self.medians[net_of] if net_of else 0.0
            ratio = (self.medians[ours] - nothing) / (self.medians[of] - nothing)
            self._tell(ours, of, ratio, f"{ratio:.3g} of its time", target, ratio <= share)

    def at_least(self, factor: float | None, than: str, ours: str = OURS) -> None:
        """We are to be at least this many times as fast as another; None shows the ratio without a target."""
        target = f"{factor:g}x or more" if factor else ""
        if self._is_present(than, ours, target):
            ratio = self.medians[than] / self.medians[ours]
            self._tell(ours, than, ratio, f"{ratio:.3g}x as fast", target, ratio >= (factor or 0))

    def at_most_more(self, seconds: float, than: str, ours: str = OURS) -> None:
        """We are to take at most so many seconds more than another."""
        target = f"{_time(seconds)} more or less"
        if self._is_present(than, ours, target):
            more = self.medians[ours] - self.medians[than]
            self._tell(ours, than, more, f"{_time(more)} more", target, more <= seconds)

    def within(self, seconds: float) -> None:
        """Our time is to be at most this."""
        ours = self.medians[OURS]
        self._tell(OURS, "", ours, "", f"{_time(seconds)} or less", ours <= seconds)

    def give_up(self, reason: str) -> NoReturn:
        """Say in the table that nothing was measured, and why."""
        self._lines.append(Line(self.work, "", "", "", "", "", NOT_MEASURED))
        pytest.skip(reason)

    @property
    def absent(self) -> list[str]:
        """Why peers took no part."""
        return sorted(set(self._absent.values()))

    def _is_present(self, name: str, ours: str, target: str) -> bool:
        if name not in self._absent:
            return True
        self._lines.append(Line(self._label(ours), self._told(ours), name, "", "", target, NOT_INSTALLED))
        return False

    def _tell(self, ours: str, other: str, ratio: float, words: str, target: str, met: bool) -> None:
        verdict = ("met" if met else MISSED) if target else ""
        theirs = self._told(other) if other else ""
        self._lines.append(Line(self._label(ours), self._told(ours), other, theirs, words, target, verdict))
        self._benchmark.extra_info["ratios"][f"{ours} / {other}" if other else ours] = ratio
        if verdict == MISSED:
            self.missed.append(f"{self._label(ours)}: {words or self._told(ours)} {other}, should be {target}")

    def _label(self, ours: str) -> str:
        return self.work + ours.removeprefix(OURS)

    def _told(self, name: str) -> str:
        seconds = self.medians[name]
        return _time(seconds) + (f" ({self.amount / seconds:.3g} {self.unit}/s)" if self.unit else "")


NewRace = Callable[[str], Race]


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def table(lines: list[Line]) -> str:
    """The lines in Markdown, what repeats left out."""
    head = Line("work", OURS, "against", "its time", "ratio", "target", "")
    cells, last = [head, Line(*["---"] * len(head))], ("", "")
    for line in lines:
        cells.append(line._replace(work="", ours="") if line[:2] == last else line)
        last = line[:2]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    return "\n".join("| " + " | ".join(row) + " |" for row in padded)


def first_step(p: Any, g: Any, learning_rate: float, epsilon: float) -> Any:
    """Parameters after one step of AdaGrad from rest, in their dtype."""
    a, e = p.dtype.type(learning_rate), p.dtype.type(epsilon)
    return p - (a * g) / (np.sqrt(g * g) + e)
