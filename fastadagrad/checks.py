"""Numbers that users give."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

NO_NUMBERS = bool, np.bool, str, bytes  # though float() takes them
PLAIN_NUMBERS = frozenset({float, int, np.float32, np.float64, np.float16, np.int32, np.int64})


def checked_number(name: str, value: Any, whole: bool) -> float | int:
    kind = "a whole number" if whole else "a number"
    if isinstance(value, NO_NUMBERS) or getattr(value, "shape", ()) != ():
        raise TypeError(f"{name} must be {kind}, not {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be {kind}, not {value!r}") from None
    except OverflowError:
        number = math.inf
    if whole and number != int(number if math.isfinite(number) else 0):
        raise TypeError(f"{name} must be {kind}, not {value!r}")
    lowest = 1 if name in ("threads", "validate_every") else 0
    if not (math.isfinite(number) and number >= lowest):
        raise ValueError(f"{name} must be finite and at least {lowest}, not {value!r}")
    if name == "momentum" and number >= 1:
        raise ValueError(f"momentum must be below 1, not {value!r}: the velocity would never decay")
    return int(number) if whole else number


def quick_float(name: str, value: Any) -> float:
    """A number as a float, in as little time as can be; NaN for what is none or needs a closer look."""
    if type(value) in PLAIN_NUMBERS:
        try:
            return float(value)
        except OverflowError:
            return math.nan
    return math.nan if callable(value) else float(checked_number(name, value, whole=False))
