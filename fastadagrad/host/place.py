"""The host's memory as a `Place`, as the engine uses it."""

from __future__ import annotations

import contextlib
import mmap
import sys
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.options import Settings
from ..engine.parameters import FloatArray, Parameters
from ..engine.place import Place, Reader, Report, Staging, array_of, plain
from ..engine.rows import is_sparse, rows_of
from ..engine.state import State
from ..kernels.cpu.coalesce import ASCENDING
from ..kernels.finite import all_finite
from ..kernels.memory.headers import CACHE_LINE
from ..support.interrupts import whole
from .bucket import Bucket
from .distinct_rows import sums_of_rows
from .gradients import form_refusal, host_form
from .launch import usable_threads
from .missed import HostLagging
from .row_unit import DenseForm, RowUnit
from .sparse_gradients import Indices, checked_indices
from .staging import InPlace

PARALLEL_FROM = 1 << 17  # elements; below, waking a second thread costs more than it saves
MAP_NORESERVE = 0x4000  # flag of Linux: so much memory does not need to be free


class _Host:
    """The host's memory; `fastadagrad.engine.place.Place` documents the methods."""

    is_numpys = takes_rates = takes_storages = True
    notes_infinity_by_checks = False
    backend = None

    def allocate(
        self, like: Sequence[FloatArray], shapes: Sequence[tuple[int, ...]], dtypes: Sequence[np.dtype[Any]]
    ) -> list[Any]:
        sizes = [int(np.prod(shape)) * dtype.itemsize for dtype, shape in zip(dtypes, shapes, strict=True)]
        starts = [0]
        for size in sizes:
            starts.append(starts[-1] + -(-size // CACHE_LINE) * CACHE_LINE)
        mapped = any(isinstance(array, np.memmap) for array in like)
        block = (_sparse_zeros if mapped else partial(np.zeros, dtype=np.uint8))(starts[-1] + CACHE_LINE)
        shift = -block.ctypes.data % CACHE_LINE
        return [
            block[shift + start : shift + start + size].view(dtype).reshape(shape)
            for dtype, shape, start, size in zip(dtypes, shapes, starts, sizes, strict=False)
        ]

    def placed(self, values: NDArray[Any]) -> Any:
        return values

    def copy(self, array: FloatArray) -> Any:
        return np.array(array)

    def to_host(self, array: FloatArray) -> Any:
        return array

    def read_only(self, array: FloatArray) -> Any:
        view = array.view()
        view.flags.writeable = False
        return view

    def first(self, array: FloatArray) -> Any:
        return array.flat[0]

    def part(self, array: FloatArray, start: int, stop: int) -> Any:
        return rows_of(array)[start:stop]

    def staging(self, arrays: Sequence[FloatArray], straight: Collection[int] = ()) -> Staging:
        return InPlace(arrays)

    def brought_into_form(self, name: str, gradient: Any, parameter: FloatArray, report: Report) -> Any:
        fits = type(gradient) is np.ndarray and gradient.dtype == parameter.dtype and gradient.flags.c_contiguous
        if fits or gradient is None:
            return gradient
        found = array_of(f"gradient of {name!r}", gradient)
        if found is not None and not isinstance(found, np.ndarray):
            raise TypeError(
                f"gradient of {name!r} is a device array, but {name!r} is a host array; copy it to the host"
            )
        if isinstance(gradient, np.ma.MaskedArray):
            raise TypeError(f"gradient of {name!r} must not be masked; return its .filled(0)")
        array = np.asarray(plain(f"gradient of {name!r}", gradient) if found is None else found)
        report(name, array, parameter)
        with np.errstate(all="ignore"):  # an overflow becomes infinity, which the step refuses
            return np.asarray(array, parameter.dtype, order="C")

    def check_dense(self, what: str, it: str, array: Any, parameter: FloatArray) -> None:
        refusal = form_refusal(what, it, host_form(what, array), parameter.shape, parameter.dtype)
        if refusal:
            raise refusal

    def check_sparse(self, name: str, gradient: Any) -> None:
        """Refuse nothing: every kind of sparse gradient that `is_sparse` knows can be used here."""

    def is_finite(self, name: str, array: FloatArray, parameter: FloatArray) -> bool:
        return bool(all_finite(host_form(name, array).view(np.ndarray).reshape(-1)))

    def squared_norm(self, name: str, gradient: Any, parameter: FloatArray) -> float:
        if is_sparse(gradient):
            gradient = sums_of_rows(name, gradient, parameter)
        with np.errstate(all="ignore"):
            flat = np.ravel(host_form(name, gradient)).astype(np.float64, copy=False)
            return float(flat @ flat)

    def threads(self, wanted: int | None) -> int:
        return usable_threads(wanted)

    def bucket(self, state: State, members: dict[int, Settings], kind: str, lean: bool, watchful: bool) -> Bucket:
        return Bucket(state, members, kind, lean, PARALLEL_FROM)

    def row_unit(
        self,
        state: State,
        position: int,
        settings: Settings,
        kind: str,
        lean: bool,
        *,
        by_element: bool,
        ordered: bool,
        lags: dict[int, Any] | None,
        watchful: bool,
    ) -> RowUnit:
        return RowUnit(
            state,
            position,
            settings,
            kind,
            lean,
            by_element=by_element,
            ordered=ordered,
            lags=lags,
            watchful=watchful,
            parallel_from=PARALLEL_FROM,
        )

    def dense_form(self, name: str, parameter: FloatArray) -> DenseForm:
        return DenseForm(name, parameter, PARALLEL_FROM)

    def reader(self, params: Parameters, position: int) -> Reader:
        return HostReader(params.arrays[position])


class HostReader:
    """Access to the rows of one parameter, given arrays of their numbers."""

    def __init__(self, parameter: FloatArray) -> None:
        self._parameter = parameter

    def catch_up(self, what: str, indices: Any, lagging: HostLagging | None, threads: int) -> Indices:
        """Catch rows up; returns their indices, checked."""
        rows, found = checked_indices(what, indices, len(self._parameter))
        if lagging is not None and lagging.behind:
            with whole():
                lagging.catch_up(rows, threads, distinct=found == ASCENDING)
        return rows

    def read(self, indices: Indices) -> FloatArray:
        """Copies of rows, given indices that have been checked."""
        rows: FloatArray = np.take(self._parameter.view(np.ndarray), indices, axis=0)
        return rows


def _sparse_zeros(size: int) -> NDArray[np.uint8]:
    """Zeros of which only the pages that are written take memory, for parameters that may be larger than the memory.

    Zeros that NumPy allocates are in huge pages, so that writing a few scattered rows would take most of the memory.
    """
    if sys.platform != "linux":
        return np.zeros(size, np.uint8)
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
    with contextlib.suppress(OSError):  # a kernel without huge pages
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, np.uint8)


HOST: Place = _Host()
