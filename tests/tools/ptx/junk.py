"""What memory holds that nothing has written: bytes of a generator, other ones for another seed."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

POOL = 1 << 16  # bytes


def junk(shape: int | tuple[int, ...], dtype: Any, seed: int | None = None) -> np.ndarray:
    """A new array that nothing has written, as an allocation on a GPU gives it.

    Parameters
    ----------
    shape : int or tuple of ints
        Elements along each axis.
    dtype : dtype
        Of the elements.
    seed : int, optional
        By default each call gives other bytes.

    Returns
    -------
    array : ndarray
        In C order; any bytes, so of floats also NaN and infinity.

    Examples
    --------
    >>> import ptx
    >>> bool((ptx.junk(100, "u1", seed=1) == ptx.junk(100, "u1", seed=1)).all())
    True
    >>> bool((ptx.junk(100, "u1", seed=1) == ptx.junk(100, "u1", seed=2)).all())
    False
    """
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    found: np.ndarray = np.random.default_rng(seed).integers(0, 256, size, np.uint8).view(dtype).reshape(shape)
    return found


class Junk:
    """The junk of one launch."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._pool: np.ndarray = self._generator.integers(0, 2**64, POOL // 8, np.uint64).view(np.uint8)
        self._start = random.Random(seed).randrange

    def bytes(self, size: int) -> np.ndarray:
        """So many bytes, which begin at a multiple of 8."""
        if size > POOL // 2:
            return self._generator.integers(0, 2**64, -(-size // 8), np.uint64).view(np.uint8)[:size]
        start = 8 * self._start(POOL // 16)
        return self._pool[start : start + size].copy()
