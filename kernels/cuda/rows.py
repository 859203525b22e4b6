"""Steps of the rows that a sparse gradient names: up to a warp works on each, and adds up its repeated values first.

The gradient is in groups, one a row: group k is of row rows[k], and its values are the rows at[starts[k]:starts[k + 1]]
of `values`, in the order in which they came, as :mod:`.coalesce` puts them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types

from ..cpu.coalesce import POSITION
from ..element import make_element
from ..jit import jitable
from ..motion import SLOTS, slot_names
from ..reduce import LANES
from . import threads
from .compiling import Capability, Kernel, compile_kernel, kernel_name, scalars_type
from .dense import make_element_update
from .memory import addresses_type, load_word, make_access, make_slots
from .shared import make_row_step, make_shared_update

THREADS = 256  # a block

_one, _word = map(np.uint64, (1, 8))


def share_of(width: int, kind: str = "element") -> int:
    """Logarithm to base 2 of the threads that a row gets.

    That is a warp, unless the row has fewer elements and no sum over them is taken.
    """
    threads = LANES if kind == "row" else min(LANES, max(width, 1))
    return (threads - 1).bit_length()


def blocks_of(rows: int, share: int) -> int:
    """Blocks of THREADS for so many rows."""
    return -(-(rows << share) // THREADS)


@jitable
def row_and_lane(share):
    """The row that this thread works on, the thread's number in the team of the row, and the size of a team."""
    thread, team = threads.thread(), _one << share
    return thread >> share, thread & (team - _one), team


def make_gradient(dtype: np.dtype[Any]):
    """Compilable ``(j, source)``: element j of a row's gradient, 0.0 + first + second + ..."""
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


def _make_elements_step(rule, motion: str, lean: bool, dtype: np.dtype[Any]):
    """Compilable ``(j, team, row, p, slots, width, source, infinite, s)``: the j-th thread's part of a row's step.

    p and slots are those of the whole parameter. Each element has its own slots.
    """
    n_slots, itemsize, gradient = len(slot_names(rule, motion)), np.uint64(dtype.itemsize), make_gradient(dtype)
    moved = make_slots(make_access(dtype), n_slots).moved
    update = make_element_update(make_element(rule, motion, lean), n_slots, True, dtype, gradient)

    @jitable
    def elements_step(j, team, row, p, slots, width, source, infinite, s):
        offset = row * width * itemsize
        of_row = moved(slots, offset)
        while j < width:
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
def make_row_update(rule: Any, motion: str, kind: str, lean: bool, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(p, slots, rows, starts, at, values, groups, width, share, infinite, s)``, for a kind of accumulator."""
    step = _STEPS[kind](rule, motion, lean, dtype)

    def row_update(p, slots, rows, starts, at, values, groups, width, share, infinite, s):
        k, j, team = row_and_lane(share)
        if k < groups:
            row = load_word(rows + k * _word)
            source = load_word(starts + k * _word), load_word(starts + (k + _one) * _word), at, values, width
            step(j, team, row, p, slots, width, source, infinite, s)

    slots = addresses_type(len(slot_names(rule, motion)))
    arguments = (types.uint64, slots, *[types.uint64] * 8, scalars_type(rule, dtype))
    variant = motion, "lean" if lean else "full", "rows", kind
    return compile_kernel(kernel_name(rule, *variant, dtype), row_update, arguments, cc)


@cache
def make_row_gradients(dense: bool, dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(rows, starts, at, values, groups, width, share, out)`` that writes the rows' gradients.

    Group k goes to row k of `out` or, if `out` is the whole gradient (`dense`), to row rows[k].
    """
    gradient, store, itemsize = make_gradient(dtype), make_access(dtype).store, np.uint64(dtype.itemsize)

    def row_gradients(rows, starts, at, values, groups, width, share, out):
        k, j, team = row_and_lane(share)
        if k < groups:
            source = load_word(starts + k * _word), load_word(starts + (k + _one) * _word), at, values, width
            to = (load_word(rows + k * _word) if dense else k) * width
            while j < width:
                store(out + (to + j) * itemsize, gradient(j, source))
                j += team

    name = f"{'dense' if dense else 'row'}_gradients_{dtype}"
    return compile_kernel(name, row_gradients, (types.uint64,) * 8, cc)


@cache
def make_gather(dtype: np.dtype[Any], cc: Capability) -> Kernel:
    """Kernel ``(p, keys, n, width, share, out)``: row k of `out` is the row of the k-th key of :mod:`.coalesce`."""
    load, store, *_ = make_access(dtype)
    itemsize, position = np.uint64(dtype.itemsize), np.uint64(POSITION)

    def gather(p, keys, n, width, share, out):
        k, j, team = row_and_lane(share)
        if k < n:
            row = load_word(keys + k * _word) >> position
            while j < width:
                store(out + (k * width + j) * itemsize, load(p + (row * width + j) * itemsize))
                j += team

    return compile_kernel(f"gather_{dtype}", gather, (types.uint64,) * 6, cc)
