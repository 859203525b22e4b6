"""Tables of the pages in docs/, and the code in their cells."""

from __future__ import annotations

import ast
import itertools
import re
from typing import Any

from places import ROOT

DOCS = ROOT / "docs"


def section(page: str, heading: str) -> str:
    """What stands below a heading of the second level."""
    text = (DOCS / page).read_text()
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def table(page: str, heading: str) -> list[tuple[str, ...]]:
    """Rows of the first table below a heading, without its head."""
    below = itertools.dropwhile(lambda line: not line.startswith("|"), section(page, heading).splitlines())
    lines = list(itertools.takewhile(lambda line: line.startswith("|"), below))
    return [tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))) for line in lines[2:]]


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def call(text: str) -> tuple[str, dict[str, Any]]:
    """Name of what a piece of code calls, and its keyword arguments, which are literals."""
    tree = ast.parse(text.strip(), mode="eval").body
    assert isinstance(tree, ast.Call), text
    return name_of(tree.func), {str(each.arg): ast.literal_eval(each.value) for each in tree.keywords}


def name_of(tree: ast.expr) -> str:
    return tree.attr if isinstance(tree, ast.Attribute) else tree.id if isinstance(tree, ast.Name) else ""
