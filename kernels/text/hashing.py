"""Hashing of the columns of sparse examples into fewer columns, by the finaliser of MurmurHash3.

The result is the same on every machine.
"""

from __future__ import annotations

import numpy as np

from ..jit import compiled
from ..memory.headers import borrowed

# All constants are uint64, as Numba makes a float64 of a uint64 and a plain integer.
_MIDDLE = np.uint64(33)
_FIRST, _SECOND = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)


@compiled
def hash_columns(columns, unused_bits, hashed):
    """Fill `hashed`, int32, with the hash of each column: 64 bits without the lowest `unused_bits`, a uint64."""
    columns, hashed = borrowed((columns, hashed))
    for t in range(columns.size):
        h = np.uint64(columns[t])
        h ^= h >> _MIDDLE
        h *= _FIRST
        h ^= h >> _MIDDLE
        h *= _SECOND
        h ^= h >> _MIDDLE
        hashed[t] = np.int32(h >> unused_bits)
