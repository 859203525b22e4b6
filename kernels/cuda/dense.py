"""Dense updates of one array: a thread for each 16 bytes, or for each element where an address is no multiple of 16."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import cuda, types
from numba.np.numpy_support import from_dtype

from ..element import make_element
from ..jit import inlined
from ..motion import SLOTS
from .compiling import Capability, Kernel, compile_kernel
from .memory import VECTOR, Access, lanes_of, make_access

THREADS = 256  # a block


class _Slots(NamedTuple):
    """Compilable access to the slots beside the accumulator, a tuple of none or of the velocity."""

    load: Any  # (address) -> values
    store: Any  # (address, values)
    load_vector: Any
    store_vector: Any
    lane: Any  # (vectors, j) -> values
    join: Any  # (values of a lane, vectors of the lanes behind it) -> vectors
    empty: tuple[tuple[()], ...]  # vectors of no lanes


def _make_slots(access: Access, count: int) -> _Slots:
    load, store, load_vector, store_vector = access
    if count == 0:
        none, ignore = inlined(lambda address: ()), inlined(lambda address, values: None)
        return _Slots(none, ignore, none, ignore, inlined(lambda values, j: ()), inlined(lambda value, values: ()), ())
    return _Slots(
        inlined(lambda address: (load(address),)),
        inlined(lambda address, values: store(address, values[0])),
        inlined(lambda address: (load_vector(address),)),
        inlined(lambda address, values: store_vector(address, values[0])),
        inlined(lambda values, j: (values[0][j],)),
        inlined(lambda value, values: (value + values[0],)),
        ((),),
    )


def _make_lanes(step, slots: _Slots, lanes: int, j: int = 0):
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
    element = make_element(rule, motion, lean)
    count, lanes, real = len(SLOTS[motion]), lanes_of(dtype), dtype.type
    access, mark = make_access(dtype), make_access(np.dtype(np.int32)).store
    load, store, load_vector, store_vector = access
    slots, step = _make_slots(access, count), element.step
    step_lanes = _make_lanes(step, slots, lanes)
    load_slots, store_slots = slots.load, slots.store
    load_slot_vectors, store_slot_vectors = slots.load_vector, slots.store_vector
    itemsize, width, a_vector = np.uint64(dtype.itemsize), np.uint64(lanes), np.uint64(VECTOR)
    infinity = real(np.inf)

    @inlined
    def update_one(i, p, g, G, v, infinite, s):
        at = i * itemsize
        p_i, G_i, rest = step(load(p + at), load(g + at), load(G + at), load_slots(v + at), s)
        if watchful and G_i == infinity:
            mark(infinite, np.int32(1))
        store(G + at, G_i)
        store(p + at, p_i)
        store_slots(v + at, rest)

    def elements(p, g, G, v, n, infinite, s):
        i = np.uint64(cuda.grid(1))
        if i < n:
            update_one(i, p, g, G, v, infinite, s)

    def vectors(p, g, G, v, n, infinite, s):
        t, whole = np.uint64(cuda.grid(1)), n // width
        if t < whole:
            at = t * a_vector
            new = step_lanes(
                load_vector(p + at), load_vector(g + at), load_vector(G + at), load_slot_vectors(v + at), s
            )
            if watchful and _any_infinite(new[1], infinity):
                mark(infinite, np.int32(1))
            store_vector(G + at, new[1])
            store_vector(p + at, new[0])
            store_slot_vectors(v + at, new[2])
        else:
            i = whole * width + (t - whole)
            if i < n:
                update_one(i, p, g, G, v, infinite, s)

    scalars = types.NamedUniTuple(from_dtype(dtype), len(rule.Scalars._fields), rule.Scalars)
    arguments = (*[types.uint64] * 6, scalars)
    name = f"{rule.name}_{motion}_{'lean' if lean else 'full'}_{'watchful' if watchful else 'unwatched'}_{dtype}"
    return Dense(
        compile_kernel(f"{name}_vectors", vectors, arguments, cc),
        compile_kernel(f"{name}_elements", elements, arguments, cc),
    )
