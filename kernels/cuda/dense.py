"""Dense updates, of 16 bytes of each array at a time, or of single elements where an address is no multiple of 16."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import cuda, types

from .. import table
from ..element import make_element
from ..jit import inlined
from ..motion import SLOTS
from .compiling import Capability, Kernel, compile_kernel, kernel_name, scalars_type
from .memory import (
    MARK,
    VECTOR,
    Slots,
    lanes_of,
    make_access,
    make_dense_gradient,
    make_load_scalars,
    make_slots,
    mark,
)
from .tensors import make_load_column, part_of

THREADS = 256  # a block

_zero, _threads, _mark_size = map(np.uint64, (0, THREADS, MARK))


def _make_lanes(step, slots: Slots, lanes: int, j: int = 0):
    """Compilable step of the lanes of a vector from the j-th on."""
    lane, join, empty = slots.lane, slots.join, slots.empty
    if j == lanes:
        return inlined(lambda p, g, G, rest, s: ((), (), empty))
    behind = _make_lanes(step, slots, lanes, j + 1)

    @inlined
    def from_here(p, g, G, rest, s):
        p_j, G_j, rest_j = step(p[j], g[j], G[j], lane(rest, j), s)
        p_, G_, rest_ = behind(p, g, G, rest, s)
        return (p_j,) + p_, (G_j,) + G_, join(rest_j, rest_)  # noqa: RUF005  which Numba does not know

    return from_here


@inlined
def _any_infinite(values, infinity):
    found = False
    for value in values:
        found |= value == infinity
    return found


def make_element_update(element, motion: str, watchful: bool, dtype: np.dtype[Any], gradient):
    """Compilable ``(j, p, source, G, v, infinite, s)``: update of element j, which has its own accumulator.

    ``gradient(j, source)`` is its gradient.
    """
    access, step = make_access(dtype), element.step
    load, store, slots = access.load, access.store, make_slots(access, len(SLOTS[motion]))
    load_slots, store_slots = slots.load, slots.store
    itemsize, infinity = np.uint64(dtype.itemsize), dtype.type(np.inf)

    @inlined
    def update_element(j, p, source, G, v, infinite, s):
        at = j * itemsize
        p_j, G_j, rest = step(load(p + at), gradient(j, source), load(G + at), load_slots(v + at), s)
        if watchful and G_j == infinity:
            mark(infinite)
        store(G + at, G_j)
        store(p + at, p_j)
        store_slots(v + at, rest)

    return update_element


def _make_vector_update(element, motion: str, watchful: bool, dtype: np.dtype[Any]):
    """Compilable ``(t, p, g, G, v, infinite, s)``: update of the t-th vector."""
    access = make_access(dtype)
    load_vector, store_vector, slots = access.load_vector, access.store_vector, make_slots(access, len(SLOTS[motion]))
    step_lanes = _make_lanes(element.step, slots, lanes_of(dtype))
    load_slot_vectors, store_slot_vectors = slots.load_vector, slots.store_vector
    a_vector, infinity = np.uint64(VECTOR), dtype.type(np.inf)

    @inlined
    def update_vector(t, p, g, G, v, infinite, s):
        at = t * a_vector
        loaded = load_vector(p + at), load_vector(g + at), load_vector(G + at), load_slot_vectors(v + at)
        p_t, G_t, rest = step_lanes(loaded[0], loaded[1], loaded[2], loaded[3], s)
        if watchful and _any_infinite(G_t, infinity):
            mark(infinite)
        store_vector(G + at, G_t)
        store_vector(p + at, p_t)
        store_slot_vectors(v + at, rest)

    return update_vector


def _make_updates(rule: Any, motion: str, lean: bool, watchful: bool, dtype: np.dtype[Any]):
    """Those of an element and of a vector."""
    element = make_element(rule, motion, lean)
    return (
        make_element_update(element, motion, watchful, dtype, make_dense_gradient(dtype)),
        _make_vector_update(element, motion, watchful, dtype),
    )


def _kernel_name(rule: Any, motion: str, lean: bool, watchful: bool, dtype: np.dtype[Any]) -> str:
    return kernel_name(rule, motion, "lean" if lean else "full", "watchful" if watchful else "unwatched", dtype)


class Dense(NamedTuple):
    """Kernels ``(p, g, G, v, n, infinite, s)`` that update n elements, given addresses and scalars.

    `infinite` is that of an int32 which becomes 1 if an accumulator becomes infinite. `v` is not looked at if there is
    no velocity.
    """

    vectors: Kernel  # for addresses that are multiples of 16
    elements: Kernel

    def grid(self, n: int, lanes: int, aligned: bool) -> tuple[Kernel, int]:
        """Which of them is to be launched, and in how many blocks of THREADS."""
        threads = n // lanes + n % lanes if aligned else n
        return self.vectors if aligned else self.elements, -(-threads // THREADS)


@cache
def make_dense(rule: Any, motion: str, lean: bool, watchful: bool, dtype: np.dtype[Any], cc: Capability) -> Dense:
    """Kernels for arrays with an accumulator for each element; if not `watchful`, infinite ones go unnoticed."""
    update_element, update_vector = _make_updates(rule, motion, lean, watchful, dtype)
    lanes = np.uint64(lanes_of(dtype))

    def elements(p, g, G, v, n, infinite, s):
        i = np.uint64(cuda.grid(1))
        if i < n:
            update_element(i, p, g, G, v, infinite, s)

    def vectors(p, g, G, v, n, infinite, s):
        t, whole = np.uint64(cuda.grid(1)), n // lanes
        if t < whole:
            update_vector(t, p, g, G, v, infinite, s)
        else:
            i = whole * lanes + (t - whole)
            if i < n:
                update_element(i, p, g, G, v, infinite, s)

    arguments = (*[types.uint64] * 6, scalars_type(rule, dtype))
    name = _kernel_name(rule, motion, lean, watchful, dtype)
    return Dense(
        compile_kernel(f"{name}_vectors", vectors, arguments, cc),
        compile_kernel(f"{name}_elements", elements, arguments, cc),
    )


@cache
def make_many(rule: Any, motion: str, lean: bool, watchful: bool, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(rows, tensors, infinite, scalars)`` that updates all the tensors of a :mod:`..table`.

    Each block of THREADS has a block of BLOCK elements. Each tensor has scalars of its own and, at `infinite`, an int32
    that becomes 1 if its accumulator becomes infinite.
    """
    update_element, update_vector = _make_updates(rule, motion, lean, watchful, dtype)
    load_scalars = make_load_scalars(rule, dtype)
    lanes, itemsize, a_vector = np.uint64(lanes_of(dtype)), np.uint64(dtype.itemsize), np.uint64(VECTOR)
    size_of_scalars = np.uint64(len(rule.Scalars._fields) * dtype.itemsize)
    arrays = table.PARAMETER, table.GRADIENT, table.ACCUMULATOR, table.VELOCITY
    parameter, gradient, accumulator, velocity = map(make_load_column, arrays)

    def many(rows, tensors, infinite, scalars):
        i, row, start, n = part_of(np.uint64(cuda.blockIdx.x), rows, tensors)
        s, offset, mark_at = load_scalars(scalars + i * size_of_scalars), start * itemsize, infinite + i * _mark_size
        p, g, G, v = parameter(row) + offset, gradient(row) + offset, accumulator(row) + offset, velocity(row) + offset
        thread, done = np.uint64(cuda.threadIdx.x), _zero
        if (p | g | G | v) % a_vector == _zero:
            done = n // lanes * lanes
            t = thread
            while t * lanes < done:
                update_vector(t, p, g, G, v, mark_at, s)
                t += _threads
        j = done + thread
        while j < n:
            update_element(j, p, g, G, v, mark_at, s)
            j += _threads

    name = _kernel_name(rule, motion, lean, watchful, dtype)
    return compile_kernel(f"{name}_many", many, (types.uint64,) * 4, cc)
