"""What the figures of the report show, as numbers: panels of lines over axes that the reader may switch.

A panel has one or several x axes (epochs, seconds) and one or several y axes (the share left to gain, the loss, a
score), each with the scales that it can have. `drawing.py` draws the first of each, and the report's script draws the
others from the same numbers. Losses that are below the floor of an axis, or above its roof, are drawn in a band of
their own, so that no line leaves the frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..engine.options import Options
from .material import Material
from .running import Run
from .significance import LEAST_PAIRS
from .summary import GOOD, LEAST_GAP, Line, profiles, share_within, spread
from .verdict import quality_profiles

ROOF = 2.0  # a larger gap, such as that of a run that diverged, is drawn in the upper band
MOST_POINTS = 160  # of a line; of more, some are left out
MOST_TICKS = 6
LEAST_RATIO = 1e-12  # of the lowest loss on a logarithmic axis to the highest
DEFAULT_RATE = Options().learning_rate
WIDE = 10.0  # ratio of losses from which on their axis is logarithmic at first


class Scale(NamedTuple):
    """A scale of an axis: values from `low` to `high`; `below` and `above` say whether there are others, in bands."""

    log: bool
    low: float
    high: float
    ticks: tuple[float, ...]
    below: bool = False
    above: bool = False

    def at(self, value: float) -> float:
        """The place of a value, from 0 to 1; -1 in the lower band and 2 in the upper one, where NaN is too."""
        if not value <= self.high * (1 + 1e-9):
            return 2.0 if self.above or math.isnan(value) else 1.0
        if value < self.low:
            return -1.0 if self.below else 0.0
        low, high, value = (math.log10(x) if self.log else x for x in (self.low, self.high, value))
        return (value - low) / (high - low) if high > low else 0.5


class Axis(NamedTuple):
    """An axis and its scales, the first of which is drawn first."""

    label: str
    scales: tuple[Scale, ...]
    below: str = ""  # what stands in the lower band
    above: str = ""
    guide: float | None = None  # where a dotted line is
    guided: str = ""  # what it means


class Series(NamedTuple):
    """A line: for each axis its numbers; for each y axis the lower and upper ends of its band, too."""

    method: str
    note: str
    xs: tuple[tuple[float, ...], ...]
    ys: tuple[tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]], ...]


class Panel(NamedTuple):
    """Lines over axes. Names stand at the ends of the lines, or in the order of `key`, the methods, beside them."""

    title: str
    xs: dict[str, Axis]
    ys: dict[str, Axis]
    series: tuple[Series, ...]
    step: bool = False
    key: tuple[str, ...] = ()


def overview(material: Material) -> Iterator[Panel]:
    """Panels of all problems: quality and performance profiles, where there are enough pairs of problem and seed."""
    pairs = len(material.plan.problems) * material.plan.seeds
    if pairs >= LEAST_PAIRS and len(material.plan.problems) > 1:
        yield quality(material)
        yield performance(material)


def of_problem(material: Material, problem: str) -> Iterator[Panel]:
    """Panels of one problem: losses by epochs or seconds, and final losses by learning rates."""
    yield curves(material, problem)
    if material.rated:
        yield sensitivity(material, problem)


def thinned(count: int) -> list[int]:
    """At most MOST_POINTS positions of `count`, evenly, with the first and the last."""
    return sorted({round(float(x)) for x in np.linspace(0, count - 1, min(count, MOST_POINTS))})


def curves(material: Material, problem: str) -> Panel:
    """The losses of the best rates by epochs and by seconds."""
    series, measures = [], _measures(material, problem)
    for method, runs in material.chosen(problem):
        if not runs:
            continue
        kept = thinned(len(runs[0].valid))
        seconds = tuple(float(np.median([run.seconds[i] for run in runs])) for i in kept)
        bands = tuple(_bands([[measure(run, i) for run in runs] for i in kept]) for measure in measures)
        note = _note(material.line_of(problem, method.label))
        series.append(Series(method.label, note, (tuple(map(float, kept)), seconds), bands))
    xs = {"epochs": linear_axis("epochs", series, 0, whole=True)}
    if max(each.xs[1][-1] for each in series) > 0:
        xs["seconds"] = linear_axis("seconds of training (processor time)", series, 1)
    ys = _loss_axes(material, problem, series)
    gap = ys["gap"]._replace(guide=material.tau, guided=f"target, {material.tau:g}")
    return Panel("Loss during training, with the best rates", xs, ys | {"gap": gap}, tuple(series))


def sensitivity(material: Material, problem: str) -> Panel:
    """The final losses by learning rates; a method without a rate is a level line."""
    series, lowest, measures = [], {}, _measures(material, problem)
    found = {method.label: material.of_rates(problem, method.label) for method in material.plan.methods}
    every = sorted({rate for rates in found.values() for rate in rates if rate is not None})
    for label, by_rate in found.items():
        if not by_rate:
            continue
        level = None in by_rate
        rates = tuple(every[i] for i in (0, -1)) if level else tuple(rate for rate in by_rate if rate is not None)
        several = [by_rate[None if level else rate] for rate in rates]
        bands = tuple(_bands([[measure(run, -1) for run in runs] for runs in several]) for measure in measures)
        lowest[label] = (min(bands[0][1]), label)
        series.append(Series(label, _note(material.line_of(problem, label)), (rates,), bands))
    low, high = every[0], every[-1]
    if low == high:
        low, high = low / 2, high * 2
    xs = {"rate": Axis(f"learning rate (default {DEFAULT_RATE:g})", (Scale(True, low, high, log_ticks(low, high)),))}
    ys = _loss_axes(material, problem, series)
    gap = ys["gap"]._replace(guide=GOOD, guided=f"good rates, {GOOD:g}")
    key = tuple(sorted(lowest, key=lowest.__getitem__))
    title = "Loss after the last epoch, by learning rate"
    return Panel(title, xs, ys | {"gap": gap}, tuple(series), key=key)


def quality(material: Material) -> Panel:
    """Shares of pairs of problem and seed by the largest gap that is left."""
    found = quality_profiles(material.lines)
    gaps = sorted({min(max(gap, LEAST_GAP), ROOF) for each in found.values() for gap in each.gaps if gap < math.inf})
    low, series = 10 ** math.floor(math.log10(min([*gaps, 0.1]))), []
    x = (low, *[gap for gap in gaps if gap > low], ROOF)
    for label, each in found.items():
        y = tuple(each.share(gap) for gap in x)
        note = f"{each.share(LEAST_GAP):.0%} at the best loss"
        series.append(Series(label, note, (x,), ((y, y, y),)))
    xs = {"gap": Axis("share of the loss left to gain, at most", (Scale(True, low, ROOF, log_ticks(low, ROOF)),))}
    pairs = next(iter(found.values())).pairs
    ys = {"share": Axis(f"share of {pairs} pairs of problem and seed", (_of_shares(),))}
    title = "How much is left at the end: higher is better"
    return Panel(title, xs, ys, tuple(series), step=True, key=material.verdict.methods)


def performance(material: Material) -> Panel:
    """Shares of pairs that reach the target within a factor of the fastest method's epochs, or seconds."""
    measures: dict[str, Callable[[Line], Sequence[float]]] = {
        "epochs": lambda line: line.epochs_to_target,
        "seconds": lambda line: line.seconds_to_target,
    }
    found = {name: profiles(material.lines, measure) for name, measure in measures.items()}
    xs, furthest = {}, {}
    for name, each in found.items():
        furthest[name] = max([2.0, *(ratio for ratios, _ in each.values() for ratio in ratios)]) * 1.1
        scale = Scale(True, 1.0, furthest[name], log_ticks(1.0, furthest[name]))
        xs[name] = Axis(f"{name} to the target: factor of the fastest method's", (scale,))
    series = []
    for label in found["epochs"]:
        x, y = [], []
        for name, each in found.items():
            ratios, pairs = each[label]
            x.append(tuple(sorted({1.0, *ratios, furthest[name]})))
            shares = tuple(share_within(ratios, pairs, factor) for factor in x[-1])
            y.append((shares, shares, shares))
        solved = found["epochs"][label]
        note = f"reaches it on {len(solved[0])} of {solved[1]:g}"
        series.append(Series(label, note, tuple(x), tuple(y)))
    ys = {name: Axis("share of problems and seeds solved", (_of_shares(),)) for name in xs}
    title = f"How soon {material.tau:.3g} of the loss is left: higher is better"
    return Panel(title, xs, ys, tuple(series), step=True)


def _of_shares() -> Scale:
    return Scale(False, 0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0))


def _measures(material: Material, problem: str) -> list[Callable[[Run, int], float]]:
    """What the y axes show of a run after an epoch, in the order of `_loss_axes`: gap, loss and perhaps score."""
    bounds = material.bounds[problem]
    found: list[Callable[[Run, int], float]] = [
        lambda run, epoch: bounds[run.cell.seed].gap(run.valid[epoch]),
        lambda run, epoch: run.valid[epoch],
    ]
    if any(run.scores for run in material.runs if run.cell.problem == problem):
        found.append(lambda run, epoch: run.scores[epoch] if run.scores else math.nan)
    return found


def _note(line: Line) -> str:
    return "needs no rate" if line.rate is None else f"rate {line.rate:.3g}"


def _bands(values: Iterable[Sequence[float]]) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Lower ends, medians and upper ends of several sets of values; see `spread`.

    They are rounded here, so that axes are made for the numbers that the page and its script have.
    """
    found = [spread(math.inf if math.isnan(value) else value for value in each) for each in values]
    low, middle, high = (tuple(rounded(value) for value in ends) for ends in zip(*found, strict=True))
    return low, middle, high


def rounded(value: float) -> float:
    """A number with as many digits as the page has, which are enough for the eye."""
    return float(f"{value:.4g}")


def _loss_axes(material: Material, problem: str, series: Sequence[Series]) -> dict[str, Axis]:
    """The axes of what is left to gain, of the loss, and of the score where there is one."""
    roof = f"more than {ROOF:g}, or diverged"
    gaps = scales_of(series, 0, LEAST_GAP, ROOF, from_zero=True)
    if gaps[0].log:  # the share left is at most 1 but for losses above the start's, and the eye should see that
        low, high = gaps[0].low, max(1.0, gaps[0].high)
        gaps = (gaps[0]._replace(high=high, ticks=log_ticks(low, high)), *gaps[1:])
    axes = {"gap": Axis("share of the loss left to gain", gaps, f"below {LEAST_GAP:g}", roof)}
    bounds = [each for each in material.bounds[problem].values() if math.isfinite(each.start)]
    start, best = (float(np.median(ends)) for ends in zip(*bounds, strict=True)) if bounds else (1.0, 0.0)
    highest = start + (start - best) * (ROOF - 1)
    finite = [y for each in series for y in each.ys[1][1] if y <= highest]
    floor = highest * LEAST_RATIO if finite and min(finite) >= 0 and highest > 0 else None
    losses = scales_of(series, 1, floor, highest)
    ratio = max(finite, default=1.0) / max(min(finite, default=1.0), 1e-300)
    if ratio < WIDE and len(losses) > 1:
        losses = losses[::-1]
    axes["loss"] = Axis("loss", losses, f"below {floor or 0:.1g}", f"above {highest:.3g}, or diverged")
    if len(series[0].ys) > 2:
        axes["score"] = Axis(
            material.plan.scores.get(problem, "score"), scales_of(series, 2, None, None), "", "diverged"
        )
    return axes


def scales_of(
    series: Sequence[Series], axis: int, floor: float | None, roof: float | None, from_zero: bool = False
) -> tuple[Scale, ...]:
    """The scales of a y axis: logarithmic, if it has a floor, and linear, which begins at 0 or at the lowest value."""
    middles = [y for each in series for y in each.ys[axis][1]]
    finite = [y for y in middles if math.isfinite(y) and (roof is None or y <= roof)] or [0.5, 1.0]
    above, highest = len(finite) < len(middles), max(finite)
    scales = [_linear(0.0 if from_zero else min(finite), highest, above=above)]
    if floor is not None:
        low = 10.0 ** math.floor(math.log10(max(min(finite), floor)) + 1e-9)
        high = max(highest, 10 * low)
        scales.insert(0, Scale(True, low, high, log_ticks(low, high), min(finite) < low, above))
    return tuple(scales)


def linear_axis(label: str, series: Sequence[Series], axis: int, whole: bool = False) -> Axis:
    """A linear x axis from 0."""
    return Axis(label, (_linear(0.0, max(each.xs[axis][-1] for each in series), whole=whole),))


def _linear(low: float, high: float, whole: bool = False, above: bool = False) -> Scale:
    if not high > low:
        low, high = low - abs(low) / 2 - 1e-9, high + abs(high) / 2 + 1e-9
    return Scale(False, low, high, linear_ticks(low, high, whole), False, above)


def linear_ticks(low: float, high: float, whole: bool = False) -> tuple[float, ...]:
    """Round numbers from `low` to `high`, at most MOST_TICKS.

    Examples
    --------
    >>> from fastadagrad.compare.panels import linear_ticks
    >>> linear_ticks(0.0, 20.0)
    (0.0, 5.0, 10.0, 15.0, 20.0)
    """
    power = 10.0 ** math.floor(math.log10((high - low) / MOST_TICKS))
    for factor in (1, 2, 5, 10, 20):
        step = factor * power
        if whole and step < 1:
            continue
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < MOST_TICKS:
            break
    return tuple(float(f"{n * step:.12g}") for n in range(first, last + 1))


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Powers of ten from `low` to `high`, at most MOST_TICKS; between few of them 2 and 5 times a power, too.

    Examples
    --------
    >>> from fastadagrad.compare.panels import log_ticks
    >>> log_ticks(1e-6, 2.0)
    (1e-06, 0.0001, 0.01, 1.0)
    >>> log_ticks(1.0, 30.0)
    (1.0, 2.0, 5.0, 10.0, 20.0)
    """
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 2:
        stride = math.ceil((last - first + 1) / MOST_TICKS)
        return tuple(10.0**power for power in range(first, last + 1, stride))
    several = (factor * 10.0**power for power in range(first - 1, last + 1) for factor in (1, 2, 5))
    return tuple(value for value in several if low * (1 - 1e-9) <= value <= high * (1 + 1e-9))
