"""Stand-ins for the functions of CUDA's driver, which take what the real ones take, by their signatures."""

import ctypes
import gc
import inspect
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from gpu import Interpreter
from ptx import TYPES, parse

from fastadagrad.kernels.cuda.compiling import Kernel

cuda = pytest.importorskip(
    "cuda.bindings.driver", reason="cuda-bindings is not installed: pip install 'fastadagrad[test-cuda]'"
)
SUCCESS = cuda.CUresult.CUDA_SUCCESS
CONTEXTS = 1000  # handle of the first GPU's context
REFUSED = (cuda.CUresult.CUDA_ERROR_INVALID_VALUE,)


class StandIn:
    """The functions of the driver, on two GPUs that the interpreter runs. Work on nothing they refuse."""

    def __init__(self):
        self.gpus, self.calls, self._contexts = [Interpreter(), Interpreter()], [], threading.local()
        self.allocations, self.page_locked, self.modules, self.loaded = {}, {}, [], []
        self.pools = []  # None for a driver that has none
        self.events, self.all_done, self.ended = 0, True, set()
        self.captured = set()  # streams whose work goes into a graph
        self.late = []  # copies from and to page-locked memory, which are made when other work is
        self.turn = threading.RLock()

    @property
    def contexts(self):
        """GPUs that have been made the current one of this thread, each within the one before."""
        self._contexts.__dict__.setdefault("stack", [])
        return self._contexts.stack

    @property
    def gpu(self):
        assert self.contexts, "no context is current"
        return self.gpus[self.contexts[-1]]

    def note(self, what, *call):
        stream = call[what == "record"]
        assert stream not in self.ended, "a stream that has been destroyed"
        assert not self.captured or (what in ("launch", "clear") and stream in self.captured), "no work for a graph"
        self.calls.append((what, *call))

    @contextmanager
    def used_by_another_library(self, device):
        """A block in which it has made the GPU the current one of the thread."""
        self.contexts.append(device)
        try:
            yield
        finally:
            assert self.contexts.pop() == device

    def cuInit(self, flags):
        return (SUCCESS,)

    def cuPointerGetAttribute(self, attribute, address):
        assert attribute == cuda.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
        found = [i for i, gpu in enumerate(self.gpus) if gpu.holds(address)]
        return (SUCCESS, found[0]) if found else (cuda.CUresult.CUDA_ERROR_INVALID_VALUE, None)

    def cuDeviceGet(self, ordinal):
        return SUCCESS, ordinal

    def cuDevicePrimaryCtxRetain(self, device):
        return SUCCESS, cuda.CUcontext(CONTEXTS + device)

    def cuDeviceGetAttribute(self, attribute, device):
        values = {"MAJOR": 9, "MINOR": 0, "ACCESS": 0, "SUPPORTED": self.pools is not None}
        return SUCCESS, int(values[attribute.name.split("_")[-1]])

    def cuCtxGetCurrent(self):
        return SUCCESS, cuda.CUcontext(CONTEXTS + self.contexts[-1] if self.contexts else 0)

    def cuCtxPushCurrent(self, context):
        self.contexts.append(int(context) - CONTEXTS)
        return (SUCCESS,)

    def cuCtxPopCurrent(self):
        return SUCCESS, cuda.CUcontext(CONTEXTS + self.contexts.pop())

    def cuEventCreate(self, flags):
        self.events += 1
        return SUCCESS, self.events

    def cuEventRecord(self, event, stream):
        self.note("record", event, stream)
        return (SUCCESS,)

    def cuEventElapsedTime(self, start, end):
        return SUCCESS, 0.5

    def cuEventQuery(self, event):
        return (SUCCESS if self.all_done else cuda.CUresult.CUDA_ERROR_NOT_READY,)

    def cuEventDestroy(self, event):
        return (SUCCESS,)

    def cuStreamIsCapturing(self, stream):
        kinds = cuda.CUstreamCaptureStatus
        captured = kinds.CU_STREAM_CAPTURE_STATUS_ACTIVE if stream in self.captured else None
        return SUCCESS, captured or kinds.CU_STREAM_CAPTURE_STATUS_NONE

    def cuStreamWaitEvent(self, stream, event, flags):
        self.note("wait", stream, event)
        return (SUCCESS,)

    def cuMemAlloc(self, size):
        if not size:
            return (*REFUSED, None)
        memory = self.gpu.allocate(size)
        self.allocations[memory.address] = memory
        return SUCCESS, memory.address

    def cuMemFree(self, address):
        self.catch_up()
        del self.allocations[address]
        return (SUCCESS,)

    def cuMemPoolCreate(self, properties):
        self.pools.append({"device": properties.location.id})
        return SUCCESS, len(self.pools) - 1

    def cuMemPoolSetAttribute(self, pool, attribute, value):
        self.pools[pool][attribute.name] = int(value)
        return (SUCCESS,)

    def cuMemAllocFromPoolAsync(self, size, pool, stream):
        assert self.pools[pool]["device"] == self.contexts[-1]
        self.note("allocate", stream)
        return self.cuMemAlloc(size)

    def cuMemFreeAsync(self, address, stream):
        self.note("free", stream)
        return self.cuMemFree(address)

    def cuMemHostAlloc(self, size, flags):
        assert size
        assert flags == 0
        memory = np.full(size, 0xFF, np.uint8)
        address = memory.ctypes.data
        self.page_locked[address] = memory
        for gpu in self.gpus:  # kernels may use it, too
            gpu.memory[address] = memory
        return SUCCESS, address

    def cuMemFreeHost(self, address):
        self.catch_up()
        del self.page_locked[address]
        for gpu in self.gpus:
            del gpu.memory[address]
        return (SUCCESS,)

    @staticmethod
    def host(address, size):
        return np.frombuffer((ctypes.c_uint8 * size).from_address(address), np.uint8)

    def is_page_locked(self, address):
        return any(0 <= address - memory.ctypes.data < memory.size for memory in [*self.page_locked.values()])

    def catch_up(self):
        with self.turn:
            while self.late:
                copy, on_gpu, on_host, size = self.late.pop(0)
                assert self.is_page_locked(on_host), "a copy from or to page-locked memory that has been freed"
                copy(on_gpu, self.host(on_host, size))

    def copy(self, copy, on_gpu, on_host, size):
        if self.is_page_locked(on_host):
            self.late.append((copy, on_gpu, on_host, size))
        else:
            self.catch_up()
            copy(on_gpu, self.host(on_host, size))
        return (SUCCESS,)

    def cuMemcpyHtoDAsync(self, to, source, size, stream):
        if not size:
            return REFUSED
        self.note("write", stream)
        return self.copy(self.gpu.write, to, source, size)

    def cuMemcpyDtoHAsync(self, to, source, size, stream):
        if not size:
            return REFUSED
        self.note("read", stream)
        return self.copy(self.gpu.read, source, to, size)

    def cuMemcpyDtoDAsync(self, to, source, size, stream):
        self.catch_up()
        if not size:
            return REFUSED
        self.note("copy", stream)
        self.gpu.copy(to, source, size)
        return (SUCCESS,)

    def cuMemsetD8Async(self, address, value, size, stream):
        self.catch_up()
        assert value == 0
        if not size:
            return REFUSED
        self.note("clear", stream)
        self.gpu.clear(address, size)
        return (SUCCESS,)

    def cuStreamSynchronize(self, stream):
        self.catch_up()
        self.note("synchronize", stream)
        return (SUCCESS,)

    def cuCtxSynchronize(self):
        self.catch_up()
        assert self.contexts
        return (SUCCESS,)

    def cuGetErrorString(self, status):
        return SUCCESS, f"the words for {status.value}".encode()

    def cuDriverGetVersion(self):
        return SUCCESS, 13000

    def cuFuncLoad(self, function):
        self.loaded.append(function[0])
        return (SUCCESS,)

    def cuModuleLoadDataEx(self, image, count, options, values):
        assert image.endswith(b"\0")
        assert count == len(options) == len(values)
        self.modules.append(image)
        return SUCCESS, image[:-1].decode()

    def cuModuleGetFunction(self, module, name):
        assert f".entry {name.decode()}(" in module
        return SUCCESS, (name.decode(), module)

    def cuLaunchKernel(self, function, gx, gy, gz, bx, by, bz, shared, stream, parameters, extra):
        assert (gy, gz, by, bz, shared, extra) == (1, 1, 1, 1, 0, 0)
        if not (gx and bx):
            return REFUSED
        name, module = function
        kinds = [TYPES[kind] for kind, _ in parse(module).parameters]
        places = np.frombuffer((ctypes.c_uint64 * len(kinds)).from_address(parameters), np.uint64)
        values = [self.host(int(place), kind.itemsize).view(kind)[0] for place, kind in zip(places, kinds, strict=True)]
        self.note("launch", stream)
        self.catch_up()
        self.gpu.run(Kernel(name, module), gx, bx, values)
        return (SUCCESS,)


@contextmanager
def installed(monkeypatch):
    """The driver's functions replaced; yields the stand-in, which all memory has to be given back to."""
    from fastadagrad.device import driver as module

    stand_in = StandIn()
    for name in [name for name in dir(StandIn) if name.startswith("cu")]:
        function, real = getattr(stand_in, name), inspect.signature(getattr(cuda, name))
        assert len(inspect.signature(function).parameters) == len(real.parameters), name
        monkeypatch.setattr(cuda, name, function)
    monkeypatch.setattr(module, "_drivers", {})
    gc.freeze()  # the collection that follows is of what the test makes: of all that there is it would take long
    yield stand_in
    gc.collect()
    gc.unfreeze()
    assert not stand_in.contexts
