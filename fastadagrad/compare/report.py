"""The report: one HTML file with tables, figures, definitions, plan and machine; it loads nothing from the network."""

from __future__ import annotations

import base64
import html
import io
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..support.outputs import replacing
from .figures import Material, figures
from .result_table import HEADINGS, cells_of, ranked
from .summary import GOOD

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER, NAME = "figures", "report.html"
PNG_COLORS = 128

_STYLE = """
:root { color-scheme: light dark; --text: #1b1b1b; --faint: #5a5a5a; --back: #fff; --line: #d0d0d0; --first: #e8f1f8; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e6e6; --faint: #a8a8a8; --back: #16181b; --line: #3a3d42; --first: #1d2d3a; }
}
body { color: var(--text); background: var(--back); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 64rem; padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
p, dd { max-width: 46rem; } .faint, figcaption { color: var(--faint); font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; } th:first-child, td:first-child { text-align: left; }
tbody tr:first-child { background: var(--first); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem;
  margin-top: 1rem; }
figure { margin: 0; overflow-x: auto; } @media (max-width: 36rem) { figure img { min-width: 34rem; } }
figure img { width: 100%; height: auto; background: #fff; border-radius: 4px; }
dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0; overflow-wrap: anywhere; }
.short { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; } .short dt { margin: 0; }
pre { white-space: pre-wrap; padding: .6rem; border: 1px solid var(--line); border-radius: 4px; }
"""

_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
"""


def write_report(folder: Path, material: Material, about: Mapping[str, Any]) -> None:
    """Draw the figures into a folder of their own, and write the report with all of them inside.

    Raises
    ------
    RuntimeError
        If matplotlib is not installed.
    """
    (folder / FOLDER).mkdir(exist_ok=True)
    drawn: dict[str, list[str]] = {}
    for owner, name, caption, figure in figures(material):
        pictures = {"svg": svg(figure), "png": png(figure)}
        for suffix, content in pictures.items():
            with replacing(folder / FOLDER / f"{file_name(name)}.{suffix}") as file:
                file.write(content)
        drawn.setdefault(owner, []).append(_figure(pictures["svg"], caption))
    page = "\n".join(_parts(material, about, drawn))
    with replacing(folder / NAME) as file:
        file.write(page.encode())


def svg(figure: Figure) -> bytes:
    """A figure as SVG, which can be shown at any size."""
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def png(figure: Figure) -> bytes:
    """A figure as PNG in few colours, so that the file is small."""
    from PIL import Image  # matplotlib, without which there is no figure, depends on it

    content = io.BytesIO()
    figure.savefig(content, format="png")
    picture = Image.open(content).convert("RGB")
    few = picture.quantize(PNG_COLORS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    content = io.BytesIO()
    few.save(content, format="png", optimize=True)
    return content.getvalue()


def file_name(name: str) -> str:
    """A name made into one that files can have on any system."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


def _figure(content: bytes, caption: str) -> str:
    data, text = base64.b64encode(content).decode(), html.escape(caption)
    return f'<figure><img alt="{text}" src="data:image/svg+xml;base64,{data}"><figcaption>{text}</figcaption></figure>'


def _parts(material: Material, about: Mapping[str, Any], drawn: Mapping[str, list[str]]) -> Iterator[str]:
    plan = material.plan
    names = [problem.name for problem in plan.problems]
    title = html.escape(f"Methods compared on {', '.join(names)}")
    yield _HEAD.format(title=title, style=_STYLE)
    rated = f"{len(plan.rates)} learning rates from {plan.rates[0]:g} to {plan.rates[-1]:g}"
    seeds = f"{plan.seeds} seed{'s' if plan.seeds > 1 else ''}"
    diverged = sum(line.diverged for line in material.lines)
    yield (
        f"<p>{len(plan.methods)} methods, {rated}, {seeds}: {len(material.runs)} runs, of which {diverged} "
        "diverged. Every method had the same start values, order of data, epochs and learning rates; those that take "
        "none ran once a seed. The best rate of each is chosen with hindsight, by the losses shown here.</p>"
    )
    yield f'<div class="figures">{"".join(drawn.get("", []))}</div>'
    for problem in plan.problems:
        name, kind = problem.name, "; convex" if problem.convex else ""
        yield f'<h2>{html.escape(name)}</h2><p class="faint">{plan.epochs[name]} epochs{kind}</p>'
        yield _table(material, name)
        yield f'<div class="figures">{"".join(drawn.get(name, []))}</div>'
    yield from _definitions(material.tau)
    yield from _made_by(about)
    yield "</body></html>\n"


def _table(material: Material, problem: str) -> str:
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in HEADINGS)
    rows = (cells_of(line) for line in ranked(line for line in material.lines if line.problem == problem))
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _definitions(tau: float) -> Iterator[str]:
    left = "(f - f_best) / (f_start - f_best)"
    terms = {
        "left to gain": f"{left}, f the validation loss, f_start that of the start and f_best the lowest of all runs "
        "with the same seed, of any method and rate, in any epoch.",
        "final loss": "Validation loss after the last epoch, median over the seeds, with the best learning rate: the "
        "one for which this median is lowest. Nothing is stopped early, and no earlier parameters are restored.",
        "to target": f"Until {tau:g} of the loss is left to gain (Mor\u00e9 and Wild 2009), with the best rate; median "
        "over the seeds, - where half of them or more do not get there. Seconds are the processor's, of training only.",
        "good rates": "Those around the best, and how many powers of ten they span, for which the median of what is "
        f"left to gain is at most {GOOD:g}; >= where they reach the end of the grid, so that there may be more.",
        "us a step": "Microseconds of one update alone, its gradient given, on one thread: median of many turns.",
        "bytes of state a parameter": "What the method keeps for each element of the parameters.",
        "performance profile": "The share of problems and seeds in which a method gets to the target within a factor "
        "of what the fastest method takes (Dolan and Mor\u00e9 2002).",
    }
    yield "<h2>What the words mean</h2><dl>"
    yield from (f"<dt>{html.escape(term)}</dt><dd>{html.escape(text)}</dd>" for term, text in terms.items())
    yield "</dl>"


def _made_by(about: Mapping[str, Any]) -> Iterator[str]:
    yield '<h2>How it was made</h2><dl class="short">'
    for name, value in about.items():
        if name != "command":
            yield f"<dt>{html.escape(name)}</dt><dd>{html.escape(str(value))}</dd>"
    yield "</dl>"
    if about.get("command"):
        yield f"<p>By the command</p><pre>{html.escape(shlex.join(about['command']))}</pre>"
