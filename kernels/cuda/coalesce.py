"""Sorting of row indices, as in :mod:`..cpu.coalesce`: a stable radix sort in which each warp has a tile of keys.

A key has the row's number in its upper bits, and the place of the index in the lower ones. For every digit, each warp
counts its keys by the digit's value, a scan tells where each warp's keys of each value go, and the warps write them
there. No thread waits for another but by shuffles and ballots within its warp.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import types

from . import radix
from .compiling import Capability, Kernel, compile_kernel
from .memory import make_access
from .radix import DIGIT as DIGIT
from .radix import SPAN as SPAN
from .radix import TILE as TILE
from .radix import VALUES as VALUES

THREADS = 128  # a block


class Sort(NamedTuple):
    """Kernels on n keys; `tiles` are TILE keys each, with a warp for each."""

    pack: dict[str, Kernel]  # by dtype of the indices: (indices, n, rows, keys, outside), of a thread an index
    pack_rows: dict[str, Kernel]  # the same, of numbers of rows in the place of keys
    count: Kernel  # (keys, n, shift, tiles, counts): counts[value * tiles + tile]
    scan: Kernel  # (counts, size, spans, totals): replaces each count by the sum of those before it among SPAN of them
    add: Kernel  # (counts, size, places): adds the place of its span to each count
    distribute: Kernel  # (keys, n, shift, tiles, places, sorted)
    count_heads: Kernel  # (keys, n, tiles, counts): how many rows begin in each tile
    write: Kernel  # (keys, n, tiles, places, at, rows, starts): fills the results of `kernels.cpu.coalesce.sort_rows`


def tiles_of(n: int) -> int:
    return -(-n // TILE)


def spans_of(counts: int) -> int:
    return -(-counts // SPAN)


def blocks_of(threads: int) -> int:
    return -(-threads // THREADS)


@cache
def make_sort(cc: Capability) -> Sort:
    def compiled(name: str, function, arguments: int) -> Kernel:
        return compile_kernel(name, function, (types.uint64,) * arguments, cc)

    def make_pack(dtype, sorts: bool) -> Kernel:
        pack = radix.make_pack(make_access(dtype).load, np.uint64(dtype.itemsize), sorts)
        return compiled(f"pack_{'keys' if sorts else 'rows'}_{dtype}", pack, 5)

    return Sort(
        *({name: make_pack(np.dtype(name), sorts) for name in ("int32", "int64")} for sorts in (True, False)),
        compiled("rows_count", radix.count, 5),
        compiled("rows_scan", radix.scan, 4),
        compiled("rows_add", radix.add, 3),
        compiled("rows_distribute", radix.distribute, 6),
        compiled("rows_count_heads", radix.count_heads, 4),
        compiled("rows_write", radix.write, 7),
    )
