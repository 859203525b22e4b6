"""Dense updates of 16 bytes of each array at a time, or of single elements where an address is no multiple of 16."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types

from ..element import make_element
from ..jit import jitable
from ..memory import addresses
from ..motion import slot_names
from . import threads
from .compiling import THREADS, ByAlignment, Capability, Kernel, compile_kernel, kernel_name, scalars_type
from .finite import make_may_step
from .memory import (
    MARK,
    VECTOR,
    Slots,
    addresses_type,
    lanes_of,
    make_access,
    make_dense_gradient,
    make_load_scalars,
    make_slots,
    mark,
)
from .tensors import make_load_column, make_load_columns, part_of

_zero, _threads, _mark_size = map(np.uint64, (0, THREADS, MARK))


def _make_lanes(step, slots: Slots, lanes: int, j: int = 0):
    """Compilable step of the lanes of a vector from the j-th on."""
    lane, join, empty = slots.lane, slots.join, slots.empty
    if j == lanes:
        return jitable(lambda p, g, vectors, s: ((), empty()))
    behind = _make_lanes(step, slots, lanes, j + 1)

    @jitable
    def from_here(p, g, vectors, s):
        p_j, slots_j = step(p[j], g[j], lane(vectors, j), s)
        p_, vectors_ = behind(p, g, vectors, s)
        return (p_j,) + p_, join(slots_j, vectors_)

    return from_here


def _make_any_infinite(element, slots: Slots, lanes: int):
    """Compilable ``(vectors, infinity)``."""
    if lanes == 0:
        return jitable(lambda vectors, infinity: False)
    before, last = _make_any_infinite(element, slots, lanes - 1), lanes - 1
    is_infinite, lane = element.infinite, slots.lane
    return jitable(lambda vectors, infinity: before(vectors, infinity) | is_infinite(lane(vectors, last), infinity))


def make_element_update(element, n_slots: int, watchful: bool, dtype: np.dtype[Any], gradient):
    """Compilable ``(j, p, source, slots, infinite, s)``: update of element j, which has its own slots.

    ``gradient(j, source)`` is its gradient.
    """
    access, step, is_infinite = make_access(dtype), element.step, element.infinite
    load, store, access_to_slots = access.load, access.store, make_slots(access, n_slots)
    load_slots, store_slots = access_to_slots.load, access_to_slots.store
    itemsize, infinity = np.uint64(dtype.itemsize), dtype.type(np.inf)

    @jitable
    def update_element(j, p, source, slots, infinite, s):
        at = j * itemsize
        p_j, slots_j = step(load(p + at), gradient(j, source), load_slots(slots, at), s)
        if watchful and is_infinite(slots_j, infinity):
            mark(infinite)
        store_slots(slots, at, slots_j)
        store(p + at, p_j)

    return update_element


def make_vector_gradient(dtype: np.dtype[Any]):
    """Compilable ``(t, g)``: the t-th vector of a gradient at address g."""
    load_vector, a_vector = make_access(dtype).load_vector, np.uint64(VECTOR)
    return jitable(lambda t, g: load_vector(g + t * a_vector))


def make_vector_update(element, n_slots: int, watchful: bool, dtype: np.dtype[Any], gradient):
    """Compilable ``(t, p, source, slots, infinite, s)``: update of the t-th vector.

    ``gradient(t, source)`` is its gradient.
    """
    access, lanes = make_access(dtype), lanes_of(dtype)
    load_vector, store_vector, access_to_slots = access.load_vector, access.store_vector, make_slots(access, n_slots)
    step_lanes = _make_lanes(element.step, access_to_slots, lanes)
    any_infinite = _make_any_infinite(element, access_to_slots, lanes)
    load_slots, store_slots = access_to_slots.load_vector, access_to_slots.store_vector
    a_vector, infinity = np.uint64(VECTOR), dtype.type(np.inf)

    @jitable
    def update_vector(t, p, source, slots, infinite, s):
        at = t * a_vector
        loaded = load_vector(p + at), gradient(t, source), load_slots(slots, at)
        p_t, vectors = step_lanes(loaded[0], loaded[1], loaded[2], s)
        if watchful and any_infinite(vectors, infinity):
            mark(infinite)
        store_slots(slots, at, vectors)
        store_vector(p + at, p_t)

    return update_vector


class Variant(NamedTuple):
    """What the kernels are made for."""

    motion: str
    lean: bool
    watchful: bool  # else accumulators that become infinite go unnoticed
    dtype: np.dtype[Any]
    cc: Capability
    decides: bool = False  # whether gradients that have been noticed not to be finite are left out, as by `finite`

    def name_of(self, rule: Any) -> str:
        kind = "lean" if self.lean else "full", "watchful" if self.watchful else "unwatched"
        return kernel_name(rule, self.motion, *kind, *["deciding"] * self.decides, self.dtype)

    @property
    def flags_type(self) -> Any:
        return addresses_type(3 if self.decides else 0)


def _make_updates(rule: Any, variant: Variant):
    """The updates of an element and of a vector."""
    motion, lean, watchful, dtype, *_ = variant
    element, n_slots = make_element(rule, motion, lean), len(slot_names(rule, motion))
    return (
        make_element_update(element, n_slots, watchful, dtype, make_dense_gradient(dtype)),
        make_vector_update(element, n_slots, watchful, dtype, make_vector_gradient(dtype)),
    )


@cache
def make_dense(rule: Any, variant: Variant) -> ByAlignment:
    """Kernels ``(p, g, slots, n, infinite, flags, s)`` that update n elements, each with an accumulator of its own.

    `infinite` is the address of an int32, which becomes 1 if an accumulator becomes infinite, and `flags` are those of
    `finite.make_may_step`.
    """
    update_element, update_vector = _make_updates(rule, variant)
    lanes, may_step = np.uint64(lanes_of(variant.dtype)), make_may_step(variant.decides)

    def elements(p, g, slots, n, infinite, flags, s):
        i = threads.thread()
        if may_step(i, flags) and i < n:
            update_element(i, p, g, slots, infinite, s)

    def vectors(p, g, slots, n, infinite, flags, s):
        t, whole = threads.thread(), n // lanes
        if may_step(t, flags):
            if t < whole:
                update_vector(t, p, g, slots, infinite, s)
            else:
                i = whole * lanes + (t - whole)
                if i < n:
                    update_element(i, p, g, slots, infinite, s)

    a, slots = types.uint64, addresses_type(len(slot_names(rule, variant.motion)))
    arguments = a, a, slots, a, a, variant.flags_type, scalars_type(rule, variant.dtype)
    name = variant.name_of(rule)
    return ByAlignment(
        compile_kernel(f"{name}_vectors", vectors, arguments, variant.cc),
        compile_kernel(f"{name}_elements", elements, arguments, variant.cc),
    )


@cache
def make_many(rule: Any, variant: Variant) -> Kernel:
    """Kernel ``(rows, tensors, infinite, scalars, flags)`` that updates all the tensors of a table of addresses.

    Each block of THREADS steps a block of BLOCK elements. Each tensor has scalars of its own and, at `infinite`, an
    int32 that becomes 1 if its accumulator becomes infinite.
    """
    update_element, update_vector = _make_updates(rule, variant)
    dtype, motion, may_step = variant.dtype, variant.motion, make_may_step(variant.decides)
    load_scalars = make_load_scalars(rule, dtype)
    lanes, itemsize, a_vector = np.uint64(lanes_of(dtype)), np.uint64(dtype.itemsize), np.uint64(VECTOR)
    size_of_scalars = np.uint64(len(rule.Scalars._fields) * dtype.itemsize)
    parameter, gradient = make_load_column(addresses.PARAMETER), make_load_column(addresses.GRADIENT)
    n_slots = len(slot_names(rule, motion))
    slots_at = make_load_columns(addresses.FIRST_SLOT, n_slots)
    access_to_slots = make_slots(make_access(dtype), n_slots)
    moved, joined = access_to_slots.moved, access_to_slots.joined

    def many(rows, tensors, infinite, scalars, flags):
        if not may_step(threads.thread(), flags):
            return
        i, row, start, n = part_of(threads.block(), rows, tensors)
        s, offset, mark_at = load_scalars(scalars + i * size_of_scalars), start * itemsize, infinite + i * _mark_size
        p, g, slots = parameter(row) + offset, gradient(row) + offset, moved(slots_at(row), offset)
        thread, done = threads.thread_of_block(), _zero
        if (p | g | joined(slots)) % a_vector == _zero:
            done = n // lanes * lanes
            t = thread
            while t * lanes < done:
                update_vector(t, p, g, slots, mark_at, s)
                t += _threads
        j = done + thread
        while j < n:
            update_element(j, p, g, slots, mark_at, s)
            j += _threads

    arguments = *(types.uint64,) * 4, variant.flags_type
    return compile_kernel(f"{variant.name_of(rule)}_many", many, arguments, variant.cc)
