"""Checks that a part of a file's header has the fields that it should have, each of its type."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

Types = type | tuple[type, ...]


def check(where: str, value: Any, fields: Mapping[str, Types]) -> None:
    """Raise TypeError or ValueError unless `value` is a dict with these fields alone; an int will do for a float.

    >>> check("run", {"epoch": 1.5}, {"epoch": int})
    Traceback (most recent call last):
    ...
    TypeError: epoch of run is 1.5
    """
    if not isinstance(value, dict):
        raise TypeError(f"{where} is {reprlib.repr(value)}")
    if value.keys() != fields.keys():
        raise ValueError(f"{where} has the fields {', '.join(map(str, value))}")
    for name, types in fields.items():
        found = value[name]
        as_float = types is float and type(found) is int
        if not (isinstance(found, types) or as_float) or (isinstance(found, bool) and types is not bool):
            raise TypeError(f"{name} of {where} is {reprlib.repr(found)}")
