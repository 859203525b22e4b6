"""What users name as ``module:attribute``, problems and methods of their own, and the digest of its source."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def refused_exit(told_as: str) -> Iterator[None]:
    """Raise RuntimeError where code of the user's exits, which would end the comparison without a word."""
    try:
        yield
    except SystemExit as error:
        raise RuntimeError(
            f"{told_as} calls for an exit (SystemExit: {error}), which would end the whole comparison: leave that out, "
            "or raise another error"
        ) from error


def imported(told_as: str, name: str, hinted: str = "") -> Any:
    """The object that ``module:attribute`` names; the module is looked for in the current folder, too.

    Parameters
    ----------
    told_as : str
        What the object is to be, with which messages begin, as "problem 'mine:bowl'".
    name : str
        ``module:attribute``.
    hinted : str
        What is said where there is no such module, as that another name is meant.

    Raises
    ------
    ValueError
        If there is no such module, or if it has no such attribute.
    RuntimeError
        If the module exits.
    """
    module_name, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        with refused_exit(f"{told_as}: module {module_name!r}"):
            found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name not in (module_name, module_name.partition(".")[0]):
            raise
        more = f"; {hinted}" if hinted else ""
        raise ValueError(f"{told_as}: there is no module {module_name!r} here, nor an installed one{more}") from None
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{told_as}: module {module_name!r} has no {attribute!r}")
        found = getattr(found, part)
    return found


def source_digest(module_name: str) -> str:
    """Text that changes with the source of an imported module; empty if that cannot be read."""
    try:
        return hashlib.sha256(inspect.getsource(sys.modules[module_name]).encode()).hexdigest()[:16]
    except (KeyError, OSError, TypeError):
        return ""
