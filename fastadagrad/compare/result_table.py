"""The table of results, for terminals, reports and JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from .summary import Line, quartiles

HEADINGS = {  # headings of columns in a report, and in a terminal
    "method": "method",
    "final loss": "final loss",
    "quartiles of the final loss": "quartiles",
    "epochs to target": "epochs",
    "seconds to target": "seconds",
    "us a step": "us/step",
    "bytes of state a parameter": "bytes",
    "best rate": "best rate",
    "good rates, decades": "good rates",
}
NONE = "-"
LEAST_WANTED = ("bytes", "us/step", "quartiles", "seconds", "good rates", "epochs")  # where a terminal is too narrow


def cells_of(line: Line) -> tuple[str, ...]:
    """The cells of a line of results, in the order of HEADINGS."""
    final = line.final
    cost = (NONE, NONE) if line.cost is None else (f"{line.cost.microseconds:.3g}", f"{line.cost.bytes:.3g}")
    finite, seeds = math.isfinite(final.median), len(line.epochs_to_target)
    return (
        line.method,
        f"{final.median:.4g}" if finite else "diverged",
        f"{_number(final.low, 4)} to {_number(final.high, 4)}" if finite and seeds > 1 else NONE,
        _number(quartiles(line.epochs_to_target).median, 3),
        _number(quartiles(line.seconds_to_target).median, 2),
        *cost,
        NONE if line.rate_free else f"{line.rate:.3g}" if finite else NONE,
        _good_rates(line),
    )


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}g}" if math.isfinite(value) else NONE


def _good_rates(line: Line) -> str:
    if line.rate_free:
        return "needs no rate"
    if line.good is None or line.decades is None:
        return "none"
    low, high = line.good
    return f"{'>=' if line.open_ended else ''}{line.decades:.2g} ({low:.2g} to {high:.2g})"


def ranked(lines: Iterable[Line]) -> list[Line]:
    """Lines of results in the order of their final losses, the best first."""
    return sorted(lines, key=lambda line: (line.final.median, line.method))


def text_table(lines: Sequence[Line], width: int | None = None) -> str:
    """The results as text, with a table for each problem; columns are left out if it would be wider than `width`."""
    names, tables = [*HEADINGS.values()], {}
    for problem in dict.fromkeys(line.problem for line in lines):
        tables[problem] = [names, *map(cells_of, ranked(line for line in lines if line.problem == problem))]
    kept, left_out = [*range(len(names))], list[str]()
    for name in LEAST_WANTED:
        if width is None or max(len(row) for rows in tables.values() for row in _aligned(rows, kept)) <= width:
            break
        kept.remove(names.index(name))
        left_out.append(name)
    parts = ["\n".join([problem, *_aligned(rows, kept)]) for problem, rows in tables.items()]
    if left_out:
        parts.append(f"(for want of room without: {', '.join(left_out)})")
    return "\n\n".join(parts)


def _aligned(rows: Sequence[Sequence[str]], columns: Sequence[int]) -> list[str]:
    """Return the rows as lines with these columns, of which the first is aligned to the left."""
    widths = [max(len(row[i]) for row in rows) for i in columns]
    pairs = [[(row[i], w) for i, w in zip(columns, widths, strict=True)] for row in rows]
    return ["  ".join(x.rjust(w) if i else x.ljust(w) for i, (x, w) in enumerate(row)).rstrip() for row in pairs]


def as_records(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """Lines of results in types that JSON has."""
    return [
        {
            "problem": line.problem,
            "method": line.method,
            "rate_free": line.rate_free,
            "best_rate": line.rate,
            "final_loss": line.final._asdict(),
            "epochs_to_target": list(line.epochs_to_target),
            "seconds_to_target": list(line.seconds_to_target),
            "microseconds_a_step": None if line.cost is None else line.cost.microseconds,
            "state_bytes_a_parameter": None if line.cost is None else line.cost.bytes,
            "good_rates": line.good,
            "good_decades": line.decades,
            "good_rates_reach_the_end": line.open_ended,
            "rates": [{"rate": r.rate, "final_loss": r.final._asdict(), "gap": r.gap} for r in line.rates],
            "diverged_runs": line.diverged,
            "runs": line.runs,
        }
        for line in lines
    ]
