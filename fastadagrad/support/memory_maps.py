"""Arrays in files that are mapped into memory: once such a map is closed, to read what was in it would be a crash."""

from __future__ import annotations

import mmap
import sys
from typing import Any


def map_of(array: Any) -> mmap.mmap | None:
    """The memory map that an array is a view of; None if it is of no file, or no array of NumPy's."""
    numpy = sys.modules.get("numpy")  # without it, there is no array
    while numpy is not None and isinstance(array, numpy.ndarray):
        array = array.base
    return array if isinstance(array, mmap.mmap) else None


def is_closed(array: Any) -> bool:
    """Whether an array is a view of a memory map that has been closed."""
    found = map_of(array)
    return found is not None and found.closed


def refuse_closed_within(what: str, given: Any) -> None:
    """Raise ValueError, which names `what`, if there is such an array as `refuse_closed` refuses.

    It may be what is given, or be in it, where that is a list, a tuple or a dict, or has some of them.
    """
    if isinstance(given, dict):
        given = [*given.values()]
    if not isinstance(given, list | tuple):
        refuse_closed(what, given)
        return
    for item in given:
        if type(item) is not float and type(item) is not int:  # quick for long lists of numbers
            refuse_closed_within(what, item)


def refuse_closed(what: str, array: Any) -> None:
    """Raise ValueError, which names `what`, if an array is a view of a memory map that has been closed."""
    if is_closed(array):
        raise ValueError(f"{what}: its memory map has been closed; open it again")
