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
def _size_of_halves(n, real):
    return 2 * n


@jitable
def _halves_at(address, start, n, real):
    return array_at(address + 2 * start, n, np.uint16)


@forceinlined
def _load_half(array, i):
    return np.uint32(np.uint32(array[i]) << np.uint32(16)).view(np.float32)


def _rounded_half(bits):
    """The upper sixteen bits of a float32, given by its bits, rounded to the nearest, ties to even; NaN stays NaN."""
    upper = bits >> np.uint32(16)
    rounded = (bits + np.uint32(0x7FFF) + (upper & np.uint32(1))) >> np.uint32(16)
    is_nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    return (upper | np.uint32(0x40)) * is_nan + rounded * (is_nan ^ True)


_compiled_rounded_half = forceinlined(_rounded_half)


@forceinlined
def _store_half(array, i, number):
    array[i] = np.uint16(_compiled_rounded_half(np.float32(number).view(np.uint32)))


def _halves(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype != np.float32:
        raise TypeError(f"bfloat16 is half of a float32: what is computed in {dtype} cannot be kept in it")
    return np.dtype(np.uint16)


def _kept_halves(numbers: Any) -> NDArray[np.uint16]:
    return np.asarray(_rounded_half(np.asarray(numbers, np.float32).view(np.uint32)), np.uint16)


def _numbers_of_halves(halves: Any) -> Any:
    return (np.asarray(halves, np.uint32) << np.uint32(16)).view(np.float32)


BFLOAT16 = Storage(_size_of_halves, _halves_at, _load_half, _store_half, _halves, _kept_halves, _numbers_of_halves)


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
