"""Hashing of the columns of sparse examples into fewer columns, by the finaliser of MurmurHash3; and of strings.

The result is the same on every machine.
"""

from __future__ import annotations

import numpy as np

from ..jit import compiled, jitable
from ..memory.headers import borrowed

# All constants are uint64, as Numba makes a float64 of a uint64 and a plain integer.
_MIDDLE = np.uint64(33)
_FIRST, _SECOND = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
FNV_BEGIN, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


@jitable
def _mixed(h):
    h ^= h >> _MIDDLE
    h *= _FIRST
    h ^= h >> _MIDDLE
    h *= _SECOND
    return h ^ (h >> _MIDDLE)


@compiled
def hash_columns(columns, unused_bits, hashed):
    """Fill `hashed`, int32, with the hash of each column: 64 bits without the lowest `unused_bits`, a uint64."""
    columns, hashed = borrowed((columns, hashed))
    for t in range(columns.size):
        hashed[t] = np.int32(_mixed(np.uint64(columns[t])) >> unused_bits)


@compiled
def hash_strings(text, starts, before, unused_bits, hashed):
    """Fill `hashed`, int32, with the hash of each string: by FNV-1a, 64 bits, and then as of a column.

    String i is ``text[starts[i]:starts[i + 1]]``, of bytes; `before`, a uint64, is the state of FNV-1a from which each
    begins: FNV_BEGIN, or that after a prefix which all strings have.
    """
    text, starts, hashed = borrowed((text, starts, hashed))
    for i in range(starts.size - 1):
        h = before
        for t in range(starts[i], starts[i + 1]):
            h = (h ^ np.uint64(text[t])) * FNV_PRIME
        hashed[i] = np.int32(_mixed(h) >> unused_bits)
