"""Checks and sorting of row indices: which rows a sparse gradient names, each once, and where their values are.

The sort is stable, so that the values of a row that is named twice add up in the order in which they came:
0.0 + first + second + ..., as `np.add.at` on zeros has it. Memory and time go with the number of indices, not with the
number of rows of the parameter; only the check for repeated rows may have a bit for each of these.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import prange

from ..jit import Pair, compiled, jitable, parallel
from ..memory.prefetch import prefetch_lines, rows_ahead
from ..memory.storage import Precision

ASCENDING, DISTINCT, UNKNOWN = -1, -2, -3
DIGIT = 11  # bits: the counts of a digit's values fit the first-level cache
POSITION = 32  # lower bits of a sort key, the place of its index in the gradient; the bits above are the row
LARGEST = 1 << POSITION  # number of indices, or of rows, from which keys would overflow
LOG_WORD = 6
WORD = 1 << LOG_WORD  # bits
CHECKED_AT_ONCE = 4096  # indices, which are still in the first-level cache when they are read again


@jitable
def _ascend(indices):
    """Whether each index is above the one before."""
    for start in range(0, indices.size - 1, CHECKED_AT_ONCE):
        part, ascending = indices[start : start + CHECKED_AT_ONCE + 1], True
        for i in range(part.size - 1):
            ascending &= part[i + 1] > part[i]
        if not ascending:
            return False
    return True


@jitable
def _first_outside(indices, rows):
    """The first place whose index is negative or not below `rows`, or -1.

    One pass without a branch finds out whether there is any; only then is the place searched for.
    """
    least, most = np.int64(0), np.int64(-1)
    for i in range(indices.size):
        least = min(least, indices[i])
        most = max(most, indices[i])
    if least < 0 or most >= rows:
        for i in range(indices.size):
            if not 0 <= indices[i] < rows:
                return i
    return -1


@jitable
def _mark(indices, seen):
    """Set the bits of the indices in `seen`; returns a number that is not 0 if one of the bits was set before.

    An index that has been changed since it was checked sets some bit.
    """
    repeated, last = np.uint64(0), np.uint64(seen.size - 1)
    for i in range(indices.size):
        index = np.uint64(indices[i])
        word, bit = min(index >> np.uint64(LOG_WORD), last), np.uint64(1) << (index & np.uint64(WORD - 1))
        repeated |= seen[word] & bit
        seen[word] |= bit
    return repeated


@jitable
def _look(indices, low, high, rows, seen):
    """The first place in [low, high) whose index is out of range, or -1, and whether an index before it is repeated."""
    repeated = np.uint64(0)
    seen[:] = 0
    for start in range(low, high, CHECKED_AT_ONCE):
        part = indices[start : min(start + CHECKED_AT_ONCE, high)]
        outside = _first_outside(part, rows)
        if outside >= 0:
            return start + outside, repeated
        if seen.size:
            repeated |= _mark(part, seen)
    return -1, repeated


@jitable
def _verdict(seen, repeated):
    return DISTINCT if seen.shape[1] and repeated == 0 else UNKNOWN


@compiled
def _inspect_serial(spans, indices, rows, seen):
    if _ascend(indices):
        outside = _first_outside(indices, rows)
        return outside if outside >= 0 else ASCENDING
    outside, repeated = _look(indices, 0, indices.size, rows, seen[0])
    return outside if outside >= 0 else _verdict(seen, repeated)


@parallel
def _inspect_threaded(spans, indices, rows, seen):
    n, words = indices.size, seen.shape[1]
    if _ascend(indices):
        outside = _first_outside(indices, rows)
        return outside if outside >= 0 else ASCENDING
    outside, repeated = np.empty(spans, np.int64), np.empty(spans, np.uint64)
    for t in prange(spans):
        outside[t], repeated[t] = _look(indices, t * n // spans, (t + 1) * n // spans, rows, seen[t])
    for t in range(spans):
        if outside[t] >= 0:
            return outside[t]
    if words and not repeated.any():
        for t in prange(spans):
            both = np.uint64(0)
            for word in range(t * words // spans, (t + 1) * words // spans):
                union = np.uint64(0)
                for u in range(spans):
                    both |= union & seen[u, word]
                    union |= seen[u, word]
            repeated[t] = both
    return _verdict(seen, np.uint64(repeated.any()))


@jitable
def bit_length(x):
    bits = 0
    while x > 0:
        x >>= 1
        bits += 1
    return bits


@jitable
def _digit_bits(n, bits):
    """How many of the bits of a row make a digit of the sort.

    Few keys get small digits, as counting takes time for each value that a digit can have.
    """
    most = min(DIGIT, max(4, bit_length(n)))
    passes = max(1, -(-bits // most))
    return -(-bits // passes)


@jitable
def _pack(indices, keys, low, high):
    for i in range(low, high):
        keys[i] = (np.uint64(indices[i]) << np.uint64(POSITION)) | np.uint64(i)


@jitable
def _count(keys, low, high, shift, counts):
    mask = np.uint64(counts.size - 1)
    counts[:] = 0
    for i in range(low, high):
        counts[np.int64((keys[i] >> shift) & mask)] += 1


@jitable
def _places_from(counts):
    """Turn counts into the places where each span puts its keys: by the digit's value, then by span."""
    place = 0
    for value in range(counts.shape[1]):
        for t in range(counts.shape[0]):
            count = counts[t, value]
            counts[t, value] = place
            place += count


@jitable
def _distribute(keys, sorted_keys, low, high, shift, places):
    mask = np.uint64(places.size - 1)
    for i in range(low, high):
        value = np.int64((keys[i] >> shift) & mask)
        sorted_keys[places[value]] = keys[i]
        places[value] += 1


@jitable
def _row_of(key):
    return np.int64(key >> np.uint64(POSITION))


@jitable
def _heads(keys, low, high):
    """How many keys in [low, high) are the first of their row."""
    count = 0
    for i in range(low, high):
        count += i == 0 or _row_of(keys[i]) != _row_of(keys[i - 1])
    return count


@jitable
def _write_groups(keys, low, high, at, rows, starts, group):
    for i in range(low, high):
        row = _row_of(keys[i])
        if i == 0 or row != _row_of(keys[i - 1]):
            rows[group], starts[group] = row, i
            group += 1
        at[i] = np.int64(keys[i] & np.uint64(LARGEST - 1))


@compiled
def _sort_serial(spans, indices, n_rows, at, rows, starts):
    n, bits = indices.size, bit_length(n_rows - 1)
    keys, others = np.empty(n, np.uint64), np.empty(n, np.uint64)
    _pack(indices, keys, 0, n)
    digit = _digit_bits(n, bits)
    counts = np.empty((1, 1 << digit), np.int64)
    for done in range(0, bits, max(1, digit)):
        shift = np.uint64(POSITION + done)
        _count(keys, 0, n, shift, counts[0])
        _places_from(counts)
        _distribute(keys, others, 0, n, shift, counts[0])
        keys, others = others, keys
    groups = _heads(keys, 0, n)
    _write_groups(keys, 0, n, at, rows, starts, 0)
    starts[groups] = n
    return groups


@parallel
def _sort_threaded(spans, indices, n_rows, at, rows, starts):
    n, bits = indices.size, bit_length(n_rows - 1)
    keys, others = np.empty(n, np.uint64), np.empty(n, np.uint64)
    digit = _digit_bits(n, bits)
    counts = np.empty((spans, 1 << digit), np.int64)
    for t in prange(spans):
        _pack(indices, keys, t * n // spans, (t + 1) * n // spans)
    for done in range(0, bits, max(1, digit)):
        shift = np.uint64(POSITION + done)
        for t in prange(spans):
            _count(keys, t * n // spans, (t + 1) * n // spans, shift, counts[t])
        _places_from(counts)
        for t in prange(spans):
            _distribute(keys, others, t * n // spans, (t + 1) * n // spans, shift, counts[t])
        keys, others = others, keys
    first_group = np.empty(spans + 1, np.int64)
    for t in prange(spans):
        first_group[t + 1] = _heads(keys, t * n // spans, (t + 1) * n // spans)
    first_group[0] = 0
    for t in range(spans):
        first_group[t + 1] += first_group[t]
    for t in prange(spans):
        _write_groups(keys, t * n // spans, (t + 1) * n // spans, at, rows, starts, first_group[t])
    starts[first_group[spans]] = n
    return first_group[spans]


@jitable
def group_at(starts, groups, occurrence):
    """The first group that begins at or behind an occurrence, so that a span of occurrences has whole groups."""
    low, high = 0, groups
    while low < high:
        middle = (low + high) // 2
        if starts[middle] < occurrence:
            low = middle + 1
        else:
            high = middle
    return low


@cache
def make_sum_groups(precision: Precision) -> Pair:
    """Compiled ``(spans, groups, at, starts, values, width, sums)``, which fills `sums` with each group's sum of rows.

    `values` and `sums` are addresses. A sum is rounded to the dtype of the values after each of its terms.
    """
    real, (size, array_at, load, store, *_) = precision.real, precision.storage

    @jitable
    def sum_groups(low, high, at, starts, values, width, sums):
        bytes_a_row = size(width, real)
        ahead = rows_ahead(bytes_a_row)
        for group in range(low, high):
            total = array_at(sums + group * bytes_a_row, 0, width, real)
            for occurrence in range(starts[group], starts[group + 1]):
                if occurrence + ahead < at.size:
                    prefetch_lines(values + at[occurrence + ahead] * bytes_a_row, bytes_a_row)
                value = array_at(values + at[occurrence] * bytes_a_row, 0, width, real)
                if occurrence == starts[group]:
                    for j in range(width):  # added to 0, as a sum from zeros is: a -0 becomes +0
                        store(total, j, real(0) + load(value, j))
                else:
                    for j in range(width):
                        store(total, j, load(total, j) + load(value, j))

    @compiled
    def serial(spans, groups, at, starts, values, width, sums):
        sum_groups(0, groups, at, starts, values, width, sums)

    @parallel
    def threaded(spans, groups, at, starts, values, width, sums):
        n = starts[groups]
        for t in prange(spans):
            low, high = group_at(starts, groups, t * n // spans), group_at(starts, groups, (t + 1) * n // spans)
            sum_groups(low, high, at, starts, values, width, sums)

    return Pair(serial, threaded, "the sum of rows")


# (spans, indices, number of rows, seen): the first place whose index is out of range, or ASCENDING (in range, each
# above the one before), or DISTINCT (in range, none twice), or UNKNOWN (in range; repeated, or not looked for). `seen`
# has, for each span, a bit for every row of the parameter; if it has no bits, repeated indices are not looked for.
inspect = Pair(_inspect_serial, _inspect_threaded, "the check of row indices")

# (spans, indices, number of rows, at, rows, starts) -> number of groups. Group k is of row rows[k], in ascending order;
# its values are at the places at[starts[k]:starts[k + 1]], in the order in which they came.
sort_rows = Pair(_sort_serial, _sort_threaded, "the sort of row indices")
