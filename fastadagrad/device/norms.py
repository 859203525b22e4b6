"""Norms of single device arrays."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from ..kernels.cuda import reduce
from ..kernels.reduce import BLOCK
from ..kernels.rules import adagrad
from .arrays import LEGACY_STREAM, DeviceArray, zeros


def squared_norm(array: DeviceArray) -> float:
    """Sum of squares in the order of the steps' own norms."""
    backend, blocks = array.backend, -(-array.size // BLOCK)
    if not blocks:
        return 0.0
    kernels = reduce.make_sums(cast(Any, adagrad), False, array.dtype, backend.capability)
    sums, total = zeros(backend, [((blocks,), np.float64), ((), np.float64)])
    unused = np.zeros(len(adagrad.Scalars._fields), array.dtype)
    found = np.zeros(())
    backend.use([LEGACY_STREAM if array.stream is None else array.stream])
    try:
        arguments = array.address, array.address, array.size, sums.address, *unused
        backend.launch(kernels.blocks, kernels.grid(array.size), reduce.THREADS, arguments)
        backend.launch(kernels.total, 1, 1, (sums.address, blocks, total.address))
        backend.read(total.address, found)
    finally:
        backend.release()
    return float(found)
