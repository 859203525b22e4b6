"""The scalars of many steps at once, for loops of linear models that make all these steps in one call."""

from __future__ import annotations

from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ..kernels.rules import COMMON
from .options import Settings


def scalars_of_steps(settings: Settings, first: int, count: int) -> NDArray[np.float64]:
    """Rows of the rule's scalars in float64, for `count` steps from step `first`, counted from 0.

    Where the learning rate is constant, only the method's own scalars are formed for each step, which saves time.
    """
    steps, width = range(first, first + count), len(settings.rule.Scalars._fields)
    if settings.rate_changes:
        return np.array([settings.scalars(t) for t in steps]).reshape(count, width)
    rate, own = settings.learning_rate_at(0), settings.rule.scalar_values
    table = np.empty((count, width))
    table[:] = settings.scalars(first)
    values = chain.from_iterable(own(settings.own, rate, t) for t in steps)
    count_of_own = width - len(COMMON)
    table[:, len(COMMON) :] = np.fromiter(values, np.float64, count * count_of_own).reshape(count, count_of_own)
    return table


def sums_of_steps(settings: Settings, table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums by which missed steps are caught up: of a*l1 and of log(1 - a*w), before each step and after all of them."""
    fields = settings.rule.Scalars._fields
    sums = np.zeros((len(table) + 1, 2))
    np.cumsum(table[:, fields.index("l1_step")], out=sums[1:, 0])
    np.cumsum(np.log(table[:, fields.index("keep")]), out=sums[1:, 1])
    return sums
