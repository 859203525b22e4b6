"""The report: one HTML file with the verdict, tables, figures, definitions, plan and machine.

It loads nothing, neither from the network nor from other files, and can be read without scripts. With them it switches
axes, isolates methods, shows values and sorts tables (report.js). Its look is report.css; both are put into the page.
"""

from __future__ import annotations

import html
import json
import math
import shlex
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..support.outputs import replacing
from ..support.plurals import plural
from . import drawing, report_tables
from .benchopt_table import NAME as BENCHOPT
from .benchopt_table import write_benchopt
from .drawing import Looks, drawn, looks_of, number_of, swatch
from .material import Material
from .panels import Axis, Panel, Scale, Series, of_problem, overview, rounded
from .path_panels import paths
from .picture_files import write_pictures
from .report_texts import definitions, introduction, remarks

NAME = "report.html"
BESIDE = {  # files in the same folder, to which the report has links
    "results.csv": "every epoch of every run",
    "results.parquet": "the same, for tables in memory",
    "results.json": "plan, table and runs",
    BENCHOPT: "the best rates' runs, as Benchopt reads them",
}
SWITCHES = (  # of the bar at the top: name, value, words
    ("y", (("gap", "left to gain"), ("loss", "loss"), ("score", "score"))),
    ("scale", (("", "as fits"), ("log", "log"), ("linear", "linear"))),
    ("x", (("epochs", "epochs"), ("seconds", "seconds"))),
)
SHORT = {"gap": "left", "loss": "loss", "score": "score", "share": "share", "epochs": "epoch", "seconds": "second"}


def write_report(folder: Path, material: Material, about: Mapping[str, Any]) -> None:
    """Draw the figures into files of their own, write the table for Benchopt, and the report.

    Raises
    ------
    RuntimeError
        If matplotlib or pyarrow is not installed.
    """
    write_pictures(folder, material)
    write_benchopt(folder / BENCHOPT, material, about)
    page = "\n".join(_page(folder, material, about))
    with replacing(folder / NAME) as file:
        file.write(page.encode())


def part_of(name: str) -> str:
    """The text of a file that belongs to the page and lies beside this module."""
    return files(__package__).joinpath(name).read_text("utf-8")


def _page(folder: Path, material: Material, about: Mapping[str, Any]) -> Iterator[str]:
    looks = looks_of([method.label for method in material.plan.methods], material.emphasised)
    names = [problem.name for problem in material.plan.problems]
    title = html.escape(f"Methods compared on {', '.join(names)}")
    panels: list[Panel] = []
    yield (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>\n{part_of('report.css')}</style></head><body>"
    )
    yield f"<h1>{title}</h1>"
    yield f'<p class="verdict">{html.escape(material.verdict.sentence)}</p>'
    yield f'<p class="faint">{html.escape(introduction(material))}</p>'
    yield report_tables.matrix(material, looks)
    yield report_tables.compared(material.verdict)
    yield remarks(material)
    yield _bar(material)
    yield _legend(looks)
    everywhere = [*overview(material)]
    if everywhere:
        yield f"<h2>All problems</h2>{_figures(everywhere, panels, looks)}"
    for problem in material.plan.problems:
        epochs, kind = material.plan.epochs[problem.name], "; convex" if problem.convex else ""
        known = material.plan.best.get(problem.name)
        optimum = "" if known is None else f"; its lowest loss is known: {known:g}"
        yield f"<h2>{html.escape(problem.name)}</h2>"
        yield f'<p class="faint">{plural(epochs, "epoch")}{kind}{optimum}</p>'
        yield report_tables.of_problem(material, problem.name, looks)
        if any(run.cell.problem == problem.name and math.isfinite(run.valid[0]) for run in material.runs):
            yield _figures(of_problem(material, problem.name), panels, looks)
        if problem.plane is not None:
            yield "<h3>Paths of seed 0, with the best rates</h3>"
            yield '<p class="faint">From dot to square; the loss is lowest at the cross.</p>'
            yield f'<div class="paths">{"".join(paths(material, problem))}</div>'
    yield from definitions(material.tau)
    yield from _made_by(folder, about)
    yield f'<script type="application/json" id="data">{_data(panels, looks)}</script>'
    yield f"<script>\n{part_of('report.js')}</script></body></html>\n"


def _figures(several: Iterable[Panel], panels: list[Panel], looks: Looks) -> str:
    """Figures of panels, which are added to those of the page."""
    parts = []
    for panel in several:
        caption = html.escape(panel.title)
        parts.append(f"<figure><figcaption>{caption}</figcaption>{drawn(panel, len(panels), looks)}</figure>")
        panels.append(panel)
    return f'<div class="figures">{"".join(parts)}</div>'


def _bar(material: Material) -> str:
    """Switches of all panels; without a script they are hidden."""
    scored = any(run.scores for run in material.runs)
    groups = []
    for name, options in SWITCHES:
        kept = [option for option in options if option[0] != "score" or scored]
        labels = (
            f'<label><input type="radio" name="{name}" value="{value}"{" checked" if i == 0 else ""}>{words}</label>'
            for i, (value, words) in enumerate(kept)
        )
        groups.append(f'<span class="switches" role="radiogroup">{"".join(labels)}</span>')
    return f'<div class="bar" data-script hidden>{"".join(groups)}</div>'


def _legend(looks: Looks) -> str:
    order = [*looks.emphasised, *(method for method in looks.methods if method not in looks.emphasised)]
    chips = (
        f'<button type="button" class="chip" data-pick="{looks.methods.index(method)}" aria-pressed="false">'
        f"{swatch(looks, method)}{html.escape(method)}</button>"
        for method in order
    )
    every = '<button type="button" class="chip" id="all" hidden>show all</button>'
    hint = (
        '<p class="faint" data-script hidden>Choose methods here, or by their names in the figures, to see them alone; '
        "point at a line for its values.</p>"
    )
    return f'<div class="legend">{"".join(chips)}{every}</div>{hint}'


def _data(panels: Iterable[Panel], looks: Looks) -> str:
    """What the script needs, as JSON that can stand within HTML."""
    box: dict[str, float] = {
        "width": drawing.WIDTH,
        "height": drawing.HEIGHT,
        "left": drawing.LEFT,
        "right": drawing.RIGHT,
        "top": drawing.TOP,
        "bottom": drawing.BOTTOM,
        "band": drawing.BAND,
        "inBand": drawing.IN_BAND,
        "step": drawing.NAME_STEP,
    }
    found = {"methods": looks.methods, "panels": [_of_panel(panel, looks) for panel in panels], "box": box}
    return json.dumps(found, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _of_panel(panel: Panel, looks: Looks) -> dict[str, Any]:
    return {
        "xs": [_of_axis(name, axis) for name, axis in panel.xs.items()],
        "ys": [_of_axis(name, axis) for name, axis in panel.ys.items()],
        "series": [_of_series(each, looks) for each in panel.series],
        "step": panel.step,
        "key": bool(panel.key),
        "paired": panel.xs.keys() == panel.ys.keys(),
    }


def _of_axis(name: str, axis: Axis) -> dict[str, Any]:
    found = {key: getattr(axis, key) for key in ("label", "below", "above", "guide", "guided")}
    return {"name": name, "short": SHORT.get(name, name), "scales": [*map(_of_scale, axis.scales)], **found}


def _of_scale(scale: Scale) -> dict[str, Any]:
    return {**scale._asdict(), "labels": [*map(number_of, scale.ticks)]}


def _of_series(series: Series, looks: Looks) -> dict[str, Any]:
    return {
        "method": looks.methods.index(series.method),
        "note": series.note,
        "xs": [[*map(_finite, values)] for values in series.xs],
        "ys": [[[*map(_finite, values)] for values in band] for band in series.ys],
    }


def _finite(value: float) -> float | None:
    return rounded(value) if math.isfinite(value) else None


def _made_by(folder: Path, about: Mapping[str, Any]) -> Iterator[str]:
    yield '<h2>How it was made</h2><dl class="short">'
    for name, value in about.items():
        if name != "command":
            yield f"<dt>{html.escape(name)}</dt><dd>{html.escape(str(value))}</dd>"
    yield "</dl>"
    if about.get("command"):
        yield f"<p>By the command</p><pre>{html.escape(shlex.join(about['command']))}</pre>"
    there = [(name, what) for name, what in BESIDE.items() if (folder / name).exists()]
    if there:
        links = "; ".join(f'<a href="{name}">{name}</a>, {what}' for name, what in there)
        yield f"<p>In the same folder: {links}.</p>"
