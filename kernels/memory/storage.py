"""How the elements of parameters, gradients and slots lie in memory, which need not be how they are computed with.

A kernel computes in float32 or float64. It reaches an array only through the array's storage: `load` converts an
element to the dtype that is computed in, and `store` rounds a number to that of the array. Offsets are in elements, and
only the storage knows how many bytes an element has. What a parameter may be is the table `PRECISIONS`; how a rule
keeps one of its slots is its trait `stored`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..jit import forceinlined, jitable
from ..rules import trait
from .headers import array_at


class Storage(NamedTuple):
    """One way of keeping numbers in memory. The first four functions are compilable, the others plain Python.

    `real` is the dtype that is computed in, as NumPy's scalar type.
    """

    size: Callable[..., Any]  # (n, real) -> bytes of n elements
    at: Callable[..., Any]  # (address, start, n, real) -> n elements, from `start` on, of the array at an address
    load: Callable[..., Any]  # (array, i) -> number of the dtype that is computed in
    store: Callable[..., Any]  # (array, i, number)
    memory: Callable[[np.dtype[Any]], np.dtype[Any]]  # dtype of the arrays, given that of `real`; TypeError: unfit
    kept: Callable[[Any], Any]  # (number, or array of numbers) -> the elements that an array has for them
    numbers: Callable[[Any], Any]  # (elements of an array) -> the numbers that they stand for


@jitable
def _size(n, real):
    return n * array_at(0, 0, real).itemsize


@jitable
def _at(address, start, n, real):
    return array_at(address + _size(start, real), n, real)


@forceinlined
def _load(array, i):
    return array[i]


@forceinlined
def _store(array, i, number):
    array[i] = number


def _as_it_is(anything: Any) -> Any:
    return anything


AS_COMPUTED = Storage(_size, _at, _load, _store, _as_it_is, _as_it_is, _as_it_is)


@jitable
def _size_of_sixteen_bits(n, real):
    return 2 * n


@jitable
def _sixteen_bits_at(address, start, n, real):
    return array_at(address + 2 * start, n, np.uint16)


def _sixteen_bits(name: str) -> Callable[[np.dtype[Any]], np.dtype[Any]]:
    """The `memory` of a storage whose elements have sixteen bits, and are computed with as float32."""

    def memory(real: np.dtype[Any]) -> np.dtype[Any]:
        if real != np.float32:
            raise TypeError(f"{name} is computed with as float32: what is computed in {real} cannot be kept in it")
        return np.dtype(np.uint16)

    return memory


@forceinlined
def _load_bfloat16(array, i):
    return np.uint32(np.uint32(array[i]) << np.uint32(16)).view(np.float32)


def _rounded_bfloat16(bits):
    """The upper sixteen bits of a float32, given by its bits, rounded to the nearest, ties to even; NaN stays NaN."""
    upper = bits >> np.uint32(16)
    rounded = (bits + np.uint32(0x7FFF) + (upper & np.uint32(1))) >> np.uint32(16)
    is_nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    return (upper | np.uint32(0x40)) * is_nan + rounded * (is_nan ^ True)


_compiled_rounded_bfloat16 = forceinlined(_rounded_bfloat16)


@forceinlined
def _store_bfloat16(array, i, number):
    array[i] = np.uint16(_compiled_rounded_bfloat16(np.float32(number).view(np.uint32)))


def _kept_bfloat16(numbers: Any) -> NDArray[np.uint16]:
    return np.asarray(_rounded_bfloat16(np.asarray(numbers, np.float32).view(np.uint32)), np.uint16)


def _numbers_of_bfloat16(bits: Any) -> Any:
    return (np.asarray(bits, np.uint32) << np.uint32(16)).view(np.float32)


BFLOAT16 = Storage(
    _size_of_sixteen_bits,
    _sixteen_bits_at,
    _load_bfloat16,
    _store_bfloat16,
    _sixteen_bits("bfloat16"),
    _kept_bfloat16,
    _numbers_of_bfloat16,
)


# float16 is converted by whole numbers, as BFLOAT16 is: Numba has no such conversion on every processor.


@forceinlined
def _load_float16(array, i):
    half = np.uint32(array[i])
    magnitude = (half & np.uint32(0x7FFF)) << np.uint32(13)
    # The exponent of a float32 is larger by 112, which a product adds to it, also where the float16 is subnormal.
    scaled = np.float32(np.uint32(magnitude).view(np.float32) * np.float32(2.0**112)).view(np.uint32)
    without_end = magnitude >= np.uint32(0x7C00 << 13)  # infinity, or NaN
    bits = scaled | (np.uint32(0x7F800000) * without_end)
    return np.uint32(bits | ((half & np.uint32(0x8000)) << np.uint32(16))).view(np.float32)


@forceinlined
def _rounded_float16(bits):
    """The bits of the float16 nearest to a float32, given by its bits, ties to even; NaN stays NaN."""
    sign, magnitude = (bits >> np.uint32(16)) & np.uint32(0x8000), bits & np.uint32(0x7FFFFFFF)
    # Where the float16 is normal: its bits are 13 fewer, and its exponent is smaller by 112.
    odd = (magnitude >> np.uint32(13)) & np.uint32(1)
    normal = (magnitude + np.uint32(0xFFF) + odd - np.uint32(112 << 23)) >> np.uint32(13)
    # Where it is subnormal, it counts steps of 2^-24, and so does the last bit of a float32 from 0.5 on.
    small = magnitude < np.uint32(113 << 23)
    number = np.uint32(magnitude * small).view(np.float32)
    steps = np.float32(number + np.float32(0.5)).view(np.uint32) - np.uint32(0x3F000000)
    large, is_nan = magnitude >= np.uint32(0x477FF000), magnitude > np.uint32(0x7F800000)
    finite = steps * small + normal * (small ^ True)
    return sign | (finite * (large ^ True) + np.uint32(0x7C00) * large + np.uint32(0x200) * is_nan)


@forceinlined
def _store_float16(array, i, number):
    array[i] = np.uint16(_rounded_float16(np.float32(number).view(np.uint32)))


def _kept_float16(numbers: Any) -> NDArray[np.uint16]:
    with np.errstate(over="ignore"):
        return np.asarray(numbers, np.float32).astype(np.float16).view(np.uint16)


def _numbers_of_float16(bits: Any) -> Any:
    return np.asarray(bits, np.uint16).view(np.float16).astype(np.float32)


FLOAT16 = Storage(
    _size_of_sixteen_bits,
    _sixteen_bits_at,
    _load_float16,
    _store_float16,
    _sixteen_bits("float16"),
    _kept_float16,
    _numbers_of_float16,
)


class Precision(NamedTuple):
    """One dtype of parameters and gradients: how they lie in memory, and which dtype is computed in."""

    real: Any  # float32 or float64, as NumPy's scalar type: of the arithmetic, of scalars, and of slots `AS_COMPUTED`
    storage: Storage  # of parameters and gradients
    integer: Any  # the signed integer of an element's size
    infinity: int  # the bits of infinity as that integer: those of NaN are above, those of finite numbers below


# By the names of NumPy dtypes, so that a dtype of another package can be among them without an import of that package.
PRECISIONS = {
    "float32": Precision(np.float32, AS_COMPUTED, np.int32, 0x7F800000),
    "float64": Precision(np.float64, AS_COMPUTED, np.int64, 0x7FF0000000000000),
    "float16": Precision(np.float32, FLOAT16, np.int16, 0x7C00),
    "bfloat16": Precision(np.float32, BFLOAT16, np.int16, 0x7F80),
}


def precision_of(dtype: np.dtype[Any]) -> Precision:
    return PRECISIONS[dtype.name]


def computed_in(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that is computed in where parameters are of this dtype."""
    return np.dtype(precision_of(dtype).real)


def in_memory(array: NDArray[Any]) -> NDArray[Any]:
    """A parameter, or a gradient, as kernels take it: with the elements that its storage has. It is not copied."""
    precision = precision_of(array.dtype)
    if precision.storage is AS_COMPUTED:
        return array
    return array.view(precision.storage.memory(np.dtype(precision.real)))


def numbers_in(array: NDArray[Any]) -> Any:
    """The numbers in a parameter or a gradient, in the dtype that is computed in; not always a copy."""
    return precision_of(array.dtype).storage.numbers(in_memory(array))


def storage_of(rule: Any, slot: str) -> Storage:
    """How a rule keeps one of its slots: in the dtype that is computed in, unless its trait `stored` says otherwise."""
    kept: Storage = trait(rule, "stored").get(slot, AS_COMPUTED)
    return kept


def storages_of(rule: Any, slots: tuple[str, ...]) -> tuple[Storage, ...]:
    return tuple(storage_of(rule, slot) for slot in slots)
