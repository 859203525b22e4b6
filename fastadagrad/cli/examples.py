"""The options that say how to read a file of examples."""

from __future__ import annotations

import argparse
from typing import Literal

Base = bool | Literal["auto"]
_BASES: dict[str, Base] = {"true": True, "false": False, "auto": "auto"}


def add_arguments(parser: argparse.ArgumentParser, default: str) -> None:
    """Declare them; `default` says where columns begin if --zero-based is not given."""
    parser.add_argument("--target", metavar="NAME", help="array of a .npz file that holds the labels (y)")
    text = f"whether columns of svmlight text count from 0 rather than 1 (default: {default})"
    parser.add_argument("--zero-based", choices=tuple(_BASES), help=text)


def base(given: str | None, known: bool | None) -> Base:
    """Where columns begin: as given, else as in what the file goes with, else as the file itself looks."""
    if given is not None:
        return _BASES[given]
    return "auto" if known is None else known
