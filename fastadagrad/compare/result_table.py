"""The tables of results, for terminals, reports and JSON."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from ..support.plurals import plural
from .grid import Plan
from .summary import GOOD, LEAST_FOR_QUARTILES, LEAST_GAP, Line, median_of
from .verdict import Entry, Verdict, ranks

HEADINGS = {  # of columns: in a report, and shorter in a terminal
    "method": "method",
    "final loss": "final loss",
    "final score": "score",
    "spread of the final loss": "spread",
    "epochs to target": "epochs",
    "seconds to target": "seconds",
    "us a step": "us/step",
    "bytes of state a parameter": "bytes",
    "best rate": "best rate",
    "good rates, decades": "good rates",
    "runs that ended early": "ended early",
}
NONE = "-"
NEVER, NO_RATE, DIVERGED = "never", "no rate", "diverged"
# Columns that are left out, in this order, where a terminal is too narrow.
LEAST_WANTED = ("bytes", "us/step", "spread", "seconds", "good rates", "epochs")
FIRST, EDGE = "*", "!"  # marks of a method that no other is better than, and of a best rate at an end of its grid


def cells_of(line: Line) -> tuple[str, ...]:
    """The cells of a line of results, in the order of HEADINGS."""
    final = line.final
    cost = (NONE, NONE)
    if line.cost is not None:
        held = line.cost.bytes
        cost = f"{line.cost.microseconds:.3g}", NONE if held is None else f"{held:.3g}"
    finite = math.isfinite(final.median)
    return (
        line.method,
        f"{final.median:.4g}{in_brackets(seeds_of(line))}" if finite else how_it_ended(line),
        NONE if line.score is None or not math.isfinite(line.score) else f"{line.score:.4g}",
        f"{_number(final.low, 4)} to {_number(final.high, 4, DIVERGED)}" if finite and line.counted > 1 else NONE,
        _number(median_of(line.of_counted(line.epochs_to_target)), 3, NEVER),
        _number(median_of(line.of_counted(line.seconds_to_target)), 2, NEVER),
        *cost,
        NO_RATE if line.rate_free else shown_rate(line.rate, line.edge) if finite else NONE,
        _good_rates(line),
        _ended_early(line),
    )


def seeds_of(results: Line | Entry) -> str:
    """How many seeds medians are over, where a run with the best rate failed; empty where none did."""
    return "" if results.counted == results.seeds else f"{results.counted} of {plural(results.seeds, 'seed')}"


def in_brackets(text: str) -> str:
    """A text in brackets behind another; nothing if there is none."""
    return text and f" ({text})"


def shown_rate(rate: float | None, edge: str) -> str:
    """A best rate, marked if it is at an end of its grid."""
    return NO_RATE if rate is None else f"{rate:.3g}{EDGE if edge else ''}"


def _number(value: float, digits: int, otherwise: str = NONE) -> str:
    return f"{value:.{digits}g}" if math.isfinite(value) else otherwise


def how_it_ended(results: Line | Entry) -> str:
    """What stands in the place of a loss, or of a gap, that is infinite.

    The gap of a finite loss is infinite where no method has got below the start. Other methods have failed, if all of
    their runs have, or have diverged.
    """
    if math.isfinite(results.loss):
        return "above the start"
    return DIVERGED if results.counted else "failed"


def _ended_early(line: Line) -> str:
    parts = [f"{n} {what}" for n, what in ((line.diverged, "diverged"), (line.failed, "failed")) if n]
    return f"{', '.join(parts)} of {line.runs}" if parts else NONE


def _good_rates(line: Line) -> str:
    if line.rate_free:
        return "needs no rate"
    if line.good is None or line.decades is None:
        return "none"
    low, high = line.good
    if low == high:
        return f"{low:.2g} only" if not line.open_ended else f"{low:.2g}, at the end"
    return f"{'at least ' if line.open_ended else ''}{line.decades:.2g} ({low:.2g} to {high:.2g})"


def ranked(lines: Iterable[Line]) -> list[Line]:
    """Lines of results of one problem in the order of their gaps to the best loss, the best first."""
    return sorted(lines, key=lambda line: (line.gap, line.final.median, line.method))


def leaders(lines: Sequence[Line]) -> frozenset[str]:
    """The methods that no other is better than, of one problem's lines; there are several where they are tied."""
    found = zip(lines, ranks([line.gap for line in lines]), strict=True)
    return frozenset(line.method for line, (rank, _) in found if rank == 1 and math.isfinite(line.gap))


def text_table(lines: Sequence[Line], width: int | None = None) -> str:
    """The results as text, with a table for each problem; columns are left out if it would be wider than `width`."""
    names, tables = [*HEADINGS.values()], {}
    for problem in dict.fromkeys(line.problem for line in lines):
        own = ranked(line for line in lines if line.problem == problem)
        first = leaders(own) if len(own) > 1 else frozenset()
        rows = [cells_of(line) for line in own]
        marked = [(f"{row[0]} {FIRST}" if row[0] in first else row[0], *row[1:]) for row in rows]
        tables[problem] = [names, *marked]
    kept, left_out = [*range(len(names))], list[str]()
    if not any(line.diverged or line.failed for line in lines):
        kept.remove(names.index("ended early"))
    if not any(line.scores for line in lines):
        kept.remove(names.index("score"))
    for name in LEAST_WANTED:
        if width is None or max(len(row) for rows in tables.values() for row in aligned(rows, kept)) <= width:
            break
        kept.remove(names.index(name))
        left_out.append(name)
    parts = ["\n".join([problem, *aligned(rows, kept)]) for problem, rows in tables.items()]
    if left_out:
        parts.append(f"(for want of room without: {', '.join(left_out)})")
    return "\n\n".join(parts)


def aligned(rows: Sequence[Sequence[str]], columns: Sequence[int]) -> list[str]:
    """Return the rows as lines with these columns, of which the first is aligned to the left."""
    widths = [max(len(row[i]) for row in rows) for i in columns]
    pairs = [[(row[i], w) for i, w in zip(columns, widths, strict=True)] for row in rows]
    return ["  ".join(x.rjust(w) if i else x.ljust(w) for i, (x, w) in enumerate(row)).rstrip() for row in pairs]


def whole_text(plan: Plan, lines: Sequence[Line], verdict: Verdict, width: int | None = None) -> str:
    """All of the results as text: the verdict, its matrix, a table for each problem, and notes on them."""
    parts = [_wrapped([verdict.sentence], width)]
    if len(verdict.problems) > 1 and len(verdict.methods) > 1:
        parts.append("\n".join(matrix_text(verdict, width)))
    parts += [text_table(lines, width), _wrapped(notes(plan, lines), width)]
    return "\n\n".join(filter(None, parts))


def _wrapped(sentences: Sequence[str], width: int | None) -> str:
    """Sentences one below the other, broken between words where they are wider than `width`."""
    if width is None:
        return "\n".join(sentences)
    wrapper = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(map(wrapper.fill, sentences))


def matrix_text(verdict: Verdict, width: int | None = None) -> list[str]:
    """The matrix of the verdict as lines of text, a row for each method: its wins, and each problem's gap and rate.

    The problems that have no room go into rows of their own below.
    """
    standings = [(each.method, str(each.wins), f"{each.mean_rank:.3g}") for each in verdict.standings]
    first: list[Sequence[str]] = [("gap left, best rate", "wins", "mean rank"), *standings]
    entries, methods = verdict.entries, verdict.methods
    columns = [[name, *(_shown_entry(entries[name, method]) for method in methods)] for name in verdict.problems]
    found: list[str] = []
    while columns:
        for taken in range(len(columns), 0, -1):
            rows = [[*own, *others] for own, others in zip(first, zip(*columns[:taken], strict=True), strict=True)]
            text = aligned(rows, range(len(rows[0])))
            if width is None or max(map(len, text)) <= width:
                break
        found += [*([""] if found else []), *text]
        columns = columns[taken:]
    return found


def _shown_entry(entry: Entry) -> str:
    mark = f" {FIRST}" if entry.leads else ""
    if not math.isfinite(entry.gap):
        return how_it_ended(entry)
    rate = "" if entry.rate is None else f" at {shown_rate(entry.rate, entry.edge)}"
    return f"{shown_gap(entry.gap)}{rate}{in_brackets(seeds_of(entry))}{mark}"


def shown_gap(gap: float) -> str:
    """A gap with two digits; below LEAST_GAP as 0."""
    return "0" if abs(gap) < LEAST_GAP else f"{gap:.2g}"


def notes(plan: Plan, lines: Sequence[Line]) -> list[str]:
    """Sentences on what the tables show: marks, what spread means, failures, and what differs from the papers."""
    found = []
    if len(plan.methods) > 1:
        seeds = ", in the median over the seeds" if plan.seeds > 1 else ""
        found.append(f"{FIRST}: no method leaves less of the loss to gain{seeds}, by which they are ordered.")
    if any(line.edge for line in lines):
        found.append(f"{EDGE}: the best rate is at an end of its grid: rates beyond it may be better.")
    if plan.seeds > 1:
        ends = "quartiles" if plan.seeds >= LEAST_FOR_QUARTILES else "the lowest and the highest"
        found.append(f"spread: {ends} of the final losses of {plan.seeds} seeds.")
    if any(0 < line.counted < line.seeds for line in lines):
        found.append(
            "2 of 4 seeds, and the like: with the others the runs with the best rate failed; medians leave them out; "
            f"the spread of fewer than {LEAST_FOR_QUARTILES} goes from the lowest to the highest."
        )
    for name in dict.fromkeys(plan.scores.values()):
        found.append(f"score: {name} of {', '.join(p for p, called in plan.scores.items() if called == name)}.")
    if any(not line.rate_free for line in lines):
        found.append(f"good rates: those around the best with at most {GOOD:g} of the loss left to gain, in decades.")
    for line in lines:
        if line.failed:
            more = f", and {plural(len(line.failures) - 1, 'other error')}" if len(line.failures) > 1 else ""
            where = f"{line.problem} by {line.method}"
            found.append(f"{where}: {line.failed} of {plural(line.runs, 'run')} failed: {line.failures[0]}{more}")
    for method in plan.methods:
        if method.unlike_paper:
            found.append(f"{method.label}: {', '.join(method.unlike_paper)}.")
    return found


def as_records(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """Lines of results in types that JSON has."""
    return [
        {
            "problem": line.problem,
            "method": line.method,
            "rate_free": line.rate_free,
            "best_rate": line.rate if math.isfinite(line.loss) else None,
            "best_rate_at_the_end": line.edge or None,
            "final_loss": line.final._asdict(),
            "final_losses": list(line.finals),
            "final_gaps": list(line.gaps),
            "final_scores": list(line.scores),
            "epochs_to_target": list(line.epochs_to_target),
            "seconds_to_target": list(line.seconds_to_target),
            "microseconds_a_step": None if line.cost is None else line.cost.microseconds,
            "microseconds_quartiles": None if line.cost is None else [line.cost.low, line.cost.high],
            "state_bytes_a_parameter": None if line.cost is None else line.cost.bytes,
            "good_rates": line.good,
            "good_decades": line.decades,
            "good_rates_reach_the_end": line.open_ended,
            "rates": [
                {"rate": r.rate, "final_loss": r.final._asdict(), "gap": r.gap, "failed_runs": r.failed}
                for r in line.rates
            ],
            "diverged_runs": line.diverged,
            "failed_runs": line.failed,
            "seeds": line.seeds,
            "failed_seeds": list(line.failed_seeds),
            "failures": list(line.failures),
            "runs": line.runs,
        }
        for line in lines
    ]
