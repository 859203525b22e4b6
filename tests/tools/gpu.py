"""GPUs for tests: one whose kernels are run from their PTX on the CPU, and the real one where there is one."""

import copy
import functools
import weakref
from collections import deque
from contextlib import contextmanager

import numpy as np
import ptx
from cuda_kernels import CC

from fastadagrad.device.arrays import LEGACY_STREAM


class _Memory:
    def __init__(self, gpu, size):
        room = ptx.junk(size + 256, np.uint8)
        start = -room.ctypes.data % 256
        self.bytes = room[start : start + size]
        self.address = self.bytes.ctypes.data
        gpu.memory[id(self)] = self.bytes
        weakref.finalize(self, gpu.memory.pop, id(self))


class _PageLocked:
    """Memory of the host that the GPU may read and write."""

    def __init__(self, gpu, size):
        room = np.full(size, 0xFF, np.uint8)
        self.__array_interface__ = room.__array_interface__
        gpu.memory[id(self)] = room
        weakref.finalize(self, gpu.memory.pop, id(self))


class Interpreter:
    """What `fastadagrad.device.backend.Backend` asks for, and notes on what was asked."""

    def __init__(self):
        self.capability, self.memory, self.launched, self.log = CC, {}, [], []
        self.captures = False
        self.kept, self._depth = deque(maxlen=4), 0

    def holds(self, address):
        return any(0 <= address - part.ctypes.data < part.size for part in [*self.memory.values()])

    def allocate(self, size):
        return _Memory(self, size)

    def page_locked(self, size):
        return np.asarray(_PageLocked(self, size))

    def _bytes(self, address, size):
        for part in [*self.memory.values()]:  # which shrinks whenever an array of them is no more
            start = address - part.ctypes.data
            if 0 <= start and start + size <= part.size:
                return part[start : start + size]
        raise AssertionError(f"{size} bytes at {address:#x} are not on the GPU")

    def write(self, address, values):
        assert values.flags.c_contiguous
        self._bytes(address, values.nbytes)[...] = values.reshape(-1).view(np.uint8)

    def read(self, address, values, wait=True):
        self.log.append("read")
        values.reshape(-1).view(np.uint8)[...] = self._bytes(address, values.nbytes)

    def copy(self, to, source, size):
        self._bytes(to, size)[...] = self._bytes(source, size)

    def clear(self, address, size):
        if size:
            self._bytes(address, size)[...] = 0

    def launch(self, kernel, blocks, threads, arguments):
        assert self._depth, "launched on no stream"
        self.run(kernel, blocks, threads, arguments)

    def ready(self, *launch):
        return launch

    def make(self, launch, updates=None, after=None):
        for each in (after, launch):
            if each is not None:
                self.launch(*each)
        if updates is not None:
            updates += 1

    def run(self, kernel, blocks, threads, arguments):
        self.launched.append(kernel.name)
        ptx.launch(kernel.ptx, blocks, threads, arguments, list(self.memory.values()))

    @contextmanager
    def on(self, streams):
        self.log.append(("on", *dict.fromkeys(x for x in streams if x is not None)))
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            self.log.append("off")

    def keep(self, arrays):
        self.kept.append(arrays)

    def load(self, kernel):
        assert not self.launched or self._depth

    def synchronize(self):
        self.log.append("synchronize")

    def array(self, values, **kwargs):
        return Array(self, values, **kwargs)


@functools.cache
def why_no_hardware():
    """Why no GPU can be used; None if one can."""
    try:
        from fastadagrad.device.driver import driver_at

        driver_at(0)
    except Exception as error:
        return f"no GPU has run any of this: {error}"
    return None


class Hardware:
    """The real one, with the same notes."""

    def __init__(self):
        from fastadagrad.device.driver import driver_at

        self._driver, self.launched, self.log = driver_at(0), [], []

    def __getattr__(self, name):
        return getattr(self._driver, name)

    def read(self, address, values, wait=True):
        self.log.append("read")
        self._driver.read(address, values, wait)

    def launch(self, kernel, blocks, threads, arguments):
        self.launched.append(kernel.name)
        self._driver.launch(kernel, blocks, threads, arguments)

    def ready(self, kernel, *rest):
        return kernel.name, self._driver.ready(kernel, *rest)

    def make(self, launch, updates=None, after=None):
        given = [each for each in (after, launch) if each is not None]
        self.launched += [name for name, _ in given]
        before = None if after is None else after[1]
        self._driver.make(launch[1], updates, before)

    @contextmanager
    def on(self, streams):
        streams = list(streams)
        self.log.append(("on", *dict.fromkeys(x for x in streams if x is not None)))
        with self._driver.on(streams):
            yield
        self.log.append("off")

    def array(self, values, **kwargs):
        return HardwareArray(self, values, **kwargs)


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
        self.shape, self.dtype, self.gpu, self.stream = values.shape, values.dtype, gpu, stream
        self._memory, self._offset, self._read_only = gpu.allocate(values.nbytes + max(1, offset)), offset, read_only
        self.set(values)

    @property
    def address(self):
        return self._memory.address + self._offset

    def numpy(self):
        """The values, where they are."""
        return self._memory.bytes[self._offset :][: self.nbytes].view(self.dtype).reshape(self.shape)

    @property
    def nbytes(self):
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def set(self, values):
        self._memory.bytes.flags.writeable = True
        self.numpy()[...] = values
        self._memory.bytes.flags.writeable = not self._read_only

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, key):
        """A view of some of its rows, which follow one another."""
        start, stop, step = key.indices(len(self))
        assert step == 1
        view = copy.copy(self)
        view.shape = (max(0, stop - start), *self.shape[1:])
        view._offset = self._offset + start * int(np.prod(self.shape[1:])) * self.dtype.itemsize
        return view

    @property
    def __cuda_array_interface__(self):
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, self._read_only),
            "version": 3,
            "stream": self.stream,
        }


class HardwareArray(Array):
    """In the memory of a real GPU; `numpy` gives a copy."""

    def numpy(self):
        values = np.zeros(self.shape, self.dtype)
        self.gpu.synchronize()
        if values.size:
            self.gpu.read(self.address, values)
        return values

    def set(self, values):
        if self.nbytes:
            self.gpu.write(self.address, np.array(np.broadcast_to(values, self.shape), self.dtype, order="C"))
            self.gpu.synchronize()
