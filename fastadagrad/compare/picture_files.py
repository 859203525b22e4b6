"""The figures of a comparison as files, SVG with text that can be searched and PNG, in a folder beside the report."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from ..support.extras import needed
from ..support.outputs import make_folder, replacing
from .figures import figures
from .material import Material

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "figures"
PNG_COLORS = 128


def write_pictures(folder: Path, material: Material) -> None:
    """Draw all figures into a folder of their own.

    Raises
    ------
    RuntimeError
        If matplotlib is not installed.
    """
    make_folder(folder / FOLDER)
    for name, figure in figures(material):
        for suffix, content in (("svg", svg(figure)), ("png", png(figure))):
            with replacing(folder / FOLDER / f"{file_name(name)}.{suffix}") as file:
                file.write(content)


def svg(figure: Figure) -> bytes:
    """A figure as SVG, which can be shown at any size; its text is text, and not the outlines of letters."""
    content = io.BytesIO()
    with needed("matplotlib", "a figure").rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
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
