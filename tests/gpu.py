"""A GPU for tests: memory that the optimizer must not touch as the host's, and kernels run from their PTX."""

import weakref

import numpy as np
import ptx
from cuda_kernels import CC

from fastadagrad.device import backend as backends
from fastadagrad.device.arrays import LEGACY_STREAM


class _Memory:
    def __init__(self, gpu, size):
        room = np.zeros(size + 256, np.uint8)
        start = -room.ctypes.data % 256
        self.bytes = room[start : start + size]
        self.address = self.bytes.ctypes.data
        gpu.memory[id(self)] = self.bytes
        weakref.finalize(self, gpu.memory.pop, id(self))


class Gpu:
    """What `fastadagrad.device.backend.Backend` asks for, and notes on what was asked."""

    def __init__(self, capability=CC):
        self.capability, self.memory, self.launched, self.log = capability, {}, [], []

    def holds(self, address):
        return any(0 <= address - part.ctypes.data < part.size for part in self.memory.values())

    def allocate(self, size):
        return _Memory(self, size)

    def _bytes(self, address, size):
        for part in self.memory.values():
            start = address - part.ctypes.data
            if 0 <= start and start + size <= part.size:
                return part[start : start + size]
        raise AssertionError(f"{size} bytes at {address:#x} are not on the GPU")

    def write(self, address, values):
        assert values.flags.c_contiguous
        self._bytes(address, values.nbytes)[...] = values.reshape(-1).view(np.uint8)

    def read(self, address, values):
        self.log.append("read")
        values.reshape(-1).view(np.uint8)[...] = self._bytes(address, values.nbytes)

    def copy(self, to, source, size):
        self._bytes(to, size)[...] = self._bytes(source, size)

    def clear(self, address, size):
        if size:
            self._bytes(address, size)[...] = 0

    def launch(self, kernel, blocks, threads, arguments):
        self.launched.append(kernel.name)
        ptx.launch(kernel.ptx, blocks, threads, arguments, list(self.memory.values()), not kernel.exact)

    def use(self, streams):
        self.log.append(("use", *streams))

    def release(self):
        self.log.append("release")

    def synchronize(self):
        self.log.append("synchronize")

    def install(self, monkeypatch):
        monkeypatch.setattr(backends, "backend_at", lambda address: self)
        return self

    def array(self, values, **kwargs):
        return Array(self, values, **kwargs)


class Array:
    """A user's device array, as CuPy or Numba make them.

    Parameters
    ----------
    offset : int
        Bytes behind a multiple of 256 at which it begins.
    read_only : bool
        It says so, and a kernel that writes to it is at fault.
    stream : int, optional
        What it says of its stream.
    """

    def __init__(self, gpu, values, offset=0, read_only=False, stream=LEGACY_STREAM):
        values = np.array(values, order="C")
        self.shape, self.dtype, self.offset = values.shape, values.dtype, offset
        self._memory, self._read_only, self.stream = _Memory(gpu, values.nbytes + offset), read_only, stream
        self.numpy()[...] = values
        self._memory.bytes.flags.writeable = not read_only

    def numpy(self):
        """The values, where they are."""
        return self._memory.bytes[self.offset :].view(self.dtype).reshape(self.shape)

    def set(self, values):
        self.numpy()[...] = values

    def __len__(self):
        return self.shape[0]

    @property
    def __cuda_array_interface__(self):
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self._memory.address + self.offset, self._read_only),
            "version": 3,
            "stream": self.stream,
        }
