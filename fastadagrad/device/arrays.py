"""Device arrays, of any library that has `__cuda_array_interface__` or DLPack, and those that the optimizer makes."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from . import backend as backends
from .backend import Backend
from .dlpack import DLPACK_VERSION, read_dlpack

LEGACY_STREAM = 1  # CUDA's default stream
ALIGNMENT = 256  # bytes
FILLED_BY_HOST = 1 << 16  # elements that the host writes to fill an array; the rest is copied from these on the GPU


class Flags(NamedTuple):
    """Flags of a device array, named as those of a NumPy array."""

    c_contiguous: bool
    aligned: bool
    writeable: bool


class DeviceArray:
    """An array in the memory of a GPU, with the attributes that NumPy arrays have.

    ``array[...] = value`` takes a number, a host array, or a device array of the same shape and dtype. `numpy.asarray`
    is refused, as it would copy unseen; `to_host` copies to the host.

    Parameters
    ----------
    owner : object
        An object that keeps the memory allocated as long as it lives.
    stream : int, optional
        The stream whose work has to be done before the array is used; None if there is nothing to wait for.
    """

    def __init__(
        self,
        address: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        owner: Any,
        *,
        strides: tuple[int, ...] | None = None,
        writeable: bool = True,
        stream: int | None = None,
    ) -> None:
        self.address, self.shape, self.dtype, self.owner, self.stream = address, shape, dtype, owner, stream
        self.size, self.ndim, self.itemsize = math.prod(shape), len(shape), dtype.itemsize
        self.nbytes, self._strides = self.size * self.itemsize, strides
        contiguous = strides is None or self.size == 0 or self._is_packed()
        self.flags = Flags(contiguous, address % dtype.alignment == 0, writeable)

    def _is_packed(self) -> bool:
        packed = _packed_strides(self.shape, self.itemsize)
        return all(n == 1 or have == want for n, have, want in zip(self.shape, self.strides, packed, strict=True))

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides in bytes."""
        return _packed_strides(self.shape, self.itemsize) if self._strides is None else self._strides

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a 0-dimensional array has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype})"

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("this array is in a GPU's memory: to_host() copies it")

    @property
    def backend(self) -> Backend:
        return backends.backend_at(self.address)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, not self.flags.writeable),
            "strides": None,
            "version": 3,
            "stream": LEGACY_STREAM,
        }

    def to_host(self) -> NDArray[Any]:
        """A copy in the host's memory; ValueError if the array is not C-contiguous."""
        if not self.flags.c_contiguous:
            raise ValueError("only C-contiguous device arrays can be copied to the host: pass a contiguous copy")
        values = np.empty(self.shape, self.dtype)
        if self.size:
            self.backend.synchronize()
            self.backend.read(self.address, values)
        return values

    def copy(self) -> DeviceArray:
        [made] = zeros(self.backend, [(self.shape, self.dtype)])
        made[...] = self
        return made

    def __deepcopy__(self, memo: Any) -> DeviceArray:
        return self.copy()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an array in a GPU's memory cannot be pickled: pickle array.to_host()")

    def read_only(self) -> DeviceArray:
        """A view of the same memory that cannot be written."""
        return DeviceArray(self.address, self.shape, self.dtype, self, writeable=False)

    def rows(self, start: int, stop: int) -> DeviceArray:
        """A view of the rows ``[start, stop)``, which names no stream; an array without dimensions has one row."""
        shape = (stop - start, *self.shape[1:])
        offset = start * math.prod(self.shape[1:]) * self.itemsize if math.prod(shape) else 0
        return DeviceArray(self.address + offset, shape, self.dtype, self, writeable=self.flags.writeable)

    def first(self) -> Any:
        """The first element, on the host."""
        return DeviceArray(self.address, (), self.dtype, self).to_host()[()]

    def __setitem__(self, where: Any, value: Any) -> None:
        if where is not Ellipsis:
            raise TypeError("only array[...] can be set")
        if not self.flags.writeable:
            raise ValueError("the array is read-only")
        source = as_device_array(value)
        if source is not None:
            self._refuse_unlike(source)
        if not self.size:
            return
        backend = self.backend
        backend.synchronize()
        if source is not None:
            backend.copy(self.address, source.address, self.nbytes)
        elif np.ndim(value) == 0:
            self._fill(backend, value)
        else:
            backend.write(self.address, np.array(np.broadcast_to(value, self.shape), self.dtype, order="C"))
        backend.synchronize()

    def _refuse_unlike(self, source: DeviceArray) -> None:
        """Raise TypeError or ValueError for a device array whose bytes cannot be copied into this one."""
        if source.dtype != self.dtype:
            raise TypeError(f"the value must have dtype {self.dtype}, not {source.dtype}")
        if source.shape != self.shape or not source.flags.c_contiguous:
            raise ValueError(f"the value must have shape {self.shape} and be C-contiguous, not have {source.shape}")
        if source.size and not self.backend.holds(source.address):
            raise ValueError("the value is on another GPU")

    def _fill(self, backend: Backend, value: Any) -> None:
        beginning = np.full(min(self.size, FILLED_BY_HOST), value, self.dtype)
        backend.write(self.address, beginning)
        done = beginning.nbytes
        while done < self.nbytes:
            more = min(done, self.nbytes - done)
            backend.copy(self.address + done, self.address, more)
            done += more


def _packed_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    return tuple(itemsize * math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


_dtype = cache(np.dtype)


def as_device_array(array: Any) -> DeviceArray | None:
    """A device array of any library as a `DeviceArray` of the same memory; None for an object that is none.

    Raises
    ------
    TypeError
        If it is masked, has a dtype that NumPy lacks, or does not say where it lies.
    """
    if array is None or isinstance(array, DeviceArray | np.ndarray):
        return array if isinstance(array, DeviceArray) else None
    try:
        return _described(array)
    except Exception as error:  # other libraries raise errors of all kinds
        raise TypeError(f"this {type(array).__name__} cannot be read as a device array: {error}") from error


def _described(array: Any) -> DeviceArray | None:
    torch = sys.modules.get("torch")
    stream = None
    if torch is not None and isinstance(array, torch.Tensor):  # it names no stream, and is not read if it needs grad
        array = array.detach()
        stream = torch.cuda.current_stream(array.device).cuda_stream if array.is_cuda else None
    interface = getattr(array, "__cuda_array_interface__", None)
    ready = stream is not None or (interface is not None and "stream" in interface)
    if interface is None or (not ready and hasattr(array, "__dlpack__")):  # DLPack makes our stream wait for its work
        return _by_dlpack(array)
    if interface.get("mask") is not None:
        raise TypeError("it is masked; fill in what is")
    address, read_only = interface["data"]
    return DeviceArray(
        address or 0,
        tuple(interface["shape"]),
        _dtype(interface["typestr"]),
        array,
        strides=interface.get("strides"),
        writeable=not read_only,
        stream=interface.get("stream") if stream is None else stream or LEGACY_STREAM,
    )


def _by_dlpack(array: Any) -> DeviceArray | None:
    on_cuda = {2, 13}  # memory of a GPU, or managed
    if not hasattr(array, "__dlpack_device__") or array.__dlpack_device__()[0] not in on_cuda:
        return None
    try:
        capsule = array.__dlpack__(stream=LEGACY_STREAM, max_version=DLPACK_VERSION)
    except TypeError:  # the library is older than versions of DLPack
        capsule = array.__dlpack__(stream=LEGACY_STREAM)
    address, shape, strides, dtype, read_only = read_dlpack(capsule)
    jax = sys.modules.get("jax")
    constant = read_only or (jax is not None and isinstance(array, jax.Array))  # JAX does not always say read-only
    owner = capsule, array
    return DeviceArray(address, shape, dtype, owner, strides=strides, writeable=not constant, stream=LEGACY_STREAM)


def to_host(array: Any) -> Any:
    """The values of a device array, copied to the host; a host array is returned as it is."""
    return array.to_host() if isinstance(array, DeviceArray) else array


def zeros(backend: Backend, wanted: Sequence[tuple[tuple[int, ...], Any]]) -> list[DeviceArray]:
    """Zeros of these shapes and dtypes in one block of memory."""
    starts = [0]
    for shape, dtype in wanted:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        starts.append(starts[-1] + -(-size // ALIGNMENT) * ALIGNMENT)
    block = backend.allocate(max(ALIGNMENT, starts[-1]))
    backend.clear(block.address, starts[-1])
    backend.synchronize()
    return [
        DeviceArray(block.address + start, shape, np.dtype(dtype), block)
        for (shape, dtype), start in zip(wanted, starts, strict=False)
    ]
