"""Reading of single rows of a parameter on a GPU, which are caught up first."""

from __future__ import annotations

from typing import Any, cast

from ..engine.parameters import Parameters
from ..engine.rows import row_layout
from ..kernels.cuda.rows import THREADS, blocks_of, make_gather, share_of
from .arrays import LEGACY_STREAM, DeviceArray, zeros
from .backend import Backend
from .distinct_rows import DeviceCoalescer, checked_device_indices
from .missed import DeviceLagging


class DeviceReader:
    """Access to the rows of one parameter by their numbers, which are on the GPU too."""

    def __init__(self, params: Parameters, position: int) -> None:
        self._params, self._position = params, position
        self._backend: Backend = params.place.backend
        parameter = self._parameter = params.arrays[position]
        self._n_rows, self._width = row_layout(cast(Any, parameter), by_element=False)
        self._coalescer = DeviceCoalescer(self._backend, self._n_rows)

    @property
    def _stream(self) -> int:
        stream: int | None = self._params.refuse_changed(self._position).stream
        return LEGACY_STREAM if stream is None else stream

    def catch_up(self, what: str, indices: Any, lagging: DeviceLagging | None, threads: int) -> DeviceArray:
        """Catch rows up; returns their indices, checked."""
        found = checked_device_indices(what, indices, self._n_rows, self._backend)
        with self._backend.on([found.stream, self._stream]):
            groups = self._coalescer.group(what, found, unique=False)
            if lagging is not None and lagging.behind:
                lagging.catch_up(groups.rows, groups.most, stepping=False, count_at=groups.count_at)
        return found

    def read(self, indices: DeviceArray) -> DeviceArray:
        """Copies of rows, given indices that have been checked."""
        n = indices.size
        out = zeros(self._backend, [((n, *self._parameter.shape[1:]), self._parameter.dtype)])[0]
        if out.size:
            with self._backend.on([indices.stream, self._stream]):
                rows = self._coalescer.rows(indices)
                kernel = make_gather(self._parameter.dtype, self._backend.capability)
                share = share_of(self._width)
                arguments = self._parameter.address, rows.address, n, self._width, share, out.address
                self._backend.launch(kernel, blocks_of(n, share), THREADS, arguments)
                self._backend.keep(indices)
        return out
