"""Figures, drawn by matplotlib without its global state.

`PALETTE`, `new_figure` and `save` are what every figure of the package is made with.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any

from . import outputs
from .extras import needed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE = 1e3  # the highest loss by the lowest: then only powers of 10 have their number
SUFFIXES = (".png", ".svg", ".pdf")
DOTS_PER_INCH = 150

# M. Okabe, K. Ito, "Color Universal Design" (2008): told apart also by the colour-blind. Yellow, too faint for lines on
# white, comes last.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")


def check_path(path: str | PathLike[str]) -> None:
    """Refuse a file that no figure can be written to, before the work whose figure it is to be.

    Raises
    ------
    ValueError
        If the name does not end in .png, .svg or .pdf.
    OSError
        If it cannot be written, be it that there is no such folder, or that it is one.
    RuntimeError
        If matplotlib is not installed.
    """
    name = os.fspath(path)
    if not name.lower().endswith(SUFFIXES):
        raise ValueError(f"a figure's file must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, not {name!r}")
    needed("matplotlib.figure", "a figure")
    outputs.check(path)


def new_figure(width: float = 6.4, height: float = 4.0) -> Figure:
    """An empty figure of this size in inches, whose parts make room for one another.

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
    """A faint grid behind the data, and no frame."""
    axes.set_axisbelow(True)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: str | PathLike[str]) -> None:
    """Write a figure to a file, whose kind its suffix tells, as a whole or not at all.

    Raises
    ------
    ValueError, RuntimeError
        As of `check_path`.
    OSError
        If it cannot be written: what was there before still is.
    """
    check_path(path)
    with outputs.replacing(path) as file:
        figure.savefig(file, format=os.fspath(path).rpartition(".")[2].lower())


def drawing(draw: Callable[[Axes, Any], None], subject: Any) -> Figure:
    """A figure with the one drawing of `subject`."""
    figure = new_figure()
    draw(figure.subplots(), subject)
    return figure


def logarithmic_if_wide(axes: Axes, low: float, high: float) -> bool:
    """Whether losses in this range span more than a decade, and have got a logarithmic scale."""
    from matplotlib.ticker import FuncFormatter

    if not 0 < 10 * low < high:
        return False
    digits = "125" if high < WIDE * low else "1"
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda x, position: f"{x:g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda x, position: f"{x:g}" if f"{x:e}"[0] in digits else ""))
    return True
