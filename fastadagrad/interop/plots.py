"""Figures, drawn by matplotlib without its global state.

`PALETTE`, `new_figure` and `save` are what every figure of the package is made with.
"""

from __future__ import annotations

import errno
import os
from os import PathLike
from typing import TYPE_CHECKING

from .. import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    FileNotFoundError
        If there is no such folder.
    RuntimeError
        If matplotlib is not installed.
    """
    name = os.fspath(path)
    if not name.lower().endswith(SUFFIXES):
        raise ValueError(f"a figure's file must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, not {name!r}")
    folder = os.path.dirname(os.path.abspath(name))
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
    _matplotlib()


def _matplotlib() -> None:
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise RuntimeError('figures need matplotlib: pip install "fastadagrad[plot]"') from None


def new_figure(width: float = 6.4, height: float = 4.0) -> Figure:
    """An empty figure of this size in inches, whose parts make room for one another.

    Raises
    ------
    RuntimeError
        If matplotlib is not installed.
    """
    _matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")


def dress(axes: Axes) -> None:
    """A faint grid behind the data, and no frame."""
    axes.set_axisbelow(True)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: str | PathLike[str]) -> None:
    """Write a figure to a file, whose kind its suffix tells, as a whole or not at all.

    Raises
    ------
    ValueError, FileNotFoundError
        As of `check_path`.
    OSError
        If it cannot be written: what was there before still is.
    """
    check_path(path)
    with files.replacing(path) as file:
        figure.savefig(file, format=os.fspath(path).rpartition(".")[2].lower())
