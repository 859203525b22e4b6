"""Sorting of row indices, as in :mod:`..cpu.coalesce`: a stable radix sort that reads and writes the keys once a digit.

A key has the row's number in its upper bits, and the place of the index in the lower ones. The keys are counted by the
values of all digits as they are made. Then each digit takes one sweep over the tiles: A. Adinets and D. Merrill,
"Onesweep: A Faster Least Significant Digit Radix Sort for GPUs", arXiv:2206.01784. One more finds where rows begin.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import types

from . import radix
from .blocks import THREADS as THREADS
from .compiling import Capability, Kernel, compile_kernel
from .memory import make_access
from .radix import DIGIT as DIGIT
from .radix import TILE as TILE
from .radix import VALUES as VALUES


class Sort(NamedTuple):
    """Kernels on n indices or keys, in blocks of THREADS: one for each TILE of them but for `pack_rows`.

    `ticket` is the address of the number of tiles taken, `said` that of what tiles say of each value; all is 0 before.
    `write` gives what `kernels.cpu.coalesce.sort_rows` does, and the number of rows at the address `count_at`.
    """

    pack_rows: dict[str, Kernel]  # by dtype of the indices: (indices, n, rows, words, outside); a thread an index
    pack_keys: dict[str, Kernel]  # (indices, n, rows, keys, digits, counts, outside): adds to counts[digit][value]
    sweep: Kernel  # (keys, n, shift, counts, ticket, said, sorted): `counts` are those of this digit
    write: Kernel  # (keys, n, ticket, said, at, rows, starts, count_at)


def tiles_of(n: int) -> int:
    return -(-n // TILE)


def digits_of(n_rows: int) -> int:
    """Digits of the number of a row."""
    return -(-(n_rows - 1).bit_length() // DIGIT)


@cache
def make_sort(cc: Capability) -> Sort:
    def compiled(name: str, function, arguments: int) -> Kernel:
        return compile_kernel(name, function, (types.uint64,) * arguments, cc)

    def by_dtype(what: str, make, arguments: int) -> dict[str, Kernel]:
        dtypes = [np.dtype(name) for name in ("int32", "int64")]
        return {
            str(dtype): compiled(f"{what}_{dtype}", make(make_access(dtype).load, np.uint64(dtype.itemsize)), arguments)
            for dtype in dtypes
        }

    return Sort(
        by_dtype("pack_rows", radix.make_pack_rows, 5),
        by_dtype("pack_keys", radix.make_pack_keys, 7),
        compiled("rows_sweep", radix.sweep, 7),
        compiled("rows_write", radix.write, 8),
    )
