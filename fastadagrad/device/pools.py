"""A GPU's memory, from a pool of CUDA's driver where it has pools: getting and giving back wait for no work."""

from __future__ import annotations

from typing import Any

from cuda.bindings import driver as cuda

from .answers import result_of

KEPT = 64 << 20  # bytes that are kept for reuse, of those that have been given back


class Pool:
    """Memory that is got and given back in the order of a stream's work."""

    def __init__(self, ordinal: int) -> None:
        kinds = cuda.CUmemPool_attribute
        properties = cuda.CUmemPoolProps()
        properties.allocType = cuda.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
        properties.location.type = cuda.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
        properties.location.id = ordinal
        self._pool = result_of(cuda.cuMemPoolCreate(properties))
        threshold = cuda.cuuint64_t(KEPT)
        result_of(cuda.cuMemPoolSetAttribute(self._pool, kinds.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, threshold))

    def allocate(self, size: int, stream: int) -> int:
        return int(result_of(cuda.cuMemAllocFromPoolAsync(size, self._pool, stream)))

    def free(self, address: int, stream: int) -> None:
        result_of(cuda.cuMemFreeAsync(address, stream))


def _allocate(size: int, stream: int) -> int:
    return int(result_of(cuda.cuMemAlloc(size)))


def _free(address: int, stream: int) -> None:
    result_of(cuda.cuMemFree(address))


def memory_of(ordinal: int, device: Any) -> tuple[Any, Any]:
    """Functions ``(size, stream) -> address`` and ``(address, stream)`` that get memory of a GPU and give it back."""
    try:
        attribute = cuda.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED
        if result_of(cuda.cuDeviceGetAttribute(attribute, device)):
            pool = Pool(ordinal)
            return pool.allocate, pool.free
    except RuntimeError:  # of a driver that is older than pools
        pass
    return _allocate, _free
