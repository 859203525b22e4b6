"""Panels as SVG within HTML: text that can be searched, colours that follow the page, and no script needed.

Sizes are in units of the drawing, which the page scales to its width: on a telephone a unit is a little less than a
pixel. The report's script (report.js) moves the same elements when the reader switches axes, by the same rules.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from .panels import Axis, Panel, Scale, Series

WIDTH, HEIGHT = 400, 330
LEFT, RIGHT, TOP, BOTTOM = 46, 128, 30, 46  # margins of the frame
BAND = 24  # height of the bands for values that are below or above the axis
IN_BAND = 6  # from the axis to the line in a band, whose other part has the words
NAME_STEP = 13.5  # between names
LONGEST_NAME = 12
ENDS = (
    "M-3.6,0a3.6,3.6 0 1,0 7.2,0a3.6,3.6 0 1,0 -7.2,0z",
    "M-3.2,-3.2h6.4v6.4h-6.4z",
    "M0,-4.4l4.2,7.4h-8.4z",
    "M0,-4.6l4.6,4.6l-4.6,4.6l-4.6,-4.6z",
    "M0,4.4l4.2,-7.4h-8.4z",
    "M-4.6,-1.4h9.2v2.8h-9.2z",
)
SMALL_END = "M-1.8,0a1.8,1.8 0 1,0 3.6,0a1.8,1.8 0 1,0 -3.6,0z"


class Looks(NamedTuple):
    """How the methods look, which is the same in all panels."""

    methods: tuple[str, ...]
    emphasised: tuple[str, ...]
    names: Mapping[str, str]  # short names

    def place(self, method: str) -> int:
        """The number of the method's colour and end; -1 for grey."""
        return self.emphasised.index(method) if method in self.emphasised else -1

    def layer(self, method: str) -> int:
        """A number by which lines are drawn: those in grey first, then the others, the best last, on top of all."""
        return -self.place(method) if method in self.emphasised else -len(self.emphasised)


def looks_of(methods: Sequence[str], emphasised: Sequence[str]) -> Looks:
    """Looks of methods, with short names that differ."""
    names: dict[str, str] = {}
    for method in methods:
        short = method if len(method) <= LONGEST_NAME else f"{method[: LONGEST_NAME - 1]}\u2026"
        number = 2
        while short in names.values():
            short = f"{method[: LONGEST_NAME - 3]}\u2026{number}"
            number += 1
        names[method] = short
    return Looks(tuple(methods), tuple(emphasised), names)


def swatch(looks: Looks, method: str) -> str:
    """A sample of a method's line, for legends and tables."""
    place = looks.place(method)
    end = ENDS[place] if place >= 0 else SMALL_END
    return (
        f'<svg class="swatch {_color(place)}" viewBox="-12 -6 24 12" aria-hidden="true">'
        f'<path class="line" d="M-12,0H12"/><path class="end" d="{end}"/></svg>'
    )


def drawn(panel: Panel, number: int, looks: Looks) -> str:
    """A panel with its first axes and their first scales."""
    y_axis = next(iter(panel.ys.values()))
    x_axis = next(iter(panel.xs.values()))
    x_scale, y_scale = x_axis.scales[0], y_axis.scales[0]
    inner = Frame(x_scale, y_scale)
    order = sorted(panel.series, key=lambda each: looks.layer(each.method))
    ends = [inner.points(each, panel.step)[-1] for each in order]
    if panel.key:
        ranks = {method: rank for rank, method in enumerate(panel.key)}
        heights = [TOP + 6 + NAME_STEP * ranks[each.method] for each in order]
    else:
        heights = _apart_in_frame([y for _, y in ends])
    lines = [
        _line(panel, each, inner, looks, end, height) for each, end, height in zip(order, ends, heights, strict=True)
    ]
    title = html.escape(panel.title)
    bottom = max(HEIGHT, *(height + 8 for height in heights))
    return (
        f'<svg class="panel" data-panel="{number}" viewBox="0 0 {WIDTH} {bottom:.0f}" role="group" '
        f'aria-label="{title}">'
        f'<g class="frame">{frame(x_axis, y_axis, x_scale, y_scale)}</g>{"".join(lines)}'
        '<line class="cursor" hidden="hidden"/></svg>'
    )


class Frame(NamedTuple):
    """Where values are in the frame between two scales."""

    x: Scale
    y: Scale

    def left(self, value: float) -> float:
        """Place of a value on the x axis."""
        return LEFT + self.x.at(value) * (WIDTH - LEFT - RIGHT)

    def top(self, value: float) -> float:
        """Place of a value on the y axis."""
        first, last = HEIGHT - BOTTOM - float(BAND * self.y.below), TOP + float(BAND * self.y.above)
        at = self.y.at(value)
        if at < 0:
            return first + IN_BAND
        return last - IN_BAND if at > 1 else first + at * (last - first)

    def points(self, series: Series, step: bool, which: int = 1) -> list[tuple[float, float]]:
        """The points of a line, or of an end of its band."""
        found = [(self.left(x), self.top(y)) for x, y in zip(series.xs[0], series.ys[0][which], strict=True)]
        if not step:
            return found
        corners = [(after[0], before[1]) for before, after in pairwise(found)]
        return [found[0], *(point for pair in zip(corners, found[1:], strict=True) for point in pair)]


def frame(x_axis: Axis, y_axis: Axis, x_scale: Scale, y_scale: Scale) -> str:
    """Grid, ticks, labels and bands."""
    inner, right, floor = Frame(x_scale, y_scale), WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for there, roof, words, at in (
        (y_scale.above, TOP, y_axis.above, TOP + 11),
        (y_scale.below, floor - BAND, y_axis.below, floor - 4),
    ):
        if there:
            parts.append(f'<rect class="beyond" x="{LEFT}" y="{roof}" width="{right - LEFT}" height="{BAND}"/>')
            parts.append(_text(words, LEFT + 4, at, "within"))
    for tick in y_scale.ticks:
        y = inner.top(tick)
        parts.append(f'<path class="grid" d="M{LEFT},{y:.1f}H{right}"/>')
        parts.append(_text(number_of(tick), LEFT - 5, y + 4, "tick end-of"))
    for tick in x_scale.ticks:
        x = inner.left(tick)
        parts.append(f'<path class="grid" d="M{x:.1f},{TOP}V{floor}"/>')
        parts.append(_text(number_of(tick), x, floor + 15, "tick middle"))
    parts.append(f'<path class="axis" d="M{LEFT},{TOP}V{floor}H{right}"/>')
    parts.append(_text(y_axis.label, 2, 14, "label"))
    parts.append(_text(x_axis.label, (LEFT + right) / 2, floor + 34, "label middle"))
    if y_axis.guide is not None and y_scale.low <= y_axis.guide <= y_scale.high:
        y = inner.top(y_axis.guide)
        parts.append(f'<path class="guide" d="M{LEFT},{y:.1f}H{right}"/>')
        parts.append(_text(y_axis.guided, LEFT + 4, y - 3, "within"))
    return "".join(parts)


def _text(words: str, x: float, y: float, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{html.escape(words)}</text>'


def _color(place: int) -> str:
    return f"c{place}" if place >= 0 else "grey"


def _line(panel: Panel, series: Series, inner: Frame, looks: Looks, end: tuple[float, float], height: float) -> str:
    place, name = looks.place(series.method), looks.names[series.method]
    low, high = (inner.points(series, panel.step, which) for which in (0, 2))
    band = "" if panel.step else f'<path class="spread" d="{path_of([*low, *high[::-1]])}Z"/>'
    marked = best_point(series, inner) if panel.key and not panel.step else end
    mark = ENDS[place] if place >= 0 else SMALL_END
    x = WIDTH - RIGHT
    if panel.key:
        lead, at = f'<path class="end" transform="translate({x + 12},{height:.1f})" d="{mark}"/>', x + 20
    else:
        lead, at = f'<path class="lead" d="{lead_of(end, height)}"/>', x + 14
    return (
        f'<g class="curve {_color(place)}" data-method="{looks.methods.index(series.method)}">'
        f"<title>{html.escape(f'{series.method}, {series.note}')}</title>{band}"
        f'<path class="line" d="{path_of(inner.points(series, panel.step))}"/>'
        f'<path class="end mark" transform="translate({marked[0]:.1f},{marked[1]:.1f})" d="{mark}"/>{lead}'
        f"{_text(name, at, height + 4, 'name')}</g>"
    )


def best_point(series: Series, inner: Frame) -> tuple[float, float]:
    """Where the lowest value of a line is."""
    middle = series.ys[0][1]
    best = min(range(len(middle)), key=middle.__getitem__)
    return inner.left(series.xs[0][best]), inner.top(middle[best])


def lead_of(end: tuple[float, float], height: float) -> str:
    """The path from the end of a line to its name."""
    return f"M{end[0] + 4:.1f},{end[1]:.1f}L{WIDTH - RIGHT + 12},{height:.1f}"


def path_of(points: Sequence[tuple[float, float]]) -> str:
    """The points as the data of a path."""
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)


def number_of(value: float) -> str:
    """A number as on an axis.

    Examples
    --------
    >>> from fastadagrad.compare.drawing import number_of
    >>> [number_of(value) for value in (0.0, 0.001, 1e-4, 1000.0, 2e6)]
    ['0', '0.001', '1e-4', '1000', '2e6']
    """
    small = 0 < abs(value) < 9.99e-4
    text = f"{value:.2e}" if small else f"{value:.0f}" if 1000 <= abs(value) < 1e5 else f"{value:.3g}"
    mantissa, e, power = text.partition("e")
    return f"{float(mantissa):g}e{int(power)}" if e else text


def _apart_in_frame(heights: Sequence[float]) -> list[float]:
    """Heights of names beside these ends, moved apart, in the order given."""
    room = HEIGHT - BOTTOM - TOP
    order = sorted(range(len(heights)), key=lambda i: (heights[i], i))
    step = min(1.0, NAME_STEP / room)
    moved = apart([(heights[i] - TOP) / room for i in order], step)
    found = [0.0] * len(heights)
    for i, height in zip(order, moved, strict=True):
        found[i] = TOP + height * room
    return found


def apart(heights: Sequence[float], step: float) -> list[float]:
    """Heights from 0 to 1 in rising order, moved apart to steps of at least `step`, each group around its mean.

    If they have no room between 0 and 1, they begin at 0 and go on beyond 1.

    Examples
    --------
    >>> from fastadagrad.compare.drawing import apart
    >>> apart([0.0, 0.0, 0.75], 0.25)
    [0.0, 0.25, 0.75]
    >>> apart([0.5, 0.5, 0.5], 0.25)
    [0.25, 0.5, 0.75]
    """

    def lowest(group: Sequence[float]) -> float:
        room = step * (len(group) - 1)
        return max(0.0, min(math.fsum(group) / len(group) - room / 2, 1 - room))

    groups: list[list[float]] = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and lowest(groups[-1]) < lowest(groups[-2]) + step * len(groups[-2]):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [lowest(group) + step * i for group in groups for i in range(len(group))]
