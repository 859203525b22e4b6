"""What the commands that read examples have in common: options, checks of paths, and how scores are shown."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from typing import Literal

from ..support.contents import STDIN

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


def check_outputs(paths: Mapping[str, str | None], inputs: Mapping[str, str | None]) -> None:
    """Refuse files that cannot be written, or that the same command reads or writes besides, before any work.

    Raises
    ------
    OSError
        If one cannot be written.
    ValueError
        If it is one of the others, both by the names of their options.
    """
    from ..support import outputs

    others = {name: path for name, path in inputs.items() if path is not None}
    for name, path in paths.items():
        if path is None:
            continue
        outputs.check(path)
        for other, its_path in others.items():
            if _is_same_file(path, its_path):
                raise ValueError(f"{name} {path} is the file of {other}, which would be lost: name another one")
        others[name] = path


def _is_same_file(path: str, other: str) -> bool:
    """Whether two paths lead to one regular file, be it there or not yet."""
    if os.path.exists(path) and not os.path.isfile(path):
        return False
    return os.path.realpath(path) == os.path.realpath(other)


def check_stdin(sources: Iterable[str | None]) -> None:
    """Refuse to read standard input twice."""
    times = list(sources).count(STDIN)
    if times > 1:
        raise ValueError(f"standard input can be read once, but - is given {times} times")


def shown(found: Mapping[str, float]) -> str:
    """An evaluation in a line."""
    return ", ".join(f"{name.replace('_', ' ')} {value:.5g}" for name, value in found.items())
