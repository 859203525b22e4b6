"""Small parameters that processes exchange together, in one array: each message takes its time, however short it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.rows import rows_of
from .cuts import Bounds


class Bucket:
    """Arrays of one dtype laid out one after the other: first what process 0 steps of each, then that of process 1, ...

    Attributes
    ----------
    positions : sequence of int
        The positions of the parameters.
    bounds : list of int
        Elements ``[bounds[r], bounds[r + 1])`` of the layout are those of process r.
    cuts : sequence of list of int
        Rows ``[cut[r], cut[r + 1])`` of each array are those of process r.
    """

    def __init__(self, positions: Sequence[int], shapes: Sequence[tuple[int, ...]], cuts: Sequence[Bounds]) -> None:
        self.positions = positions
        self._shapes = [shape or (1,) for shape in shapes]
        self.cuts = cuts
        widths = [math.prod(shape[1:]) for shape in self._shapes]
        ranks = range(len(cuts[0]) - 1)
        sizes = [sum((c[r + 1] - c[r]) * width for c, width in zip(cuts, widths, strict=True)) for r in ranks]
        self.bounds: Bounds = [*accumulate(sizes, initial=0)]

    def packed(self, arrays: Sequence[NDArray[Any]], ranks: Sequence[int]) -> NDArray[Any]:
        """A new array in the order of the layout, with what these processes step; the rest is not set."""
        flat = np.empty(self.bounds[-1], arrays[0].dtype)
        for rank in ranks:
            for part, array, cut in zip(self.parts(flat, rank), arrays, self.cuts, strict=True):
                part[...] = rows_of(array)[cut[rank] : cut[rank + 1]]
        return flat

    def unpack(self, flat: NDArray[Any], arrays: Sequence[NDArray[Any]], ranks: Sequence[int]) -> None:
        """Write what these processes step, from an array in the order of the layout, into the arrays."""
        for rank in ranks:
            for part, array, cut in zip(self.parts(flat, rank), arrays, self.cuts, strict=True):
                rows_of(array)[cut[rank] : cut[rank + 1]] = part

    def parts(self, flat: NDArray[Any], rank: int) -> list[NDArray[Any]]:
        """What a process steps of each array, as views of an array in the order of the layout."""
        return self.split(flat[self.bounds[rank] : self.bounds[rank + 1]], rank)

    def split(self, own: NDArray[Any], rank: int) -> list[NDArray[Any]]:
        """What a process steps of each array, as views of its part of the layout."""
        found, begin = [], 0
        for shape, cut in zip(self._shapes, self.cuts, strict=True):
            rows = cut[rank + 1] - cut[rank]
            size = rows * math.prod(shape[1:])
            found.append(own[begin : begin + size].reshape(rows, *shape[1:]))
            begin += size
        return found
