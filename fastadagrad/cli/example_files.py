"""Options, checks of paths and formatting of scores that the commands which read examples share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from typing import Literal

from ..support.contents import STDIN

Base = bool | Literal["auto"]
_BASES: dict[str, Base] = {"true": True, "false": False, "auto": "auto"}


def add_arguments(parser: argparse.ArgumentParser, default: str) -> None:
    """Declare the common options; `default` is the text of the default of --zero-based."""
    parser.add_argument("--target", metavar="NAME", help="column of the labels, or array of a .npz file (y)")
    text = f"whether columns of svmlight text count from 0 rather than 1 (default: {default})"
    parser.add_argument("--zero-based", choices=tuple(_BASES), help=text)


def base(given: str | None, known: bool | None) -> Base:
    """Whether columns count from 0: as given, else as in the training (`known`), else "auto", by the file itself."""
    if given is not None:
        return _BASES[given]
    return "auto" if known is None else known


def check_outputs(paths: Mapping[str, str | None], inputs: Mapping[str, str | None]) -> None:
    """Refuse output files that cannot be written, or that the same command also reads or writes, before any work.

    Raises
    ------
    OSError
        If an output cannot be written.
    ValueError
        If two options name the same file; the message names both options.
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
    """Whether two paths lead to one regular file, whether it exists or not."""
    if os.path.exists(path) and not os.path.isfile(path):
        return False
    return os.path.realpath(path) == os.path.realpath(other)


def check_stdin(sources: Iterable[str | None]) -> None:
    """Refuse to read standard input twice."""
    times = list(sources).count(STDIN)
    if times > 1:
        raise ValueError(f"standard input can be read once, but - is given {times} times")


def shown(found: Mapping[str, float]) -> str:
    """The numbers of an evaluation in a line."""
    return ", ".join(f"{name.replace('_', ' ')} {value:.5g}" for name, value in found.items())
