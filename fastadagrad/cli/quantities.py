"""Quantities with units, as options take them: counts such as 100M, bandwidths such as 10Gbit/s, times such as 5us."""

from __future__ import annotations

import argparse
import math
import operator
import re
from collections.abc import Callable

MOST, HOUR = 1e18, 3600.0
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)((?:[eE][+-]?[0-9]+)?) ?(\S*)")
_PREFIXES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
_COUNTS = {**_PREFIXES, "B": 1e9}
_TIMES = {"": 1.0, "s": 1.0, "ms": 1e3, "us": 1e6, "\u00b5s": 1e6, "ns": 1e9}  # how many are a second
_BANDWIDTHS = {
    "": 1.0,
    **{f"{prefix}B/s": size for prefix, size in (_PREFIXES | _BINARY).items()},
    **{f"{prefix}bit/s": size / 8 for prefix, size in _PREFIXES.items()},
}


def count(text: str) -> int:
    """A whole number, such as 4096, 1e9 or 100M.

    >>> count("2.3M")
    2300000
    """
    number = _scaled(text, _COUNTS)
    if number is None or number > MOST or not math.isclose(number, round(number)):
        raise argparse.ArgumentTypeError(f"must be a whole number, such as 4096, 1e9 or 100M, not {text!r}")
    return round(number)


def count_of_some(text: str) -> int:
    """A whole number of at least 1."""
    found = count(text)
    if not found:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text!r}")
    return found


def counts(text: str) -> list[int]:
    """Whole numbers of at least 1, with commas between them, each once and in order.

    >>> counts("4,1,2")
    [1, 2, 4]
    """
    return sorted({count_of_some(each.strip()) for each in text.split(",")})


def bandwidth(text: str) -> float:
    """Bytes a second, such as 12.5GB/s, 100Gbit/s or 1e9.

    >>> bandwidth("10Gbit/s")
    1250000000.0
    """
    found = _scaled(text, _BANDWIDTHS)
    if found is None or not 1 <= found <= MOST:
        what = "must be at least 1, in bytes a second or with a unit, such as 1e9, 12.5GB/s or 100Gbit/s"
        raise argparse.ArgumentTypeError(f"{what}, not {text!r}")
    return found


def seconds(text: str) -> float:
    """Seconds, such as 5us or 5e-6."""
    found = _scaled(text, _TIMES, operator.truediv)
    if found is None or found > HOUR:
        what = "must be at most an hour, in seconds or with a unit, such as 5us or 5e-6"
        raise argparse.ArgumentTypeError(f"{what}, not {text!r}")
    return found


def _scaled(text: str, units: dict[str, float], scale: Callable[[float, float], float] = operator.mul) -> float | None:
    """A number, scaled by its unit; None if it is none."""
    found = _NUMBER.fullmatch(text.strip())
    return None if found is None or found[3] not in units else scale(float(found[1] + found[2]), units[found[3]])
