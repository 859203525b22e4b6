"""The table that lets one compiled call step many tensors: a row of addresses and sizes for each.

The last row is a sentinel: the totals FIRST_UNIT and FIRST_BLOCK, the addresses of the type and the dtype that every
gradient object must have (they differ from process to process), that of the type of memory maps, and that of
a count of updates.
"""

from __future__ import annotations

import mmap
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..jit import compiled, jitable
from ..reduce import BLOCK
from ..rules import MOST_SLOTS
from .headers import (
    BASE,
    BASE_OF_TYPE,
    DATA,
    DESCR,
    FLAGS,
    LIST_ITEMS,
    NDIM,
    READABLE,
    SHAPE,
    TYPE,
    WRITEABLE,
    array_at,
    borrowed,
    half_words,
    words,
)

(
    POSITION,  # of the gradient in the list of gradients
    OBJECT,  # address of the parameter's Python object
    PARAMETER,  # address of its data
    GRADIENT,
    SIZE,  # in elements
    WIDTH,  # elements of a row, which may share an accumulator
    UNIT,  # elements in a unit of work: whole rows, about BLOCK elements
    FIRST_UNIT,
    FIRST_BLOCK,
    INFINITE,  # whether a step has made an accumulator infinite
    FIRST_SLOT,  # address of the data of the first slot; then those of the others
) = range(11)

COLUMNS = FIRST_SLOT + MOST_SLOTS

# A row of the table as a tuple: LLVM then knows that no write to memory changes it, and does not read it again.
Row = namedtuple("Row", [f"column_{i}" for i in range(COLUMNS)])

# What these columns are in the sentinel.
ARRAY_TYPE, ARRAY_DTYPE, MAP_TYPE, UPDATES = OBJECT, PARAMETER, WIDTH, POSITION

NOT_COUNTED = np.zeros(1, np.int64)  # the count of whoever does not look at it

# Reasons for which a gradient is refused. Python code then examines the gradient again and words the message.
NOT_AS_EXPECTED, OVERLAPS, PARAMETER_CHANGED, NON_FINITE = 1, 2, 3, 4


def complaint(index: int, reason: int) -> int:
    return -(8 * index + reason)


def decode(code: int) -> tuple[int, int]:
    """Tensor index and reason of a negative return code."""
    return -code // 8, -code % 8


complaint = jitable(complaint)


def make_table(
    sizes: Sequence[int], widths: Sequence[int], dtype: np.dtype[Any], updates: NDArray[np.int64] = NOT_COUNTED
) -> NDArray[np.int64]:
    """Table of tensors of these sizes, with their addresses still 0; `updates` outlives it, see `count_update`."""
    table = np.zeros((len(sizes) + 1, COLUMNS), np.int64)
    table[-1, ARRAY_TYPE], table[-1, ARRAY_DTYPE] = id(np.ndarray), id(dtype)
    table[-1, MAP_TYPE], table[-1, UPDATES] = id(mmap.mmap), updates.ctypes.data
    for row, size, width in zip(table, sizes, widths, strict=False):
        row[SIZE], row[WIDTH] = size, width
        row[UNIT] = width * -(-BLOCK // max(width, 1)) if width < size else BLOCK
    units = -(-table[:-1, SIZE] // np.maximum(table[:-1, UNIT], 1))
    np.cumsum(units, out=table[1:, FIRST_UNIT])
    np.cumsum(-(-table[:-1, SIZE] // BLOCK), out=table[1:, FIRST_BLOCK])
    return table


@jitable
def count_update(table):
    """Count an update of parameters in memory, as an exception of a signal may keep Python from counting it."""
    count = array_at(table[-1, UPDATES], 1, np.int64)
    count[0] += 1


@jitable
def _common_size(a, b):
    """Elements of each of two arrays of the same shape, -1 if the shapes differ."""
    ndim = half_words(a)[NDIM]
    if half_words(b)[NDIM] != ndim:
        return -1
    size = 1
    if ndim > 0:
        shape_a, shape_b = array_at(words(a)[SHAPE], ndim, np.int64), array_at(words(b)[SHAPE], ndim, np.int64)
        for axis in range(ndim):
            if shape_a[axis] != shape_b[axis]:
                return -1
            size *= shape_a[axis]
    return size


@jitable
def _overlaps(start, stop, guard):
    """Whether [start, stop) meets one of the sorted, disjoint intervals of `guard`."""
    low, high = 0, guard.shape[0]
    while low < high:
        middle = (low + high) // 2
        if guard[middle, 1] <= start:
            low = middle + 1
        else:
            high = middle
    return low < guard.shape[0] and guard[low, 0] < stop


@jitable
def _is_a(address, kind):
    """Whether an object is of a type, or of one that is derived from it."""
    found = words(address)[TYPE]
    while found != 0 and found != kind:
        found = array_at(found, BASE_OF_TYPE + 1, np.int64)[BASE_OF_TYPE]
    return found == kind


@jitable
def _is_in_a_map(header, array_type, map_type):
    """Whether an array is a view of a memory map, which may have been closed."""
    base = header[BASE]
    while base != 0 and _is_a(base, array_type):
        base = words(base)[BASE]
    return base != 0 and _is_a(base, map_type)


@compiled
def read_gradients(gradients, table, guard, itemsize):
    """Check the gradients' headers against their parameters' and note where their data lie; 0 if all is well.

    `gradients` is the address of a Python list of objects of any kind.
    """
    table, guard = borrowed((table, guard))
    items = array_at(gradients + LIST_ITEMS, 1, np.int64)[0]
    array_type, array_dtype, map_type = table[-1, ARRAY_TYPE], table[-1, ARRAY_DTYPE], table[-1, MAP_TYPE]
    for i in range(table.shape[0] - 1):
        row = table[i]
        gradient, parameter = array_at(items + 8 * row[POSITION], 1, np.int64)[0], row[OBJECT]
        header = words(gradient)
        if words(parameter)[DATA] != row[PARAMETER] or not half_words(parameter)[FLAGS] & WRITEABLE:
            return complaint(i, PARAMETER_CHANGED)
        other = header[TYPE] != array_type or header[DESCR] != array_dtype
        if other or _is_in_a_map(header, array_type, map_type):
            return complaint(i, NOT_AS_EXPECTED)
        if half_words(gradient)[FLAGS] & READABLE != READABLE or _common_size(gradient, parameter) != row[SIZE]:
            return complaint(i, NOT_AS_EXPECTED)
        data = header[DATA]
        if data != row[GRADIENT]:
            own = data == row[PARAMETER]
            if not own and row[SIZE] > 0 and _overlaps(data, data + row[SIZE] * itemsize, guard):
                return complaint(i, OVERLAPS)
            row[GRADIENT] = data
    return 0


def make_walk(visit, first):
    """Compilable loop that hands `visit` each tensor's share of the units (or blocks) [low, high).

    Returns the last of its answers that was not 0.
    """

    @jitable
    def walk(table, low, high, arguments):
        left, right = 0, table.shape[0] - 1
        while left < right:  # the last tensor that starts at or before `low`
            middle = (left + right + 1) // 2
            if table[middle, first] <= low:
                left = middle
            else:
                right = middle - 1
        i = left
        found = 0
        while low < high:
            last = min(high, table[i + 1, first])
            if low < last:
                answer = visit(table, i, low - table[i, first], last - table[i, first], arguments)
                found = answer if answer != 0 else found
                low = last
            i += 1
        return found

    return walk
