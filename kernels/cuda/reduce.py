"""Sums of squares in the order of :mod:`..reduce`, each thread of a warp being a lane; and the check for infinity."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types

from ..element import make_element, untouched
from ..jit import jitable
from ..memory.addresses import FIRST_BLOCK, GRADIENT
from ..reduce import BLOCK, LANES
from . import threads
from .compiling import Capability, Kernel, compile_kernel, kernel_name, scalars_type
from .memory import load_double, make_access, make_dense_gradient, store_double
from .tensors import ROW, make_load_column, part_of

WARPS = 8  # a block
THREADS = WARPS * LANES

_address = np.uint64
_zero, _lanes, _block, _double = map(_address, (0, LANES, BLOCK, 8))
_two_turns, _three_turns, _four_turns = (_address(n * LANES) for n in (2, 3, 4))
_nothing = np.float64(0)


def blocks_of(warps: int) -> int:
    """Blocks of THREADS for so many warps."""
    return -(-warps // WARPS)


@jitable
def fold(x):
    """Sum of a warp's values, which all of its threads get.

    Both threads of a pair add the two values of the pair, each its own first; the order of two changes no bit.
    """
    x += threads.value_across(x, 16)
    x += threads.value_across(x, 8)
    x += threads.value_across(x, 4)
    x += threads.value_across(x, 2)
    x += threads.value_across(x, 1)
    return x


def make_square(value):
    """Compilable ``(i, source)``: the square, in float64, of ``value(i, source)``."""

    @jitable
    def square(i, source):
        x = np.float64(value(i, source))
        return x * x

    return square


def make_warp_sum(value):
    """Compilable ``(n, source)``: sum of n values, by one warp, all threads of which get it.

    ``value(i, source)`` is the i-th of them, in float64.
    """

    @jitable
    def warp_sum(n, source):
        total, start = _nothing, _zero
        while start < n:
            lane, i, end = _nothing, start + threads.lane(), min(start + _block, n)
            while i + _three_turns < end:  # so that four loads are under way at once
                first, second = value(i, source), value(i + _lanes, source)
                third, fourth = value(i + _two_turns, source), value(i + _three_turns, source)
                lane += first
                lane += second
                lane += third
                lane += fourth
                i += _four_turns
            while i < end:
                lane += value(i, source)
                i += _lanes
            total += fold(lane)
            start += _block
        return total

    return warp_sum


@jitable
def total_of(sums, count):
    """Sum of `count` float64 from left to right, by a warp."""
    lane, start, so_far = threads.lane(), _zero, _nothing
    value = load_double(sums + lane * _double) if lane < count else _nothing
    while start < count:
        start += _lanes
        i = start + lane
        after = load_double(sums + i * _double) if i < count else _nothing  # loaded while those before are added
        for k in range(LANES):
            so_far += threads.value_of(value, k)
        value = after
    return so_far


class Sums(NamedTuple):
    """Kernels that add up the squares of n gradients."""

    blocks: Kernel  # (p, g, n, sums, s): a warp for each block of the order, and its sum
    total: Kernel  # (sums, count, result): from left to right, by one warp


@cache
def make_sums(rule: Any, prepare_fully: bool, dtype: np.dtype[Any], cc: Capability) -> Sums:
    """Kernels for gradients as they are, or prepared: clipped, and with the decay that comes before squaring."""
    prepare = make_element(rule, "plain", False).prepare if prepare_fully else jitable(untouched)
    load, itemsize = make_access(dtype).load, np.uint64(dtype.itemsize)

    @jitable
    def value(i, source):
        p, g, s = source
        return prepare(load(g + i * itemsize), load(p + i * itemsize), s)

    warp_sum = make_warp_sum(make_square(value))

    def blocks(p, g, n, sums, s):
        block = threads.thread() // _lanes
        start = block * _block
        if start < n:
            offset = start * itemsize
            total = warp_sum(min(n - start, _block), (p + offset, g + offset, s))
            if threads.lane() == _zero:
                store_double(sums + block * _double, total)

    def total(sums, count, result):
        so_far = total_of(sums, count)
        if threads.lane() == _zero:
            store_double(result, so_far)

    name = kernel_name(rule, "prepared" if prepare_fully else "given", "squares", dtype)
    addresses = [types.uint64] * 4
    return Sums(
        compile_kernel(f"{name}_blocks", blocks, (*addresses, scalars_type(rule, dtype)), cc),
        compile_kernel(f"{name}_total", total, tuple(addresses[:3]), cc),
    )


class SumsOfMany(NamedTuple):
    """Kernels that add up the squares of the gradients of each tensor of a table of addresses, as they are."""

    blocks: Kernel  # (rows, tensors, blocks, sums): a warp for each block of the order, and its sum
    totals: Kernel  # (rows, tensors, sums, results): from left to right, by a warp for each tensor


@cache
def make_sums_of_many(dtype: np.dtype[Any], cc: Capability) -> SumsOfMany:
    gradient, first_block = make_load_column(GRADIENT), make_load_column(FIRST_BLOCK)
    warp_sum = make_warp_sum(make_square(make_dense_gradient(dtype)))
    itemsize, row_size = _address(dtype.itemsize), _address(ROW)

    def blocks(rows, tensors, n, sums):
        block = threads.thread() // _lanes
        if block < n:
            _, row, start, size = part_of(block, rows, tensors)
            total = warp_sum(size, gradient(row) + start * itemsize)
            if threads.lane() == _zero:
                store_double(sums + block * _double, total)

    def totals(rows, tensors, sums, results):
        i = threads.thread() // _lanes
        if i < tensors:
            row = rows + i * row_size
            first = first_block(row)
            total = total_of(sums + first * _double, first_block(row + row_size) - first)
            if threads.lane() == _zero:
                store_double(results + i * _double, total)

    return SumsOfMany(
        compile_kernel(f"squares_of_many_{dtype}_blocks", blocks, (types.uint64,) * 4, cc),
        compile_kernel(f"squares_of_many_{dtype}_totals", totals, (types.uint64,) * 4, cc),
    )
