"""The tables of the report: methods and problems, the first method beside the others, and the results on a problem."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..support.plurals import plural
from .drawing import Looks, swatch
from .material import Material
from .result_table import HEADINGS, NONE, cells_of, how_it_ended, ranked, seeds_of
from .summary import LEAST_GAP
from .verdict import Entry, Paired, Verdict

EDGES = {"low": "the lowest rate of its grid", "high": "the highest rate of its grid"}


class Cell(NamedTuple):
    """A cell of a table."""

    content: str  # HTML
    key: float | None = None  # the number that it is sorted by; None: it is sorted by its text
    best: bool = False  # whether it is highlighted

    def written(self, tag: str) -> str:
        """The cell as HTML."""
        number = "" if self.key is None else f"{self.key:.6g}".replace("inf", "1e308").replace("nan", "1e308")
        key = f' data-key="{number}"' if number else ""
        scope = ' scope="row"' if tag == "th" else ""
        kind = ' class="best"' if self.best else ""
        return f"<{tag}{scope}{key}{kind}>{self.content}</{tag}>"


def table(headings: Sequence[str], rows: Iterable[Sequence[Cell]], kind: str = "full") -> str:
    """A table whose first column stays in sight; a click on a heading sorts it, where there are scripts."""
    heads = "".join(_heading(text) for text in headings)
    body = "".join(
        f"<tr>{''.join(cell.written('td' if i else 'th') for i, cell in enumerate(row))}</tr>" for row in rows
    )
    return (
        f'<div class="wide {kind}" tabindex="0"><table class="sortable"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _heading(text: str) -> str:
    kind = ' class="long"' if len(text) > 14 else ""
    return f'<th scope="col"{kind}>{html.escape(text)}</th>'


def matrix(material: Material, looks: Looks) -> str:
    """Methods, the best first, and what each has left to gain on each problem."""
    verdict = material.verdict
    several = len(verdict.problems) > 1
    headings = ["method", *(("best on", "mean rank") if several else ()), *verdict.problems]
    rows = []
    for standing in verdict.standings:
        cells = [_named(looks, standing.method)]
        if several:
            cells.append(Cell(f"{standing.wins}", -standing.wins))
            cells.append(Cell(f"{standing.mean_rank:.3g}", standing.mean_rank))
        cells += [_gap(verdict.entries[problem, standing.method]) for problem in verdict.problems]
        rows.append(cells)
    shown = table(headings, rows, "matrix")
    seeds = f"median of {verdict.seeds} seeds" if verdict.seeds > 1 else "one seed"
    return (
        f'{shown}<p class="faint">Share of the loss left to gain after the last epoch with the best '
        f"rate, {seeds}; below it that rate. The least is highlighted, and so is what is tied with it.</p>"
    )


def _named(looks: Looks, method: str) -> Cell:
    breakable = html.escape(method).replace(":", ":<wbr>").replace(",", ",<wbr>")
    return Cell(f'<span class="named">{swatch(looks, method)}<span>{breakable}</span></span>')


def _gap(entry: Entry) -> Cell:
    if not math.isfinite(entry.gap):
        return Cell(how_it_ended(entry), math.inf)
    rate = "no rate" if entry.rate is None else f"rate {entry.rate:.2g}"
    edge = f' <abbr title="{EDGES[entry.edge]}: others beyond may do better">at the end</abbr>' if entry.edge else ""
    of_some = f", {seeds_of(entry)}" if seeds_of(entry) else ""
    return Cell(f"{percent(entry.gap)}<br><small>{rate}{edge}{of_some}</small>", entry.gap, entry.leads)


def percent(gap: float) -> str:
    """A share as per cent.

    Examples
    --------
    >>> from fastadagrad.compare.report_tables import percent
    >>> [percent(gap) for gap in (0.0, 1e-7, 0.00034, 0.0734, 0.9996, 1.6)]
    ['0 %', '0 %', '0.034 %', '7.3 %', '100 %', '160 %']
    """
    if abs(gap) < LEAST_GAP:
        return "0 %"
    return f"{100 * gap:.2g} %" if abs(gap) < 0.095 or abs(gap) > 100 else f"{100 * gap:.0f} %"


def compared(verdict: Verdict) -> str:
    """The first method beside each of the others, pair by pair."""
    if not verdict.paired:
        return ""
    first, tested = verdict.methods[0], any(each.p is not None for each in verdict.paired)
    by_problems = any(each.p_problems is not None for each in verdict.paired)
    most = max(each.pairs for each in verdict.paired)
    some_lack = any(each.pairs < most for each in verdict.paired)
    headings = ["against", *["pairs"] * some_lack, "better", "worse", "factor"]
    headings += ["p, seeds"] * tested + ["p, problems"] * by_problems
    rows = [_pair(each, some_lack, tested, by_problems) for each in verdict.paired]
    kind = ("pair of problem and seed", "pairs of problem and seed") if len(verdict.problems) > 1 else ("seed",)
    return (
        f"<details><summary>How sure: {html.escape(first)} against each of the others, in "
        f"{'up to ' * some_lack}{plural(most, *kind)}</summary>{table(headings, rows)}"
        '<p class="faint">In how many of them what it leaves is less, and more; the median of the factor by which the '
        "other leaves more, with its bootstrap interval of 95 % over the seeds; p of Wilcoxon\u2019s signed rank test, "
        "corrected by Holm: small where other seeds, or other problems, would probably give the same order.</p>"
        "</details>"
    )


def _pair(each: Paired, some_lack: bool, tested: bool, by_problems: bool) -> list[Cell]:
    ends = "" if each.low is None or each.high is None else f"<br><small>{each.low:.3g} to {each.high:.3g}</small>"
    counts = [*[each.pairs] * some_lack, each.better, each.worse]
    cells = [Cell(html.escape(each.method)), *(Cell(f"{count}", count) for count in counts)]
    cells.append(Cell(NONE, math.inf) if each.factor is None else Cell(f"{each.factor:.3g}{ends}", each.factor))
    shown = [each.p] * tested + [each.p_problems] * by_problems
    cells += [Cell(NONE, math.inf) if p is None else Cell(f"{p:.2g}", p) for p in shown]
    return cells


def of_problem(material: Material, problem: str, looks: Looks) -> str:
    """The results on one problem, a line for each method; those that share the first place are highlighted."""
    rows, lines = [], ranked(line for line in material.lines if line.problem == problem)
    kept = len(HEADINGS) if any(line.diverged or line.failed for line in lines) else len(HEADINGS) - 1
    for line in lines:
        leads = material.verdict.entries[problem, line.method].leads
        cells = [_named(looks, line.method)]
        cells += [Cell(html.escape(text), sort_key(text)) for text in cells_of(line)[1:kept]]
        rows.append([cell._replace(best=leads) for cell in cells])
    return table([*HEADINGS][:kept], rows)


def sort_key(text: str) -> float:
    """The first number in the text of a cell; infinite where there is none, as for a method that diverged.

    Examples
    --------
    >>> from fastadagrad.compare.report_tables import sort_key
    >>> sort_key(">=2.5 (0.1 to 32)"), sort_key("diverged")
    (2.5, inf)
    """
    found = re.search(r"-?\d+(\.\d+)?(e[-+]?\d+)?", text)
    return float(found[0]) if found else math.inf
