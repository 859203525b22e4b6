"""Keys of examples, numbers that depend on an example's features and label, and not on its place among the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..jit import compiled, jitable

FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # as in SplitMix64, like the shifts below
START = np.uint64(0x9E3779B97F4A7C15)


@jitable
def _mixed(key, word):
    """A new key that depends on every bit of another key, and on every bit of a word."""
    key = (key + START) ^ word
    key = (key ^ (key >> np.uint64(30))) * FIRST
    key = (key ^ (key >> np.uint64(27))) * SECOND
    return key ^ (key >> np.uint64(31))


@jitable
def _bits(value):
    """The bits of a number as a float64."""
    return np.float64(value).view(np.uint64)


@compiled
def _of_dense(values, labels, keys):
    for n in range(len(values)):
        key = _mixed(START, _bits(labels[n]))
        for j in range(values.shape[1]):
            if values[n, j] != 0:
                key = _mixed(_mixed(key, np.uint64(j)), _bits(values[n, j]))
        keys[n] = key


@compiled
def _of_sparse(values, columns, starts, labels, keys):
    for n in range(labels.size):
        key = _mixed(START, _bits(labels[n]))
        for t in range(starts[n], starts[n + 1]):
            if values[t] != 0:
                key = _mixed(_mixed(key, np.uint64(columns[t])), _bits(values[t]))
        keys[n] = key


def keys_of_rows(features: Any, labels: np.ndarray) -> np.ndarray:
    """A 64-bit key for each row of a matrix, dense or CSR, with its label, a number: equal rows have equal keys.

    Zeros are left out, so that a row has the same key in a dense matrix and in CSR.
    """
    keys = np.empty(len(labels), np.uint64)
    labels = labels.astype(np.float64)
    if isinstance(features, np.ndarray):
        _of_dense(features, labels, keys)
    else:
        _of_sparse(features.data, features.indices, features.indptr, labels, keys)
    return keys
