"""Tables for notebooks: every text escaped, and no colours but those of the page, be it light or dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

MOST_ROWS = 20  # of a table; more are left out of its middle
_STYLE = "border-collapse:collapse;font-variant-numeric:tabular-nums;background:transparent;color:inherit"
_CELL = "padding:0.15em 0.6em;border:0;background:transparent;color:inherit"
_LINE = "border-bottom:1px solid currentColor"


def shown(value: Any) -> str:
    """A value as text: numbers with few digits, and what there is not as nothing."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table with a head, numbers to the right.

    >>> "&lt;b&gt;" in table(["<b>"], [[1.5]])
    True
    """
    head = "".join(f'<th scope="col" style="{_CELL};{_LINE};text-align:right">{escape(name)}</th>' for name in names)
    lines = [f"<tr>{head}</tr>"]
    beginning = rows if len(rows) <= MOST_ROWS else rows[: MOST_ROWS // 2]
    lines += map(_row, beginning)
    if len(rows) > MOST_ROWS:
        left_out = len(rows) - MOST_ROWS
        lines.append(
            f'<tr><td colspan="{len(names)}" style="{_CELL};text-align:center">… {left_out:,} more …</td></tr>'
        )
        lines += map(_row, rows[-(MOST_ROWS // 2) :])
    return f'<table style="{_STYLE}">{"".join(lines)}</table>'


def _row(values: Sequence[Any]) -> str:
    cells = (f'<td style="{_CELL};text-align:right">{escape(shown(value))}</td>' for value in values)
    return f"<tr>{''.join(cells)}</tr>"


def properties(title: str, values: Mapping[str, Any]) -> str:
    """A table of names and values under a title.

    >>> properties("a < b", {"x": 1}).count("<tr>")
    1
    """
    lines = [
        f'<tr><th scope="row" style="{_CELL};text-align:left;font-weight:normal;opacity:0.75">{escape(name)}</th>'
        f'<td style="{_CELL};text-align:left">{escape(shown(value))}</td></tr>'
        for name, value in values.items()
    ]
    caption = f'<caption style="{_CELL};{_LINE};text-align:left;font-weight:bold">{escape(title)}</caption>'
    return f'<table style="{_STYLE}">{caption}{"".join(lines)}</table>'
