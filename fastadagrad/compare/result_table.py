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


def cells_of(line: Line) -> tuple[str, ...]:
    """The cells of a line of results, in the order of HEADINGS."""
    final = line.final
    cost = (NONE, NONE) if line.cost is None else (f"{line.cost.microseconds:.3g}", f"{line.cost.bytes:.3g}")
    finite = math.isfinite(final.median)
    return (
        line.method,
        f"{final.median:.4g}" if finite else "diverged",
        f"{_number(final.low, 4)} to {_number(final.high, 4)}" if finite else NONE,
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


def text_table(lines: Sequence[Line]) -> str:
    """The results as text, with a table for each problem."""
    parts = []
    for problem in dict.fromkeys(line.problem for line in lines):
        rows = [
            tuple(HEADINGS.values()),
            *(cells_of(line) for line in ranked(x for x in lines if x.problem == problem)),
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
        shown = (
            "  ".join(
                cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        )
        parts.append("\n".join([problem, *(row.rstrip() for row in shown)]))
    return "\n\n".join(parts)


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
