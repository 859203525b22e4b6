"""Norms of gradients on a GPU."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from ..kernels.cuda import reduce
from ..kernels.reduce import BLOCK, LANES
from ..kernels.rules import adagrad
from ..parameters import device_gradient, guard_of
from ..rows import Rows
from .arrays import DeviceArray, zeros
from .row_source import RowSource


def squared_norm(name: str, gradient: Any, parameter: DeviceArray) -> float:
    """Sum of squares of a parameter's gradient; the errors that it deserves."""
    backend, dtype = parameter.backend, parameter.dtype
    if type(gradient) is Rows:
        source = RowSource(name, parameter, backend, adagrad, ordered=False)
        given = source.take(gradient, guard_of([]))
    else:
        given = [device_gradient(f"gradient of {name!r}", "gradient", gradient, parameter.shape, [dtype], backend)]
    with backend.on(x.stream for x in given):
        if type(gradient) is Rows:
            source.arrange()
            return _sum_of_squares(*source.sums(), parameter)
        return _sum_of_squares(given[0].address, given[0].size, parameter)


def _sum_of_squares(address: int, size: int, parameter: DeviceArray) -> float:
    """Of so many numbers at an address, in the dtype of the parameter, in the order of the steps' own norms."""
    backend, blocks, found = parameter.backend, -(-size // BLOCK), np.zeros(())
    if blocks:
        kernels = reduce.make_sums(cast(Any, adagrad), False, parameter.dtype, backend.capability)
        sums, total = zeros(backend, [((blocks,), np.float64), ((), np.float64)])
        unused = np.zeros(len(adagrad.Scalars._fields), parameter.dtype)
        arguments = address, address, size, sums.address, *unused
        backend.launch(kernels.blocks, kernels.grid(size), reduce.THREADS, arguments)
        backend.launch(kernels.total, 1, LANES, (sums.address, blocks, total.address))
        backend.read(total.address, found)
    return float(found)
