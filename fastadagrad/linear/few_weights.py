"""Weights of many features of which most are 0: only the others are held, and found by their column."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..data import memory_at_hand
from ..data.memory_at_hand import in_words
from ..data.tables import CSR
from ..kernels.linear.lookup import enter_all, find_all


@dataclass(frozen=True, eq=False)
class FewWeights:
    """The weights of a model, those that are not 0.

    Parameters
    ----------
    values : ndarray of float64
    positions : ndarray
        Ascending positions of the values in the flat array of all weights.
    shape : tuple of int
        That of all weights: (features,) or (features, classes).
    """

    values: NDArray[np.float64]
    positions: NDArray[np.unsignedinteger]
    shape: tuple[int, ...]

    def dense(self) -> NDArray[np.float64]:
        """All weights.

        Raises
        ------
        ValueError
            If there is no memory for them.
        """
        size = 8 * math.prod(self.shape)
        at_hand = memory_at_hand.bytes_at_hand()
        if at_hand is not None and size > at_hand:
            raise ValueError(
                f"an array of the weights, of shape {self.shape}, takes {in_words(size)}, and {in_words(at_hand)} are "
                "at hand: predict from sparse rows, which takes no such array"
            )
        weights = np.zeros(self.shape)
        weights.reshape(-1)[self.positions] = self.values
        return weights

    @cached_property
    def _rows(self) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
        """The features that have weights, and these weights, with a last one of 0."""
        if len(self.shape) == 1:
            return self.positions.astype(np.uint64), np.append(self.values, 0.0)
        features, classes = np.divmod(self.positions.astype(np.uint64), np.uint64(self.shape[1]))
        used, place = np.unique(features, return_inverse=True)
        weights = np.zeros((len(used) + 1, self.shape[1]))
        weights[place, classes] = self.values
        return used, weights

    @cached_property
    def _entries(self) -> tuple[NDArray[np.uint64], np.uint64]:
        """The hash table of the features that have weights, at most half full, and the bits that its hash leaves."""
        bits = max(1, (2 * len(self._rows[0])).bit_length())
        entries, unused = np.zeros(1 << bits, np.uint64), np.uint64(64 - bits)
        enter_all(self._rows[0], entries, unused)
        return entries, unused

    def for_rows(self, features: CSR) -> tuple[CSR, NDArray[np.float64]]:
        """The rows of a sparse matrix with other columns, and the weights of these columns: they give the same scores.

        A column without weights becomes the last one, whose weights are 0, so that the sums have the same terms.
        """
        used, weights = self._rows
        entries, unused = self._entries
        places = np.empty(features.indices.size, np.int32)
        find_all(features.indices, entries, unused, np.int32(len(used)), places)
        return features._replace(indices=places, shape=(features.shape[0], len(weights))), weights
