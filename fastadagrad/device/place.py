"""The memory of a GPU as a `Place`, as the engine uses it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.options import Settings
from ..engine.parameters import Parameters
from ..engine.place import Reader, Report, Staging, array_of
from ..engine.rows import Rows
from ..engine.state import State
from ..support import log
from .arrays import DeviceArray, zeros
from .backend import INSTALL, Backend
from .gradients import device_gradient
from .staging import DeviceStaging


def _units() -> Any:
    """The module of all units, which needs parts of Numba that other versions may lack; RuntimeError where one does."""
    try:
        from ..kernels.cuda import compiling
        from . import units
    except (ImportError, AttributeError) as error:
        raise RuntimeError(
            f"device arrays need Numba 0.62 to 0.68, or one like them, and this one lacks what kernels are compiled by "
            f"({error}): {INSTALL}, and 'numba<0.69'"
        ) from error
    compiling.around = _compiling
    return units


def _compiling(name: str) -> AbstractContextManager[None]:
    return log.compiling(f"the CUDA kernel {name}")


def place_on_device(arrays: Mapping[str, DeviceArray]) -> DevicePlace:
    """The place of the GPU that has all arrays; ValueError if they are on several."""
    first, array = max(arrays.items(), key=lambda pair: pair[1].size > 0)
    backend = array.backend
    for name, other in arrays.items():
        if other.size and not backend.holds(other.address):
            raise ValueError(f"parameters {first!r} and {name!r} are on different GPUs: make an optimizer for each")
    return DevicePlace(backend)


class DevicePlace:
    """The memory of one GPU; `fastadagrad.engine.place.Place` documents the methods."""

    is_numpys = takes_rates = takes_storages = False
    notes_infinity_by_checks = True

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._converters: dict[str, Any] = {}  # by parameter

    def allocate(self, like: Any, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[Any]) -> list[Any]:
        return [*zeros(self.backend, [*zip(shapes, dtypes, strict=True)])]

    def placed(self, values: NDArray[Any]) -> Any:
        [made] = zeros(self.backend, [(values.shape, values.dtype)])
        made[...] = values
        return made

    def copy(self, array: DeviceArray) -> Any:
        return array.copy()

    def to_host(self, array: DeviceArray) -> Any:
        return array.to_host()

    def read_only(self, array: DeviceArray) -> Any:
        return array.read_only()

    def first(self, array: DeviceArray) -> Any:
        return array.first()

    def part(self, array: DeviceArray, start: int, stop: int) -> Any:
        return array.rows(start, stop)

    def staging(self, arrays: Sequence[DeviceArray], straight: Collection[int] = ()) -> Staging:
        return DeviceStaging(self.backend, arrays, straight)

    def brought_into_form(self, name: str, gradient: Any, parameter: DeviceArray, report: Report) -> Any:
        what = f"gradient of {name!r}"
        array = array_of(what, gradient)
        if not isinstance(array, DeviceArray):
            return gradient
        if array.dtype == parameter.dtype and array.flags.c_contiguous:
            return array
        report(name, array, parameter)
        if name not in self._converters:
            from .conversion import Converter  # which needs a compiler for GPUs

            self._converters[name] = Converter(self.backend, parameter.dtype)
        return self._converters[name].convert(what, array)

    def check_dense(self, what: str, it: str, array: Any, parameter: DeviceArray) -> None:
        device_gradient(what, it, array, parameter.shape, [parameter.dtype], self.backend)

    def check_sparse(self, name: str, gradient: Any) -> None:
        if type(gradient) is not Rows:
            raise TypeError(
                f"gradient of {name!r} must be on the device, as its parameter is, and scipy.sparse matrices are the "
                "host's; pass Rows of device arrays"
            )

    def is_finite(self, name: str, array: Any, parameter: DeviceArray) -> bool:
        return bool(np.isfinite(self.squared_norm(name, array, parameter)))

    def squared_norm(self, name: str, gradient: Any, parameter: DeviceArray) -> float:
        from .norms import squared_norm  # which needs a compiler for GPUs

        return squared_norm(name, gradient, parameter)

    def threads(self, wanted: int | None) -> int:
        return 1

    def bucket(self, state: State, members: dict[int, Settings], kind: str, lean: bool, watchful: bool) -> Any:
        return _units().DeviceBucket(state, members, kind, lean, watchful=watchful)

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
    ) -> Any:
        """Make a unit; sparse matrices are not taken here, and every step checks, whatever `watchful` says."""
        return _units().DeviceRowUnit(state, position, settings, kind, lean, ordered=ordered, lags=lags)

    def dense_form(self, name: str, parameter: DeviceArray) -> Any:
        return _units().DeviceDenseForm(name, parameter, self.backend)

    def reader(self, params: Parameters, position: int) -> Reader:
        found: Reader = _units().DeviceReader(params, position)
        return found
