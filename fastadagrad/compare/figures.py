"""Figures of a comparison by matplotlib: the panels of the report, for papers and other pages.

Losses are shown as gaps, the share of start minus best that is left, so that problems, and seeds with other starts, are
on one scale: 1 is the start, 0 the best loss. Lines are medians over the seeds, areas go from quartile to quartile. At
most six methods have a colour of their own, and all differ in colour, dashes and marker.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..support.figures import PALETTE, dress, new_figure
from .contenders import Contender
from .drawing import apart, number_of
from .material import Material
from .panels import Axis, Panel, Scale, Series, curves, performance, quality, sensitivity
from .path_panels import levels_of, path, surface
from .problem import Problem

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = (*PALETTE[:4], PALETTE[5], PALETTE[4])  # in the order of Material.emphasised
GREY = "0.66"
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)))
MARKERS = "os^Dv*PX"
BAND = 0.075  # height of the bands beyond an axis, as a share of the frame's
NOTE: dict[str, Any] = {"fontsize": 9, "color": "0.35"}


def style_of(material: Material, method: Contender) -> dict[str, Any]:
    """Colour, dashes and marker of a method's lines, the same in all figures."""
    if method.label in material.emphasised:
        place = material.emphasised.index(method.label)
        return {"color": COLORS[place], "linestyle": "-", "marker": MARKERS[place], "zorder": 3}
    others = [each.label for each in material.plan.methods if each.label not in material.emphasised]
    place = others.index(method.label)
    dashes = DASHES[place // len(MARKERS) % len(DASHES)]
    return {"color": GREY, "linestyle": dashes, "marker": MARKERS[place % len(MARKERS)], "zorder": 2}


def figures(material: Material) -> Iterator[tuple[str, Figure]]:
    """Draw all figures: for each its file name without suffix, and the figure."""
    names = [problem.name for problem in material.plan.problems]
    if len(names) > 1:
        yield "profiles", profiles_of(material)
        if material.rated:
            yield "rates", by_rate(material, names)
    for problem in material.plan.problems:
        name = problem.name
        if not any(math.isfinite(bounds.start) for bounds in material.bounds[name].values()):
            continue
        yield f"{name}-epochs", by_time(material, name, "epochs")
        yield f"{name}-seconds", by_time(material, name, "seconds")
        if material.rated:
            yield f"{name}-rates", by_rate(material, [name])
        if problem.plane is not None:
            yield f"{name}-paths", paths(material, problem)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    columns = _columns(labels, figure.get_figwidth())
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=9, frameon=False, handlelength=3)


def _columns(labels: Sequence[str], width: float) -> int:
    """Number of a legend's columns: at most four, if they have room in `width` inches."""
    for n in (4, 3, 2):
        rows = math.ceil(len(labels) / n)
        longest = [max(map(len, labels[i : i + rows])) for i in range(0, len(labels), rows)]
        if sum(0.72 + 0.075 * length for length in longest) < width:
            return n
    return 1


def draw(axes: Axes, material: Material, panel: Panel, x_name: str, y_name: str, ends_only: bool) -> list[float]:
    """Draw a panel's lines, and return the heights at which they end; `ends_only` leaves out markers between."""
    x_axis, y_axis = panel.xs[x_name], panel.ys[y_name]
    x_at, y_at = [*panel.xs].index(x_name), [*panel.ys].index(y_name)
    scale, methods = y_axis.scales[0], {method.label: method for method in material.plan.methods}
    ends = []
    for each in panel.series:
        style, x = style_of(material, methods[each.method]), each.xs[x_at]
        low, middle, high = ([_placed(y, scale) for y in values] for values in each.ys[y_at])
        label = f"{each.method} (no rate)" if panel.key and "no rate" in each.note else each.method
        marks: dict[str, Any] = {"markevery": [len(x) - 1]} if ends_only else {}
        grey = style["color"] == GREY
        step: dict[str, Any] = {"drawstyle": "steps-post"} if panel.step else {}
        axes.plot(x, middle, label=label, lw=1.0 if grey else 1.7, ms=3.5 if grey else 5, **style, **marks, **step)
        if not panel.step and not grey:
            axes.fill_between(x, low, high, color=style["color"], alpha=0.12, lw=0)
        ends.append(middle[-1])
    _prepare(axes, x_axis, y_axis, scale)
    return ends


def _placed(value: float, scale: Scale) -> float:
    """A value as the height at which it is drawn, from 0 to 1."""
    first, last = BAND * scale.below, 1 - BAND * scale.above
    at = scale.at(value)
    if at < 0:
        return BAND / 2
    return 1 - BAND / 2 if at > 1 else first + at * (last - first)


def _prepare(axes: Axes, x_axis: Axis, y_axis: Axis, scale: Scale) -> None:
    """Axes, ticks, bands and guide of a panel whose heights go from 0 to 1."""
    across = x_axis.scales[0]
    if across.log:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xlim(across.low, across.high)
    axes.set_xticks(across.ticks, [*map(number_of, across.ticks)])
    axes.set_ylim(-0.01, 1.01)
    axes.set_yticks([_placed(tick, scale) for tick in scale.ticks], [*map(number_of, scale.ticks)])
    for there, ends, words in (
        (scale.below, (0, BAND), y_axis.below),
        (scale.above, (1 - BAND, 1), y_axis.above),
    ):
        if there:
            axes.axhspan(*ends, color="0.5", alpha=0.15, lw=0)
            middle = (ends[0] + ends[1]) / 2
            axes.text(0.01, middle, words, transform=axes.transAxes, va="center", fontsize=7, color="0.4", zorder=4)
    if y_axis.guide is not None and scale.low <= y_axis.guide <= scale.high:
        axes.axhline(_placed(y_axis.guide, scale), color="0.4", lw=0.9, ls=":")
    dress(axes)


def by_time(material: Material, problem: str, x_name: str) -> Figure:
    """Draw the validation loss against epochs, or against the median processor time of training."""
    panel = curves(material, problem)
    x_name = x_name if x_name in panel.xs else "epochs"
    figure = new_figure(6.4, 4.4)
    axes = figure.add_subplot()
    heights = draw(axes, material, panel, x_name, "gap", ends_only=True)
    _label_ends(axes, material, panel.series, heights, [*panel.xs].index(x_name))
    start, best = (_median(material, problem, end) for end in ("start", "best"))
    axes.set_title(f"{problem}\nloss {start:.4g} at the start, {best:.4g} at best; dotted: target", fontsize=11)
    axes.set_xlabel(panel.xs[x_name].label)
    axes.set_ylabel(panel.ys["gap"].label)
    return figure


def _median(material: Material, problem: str, end: str) -> float:
    values = sorted(getattr(each, end) for each in material.bounds[problem].values())
    return float(values[len(values) // 2])


def _label_ends(axes: Axes, material: Material, series: Sequence[Series], heights: Sequence[float], x_at: int) -> None:
    """Write names beside the ends of their lines, in the order of the ends, moved apart."""
    methods = {method.label: method for method in material.plan.methods}
    order = sorted(range(len(series)), key=lambda i: (heights[i], series[i].method))
    step = min(0.05, 1 / max(1, len(order) - 1))
    for i, place in zip(order, apart([heights[i] for i in order], step), strict=True):
        color = style_of(material, methods[series[i].method])["color"]
        thin = {"arrowstyle": "-", "color": color, "lw": 0.6, "shrinkA": 1, "shrinkB": 3, "relpos": (0, 0.5)}
        axes.annotate(
            series[i].method,
            (series[i].xs[x_at][-1], heights[i]),
            (1.03, place),
            textcoords="axes fraction",
            va="center",
            fontsize=9,
            color="0.45" if color == GREY else "0.1",
            arrowprops=thin,
            annotation_clip=False,
        )


def by_rate(material: Material, problems: Sequence[str]) -> Figure:
    """Draw the final validation loss against the learning rate, with a panel for each problem."""
    columns = min(2, len(problems))
    rows = math.ceil(len(problems) / columns)
    figure = new_figure(6.4, 4.8 if columns == 1 else 1.3 + 2.2 * rows)
    frames = figure.subplots(rows, columns, squeeze=False)
    for i, (axes, problem) in enumerate(zip(frames.flat, problems, strict=False)):
        panel = sensitivity(material, problem)
        draw(axes, material, panel, "rate", "gap", ends_only=False)
        axes.set_title(f"{problem}, {material.plan.epochs[problem]} epochs", fontsize=11)
        if i >= len(problems) - columns:
            axes.set_xlabel(panel.xs["rate"].label)
    for axes in frames.flat[len(problems) :]:
        axes.set_visible(False)
    figure.supylabel("share of the loss left to gain", fontsize=10)
    said = [*textwrap.wrap(material.verdict.sentence, 100), "Below the dotted line rates are good."]
    figure.suptitle("\n".join(said), **NOTE)
    _legend(figure, frames[0, 0])
    return figure


def profiles_of(material: Material) -> Figure:
    """Draw how much is left at the end, and performance profiles by epochs and by seconds."""
    figure = new_figure(6.4, 4.4)
    frames = figure.subplots(1, 3, sharey=True)
    final, target = quality(material), performance(material)
    several = ((final, "gap", "share"), (target, "epochs", "epochs"), (target, "seconds", "seconds"))
    for axes, (panel, x_name, y_name) in zip(frames, several, strict=True):
        draw(axes, material, panel, x_name, y_name, ends_only=True)
        axes.set_xlabel({"gap": "left to gain, at most"}.get(x_name, f"{x_name}: factor of\nthe fastest method's"))
    frames[0].set_ylabel("share of problems and seeds")
    figure.suptitle(f"What is left at the end; and when {material.tau:.3g} of the loss is left", fontsize=11)
    _legend(figure, frames[0])
    return figure


def paths(material: Material, problem: Problem) -> Figure:
    """Draw each method's path over the contours of the loss, with a panel for each method."""
    assert problem.plane is not None
    methods = list(material.plan.methods)
    columns = min(4, len(methods))
    rows = math.ceil(len(methods) / columns)
    figure = new_figure(6.4, 0.7 + 1.5 * rows)
    frames = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    x, y, heights = surface(problem)
    row, column = divmod(int(heights.argmin()), heights.shape[1])
    for axes, method in zip(frames.flat, methods, strict=False):
        rate = material.line_of(problem.name, method.label).rate
        points, value = path(problem, method, rate, material.plan.epochs[problem.name])
        axes.contour(x, y, heights, levels=levels_of(heights), colors="0.75", linewidths=0.6)
        axes.plot(x[column], y[row], "+", color="black", ms=7)
        axes.plot(*points.T, color=COLORS[0], lw=1.1)
        axes.plot(*points[0], "o", color="black", ms=3.5)
        axes.plot(*points[-1], "s", color=COLORS[1], ms=4)
        axes.set_xlim(problem.plane[:2])
        axes.set_ylim(problem.plane[2:])
        said = "no rate" if rate is None else f"rate {rate:.2g}"
        label = method.label.replace(":", ":\n").replace(",", ",\n") if len(method.label) > 18 else method.label
        axes.set_title(f"{label}\n{said}: {value:.2g}", fontsize=8)
        axes.tick_params(labelsize=8)
    for axes in frames.flat[len(methods) - columns : len(methods)]:
        axes.tick_params(labelbottom=True)
    for axes in frames.flat[len(methods) :]:
        axes.set_visible(False)
    figure.suptitle(f"{problem.name}: from dot to square, and the loss there; lowest at the cross", fontsize=10)
    return figure
