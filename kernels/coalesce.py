"""Row indices put in order: which rows a sparse gradient names, each once, and where their values are.

The sort is stable, so that the values of a row that is named twice add up in the order in which they came:
0.0 + first + second + ..., as `np.add.at` on zeros has it. Nothing is as long as the table that the rows are of.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from .jit import Pair, compiled, inlined, parallel
from .memory import array_at
from .prefetch import prefetch_lines, rows_ahead

ASCENDING, UNSORTED = -1, -2
DIGIT = 11  # bits: the counts of a digit's values fit the first-level cache
POSITION = 32  # bits of a sort key that hold where it came from; those above it are the row
LARGEST = 1 << POSITION  # number of indices, or of rows, from which keys would overflow
LOG_WORD = 6
WORD = 1 << LOG_WORD  # bits
CHECKED_AT_ONCE = 4096  # indices


@compiled
def inspect(indices, rows):
    """ASCENDING if the indices are below `rows` and each above the last, UNSORTED, or the place of one out of range."""
    lowest, highest = np.int64(0), np.int64(-1)
    for i in range(indices.size):
        lowest = min(lowest, indices[i])
        highest = max(highest, indices[i])
    if lowest < 0 or highest >= rows:
        for i in range(indices.size):
            if not 0 <= indices[i] < rows:
                return i
    for start in range(1, indices.size, CHECKED_AT_ONCE):
        ascending = True
        for i in range(start, min(start + CHECKED_AT_ONCE, indices.size)):
            ascending &= indices[i] > indices[i - 1]
        if not ascending:
            return UNSORTED
    return ASCENDING


@inlined
def _mark(indices, low, high, seen):
    """Set the bits of the indices; a number that is not 0 if one was set before."""
    seen[:] = 0
    repeated = np.uint64(0)
    for i in range(low, high):
        word, bit = indices[i] >> LOG_WORD, np.uint64(1) << np.uint64(indices[i] & (WORD - 1))
        repeated |= seen[word] & bit
        seen[word] |= bit
    return repeated


@compiled
def _has_repeats_serial(spans, indices, seen):
    return _mark(indices, 0, indices.size, seen[0]) != 0


@parallel
def _has_repeats_threaded(spans, indices, seen):
    n, words = indices.size, seen.shape[1]
    repeated = np.zeros(spans, np.uint64)
    for t in prange(spans):
        repeated[t] = _mark(indices, t * n // spans, (t + 1) * n // spans, seen[t])
    for t in prange(spans):
        both = np.uint64(0)
        for word in range(t * words // spans, (t + 1) * words // spans):
            union = np.uint64(0)
            for u in range(spans):
                both |= union & seen[u, word]
                union |= seen[u, word]
        repeated[t] |= both
    return repeated.any()


@inlined
def bit_length(x):
    bits = 0
    while x > 0:
        x >>= 1
        bits += 1
    return bits


@inlined
def _digit_bits(n, bits):
    """Few bits for few keys: counting a digit takes time for each value that it can have."""
    most = min(DIGIT, max(4, bit_length(n)))
    passes = max(1, -(-bits // most))
    return -(-bits // passes)


@inlined
def _pack(indices, keys, low, high):
    for i in range(low, high):
        keys[i] = (np.uint64(indices[i]) << np.uint64(POSITION)) | np.uint64(i)


@inlined
def _count(keys, low, high, shift, counts):
    mask = np.uint64(counts.size - 1)
    counts[:] = 0
    for i in range(low, high):
        counts[np.int64((keys[i] >> shift) & mask)] += 1


@inlined
def _places_from(counts):
    """Where each span puts its keys: by value of the digit, the keys of an earlier span first."""
    place = 0
    for value in range(counts.shape[1]):
        for t in range(counts.shape[0]):
            count = counts[t, value]
            counts[t, value] = place
            place += count


@inlined
def _distribute(keys, sorted_keys, low, high, shift, places):
    mask = np.uint64(places.size - 1)
    for i in range(low, high):
        value = np.int64((keys[i] >> shift) & mask)
        sorted_keys[places[value]] = keys[i]
        places[value] += 1


@inlined
def _row_of(key):
    return np.int64(key >> np.uint64(POSITION))


@inlined
def _heads(keys, low, high):
    """How many keys in [low, high) are the first of their row."""
    count = 0
    for i in range(low, high):
        count += i == 0 or _row_of(keys[i]) != _row_of(keys[i - 1])
    return count


@inlined
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


@inlined
def group_at(starts, groups, occurrence):
    """The first group that begins at or behind an occurrence: spans of occurrences are spans of whole groups."""
    low, high = 0, groups
    while low < high:
        middle = (low + high) // 2
        if starts[middle] < occurrence:
            low = middle + 1
        else:
            high = middle
    return low


def _make_sum_groups(real):
    itemsize = real().itemsize

    @inlined
    def sum_groups(low, high, at, starts, values, width, sums):
        bytes_a_row = width * itemsize
        ahead = rows_ahead(bytes_a_row)
        for group in range(low, high):
            total = array_at(sums + group * bytes_a_row, width, real)
            for occurrence in range(starts[group], starts[group + 1]):
                if occurrence + ahead < at.size:
                    prefetch_lines(values + at[occurrence + ahead] * bytes_a_row, bytes_a_row)
                value = array_at(values + at[occurrence] * bytes_a_row, width, real)
                if occurrence == starts[group]:
                    for j in range(width):
                        total[j] = real(0) + value[j]
                else:
                    for j in range(width):
                        total[j] += value[j]

    @compiled
    def serial(spans, groups, at, starts, values, width, sums):
        sum_groups(0, groups, at, starts, values, width, sums)

    @parallel
    def threaded(spans, groups, at, starts, values, width, sums):
        n = starts[groups]
        for t in prange(spans):
            low, high = group_at(starts, groups, t * n // spans), group_at(starts, groups, (t + 1) * n // spans)
            sum_groups(low, high, at, starts, values, width, sums)

    return Pair(serial, threaded, f"the sum of {np.dtype(real)} rows")


# (spans, indices, seen): whether an index occurs twice; `seen` has a bit for every row that there is, for each span.
has_repeats = Pair(_has_repeats_serial, _has_repeats_threaded, "the search for repeated indices")

# (spans, indices, number of rows, at, rows, starts) -> number of groups. Group k is of row rows[k], in ascending order;
# its values are at the places at[starts[k]:starts[k + 1]], in the order in which they came.
sort_rows = Pair(_sort_serial, _sort_threaded, "the sort of row indices")

# (spans, groups, at, starts, values, width, sums): the sum of each group's values; `values` and `sums` are addresses.
sum_groups = {real: _make_sum_groups(real) for real in (np.float32, np.float64)}
