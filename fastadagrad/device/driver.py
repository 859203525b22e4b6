"""A backend that uses a GPU through CUDA's driver, in the primary context, which other libraries use as well."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from threading import get_ident
from typing import TYPE_CHECKING, Any

import numpy as np
from cuda.bindings import driver as cuda
from numpy.typing import NDArray

from ..kernels.forking import Lock
from .answers import SUCCESS, failure, result_of
from .arrays import LEGACY_STREAM
from .launches import Launch
from .pools import memory_of

if TYPE_CHECKING:
    from ..kernels.cuda.compiling import Kernel

NO_TIMING = cuda.CUevent_flags.CU_EVENT_DISABLE_TIMING
LOG = 8192  # bytes for what the driver's compiler says
LOADS_FUNCTIONS = 12040  # the first version of the driver that loads a function before it is launched

_drivers: dict[int, Driver] = {}
_lock = Lock()


def _ordinal_of(address: int) -> int | None:
    """Number of the GPU that has an address in its memory."""
    attribute = cuda.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
    status, ordinal = cuda.cuPointerGetAttribute(attribute, address)
    return int(ordinal) if status == SUCCESS else None


def _is_captured(stream: int) -> bool:
    """Whether the work of a stream is being put into a CUDA graph."""
    try:
        status = result_of(cuda.cuStreamIsCapturing(stream))
    except RuntimeError:  # the driver is older than graphs
        return False
    return bool(status == cuda.CUstreamCaptureStatus.CU_STREAM_CAPTURE_STATUS_ACTIVE)


def _address_of(values: NDArray[Any]) -> int:
    address: int = values.__array_interface__["data"][0]  # several times as quick as values.ctypes.data
    return address


def driver_at(address: int) -> Driver:
    """The driver of the GPU that has an address in its memory; see `backend.backend_at`."""
    if any(driver.process != os.getpid() for driver in _drivers.values()):
        raise RuntimeError("device arrays cannot be used in a process forked from one that has used them: use spawn")
    try:
        result_of(cuda.cuInit(0))
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
        self.address = driver.obtain(max(1, size))
        weakref.finalize(self, driver.free, self.address).atexit = False


class PageLocked:
    """Page-locked memory of the host, which is freed when nothing refers to this object any more."""

    def __init__(self, driver: Driver, size: int) -> None:
        with driver.here():
            address = int(result_of(cuda.cuMemHostAlloc(max(1, size), 0)))
        weakref.finalize(self, driver.free_host, address).atexit = False
        self.__array_interface__ = {"shape": (size,), "typestr": "|u1", "data": (address, False), "version": 3}


class _Here:
    """A block in which a GPU is the current one of the thread; within `on` it is so already."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def __enter__(self) -> None:
        if self._driver.worker != get_ident():
            result_of(cuda.cuCtxPushCurrent(self._driver.context))

    def __exit__(self, *exception: object) -> None:
        if self._driver.worker != get_ident():
            result_of(cuda.cuCtxPopCurrent())


class _On:
    """A block in which work is done on a stream, and `others` are waited for and wait for it."""

    __slots__ = ("_driver", "_others", "_outermost", "_pushed", "_stream")

    def __init__(self, driver: Driver, stream: int, others: Sequence[int]) -> None:
        self._driver, self._stream, self._others = driver, stream, others

    def __enter__(self) -> None:
        self._driver.turn.__enter__()
        self._outermost, self._pushed = self._driver.worker is None, False
        if self._outermost:
            try:
                if int(result_of(cuda.cuCtxGetCurrent())) != self._driver.context_number:
                    result_of(cuda.cuCtxPushCurrent(self._driver.context))
                    self._pushed = True
                self._driver.worker = get_ident()
                self._driver.begin(self._stream, self._others)
            except BaseException:
                self._leave()
                raise

    def __exit__(self, *exception: object) -> None:
        if not self._outermost:
            self._driver.turn.__exit__()
            return
        try:
            self._driver.end(self._others)
        finally:
            self._leave()

    def _leave(self) -> None:
        try:
            self._driver.worker = None
            if self._pushed:
                result_of(cuda.cuCtxPopCurrent())
        finally:
            self._driver.turn.__exit__()


class Driver:
    """A GPU through CUDA's driver; `backend.Backend` documents the methods.

    The driver refuses some work on 0 bytes or 0 blocks, so that such work is left out. Outside of `on`, and after it,
    work is done on the default stream, which waits for all that was done on others.
    """

    def __init__(self, ordinal: int) -> None:
        self.process = os.getpid()
        self._ordinal, self._device = ordinal, result_of(cuda.cuDeviceGet(ordinal))
        self.context = result_of(cuda.cuDevicePrimaryCtxRetain(self._device))
        self.context_number = int(self.context)
        kinds = cuda.CUdevice_attribute
        major, minor, reads_all_memory = (
            int(result_of(cuda.cuDeviceGetAttribute(kind, self._device)))
            for kind in (
                kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
                kinds.CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS,
            )
        )
        self.capability = (major, minor)
        self._reads_all_memory = bool(reads_all_memory)  # also the host's that is not page-locked, at any later time
        self._functions: dict[Kernel, Any] = {}
        self.turn = Lock()  # held by the thread that is within `on`
        self.worker: int | None = None  # that thread
        self._stream = LEGACY_STREAM
        self._recorded = False  # whether the event `_finished` comes after all work
        self._captured = False  # whether the current stream's work is put into a CUDA graph, to be done later
        self._kept: list[tuple[Any, Any]] = []
        self._unused: list[int] = []  # addresses of memory that is to be given back
        self._unused_of_host: list[int] = []
        self._here = _Here(self)
        with self._here:
            self._obtain, self._give_back = memory_of(ordinal, self._device)
            self._arrived, self._finished = (result_of(cuda.cuEventCreate(NO_TIMING)) for _ in range(2))

    def here(self) -> AbstractContextManager[None]:
        """Make the GPU the current one of this thread."""
        return self._here

    @property
    def captures(self) -> bool:
        return self._captured

    def holds(self, address: int) -> bool:
        return _ordinal_of(address) == self._ordinal

    def allocate(self, size: int) -> Memory:
        return Memory(self, size)

    def obtain(self, size: int) -> int:
        """The address of memory for work on the current stream, and for what comes after it on others."""
        with self.turn:
            self._refuse_capture()
            self._give_back_unused()
            with self._work():
                address: int = self._obtain(size, self._stream)
                return address

    def free(self, address: int) -> None:
        """Give memory back that nothing refers to any more."""
        self._unused.append(address)
        self._give_back_unused()

    def _give_back_unused(self) -> None:
        """Give memory back where it can be: in this process, not into a graph, and not in another thread's work.

        The current stream comes after all work that has been asked for here, and so after all that uses the memory.
        What cannot be given back now is at the next occasion, as the collector of garbage calls this at any time.
        """
        if os.getpid() != self.process or not self.turn.taken():
            return
        try:
            while self._unused and not self._captured:
                address = self._unused.pop()
                with self._work():
                    self._give_back(address, self._stream)
            while self._unused_of_host and not self._captured:
                address = self._unused_of_host.pop()
                with self._here:
                    result_of(cuda.cuStreamSynchronize(self._stream))  # kernels may write there still
                    result_of(cuda.cuMemFreeHost(address))
        finally:
            self.turn.__exit__()

    def page_locked(self, size: int) -> NDArray[np.uint8]:
        return np.asarray(PageLocked(self, size))

    def free_host(self, address: int) -> None:
        """Free page-locked memory that nothing refers to any more."""
        self._unused_of_host.append(address)
        self._give_back_unused()

    def write(self, address: int, values: NDArray[Any]) -> None:
        if not values.nbytes:
            return
        self._refuse_capture()
        with self._work():
            result_of(cuda.cuMemcpyHtoDAsync(address, _address_of(values), values.nbytes, self._stream))
            if self._reads_all_memory:  # else the driver has copied the values before it returns
                result_of(cuda.cuStreamSynchronize(self._stream))

    def read(self, address: int, values: NDArray[Any], wait: bool = True) -> None:
        if not values.nbytes:
            return
        self._refuse_capture()
        with self._work():
            result_of(cuda.cuMemcpyDtoHAsync(_address_of(values), address, values.nbytes, self._stream))
            if wait:
                result_of(cuda.cuStreamSynchronize(self._stream))

    def copy(self, to: int, source: int, size: int) -> None:
        if not size:
            return
        with self._work():
            result_of(cuda.cuMemcpyDtoDAsync(to, source, size, self._stream))

    def clear(self, address: int, size: int) -> None:
        if not size:
            return
        with self._work():
            result_of(cuda.cuMemsetD8Async(address, 0, size, self._stream))

    def load(self, kernel: Kernel) -> None:
        with self._here:
            function = self._function(kernel)
            if result_of(cuda.cuDriverGetVersion()) >= LOADS_FUNCTIONS:
                result_of(cuda.cuFuncLoad(function))

    def ready(self, kernel: Kernel, blocks: int, threads: int, arguments: Sequence[Any]) -> Launch:
        with self._here:
            return Launch(self._function(kernel), blocks, threads, arguments)

    def make(self, launch: Launch, updates: NDArray[np.int64] | None = None, after: Launch | None = None) -> None:
        if not launch.blocks and after is None:
            if updates is not None:
                updates += 1
            return
        with self._work():
            if updates is None:
                result_of(launch.on(self._stream))
                return
            answer = launch.counted(self._stream, updates, after)
            if answer[0] != SUCCESS:
                updates -= 1
                raise failure(answer[0])

    def launch(self, kernel: Kernel, blocks: int, threads: int, arguments: Sequence[Any]) -> None:
        if blocks:
            self.make(self.ready(kernel, blocks, threads, arguments))

    def _function(self, kernel: Kernel) -> Any:
        if kernel not in self._functions:
            said = bytearray(LOG)
            options = cuda.CUjit_option.CU_JIT_ERROR_LOG_BUFFER, cuda.CUjit_option.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES
            image = kernel.ptx.encode() + b"\0"
            status, module = cuda.cuModuleLoadDataEx(image, len(options), [*options], [said, LOG])
            if status != SUCCESS:
                raise failure(status, said.split(b"\0")[0].decode(errors="replace").strip())
            self._functions[kernel] = result_of(cuda.cuModuleGetFunction(module, kernel.name.encode()))
        return self._functions[kernel]

    def _work(self) -> AbstractContextManager[None]:
        """`here`, for work on the current stream."""
        self._recorded = False
        return self._here

    def _refuse_capture(self) -> None:
        """Raise RuntimeError if work goes into a CUDA graph, for what cannot be repeated by one."""
        if self._captured:
            raise RuntimeError(
                "a CUDA graph cannot capture this step, which waits for the GPU, or brings numbers there: use "
                "deferred=True or nonfinite='ignore', dense gradients, a constant learning rate and no clipping by "
                "norms, and make one such step before the capture"
            )

    def on(self, streams: Iterable[int | None]) -> AbstractContextManager[None]:
        stream, *others = dict.fromkeys(x for x in streams if x is not None) or [LEGACY_STREAM]
        return _On(self, stream, others)

    def begin(self, stream: int, others: Sequence[int]) -> None:
        """Begin with work on a stream, after all other work, and after that of other streams."""
        self._captured = stream != LEGACY_STREAM and _is_captured(stream)
        if self._captured:
            self._stream = stream
            return
        if stream != LEGACY_STREAM:
            if not self._recorded:
                result_of(cuda.cuEventRecord(self._finished, LEGACY_STREAM))
                self._recorded = True
            result_of(cuda.cuStreamWaitEvent(stream, self._finished, 0))
        for other in others:
            result_of(cuda.cuEventRecord(self._arrived, other))
            result_of(cuda.cuStreamWaitEvent(stream, self._arrived, 0))
        self._stream = stream

    def end(self, others: Sequence[int]) -> None:
        """Let other streams and the default one wait for the work; the stream may then be destroyed by its owner."""
        stream = self._stream
        try:
            if self._captured:
                return
            waiting = [other for other in dict.fromkeys([*others, LEGACY_STREAM]) if other != stream]
            if waiting:
                result_of(cuda.cuEventRecord(self._finished, stream))
                self._recorded = True
            for other in waiting:
                result_of(cuda.cuStreamWaitEvent(other, self._finished, 0))
        finally:  # and not before, as memory that is given back meanwhile may be in use on this stream
            self._stream, self._captured = LEGACY_STREAM, False

    def keep(self, arrays: Any) -> None:
        if self._captured:  # the graph has their memory for as long as it is used, which its owner sees to
            return
        with self._here:
            passed = [event for event, _ in self._kept if cuda.cuEventQuery(event)[0] == SUCCESS]
            self._kept = [pair for pair in self._kept if pair[0] not in passed]
            event = passed.pop() if passed else result_of(cuda.cuEventCreate(NO_TIMING))
            for other in passed:
                result_of(cuda.cuEventDestroy(other))
            result_of(cuda.cuEventRecord(event, self._stream))
            self._kept.append((event, arrays))

    def synchronize(self) -> None:
        with self._here:
            result_of(cuda.cuCtxSynchronize())
