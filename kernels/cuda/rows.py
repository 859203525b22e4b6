"""Steps of the rows that a sparse gradient names: up to a warp works on each, and adds up its repeated values first.

The gradient is in groups, one a row: group k is of row rows[k], and its values are the rows at[starts[k]:starts[k + 1]]
of `values`, in the order in which they came, as :mod:`.coalesce` puts them. There are as many groups as the word at the
address `count_at` says, or `most` if that is 0. Blocks are launched for `most`, which are no fewer.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types

from ..element import make_element
from ..jit import jitable
from ..motion import SLOTS, slot_names
from ..reduce import LANES
from . import threads
from .compiling import THREADS as THREADS
from .compiling import Capability, Kernel, compile_kernel, kernel_name, scalars_type
from .dense import make_element_update, make_vector_update
from .memory import VECTOR, addresses_type, lanes_of, load_word, make_access, make_slots, mark
from .shared import make_row_step, make_shared_update

_zero, _one, _word, _vector = map(np.uint64, (0, 1, 8, VECTOR))


def share_of(width: int, kind: str = "element", at_once: int = 1) -> int:
    """Logarithm to base 2 of the threads that a row gets, each of which takes so many elements `at_once`.

    That is a warp, unless the row has fewer elements and no sum over them is taken.
    """
    threads = LANES if kind == "row" else min(LANES, max(width // at_once, 1))
    return (threads - 1).bit_length()


def in_vectors(kind: str, width: int, dtype: np.dtype[Any], *addresses: int) -> bool:
    """Whether rows can be read and written 16 bytes at a time; an accumulator of a row has its own order of sums."""
    return kind == "element" and width * dtype.itemsize % VECTOR == 0 and not any(a % VECTOR for a in addresses)


def blocks_of(rows: int, share: int) -> int:
    """Blocks of THREADS for so many rows."""
    return -(-(rows << share) // THREADS)


@jitable
def row_and_lane(share):
    """The row that this thread works on, the thread's number in the team of the row, and the size of a team."""
    thread, team = threads.thread(), _one << share
    return thread >> share, thread & (team - _one), team


@jitable
def number_of(most, count_at):
    """How many groups there are."""
    return load_word(count_at) if count_at != _zero else most


@jitable
def source_of(k, starts, at, values, width):
    """What the gradient of group k is made of."""
    return load_word(starts + k * _word), load_word(starts + (k + _one) * _word), at, values, width


def make_gradient(dtype: np.dtype[Any]):
    """Compilable ``(j, source)``: element j of a row's gradient, 0.0 + first + second + ..., given `source_of`."""
    load, real, itemsize = make_access(dtype).load, dtype.type, np.uint64(dtype.itemsize)

    @jitable
    def gradient(j, source):
        k, last, at, values, width = source
        g = real(0)
        while k < last:
            g += load(values + (load_word(at + k * _word) * width + j) * itemsize)
            k += _one
        return g

    return gradient


def _make_added(real, lanes: int, j: int = 0):
    """Compilable ``(a, b)``: sums of the lanes of two vectors, from the j-th on."""
    if j == lanes:
        return jitable(lambda a, b: ())
    behind = _make_added(real, lanes, j + 1)
    return jitable(lambda a, b: (real(a[j] + b[j]),) + behind(a, b))


def _make_vector_gradient(dtype: np.dtype[Any]):
    """Compilable ``(t, source)``: the t-th vector of a row's gradient, each lane of it as by `make_gradient`."""
    load, real, lanes, itemsize = make_access(dtype).load_vector, dtype.type, lanes_of(dtype), np.uint64(dtype.itemsize)
    added, nothing = _make_added(real, lanes), (real(0),) * lanes

    @jitable
    def gradient(t, source):
        k, last, at, values, width = source
        g = nothing
        while k < last:
            g = added(g, load(values + load_word(at + k * _word) * width * itemsize + t * _vector))
            k += _one
        return g

    return gradient


def _make_elements_step(rule, motion: str, lean: bool, dtype: np.dtype[Any], vectors: bool = False):
    """Compilable ``(j, team, row, p, slots, width, source, infinite, s)``: the j-th thread's part of a row's step.

    p and slots are those of the whole parameter. Each element has its own slots. Threads take elements or `vectors`.
    """
    n_slots, itemsize, at_once = len(slot_names(rule, motion)), np.uint64(dtype.itemsize), np.uint64(1)
    make_update, gradient = make_element_update, make_gradient(dtype)
    if vectors:
        make_update, gradient, at_once = make_vector_update, _make_vector_gradient(dtype), np.uint64(lanes_of(dtype))
    moved = make_slots(make_access(dtype), n_slots).moved
    update = make_update(make_element(rule, motion, lean), n_slots, True, dtype, gradient)

    @jitable
    def elements_step(j, team, row, p, slots, width, source, infinite, s):
        offset, n = row * width * itemsize, width // at_once
        of_row = moved(slots, offset)
        while j < n:
            update(j, p + offset, source, of_row, infinite, s)
            j += team

    return elements_step


def _make_tensor_step(rule, motion: str, lean: bool, dtype: np.dtype[Any]):
    """The same with an accumulator that the tensor shares, and that has already had the step."""
    element, itemsize, load = make_element(rule, motion, lean), np.uint64(dtype.itemsize), make_access(dtype).load
    update = make_shared_update(element, motion, dtype, make_gradient(dtype))
    moved = make_slots(make_access(dtype), len(SLOTS[motion])).moved

    @jitable
    def tensor_step(j, team, row, p, slots, width, source, infinite, s):
        offset, accumulator = row * width * itemsize, load(slots[0])
        rest = moved(slots[1:], offset)
        while j < width:
            update(j, accumulator, p + offset, rest, source, s)
            j += team

    return tensor_step


def _make_shared_step(rule, motion: str, lean: bool, dtype: np.dtype[Any]):
    """The same with an accumulator that the row shares; a whole warp has to work on the row, for the order of sums."""
    itemsize, moved = np.uint64(dtype.itemsize), make_slots(make_access(dtype), len(SLOTS[motion])).moved
    row_step = make_row_step(make_element(rule, motion, lean), motion, dtype, make_gradient(dtype))

    @jitable
    def shared_step(j, team, row, p, slots, width, source, infinite, s):
        offset, G = row * width * itemsize, slots[0] + row * itemsize
        row_step(p + offset, G, moved(slots[1:], offset), width, source, infinite, s)

    return shared_step


_STEPS = {"element": _make_elements_step, "row": _make_shared_step, "tensor": _make_tensor_step}


@cache
def make_row_update(
    rule: Any, motion: str, kind: str, lean: bool, dtype: np.dtype[Any], cc: Capability, vectors: bool = False
) -> Kernel:
    """Kernel ``(p, slots, rows, starts, at, values, most, count_at, width, share, infinite, s)``.

    `kind` is that of the accumulator. With `vectors` rows are as `in_vectors` wants them.
    """
    step = _STEPS[kind](rule, motion, lean, dtype, *[True] * vectors)

    def row_update(p, slots, rows, starts, at, values, most, count_at, width, share, infinite, s):
        k, j, team = row_and_lane(share)
        if k < number_of(most, count_at):
            row = load_word(rows + k * _word)
            source = source_of(k, starts, at, values, width)
            step(j, team, row, p, slots, width, source, infinite, s)

    slots = addresses_type(len(slot_names(rule, motion)))
    arguments = (types.uint64, slots, *[types.uint64] * 9, scalars_type(rule, dtype))
    variant = motion, "lean" if lean else "full", "rows", *["vectors"] * vectors, kind
    return compile_kernel(kernel_name(rule, *variant, dtype), row_update, arguments, cc)


@cache
def make_dense_form(dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(rows, starts, at, values, most, count_at, width, share, out)`` that writes a gradient, made dense."""
    gradient, store, itemsize = make_gradient(dtype), make_access(dtype).store, np.uint64(dtype.itemsize)

    def dense_gradient(rows, starts, at, values, most, count_at, width, share, out):
        k, j, team = row_and_lane(share)
        if k < number_of(most, count_at):
            source = source_of(k, starts, at, values, width)
            to = load_word(rows + k * _word) * width
            while j < width:
                store(out + (to + j) * itemsize, gradient(j, source))
                j += team

    return compile_kernel(f"dense_gradient_{dtype}", dense_gradient, (types.uint64,) * 9, cc)


def _make_any_not_finite(real, lanes: int):
    """Compilable ``(vector)``: whether one of the first lanes is NaN or infinite."""
    if lanes == 0:
        return jitable(lambda vector: False)
    before, last, infinity = _make_any_not_finite(real, lanes - 1), lanes - 1, real(np.inf)
    return jitable(lambda vector: before(vector) | (not abs(vector[last]) < infinity))


@cache
def make_rows_check(vectors: bool, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(rows, starts, at, values, most, count_at, width, share, found)``.

    The int32 at `found` becomes 1 if an element of a row's gradient is NaN or infinite.
    """
    lanes = lanes_of(dtype) if vectors else 1
    any_not_finite, each = _make_any_not_finite(dtype.type, lanes), np.uint64(lanes)
    gradient = _make_vector_gradient(dtype) if vectors else _make_single(make_gradient(dtype))

    def rows_check(rows, starts, at, values, most, count_at, width, share, found):
        k, t, team = row_and_lane(share)
        if k < number_of(most, count_at):
            source = source_of(k, starts, at, values, width)
            not_finite = False
            while t < width // each:
                not_finite |= any_not_finite(gradient(t, source))
                t += team
            if not_finite:
                mark(found)

    name = f"rows_finite_{dtype}_{'vectors' if vectors else 'elements'}"
    return compile_kernel(name, rows_check, (types.uint64,) * 9, cc)


def _make_single(gradient):
    """The gradient of an element as a vector of it alone."""
    return jitable(lambda t, source: (gradient(t, source),))


@cache
def make_gather(dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(p, rows, n, width, share, out)``: row k of `out` is the row rows[k]."""
    load, store, *_ = make_access(dtype)
    itemsize = np.uint64(dtype.itemsize)

    def gather(p, rows, n, width, share, out):
        k, j, team = row_and_lane(share)
        if k < n:
            row = load_word(rows + k * _word)
            while j < width:
                store(out + (k * width + j) * itemsize, load(p + (row * width + j) * itemsize))
                j += team

    return compile_kernel(f"gather_{dtype}", gather, (types.uint64,) * 6, cc)
