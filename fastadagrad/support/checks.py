"""Checks of numbers that users give."""

from __future__ import annotations

import math
import operator
from collections.abc import Collection
from typing import Any

import numpy as np

from .asking import OF_ARGUMENTS, asking, shown

# Types that are refused as numbers, although float() takes them.
NO_NUMBERS = bool, np.bool, str, bytes, np.complexfloating
PLAIN_NUMBERS = frozenset({float, int, np.float32, np.float64, np.float16, np.int32, np.int64})


def whole_number(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """A whole number of Python or NumPy, checked, as an int.

    Raises
    ------
    TypeError
        If it is no whole number; a float is none, whatever its value.
    ValueError
        If it is below `least` or above `most`.

    Examples
    --------
    >>> whole_number("steps", 0, least=1)
    Traceback (most recent call last):
    ...
    ValueError: steps must be a whole number of at least 1, not 0
    """
    try:
        number = None if isinstance(value, NO_NUMBERS) else operator.index(value)
    except OF_ARGUMENTS:
        number = None
    bounds = "" if least is None else f" of at least {least}"
    if number is None:
        raise TypeError(f"{name} must be a whole number{bounds}, not {shown(value)}")
    if most is not None and number > most:
        raise ValueError(f"{name} must be a whole number of at most {most}, not {shown(value)}")
    if least is not None and number < least:
        raise ValueError(f"{name} must be a whole number{bounds}, not {shown(value)}")
    return number


def checked_number(name: str, value: Any) -> float:
    """A finite number of at least 0, as a float."""
    try:
        no_number = isinstance(value, NO_NUMBERS) or getattr(value, "shape", ()) != ()
        number = math.nan if no_number else float(value)
    except OverflowError:
        no_number, number = False, math.inf
    except OF_ARGUMENTS:
        no_number = True
    if no_number:
        raise TypeError(f"{name} must be a number, not {shown(value)}") from None
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{name} must be finite and at least 0, not {shown(value)}")
    if name == "momentum" and number >= 1:
        raise ValueError(f"momentum must be below 1, not {value!r}: the velocity would never decay")
    return number


def checked_share(name: str, value: Any) -> float:
    """A number between 0 and 1, and neither, as a float."""
    try:
        share = checked_number(name, value)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise ValueError(f"{name} must be between 0 and 1, and neither, not {shown(value)}")
    return share


def one_of(name: str, value: Any, choices: Collection[str | None]) -> Any:
    """One of some strings, or None where that is among them.

    Raises
    ------
    TypeError, ValueError
        If it is none of them.

    Examples
    --------
    >>> one_of("missing", "median", ["refuse", "zero"])
    Traceback (most recent call last):
    ...
    ValueError: missing must be one of 'refuse', 'zero', not 'median'
    """
    with asking(name, value):
        if not (value is None or isinstance(value, str)) or value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {shown(value)}")
        return None if value is None else str(value)


def quick_float(name: str, value: Any) -> float:
    """A number as a float, as quickly as possible; NaN for values that need a closer look, such as callables."""
    if type(value) in PLAIN_NUMBERS:
        try:
            return float(value)
        except OverflowError:
            return math.nan
    return math.nan if callable(value) else checked_number(name, value)


def check_limits(least: int, **limits: Any) -> None:
    """Raise TypeError or ValueError for a limit that is no whole number of at least `least`; None is no limit."""
    for name, limit in limits.items():
        if limit is not None:
            whole_number(name, limit, least)
