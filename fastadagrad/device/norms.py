"""Sums of squares of dense gradients on a GPU, and norms for monitors."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from ..engine.parameters import guard_of
from ..engine.rows import Rows
from ..kernels.cuda import reduce
from ..kernels.reduce import BLOCK, LANES
from ..kernels.rules import adagrad
from .arrays import DeviceArray, zeros
from .backend import Backend
from .gradients import device_gradient
from .row_source import RowSource


def launch_sum_of_squares(
    backend: Backend, kernels: reduce.Sums, gradient: tuple[int, int, int], scalars: Any, sums: int, result: int
) -> None:
    """Launch kernels that write a gradient's sum of squares to `result`, and those of its blocks to `sums`.

    `gradient` has the address of the parameter, that of the gradient, and the size.
    """
    blocks = -(-gradient[2] // BLOCK)
    if blocks:
        backend.launch(kernels.blocks, reduce.blocks_of(blocks), reduce.THREADS, (*gradient, sums, *scalars))
    backend.launch(kernels.total, 1, LANES, (sums, blocks, result))


def squared_norm(name: str, gradient: Any, parameter: DeviceArray) -> float:
    """Sum of squares of a parameter's gradient, with the bits that a step has; raises an error if it does not fit."""
    backend, dtype, found = parameter.backend, parameter.dtype, np.zeros(())
    unused = np.zeros(len(adagrad.Scalars._fields), dtype)
    if type(gradient) is Rows:
        source = RowSource(name, parameter, backend, adagrad, ordered=True)
        with backend.on(x.stream for x in source.take(gradient, guard_of([]))):
            source.arrange()
            backend.read(source.sum_of_squares(False, unused), found)
        return float(found)
    given = device_gradient(f"gradient of {name!r}", "gradient", gradient, parameter.shape, [dtype], backend)
    kernels = reduce.make_sums(cast(Any, adagrad), False, dtype, backend.capability)
    sums, total = zeros(backend, [((-(-given.size // BLOCK),), np.float64), ((), np.float64)])
    with backend.on([given.stream]):
        addresses = parameter.address, given.address, given.size
        launch_sum_of_squares(backend, kernels, addresses, unused, sums.address, total.address)
        backend.read(total.address, found)
    return float(found)
