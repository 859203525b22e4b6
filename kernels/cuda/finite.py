"""Kernels that look for numbers that are not finite, and what makes an update depend on what they have found."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types

from ..jit import jitable
from ..memory.addresses import GRADIENT
from . import threads
from .compiling import THREADS, ByAlignment, Capability, Kernel, compile_kernel
from .memory import MARK, VECTOR, addresses_type, lanes_of, load_int32, make_access, mark, store_int32
from .tensors import make_load_column, part_of

_address = np.uint64
_zero, _mark, _threads, _vector = map(_address, (0, MARK, THREADS, VECTOR))


@cache
def make_finite_check(dtype: np.dtype[Any], cc: Capability, decides: bool = False) -> ByAlignment:
    """Kernels ``(g, n, found, flags)``: the int32 at `found` becomes 1 if one of n gradients is NaN or infinite.

    If they `decide`, `flags` has the addresses of two more int32: `noticed`, which becomes 1 as well, and `stopped`,
    which, unless it is 0, keeps all three as they are. Else `flags` is empty.
    """
    is_finite, are_finite = _make_are_finite(dtype, 1), _make_are_finite(dtype, lanes_of(dtype))
    itemsize, lanes, complain = _address(dtype.itemsize), _address(lanes_of(dtype)), _make_complain(decides)

    def elements(g, n, found, flags):
        i = threads.thread()
        if i < n and not is_finite(g + i * itemsize):
            complain(found, flags)

    def vectors(g, n, found, flags):
        t, whole = threads.thread(), n // lanes
        if t < whole:
            if not are_finite(g + t * _vector):
                complain(found, flags)
        else:
            i = whole * lanes + (t - whole)
            if i < n and not is_finite(g + i * itemsize):
                complain(found, flags)

    arguments, name = (*(types.uint64,) * 3, _flags_type(decides)), _name("finite", dtype, decides)
    return ByAlignment(
        compile_kernel(f"{name}_vectors", vectors, arguments, cc),
        compile_kernel(f"{name}_elements", elements, arguments, cc),
    )


def _name(what: str, dtype: np.dtype[Any], decides: bool) -> str:
    return f"{what}_{dtype}" + "_deciding" * decides


def _flags_type(decides: bool) -> Any:
    return addresses_type(2 if decides else 0)


@cache
def make_finite_check_of_many(dtype: np.dtype[Any], cc: Capability, decides: bool = False) -> Kernel:
    """Kernel ``(rows, tensors, found, flags)``: the same for each tensor of a table of addresses.

    Each block of THREADS checks a block of BLOCK elements. Each tensor has an int32 of its own at `found`.
    """
    is_finite, are_finite = _make_are_finite(dtype, 1), _make_are_finite(dtype, lanes_of(dtype))
    itemsize, lanes, complain = _address(dtype.itemsize), _address(lanes_of(dtype)), _make_complain(decides)
    gradient = make_load_column(GRADIENT)

    def check(rows, tensors, found, flags):
        i, row, start, n = part_of(threads.block(), rows, tensors)
        g, thread, done, finite = gradient(row) + start * itemsize, threads.thread_of_block(), _zero, True
        if g % _vector == _zero:
            done = n // lanes * lanes
            t = thread
            while t * lanes < done:
                finite &= are_finite(g + t * _vector)
                t += _threads
        j = done + thread
        while j < n:
            finite &= is_finite(g + j * itemsize)
            j += _threads
        if not finite:
            complain(found + i * _mark, flags)

    arguments = *(types.uint64,) * 3, _flags_type(decides)
    return compile_kernel(_name("finite_many", dtype, decides), check, arguments, cc)


def _make_complain(decides: bool):
    """Compilable ``(found, flags)``."""
    if not decides:
        return jitable(lambda found, flags: mark(found))

    @jitable
    def complain(found, flags):
        noticed, stopped = flags
        if load_int32(stopped) == np.int32(0):
            mark(found)
            mark(noticed)

    return complain


def _make_are_finite(dtype: np.dtype[Any], count: int):
    """Compilable ``(address)``: whether the numbers there, one or a vector of them, are finite, by their bits."""
    bits = np.dtype(f"i{dtype.itemsize}")
    access = make_access(bits)
    infinity, magnitude = np.array(np.inf, dtype).view(bits)[()], bits.type(np.iinfo(bits).max)  # all but the sign
    if count == 1:
        load = access.load
        return jitable(lambda address: load(address) & magnitude < infinity)
    load_vector, first_are = access.load_vector, _make_first_are_finite(count, magnitude, infinity)
    return jitable(lambda address: first_are(load_vector(address)))


def _make_first_are_finite(count: int, magnitude: Any, infinity: Any):
    """Compilable ``(vector)``: whether the first `count` numbers of a vector, given by their bits, are finite."""
    if count == 0:
        return jitable(lambda vector: True)
    before, last = _make_first_are_finite(count - 1, magnitude, infinity), count - 1
    return jitable(lambda vector: before(vector) & (vector[last] & magnitude < infinity))


def make_may_step(decides: bool):
    """Compilable ``(i, flags)``: whether thread i is to update.

    If the kernel `decides`, `flags` has the addresses of three int32. `noticed` is not 0 where the step is to be left
    out; `stopped` becomes 1 then, and 1 is added to the third, a count. Else `flags` is empty.
    """
    if not decides:
        return jitable(lambda i, flags: True)

    @jitable
    def may_step(i, flags):
        noticed, stopped, count = flags
        if load_int32(noticed) == np.int32(0):
            return True
        if i == _zero:
            mark(stopped)
            store_int32(count, load_int32(count) + np.int32(1))
        return False

    return may_step
