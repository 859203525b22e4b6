"""Paths of the methods over the contours of a loss of two parameters, as SVG within the report."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..support.extras import needed
from .contenders import Contender
from .drawing import path_of
from .material import Material
from .panels import thinned
from .problem import Problem
from .problems import task_of
from .running import FAILURE, lazy_for, unwarned

WIDTH, HEIGHT = 160, 140
CONTOURS, GRID = 12, 121  # lines, and points along each axis from which they are made
STILL = 0.01  # of the frame's width: a path that is not longer hardly moves


def path(problem: Problem, method: Contender, rate: float | None, epochs: int) -> tuple[Any, float]:
    """The points that the updates of a run with seed 0 reach, and the loss at the end.

    A run that raises ends there, as it does where it is made for the results; its loss is infinite then.
    """
    task = task_of(problem, 0)
    point = task.copied()
    data, points = task.training(0), [point.copy()]
    with unwarned():
        try:
            trainer = method.build(task.loss, point, rate, lazy_for(task, method))
            for _ in range(epochs * (1 if data is not None else task.updates)):
                if not math.isfinite(trainer.train_epoch(data, 1)):
                    break
                points.append(point.copy())
            loss = trainer.loss(task.validation())
        except FAILURE:
            loss = math.inf
    return np.array(points), loss


def surface(problem: Problem) -> tuple[Any, Any, Any]:
    """Coordinates of a grid over the problem's plane, and the losses there."""
    assert problem.plane is not None
    loss = task_of(problem, 0).loss

    def height(point: Any) -> float:
        found = loss(point)
        return float(found[0] if isinstance(found, tuple) else found)  # some losses return gradients, too

    x, y = np.linspace(*problem.plane[:2], GRID), np.linspace(*problem.plane[2:], GRID)
    return x, y, np.array([[height(np.array([a, b])) for a in x] for b in y])


def levels_of(heights: Any) -> Any:
    """Heights of contours, equally far apart in their logarithms."""
    low = max(heights.min(), heights.max() * 1e-6)
    return np.logspace(math.log10(low), math.log10(heights.max()), CONTOURS)


def paths(material: Material, problem: Problem) -> Iterator[str]:
    """A small figure for each method, the best first; the first has the contours, and the others refer to them."""
    assert problem.plane is not None
    contours, lowest = _contours(problem)
    name = f"contours-{re.sub('[^a-zA-Z0-9]', '-', problem.name)}"
    methods = {method.label: method for method in material.plan.methods}
    ranks = {method: material.verdict.entries[problem.name, method].rank for method in methods}
    for number, label in enumerate(sorted(methods, key=lambda each: ranks[each])):
        rate = material.line_of(problem.name, label).rate
        points, loss = path(problem, methods[label], rate, material.plan.epochs[problem.name])
        drawn = [_place(problem.plane, points[i]) for i in thinned(len(points))]
        ground = f'<path class="contour" id="{name}" d="{contours}"/>' if number == 0 else f'<use href="#{name}"/>'
        first, last = drawn[0], drawn[-1]
        traced = (
            f'<path class="goal" d="M{lowest[0] - 5:.1f},{lowest[1]:.1f}h10m-5,-5v10"/>'
            f'<path class="trace" d="{path_of(drawn)}"/>'
            f'<circle class="from" cx="{first[0]:.1f}" cy="{first[1]:.1f}" r="3.2"/>'
            f'<path class="to" d="M{last[0] - 3.4:.1f},{last[1] - 3.4:.1f}h6.8v6.8h-6.8z"/>'
        )
        said = [
            label,
            "needs no rate" if rate is None else f"rate {rate:.2g}",
            f"loss {loss:.2g}" if math.isfinite(loss) else "diverged or failed",
        ]
        caption = html.escape(", ".join(said)) + _remark(points, problem.plane)
        yield (
            f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(said[0])}">'
            f"{ground}{traced}</svg><figcaption>{caption}</figcaption></figure>"
        )


def _remark(points: Any, plane: tuple[float, float, float, float]) -> str:
    x, y = points[-1]
    if not (plane[0] <= x <= plane[1] and plane[2] <= y <= plane[3]):
        return ": it ends outside of the frame"
    extent = np.ptp(points, axis=0)
    return ": it hardly moves" if max(extent) < STILL * (plane[1] - plane[0]) else ""


def _place(plane: tuple[float, float, float, float], point: Any) -> tuple[float, float]:
    """Where a point is in the drawing; far outside it is brought nearer, as what is there is cut off in any case."""
    x = (point[0] - plane[0]) / (plane[1] - plane[0]) * WIDTH
    y = (plane[3] - point[1]) / (plane[3] - plane[2]) * HEIGHT
    return float(np.clip(x, -9 * WIDTH, 9 * WIDTH)), float(np.clip(y, -9 * HEIGHT, 9 * HEIGHT))


def _contours(problem: Problem) -> tuple[str, tuple[float, float]]:
    """The contours as the data of a path, and the place of the lowest point."""
    assert problem.plane is not None
    x, y, heights = surface(problem)
    generator = needed("contourpy", "contours").contour_generator(x, y, heights)
    parts = []
    for level in levels_of(heights):
        for line in generator.lines(level):
            parts.append(path_of([_place(problem.plane, line[i]) for i in thinned(len(line))]))
    row, column = np.unravel_index(heights.argmin(), heights.shape)
    return "".join(parts), _place(problem.plane, (x[column], y[row]))
