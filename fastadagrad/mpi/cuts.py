"""Where parameters are cut into the parts that processes step: between rows, at multiples of 4,096 elements."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..kernels.reduce import BLOCK

Bounds = list[int]  # rows [bounds[r], bounds[r + 1]) are rank r's


def cut(shapes: Sequence[tuple[int, ...]], indivisible: Sequence[bool], ranks: int) -> list[Bounds]:
    """The rows of each parameter at which it is cut, so that all ranks have about as many elements.

    The parameters are taken one after the other as if they were one array. A cut is a multiple of 4,096 elements away
    from the start of its parameter, so that sums over blocks have the same bits however many ranks there are. One that
    is `indivisible` goes to one rank; so does a parameter without dimensions, which counts as one row.
    """
    total = sum(map(math.prod, shapes))
    found, before = list[Bounds](), 0
    for shape, whole in zip(shapes, indivisible, strict=True):
        rows, size = (shape[0] if shape else 1), math.prod(shape)
        width = size // rows if rows else 0
        step = rows if whole or not shape else BLOCK // math.gcd(BLOCK, width or BLOCK)
        inner = [_nearest(total * rank / ranks - before, width, step, rows) for rank in range(1, ranks)]
        found.append([0, *inner, rows])
        before += size
    return found


def _nearest(element: float, width: int, step: int, rows: int) -> int:
    """The row nearest to an element that is a multiple of `step`, or the last of all."""
    if not width:
        return 0
    return int(min(max(round(element / (width * step)) * step, 0), rows))
