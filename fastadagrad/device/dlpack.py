"""Reading of DLPack capsules: the address, shape, strides and dtype of the array in one."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

DLPACK_VERSION = (1, 0)  # the version asked for: the first that says whether an array is read-only
NAME, VERSIONED = b"dltensor", b"dltensor_versioned"
READ_ONLY = 1  # a flag


class _Device(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int32), ("number", ctypes.c_int32))


class _Kind(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    """The struct DLTensor of dlpack.h, which is at the beginning of a DLManagedTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("kind", _Kind),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),  # in elements; null if C-contiguous
        ("byte_offset", ctypes.c_uint64),
    )


class _Versioned(ctypes.Structure):
    """The struct DLManagedTensorVersioned of dlpack.h."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    )


_KINDS = {0: "i", 1: "u", 2: "f", 5: "c"}

_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)


_has_name = ctypes.pythonapi.PyCapsule_IsValid
_has_name.restype, _has_name.argtypes = ctypes.c_int, (ctypes.py_object, ctypes.c_char_p)


def read_dlpack(capsule: Any) -> tuple[int, tuple[int, ...], tuple[int, ...] | None, np.dtype[Any], bool]:
    """Address, shape, strides in bytes and dtype of the array, and whether the capsule says that it is read-only.

    The capsule is not consumed, and keeps the memory allocated.

    Raises
    ------
    TypeError
        If NumPy has no such dtype.
    """
    if _has_name(capsule, VERSIONED):
        versioned = _Versioned.from_address(_pointer_of(capsule, VERSIONED))
        tensor, read_only = versioned.tensor, bool(versioned.flags & READ_ONLY)
    else:
        tensor, read_only = _Tensor.from_address(_pointer_of(capsule, NAME)), False
    kind = tensor.kind
    if kind.code not in _KINDS or kind.bits % 8 or kind.lanes != 1:
        raise TypeError(f"DLPack arrays of type code {kind.code}, {kind.bits} bits, {kind.lanes} lanes have no dtype")
    dtype = np.dtype(f"{_KINDS[kind.code]}{kind.bits // 8}")
    shape = tuple(tensor.shape[: tensor.ndim])
    strides = tuple(n * dtype.itemsize for n in tensor.strides[: tensor.ndim]) if tensor.strides else None
    return (tensor.data or 0) + tensor.byte_offset, shape, strides, dtype, read_only
