"""How often something is done in training: after so many epochs, or whenever so much time has passed."""

from __future__ import annotations

import math
import re
import time
from datetime import timedelta
from typing import Any

from .asking import asking, shown
from .checks import whole_number

_SECONDS = {"s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0}
_TIME = re.compile(rf"([0-9]+(?:\.[0-9]*)?|\.[0-9]+) ?({'|'.join(_SECONDS)})")


class Interval:
    """So many epochs, or so many seconds, of which one is None.

    Parameters
    ----------
    epochs : int or None
    seconds : float or None
    """

    def __init__(self, epochs: int | None, seconds: float | None) -> None:
        self.epochs, self.seconds = epochs, seconds
        self._since = time.monotonic()

    def begin(self) -> None:
        """Let the time begin to run, anew if it has run before."""
        self._since = time.monotonic()

    @property
    def time_has_passed(self) -> bool:
        """Whether it is a time, and has passed since it began to run."""
        return self.seconds is not None and time.monotonic() - self._since >= self.seconds

    def is_over(self, epochs: int) -> bool:
        """Whether it has ended with the epoch of this number."""
        return self.time_has_passed if self.epochs is None else epochs % self.epochs == 0


def interval_of(name: str, value: Any) -> Interval:
    """The interval that an argument says: a whole number of epochs, a time such as "30s", "5min" or "2h", a timedelta.

    Raises
    ------
    TypeError, ValueError
        If it is none of these, or not above 0.

    Examples
    --------
    >>> interval_of("every", 3).epochs, interval_of("every", "5min").seconds
    (3, 300.0)
    """
    with asking(name, value):
        if isinstance(value, timedelta):
            seconds = value.total_seconds()
        elif isinstance(value, str):
            if value.isdecimal():
                return interval_of(name, int(value))
            found = _TIME.fullmatch(value)
            if found is None:
                raise ValueError(
                    f'{name} must be a whole number of epochs, or a time such as "30s", "5min" or "2h", not '
                    f"{shown(value)}"
                )
            seconds = float(found[1]) * _SECONDS[found[2]]
        elif isinstance(value, float):
            raise TypeError(f'{name} must be a whole number of epochs, or a time such as "30s", not {shown(value)}')
        else:
            return Interval(whole_number(name, value, 1), None)
    if not 0 < seconds < math.inf:
        raise ValueError(f"{name} must be a time above 0, not {shown(value)}")
    return Interval(None, seconds)
