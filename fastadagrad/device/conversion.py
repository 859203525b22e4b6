"""Conversion of device arrays of any layout and dtype to C order and the dtype of a parameter."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels.cuda.copying import AXES, THREADS, make_copy, merged_axes
from .arrays import DeviceArray, zeros
from .backend import Backend

WORD = 1 << 64


class Converter:
    """Converts arrays into memory of its own, which the next conversion overwrites."""

    def __init__(self, backend: Backend, dtype: np.dtype[Any]) -> None:
        self._backend, self._dtype = backend, dtype
        [self._room] = zeros(backend, [((0,), dtype)])

    def convert(self, what: str, array: DeviceArray) -> DeviceArray:
        """Convert an array of floats; ValueError if its strides cannot be described by `AXES` axes."""
        axes = merged_axes(array.shape, array.strides)
        if len(axes) > AXES:
            raise ValueError(
                f"{what} has {len(axes)} axes of which none follows another in memory, strides {array.strides}; "
                f"at most {AXES} can be brought to C order: pass a contiguous copy"
            )
        if array.size > self._room.size:
            [self._room] = zeros(self._backend, [((array.size,), self._dtype)])
        if array.size:
            layout = [x % WORD for axis in [(1, 0)] * (AXES - len(axes)) + axes for x in axis]
            kernel = make_copy(array.dtype, self._dtype, self._backend.capability)
            arguments = array.address, array.size, *layout, self._room.address
            with self._backend.on([array.stream]):
                self._backend.launch(kernel, -(-array.size // THREADS), THREADS, arguments)
                self._backend.keep(array)
        return DeviceArray(self._room.address, array.shape, self._dtype, self._room)
