"""Figures of a comparison: loss by epochs and by time, sensitivity to the learning rate, profiles, paths.

Losses are shown as gaps, the share of start minus best that is left, so that problems, and seeds with other starts, are
on one scale: 1 is the start, 0 the best loss of all runs. Lines are medians over the seeds, bands go from quartile to
quartile. Methods differ in colour, dashes and marker.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..support.figures import PALETTE, dress, new_figure
from .contenders import Contender
from .grid import Plan
from .problem import Problem
from .problems import task_of
from .running import Run, lazy_for, train_epoch, unwarned
from .summary import GOOD, TAU, Bounds, Line, bounds_of, profiles, quartiles, share_within

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = PALETTE[:7]  # all but yellow
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)))
MARKERS = "os^DvPX*"
LEAST_GAP = 1e-6  # smaller gaps differ by rounding only
ROOF, TOP = 2.0, 2.4  # larger and infinite gaps are drawn at ROOF; the axis ends at TOP
NOTE: dict[str, Any] = {"fontsize": 9, "color": "0.35"}


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
        names = [problem.name for problem in self.plan.problems]
        of = {name: [run for run in self.runs if run.cell.problem == name] for name in names}
        return {name: bounds_of(own, self.plan.best.get(name)) for name, own in of.items()}

    def chosen(self, problem: str) -> Iterator[tuple[Contender, list[Run]]]:
        """Each method's runs with its best rate."""
        rates = {line.method: line.rate for line in self.lines if line.problem == problem}
        for method in self.plan.methods:
            wanted = (problem, method.label, rates[method.label])
            yield method, [run for run in self.runs if (run.cell.problem, run.cell.method, run.cell.rate) == wanted]

    def style(self, method: Contender) -> dict[str, Any]:
        """Colour, dashes and marker of a method's lines, the same in all figures."""
        i = self.plan.methods.index(method)
        dashes = DASHES[i // len(COLORS) % len(DASHES)]
        return {"color": COLORS[i % len(COLORS)], "linestyle": dashes, "marker": MARKERS[i % len(MARKERS)]}


def figures(material: Material) -> Iterator[tuple[str, str, str, Figure]]:
    """Draw all figures: for each its problem ("" for all problems), file name without suffix, caption, and figure."""
    names = [problem.name for problem in material.plan.problems]
    yield "", "profiles", "Performance profiles over all problems and seeds", performance(material)
    if len(names) > 1:
        yield "", "rates", "Final loss for each learning rate, on all problems", by_rate(material, names)
    for problem in material.plan.problems:
        name = problem.name
        yield name, f"{name}-epochs", f"{name}: loss by epochs, with the best rates", by_epochs(material, name)
        yield name, f"{name}-seconds", f"{name}: loss by seconds of training", by_seconds(material, name)
        yield name, f"{name}-rates", f"{name}: final loss for each learning rate", by_rate(material, [name])
        if problem.plane is not None:
            yield name, f"{name}-paths", f"{name}: paths of seed 0, with the best rates", paths(material, problem)


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


def _gaps_axis(axes: Axes, lowest: float) -> None:
    axes.set_yscale("log")
    axes.set_ylim(max(LEAST_GAP, 10 ** math.floor(math.log10(max(lowest, LEAST_GAP)) - 0.1)), TOP)


def _band(gaps: Iterable[Sequence[float]]) -> Any:
    """Quartiles (3, n) of each of n sets of gaps."""
    return np.array([quartiles(values) for values in gaps]).T


def _curves(axes: Axes, material: Material, problem: str, at: Callable[[Sequence[Run]], Sequence[float]]) -> None:
    bounds, lowest, ends = material.bounds[problem], 1.0, []
    for method, runs in material.chosen(problem):
        gaps = [[bounds[run.cell.seed].gap(loss) for loss in run.valid] for run in runs]
        band = _band(zip(*gaps, strict=True))
        low, middle, high = np.where(np.isfinite(band), np.maximum(band, LEAST_GAP / 10), np.nan)
        lowest = min(lowest, middle[-1]) if math.isfinite(middle[-1]) else lowest
        style, x = material.style(method), at(runs)
        axes.plot(x, middle, label=method.label, lw=1.6, ms=5, markevery=[len(x) - 1], **style)
        axes.fill_between(x, low, high, color=style["color"], alpha=0.1, lw=0)
        ends.append((float(x[-1]), float(middle[-1]), method.label, style["color"]))
    _gaps_axis(axes, lowest)
    axes.set_xlim(0, 1.02 * max(x for x, *_ in ends))
    _label_ends(axes, ends)
    axes.axhline(material.tau, color="0.4", lw=0.9, ls=":")
    start, best = (float(np.median(values)) for values in zip(*bounds.values(), strict=True))
    axes.set_title(f"{problem}\nloss {start:.4g} at the start, {best:.4g} at best; dotted: target", fontsize=11)
    axes.set_ylabel("share of the loss left to gain")
    dress(axes)


def _label_ends(axes: Axes, ends: Iterable[tuple[float, float, str, str]]) -> None:
    """Write names beside the ends of their lines, in the order of the ends, moved apart; diverged methods on top."""
    low, high = (math.log10(limit) for limit in axes.get_ylim())

    def place(y: float) -> float:
        return min(1.0, max(0.0, (math.log10(y) - low) / (high - low))) if math.isfinite(y) else 1.0

    ordered = sorted(ends, key=lambda end: (place(end[1]), end[2]))
    step = min(0.05, 1 / max(1, len(ordered) - 1))
    heights = spread([place(y) for _, y, _, _ in ordered], step)
    for (x, y, label, color), height in zip(ordered, heights, strict=True):
        thin = {"arrowstyle": "-", "color": color, "lw": 0.6, "shrinkA": 1, "shrinkB": 3, "relpos": (0, 0.5)}
        shown = label if math.isfinite(y) else f"{label} (diverged)"
        at = (x, 10 ** (low + place(y) * (high - low)))
        axes.annotate(
            shown,
            at,
            (1.03, height),
            textcoords="axes fraction",
            va="center",
            fontsize=9,
            color="0.15",
            arrowprops=thin if math.isfinite(y) else None,
            annotation_clip=False,
        )


def spread(heights: Sequence[float], step: float) -> list[float]:
    """Heights from 0 to 1 in rising order, moved apart to steps of at least `step`, each group around its mean.

    Examples
    --------
    >>> from fastadagrad.compare.figures import spread
    >>> spread([0.0, 0.0, 0.75], 0.25)
    [0.0, 0.25, 0.75]
    >>> spread([0.5, 0.5, 0.5], 0.25)
    [0.25, 0.5, 0.75]
    """

    def lowest(group: Sequence[float]) -> float:
        room = step * (len(group) - 1)
        return max(0.0, min(sum(group) / len(group) - room / 2, 1 - room))

    groups: list[list[float]] = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and lowest(groups[-1]) < lowest(groups[-2]) + step * len(groups[-2]):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [lowest(group) + step * i for group in groups for i in range(len(group))]


def by_epochs(material: Material, problem: str) -> Figure:
    """Draw the validation loss against epochs."""
    figure = new_figure(6.4, 4.4)
    axes = figure.add_subplot()
    _curves(axes, material, problem, lambda runs: range(len(runs[0].valid)))
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("epochs")
    return figure


def by_seconds(material: Material, problem: str) -> Figure:
    """Draw the validation loss against the median processor time of training."""
    figure = new_figure(6.4, 4.4)
    axes = figure.add_subplot()

    def at(runs: Sequence[Run]) -> list[float]:
        return [float(np.median(each)) for each in zip(*(run.seconds for run in runs), strict=True)]

    _curves(axes, material, problem, at)
    axes.set_xlabel("seconds of training (processor time)")
    return figure


def by_rate(material: Material, problems: Sequence[str]) -> Figure:
    """Draw the final validation loss against the learning rate, with a panel for each problem."""
    columns = min(2, len(problems))
    rows = math.ceil(len(problems) / columns)
    figure = new_figure(6.4, 4.8 if columns == 1 else 1.3 + 2.2 * rows)
    panels = figure.subplots(rows, columns, squeeze=False)
    for i, (axes, problem) in enumerate(zip(panels.flat, problems, strict=False)):
        _sensitivity(axes, material, problem)
        axes.set_title(f"{problem}, {material.plan.epochs[problem]} epochs", fontsize=11)
        if i >= len(problems) - columns:
            axes.set_xlabel("learning rate")
    for axes in panels.flat[len(problems) :]:
        axes.set_visible(False)
    figure.supylabel("share of the loss left to gain", fontsize=10)
    figure.suptitle("below the dotted line rates are good; grey: worse than the start, or diverged", **NOTE)
    _legend(figure, panels[0, 0])
    return figure


def _sensitivity(axes: Axes, material: Material, problem: str) -> None:
    rates, lowest = material.plan.rates, 1.0
    bounds = material.bounds[problem]
    for method in material.plan.methods:
        gaps: dict[float | None, list[float]] = {}
        for run in material.runs:
            if (run.cell.problem, run.cell.method) == (problem, method.label):
                gaps.setdefault(run.cell.rate, []).append(bounds[run.cell.seed].gap(run.final))
        x: Sequence[float] = [rate for rate in material.plan.rates_of(problem, method) if rate is not None]
        if method.rate_free:
            x = (rates[0] / 1.6, rates[-1] * 1.6)
            gaps = dict.fromkeys(x, gaps[None])
        low, middle, high = np.clip(_band(gaps[rate] for rate in x), LEAST_GAP, ROOF)
        lowest = min(lowest, middle.min())
        label, style = f"{method.label} (no rate)" if method.rate_free else method.label, material.style(method)
        axes.plot(x, middle, label=label, lw=1.5, ms=4, **style)
        axes.fill_between(x, low, high, color=style["color"], alpha=0.12, lw=0)
    axes.set_xscale("log")
    _gaps_axis(axes, lowest)
    axes.axhline(GOOD, color="0.4", lw=0.9, ls=":")
    axes.axhspan(1, TOP, color="0.5", alpha=0.15, lw=0)
    axes.minorticks_off()
    dress(axes)


def performance(material: Material) -> Figure:
    """Draw performance profiles by epochs and by seconds."""
    figure = new_figure(6.4, 4.4)
    panels = figure.subplots(1, 2, sharey=True)
    measures: Mapping[str, Callable[[Line], Sequence[float]]] = {
        "epochs": lambda line: line.epochs_to_target,
        "seconds": lambda line: line.seconds_to_target,
    }
    for axes, (what, measure) in zip(panels, measures.items(), strict=True):
        found = profiles(material.lines, measure)
        furthest = max([2.0, *(ratio for ratios, _ in found.values() for ratio in ratios)]) * 1.1
        for method in material.plan.methods:
            ratios, pairs = found[method.label]
            x = sorted({1.0, *ratios, furthest})
            y = [share_within(ratios, pairs, factor) for factor in x]
            style = material.style(method)
            axes.step(x, y, where="post", label=method.label, lw=1.6, ms=4, markevery=[len(x) - 1], **style)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlim(1, furthest)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel(f"{what}: factor of the fastest method's")
        dress(axes)
    panels[0].set_ylabel("share of problems and seeds solved")
    figure.suptitle(f"Performance profiles: solved once {material.tau:.3g} of the loss is left to gain", fontsize=11)
    _legend(figure, panels[0])
    return figure


def paths(material: Material, problem: Problem) -> Figure:
    """Draw each method's path over the contours of the loss, with a panel for each method."""
    assert problem.plane is not None
    methods = list(material.plan.methods)
    columns = min(4, len(methods))
    rows = math.ceil(len(methods) / columns)
    figure = new_figure(6.4, 0.7 + 1.5 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    x, y, heights = _surface(problem)
    levels = np.logspace(math.log10(max(heights.min(), heights.max() * 1e-6)), math.log10(heights.max()), 12)
    row, column = np.unravel_index(heights.argmin(), heights.shape)
    rates = {line.method: line.rate for line in material.lines if line.problem == problem.name}
    for axes, method in zip(panels.flat, methods, strict=False):
        points, value = path(problem, method, rates[method.label], material.plan.epochs[problem.name])
        axes.contour(x, y, heights, levels=levels, colors="0.75", linewidths=0.6)
        axes.plot(x[column], y[row], "+", color="black", ms=7)
        axes.plot(*points.T, color=COLORS[0], lw=1.1)
        axes.plot(*points[0], "o", color="black", ms=3.5)
        axes.plot(*points[-1], "s", color=COLORS[1], ms=4)
        axes.set_xlim(problem.plane[:2])
        axes.set_ylim(problem.plane[2:])
        rate = "no rate" if rates[method.label] is None else f"rate {rates[method.label]:.2g}"
        label = re.sub("(?<=[:,])", "\n", method.label) if len(method.label) > 18 else method.label
        axes.set_title(f"{label}\n{rate}: {value:.2g}", fontsize=8)
        axes.tick_params(labelsize=8)
    for axes in panels.flat[len(methods) - columns : len(methods)]:
        axes.tick_params(labelbottom=True)
    for axes in panels.flat[len(methods) :]:
        axes.set_visible(False)
    figure.suptitle(f"{problem.name}: from dot to square, and the loss there; lowest at the cross", fontsize=10)
    return figure


def _surface(problem: Problem) -> tuple[Any, Any, Any]:
    assert problem.plane is not None
    loss = task_of(problem, 0).loss
    x, y = np.linspace(*problem.plane[:2], 121), np.linspace(*problem.plane[2:], 121)
    return x, y, np.array([[loss(np.array([a, b]))[0] for a in x] for b in y])


def path(problem: Problem, method: Contender, rate: float | None, epochs: int) -> tuple[Any, float]:
    """The points that the updates of a run with seed 0 reach, and the loss at the end."""
    task = task_of(problem, 0)
    point = task.copied()
    opt = method.build(task.loss, point, rate, lazy_for(task, method))
    data, points = task.training(0), [point.copy()]
    with unwarned():
        for _ in range(epochs * (1 if data is not None else task.updates)):
            if not math.isfinite(train_epoch(opt, data, 1)):
                break
            points.append(point.copy())
        return np.array(points), float(opt.evaluate(task.validation())["loss"])
