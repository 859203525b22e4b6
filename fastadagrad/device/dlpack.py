"""Where the data of a DLPack capsule lie."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

NAME = b"dltensor"


class _Device(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int32), ("number", ctypes.c_int32))


class _Kind(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    """DLTensor of dlpack.h, with which a DLManagedTensor begins."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("kind", _Kind),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),  # in elements; null if C-contiguous
        ("byte_offset", ctypes.c_uint64),
    )


_KINDS = {0: "i", 1: "u", 2: "f", 5: "c"}

_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)


def read_dlpack(capsule: Any) -> tuple[int, tuple[int, ...], tuple[int, ...] | None, np.dtype[Any]]:
    """Address, shape, strides in bytes, and dtype. The capsule is not consumed, and keeps the memory.

    Raises
    ------
    TypeError
        If NumPy has no such dtype.
    """
    tensor = _Tensor.from_address(_pointer_of(capsule, NAME))
    kind = tensor.kind
    if kind.code not in _KINDS or kind.bits % 8 or kind.lanes != 1:
        raise TypeError(f"DLPack arrays of type code {kind.code}, {kind.bits} bits, {kind.lanes} lanes have no dtype")
    dtype = np.dtype(f"{_KINDS[kind.code]}{kind.bits // 8}")
    shape = tuple(tensor.shape[: tensor.ndim])
    strides = tuple(n * dtype.itemsize for n in tensor.strides[: tensor.ndim]) if tensor.strides else None
    return (tensor.data or 0) + tensor.byte_offset, shape, strides, dtype
