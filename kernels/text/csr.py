"""Checks of a CSR matrix before its use: whether its structure is sound, and which columns it has.

All checks together read its arrays once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..jit import compiled
from ..memory.headers import borrowed

ROWS = 256  # rows checked together: their columns are still in a near cache when they are read a second time


class Structure(NamedTuple):
    """What `survey` finds; where `rises` is False, the other fields say nothing."""

    rises: bool  # whether the starts begin with 0, never fall, and end at no more than the columns that there are
    lowest: int  # of the columns; -1 if there are none
    highest: int
    ascending: bool  # whether in each row every column is above the one before


@compiled
def survey(columns, starts):
    """Structure of a matrix with these columns, int32 or int64, and int64 starts of rows, one more than rows."""
    columns, starts = borrowed((columns, starts))
    rows, falls = starts.size - 1, starts[0] != 0
    for n in range(rows):
        falls |= starts[n + 1] < starts[n]
    if falls or starts[rows] > columns.size:
        return Structure(False, -1, -1, False)
    if starts[rows] == 0:
        return Structure(True, -1, -1, True)
    lowest, highest, descents = columns[0], columns[0], 0
    for first in range(0, rows, ROWS):
        end = min(first + ROWS, rows)
        block = columns[max(starts[first] - 1, 0) : starts[end]]
        for t in range(block.size - 1):
            lowest, highest = min(lowest, block[t + 1]), max(highest, block[t + 1])
            descents += block[t + 1] <= block[t]
        for n in range(first, end):  # from the last column of a row to the first of the next they need not rise
            if 0 < starts[n] < starts[n + 1]:
                descents -= columns[starts[n]] <= columns[starts[n] - 1]
    return Structure(True, np.int64(lowest), np.int64(highest), descents == 0)
