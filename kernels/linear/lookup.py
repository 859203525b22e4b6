"""The places of a few columns among many, found by a hash table, whose size goes by the few.

An entry is a column plus one in its upper half, so that 0 is an empty entry, and the column's place in its lower half.
An entry is looked for from where its column is hashed to, by the method of Fibonacci, and then one further at a time.
"""

from __future__ import annotations

import numpy as np

from ..jit import compiled, jitable
from ..memory.headers import borrowed

# All constants are uint64, as Numba makes a float64 of a uint64 and a plain integer.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio
_ONE, _HALF = np.uint64(1), np.uint64(32)
_LOWER = np.uint64(0xFFFFFFFF)


@jitable
def _sought(entries, unused_bits, column):
    """Where the entry of a column is, or the empty one where it would be."""
    at = (column * _GOLDEN) >> unused_bits
    while entries[at] != 0 and entries[at] >> _HALF != column + _ONE:
        at = (at + _ONE) & np.uint64(entries.size - 1)
    return at


@compiled
def enter_all(columns, entries, unused_bits):
    """Fill `entries`, uint64 and 0, a power of two in number, with distinct columns, each with its place among them.

    `unused_bits` of 64 are left beside those that number the entries.
    """
    columns, entries = borrowed((columns, entries))
    for place in range(columns.size):
        column = np.uint64(columns[place])
        entries[_sought(entries, unused_bits, column)] = ((column + _ONE) << _HALF) | np.uint64(place)


@compiled
def find_all(columns, entries, unused_bits, absent, places):
    """Fill `places`, int32, with the place of each column; `absent`, if it has none."""
    columns, entries, places = borrowed((columns, entries, places))
    for t in range(columns.size):
        entry = entries[_sought(entries, unused_bits, np.uint64(columns[t]))]
        places[t] = absent if entry == 0 else np.int32(entry & _LOWER)
