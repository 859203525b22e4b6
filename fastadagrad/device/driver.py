"""A backend that uses a GPU through CUDA's driver, in the primary context, which other libraries use as well."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from cuda.bindings import driver as cuda
from numpy.typing import NDArray

from ..kernels.forking import Lock
from .arrays import LEGACY_STREAM

if TYPE_CHECKING:
    from ..kernels.cuda.compiling import Kernel

NO_TIMING = cuda.CUevent_flags.CU_EVENT_DISABLE_TIMING

_drivers: dict[int, Driver] = {}
_lock = Lock()


def _done(answer: tuple[Any, ...]) -> Any:
    """The result of a function of CUDA's driver; RuntimeError if the function has failed."""
    status, *values = answer
    if status != cuda.CUresult.CUDA_SUCCESS:
        advice = ""
        if status == cuda.CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION:
            advice = "; the kernels need a driver of version 525 or newer"
        raise RuntimeError(f"CUDA's driver answers {status.name}{advice}")
    return values[0] if values else None


def _ordinal_of(address: int) -> int | None:
    """Number of the GPU that has an address in its memory."""
    attribute = cuda.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
    status, ordinal = cuda.cuPointerGetAttribute(attribute, address)
    return int(ordinal) if status == cuda.CUresult.CUDA_SUCCESS else None


def driver_at(address: int) -> Driver:
    """The driver of the GPU that has an address in its memory; see `backend.backend_at`."""
    if any(driver.process != os.getpid() for driver in _drivers.values()):
        raise RuntimeError("device arrays cannot be used in a process forked from one that has used them: use spawn")
    try:
        _done(cuda.cuInit(0))
    except Exception as error:  # where there is no driver, a subclass of many kinds
        raise RuntimeError(f"device arrays need an NVIDIA driver, and none can be used: {error}") from error
    ordinal = _ordinal_of(address) if address else 0
    if ordinal is None:
        raise RuntimeError(f"address {address:#x}, said to be of a device array, is in no GPU's memory")
    with _lock:
        if ordinal not in _drivers:
            _drivers[ordinal] = Driver(ordinal)
        return _drivers[ordinal]


class Memory:
    """Memory of a GPU, which is freed when nothing refers to this object any more."""

    def __init__(self, driver: Driver, size: int) -> None:
        with driver.here():
            self.address = int(_done(cuda.cuMemAlloc(max(1, size))))
        weakref.finalize(self, driver.free, self.address).atexit = False


class PageLocked:
    """Page-locked memory of the host, which is freed when nothing refers to this object any more."""

    def __init__(self, driver: Driver, size: int) -> None:
        with driver.here():
            address = int(_done(cuda.cuMemHostAlloc(max(1, size), 0)))
        weakref.finalize(self, driver.free_host, address).atexit = False
        self.__array_interface__ = {"shape": (size,), "typestr": "|u1", "data": (address, False), "version": 3}


class Driver:
    """A GPU through CUDA's driver; `backend.Backend` documents the methods.

    The driver refuses some work on 0 bytes or 0 blocks, so that such work is left out.
    """

    def __init__(self, ordinal: int) -> None:
        self.process = os.getpid()
        self._ordinal, self._device = ordinal, _done(cuda.cuDeviceGet(ordinal))
        self._context = _done(cuda.cuDevicePrimaryCtxRetain(self._device))
        kinds = cuda.CUdevice_attribute
        major, minor = (
            int(_done(cuda.cuDeviceGetAttribute(kind, self._device)))
            for kind in (
                kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        self.capability = (major, minor)
        self._functions: dict[Kernel, Any] = {}
        self._turn = Lock()  # held by the thread that is within `on`
        self._stream, self._busy = LEGACY_STREAM, False
        self._kept: list[tuple[Any, Any]] = []
        with self.here():
            self._arrived, self._finished = (_done(cuda.cuEventCreate(NO_TIMING)) for _ in range(2))
            _done(cuda.cuEventRecord(self._finished, self._stream))

    @contextmanager
    def here(self) -> Iterator[None]:
        """Make the GPU the current one of this thread."""
        _done(cuda.cuCtxPushCurrent(self._context))
        try:
            yield
        finally:
            _done(cuda.cuCtxPopCurrent())

    def holds(self, address: int) -> bool:
        return _ordinal_of(address) == self._ordinal

    def allocate(self, size: int) -> Memory:
        return Memory(self, size)

    def free(self, address: int) -> None:
        if os.getpid() != self.process:  # CUDA cannot be used in a forked process
            return
        with self.here():
            _done(cuda.cuMemFree(address))

    def page_locked(self, size: int) -> NDArray[np.uint8]:
        return np.asarray(PageLocked(self, size))

    def free_host(self, address: int) -> None:
        if os.getpid() == self.process:
            with self.here():
                _done(cuda.cuMemFreeHost(address))

    def write(self, address: int, values: NDArray[Any]) -> None:
        if not values.nbytes:
            return
        with self.here():
            _done(cuda.cuMemcpyHtoDAsync(address, values.ctypes.data, values.nbytes, self._stream))

    def read(self, address: int, values: NDArray[Any], wait: bool = True) -> None:
        if not values.nbytes:
            return
        with self.here():
            _done(cuda.cuMemcpyDtoHAsync(values.ctypes.data, address, values.nbytes, self._stream))
            if wait:
                _done(cuda.cuStreamSynchronize(self._stream))

    def copy(self, to: int, source: int, size: int) -> None:
        if not size:
            return
        with self.here():
            _done(cuda.cuMemcpyDtoDAsync(to, source, size, self._stream))

    def clear(self, address: int, size: int) -> None:
        if not size:
            return
        with self.here():
            _done(cuda.cuMemsetD8Async(address, 0, size, self._stream))

    def load(self, kernel: Kernel) -> None:
        with self.here():
            self._function(kernel)

    def launch(self, kernel: Kernel, blocks: int, threads: int, arguments: Sequence[Any]) -> None:
        if not blocks:
            return
        values = [np.array(x, np.uint64) if isinstance(x, int) else np.array(x) for x in arguments]
        places = np.array([value.ctypes.data for value in values], np.uint64)
        with self.here():
            function = self._function(kernel)
            grid, block = (blocks, 1, 1), (threads, 1, 1)
            _done(cuda.cuLaunchKernel(function, *grid, *block, 0, self._stream, places.ctypes.data, 0))

    def _function(self, kernel: Kernel) -> Any:
        if kernel not in self._functions:
            module = _done(cuda.cuModuleLoadData(kernel.ptx.encode() + b"\0"))
            self._functions[kernel] = _done(cuda.cuModuleGetFunction(module, kernel.name.encode()))
        return self._functions[kernel]

    @contextmanager
    def on(self, streams: Iterable[int | None]) -> Iterator[None]:
        with self._turn, self.here():
            if self._busy:
                yield
                return
            stream, *others = dict.fromkeys(x for x in streams if x is not None) or [LEGACY_STREAM]
            _done(cuda.cuStreamWaitEvent(stream, self._finished, 0))
            for other in others:
                _done(cuda.cuEventRecord(self._arrived, other))
                _done(cuda.cuStreamWaitEvent(stream, self._arrived, 0))
            self._stream, self._busy = stream, True
            try:
                yield
            finally:
                # The stream is forgotten, as its owner may destroy it. Work outside of `on` is done on the default one.
                self._stream, self._busy = LEGACY_STREAM, False
                _done(cuda.cuEventRecord(self._finished, stream))
                for other in dict.fromkeys([*others, LEGACY_STREAM]):
                    if other != stream:
                        _done(cuda.cuStreamWaitEvent(other, self._finished, 0))

    def keep(self, arrays: Any) -> None:
        with self.here():
            passed = [event for event, _ in self._kept if cuda.cuEventQuery(event)[0] == cuda.CUresult.CUDA_SUCCESS]
            self._kept = [pair for pair in self._kept if pair[0] not in passed]
            event = passed.pop() if passed else _done(cuda.cuEventCreate(NO_TIMING))
            for other in passed:
                _done(cuda.cuEventDestroy(other))
            _done(cuda.cuEventRecord(event, self._stream))
            self._kept.append((event, arrays))

    def synchronize(self) -> None:
        with self.here():
            _done(cuda.cuCtxSynchronize())
