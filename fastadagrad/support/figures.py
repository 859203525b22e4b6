"""Figures, drawn by matplotlib without its global state.

Every figure of the package is made with `PALETTE`, `new_figure` and `save`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any

from . import outputs
from .asking import asking, path_text
from .extras import needed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE = 1e3  # ratio of the highest loss to the lowest from which on only powers of 10 are labelled on the axis
SUFFIXES = (".png", ".svg", ".pdf")
DOTS_PER_INCH = 150

# Colours that the colour-blind can tell apart, too: M. Okabe, K. Ito, "Color Universal Design" (2008). Yellow is too
# faint for lines on white and comes last.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")


def path_of(where: Any) -> str | None:
    """The path to which a figure is to be written; None for axes in which it is to be drawn."""
    with asking("where", where):
        if not isinstance(where, str | PathLike):
            return None
    return path_text("where", where)


def check_path(path: str | PathLike[str]) -> None:
    """Refuse a path to which no figure can be written, before the work whose result the figure shows.

    Raises
    ------
    ValueError
        If the name does not end in .png, .svg or .pdf.
    OSError
        If the file cannot be written, as when its folder does not exist, or when the path is a folder.
    RuntimeError
        If matplotlib is not installed.
    """
    name = os.fspath(path)
    if not name.lower().endswith(SUFFIXES):
        raise ValueError(f"a figure's file must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, not {name!r}")
    needed("matplotlib.figure", "a figure")
    outputs.check(path)


def new_figure(width: float = 6.4, height: float = 4.0) -> Figure:
    """An empty figure of this size in inches, with matplotlib's constrained layout.

    Raises
    ------
    RuntimeError
        If matplotlib is not installed.
    """
    figure: Figure = needed("matplotlib.figure", "a figure").Figure(
        figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained"
    )
    return figure


def dress(axes: Axes) -> None:
    """Give axes a faint grid behind the data, and remove their upper and right border."""
    axes.set_axisbelow(True)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: str | PathLike[str]) -> None:
    """Write a figure to a file, whose suffix decides the format, as a whole or not at all.

    Raises
    ------
    ValueError, RuntimeError
        As in `check_path`.
    OSError
        If the file cannot be written; a file that was there before is left as it was.
    """
    check_path(path)
    with outputs.replacing(path) as file:
        figure.savefig(file, format=os.fspath(path).rpartition(".")[2].lower())


def drawing(draw: Callable[[Axes, Any], None], subject: Any) -> Figure:
    """A figure with one pair of axes, in which `draw(axes, subject)` has drawn."""
    figure = new_figure()
    draw(figure.subplots(), subject)
    return figure


def logarithmic_if_wide(axes: Axes, low: float, high: float) -> bool:
    """Give axes a logarithmic scale if losses from `low` to `high` span more than a decade; whether they do."""
    from matplotlib.ticker import FuncFormatter

    if not 0 < 10 * low < high:
        return False
    digits = "125" if high < WIDE * low else "1"
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda x, position: f"{x:g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda x, position: f"{x:g}" if f"{x:e}"[0] in digits else ""))
    return True
