"""What the threads of a block tell one another, and what the blocks of a grid do: all numbers have 64 bits, unsigned.

A grid works on its tiles in one sweep, by the *decoupled look-back* of D. Merrill and M. Garland, "Single-pass Parallel
Prefix Scan with Decoupled Look-back", NVIDIA NVR-2016-002. Each block takes the next tile, says what the tile's own sum
is, and adds up what the tiles before it have said, until one says its sum with all before it. A tile waits for earlier
ones only, which are being worked on already, so that blocks may begin in any order, however few at once. What a tile
says is a single word with the sum and how far it reaches: nothing depends on the order of two accesses.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..jit import jitable
from ..reduce import LANES
from . import threads
from .memory import GLOBAL

THREADS = 256  # a block of kernels that use what is here
WARPS = THREADS // LANES
SHARED = 3  # the address space

_word_type, _half_type = ir.IntType(64), ir.IntType(32)
_zero, _one, _word, _lanes, _last_lane = map(np.uint64, (0, 1, 8, LANES, LANES - 1))
_OWN, _WHOLE = (np.uint64(reach << 62) for reach in (1, 2))  # the tile's own; with those of all before it
_sum_of = np.uint64((1 << 62) - 1)


def _make_meeting(name: str, *arguments: int) -> Any:
    @intrinsic
    def meeting(typingctx):
        def codegen(context, builder, signature, args):
            kind = ir.FunctionType(ir.VoidType(), [_half_type] * len(arguments))
            function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.nvvm.{name}")
            builder.call(function, [_half_type(argument) for argument in arguments])
            return context.get_dummy_value()

        return types.void(), codegen

    return meeting


# Wait for the other threads of the block, or of the warp; each then sees what the others have written.
meet_block = _make_meeting("barrier0")
meet_warp = _make_meeting("bar.warp.sync", threads.ALL)


class Words(NamedTuple):
    """Compilable access to numbers in memory by their place."""

    load: Any  # (place) -> number
    store: Any  # (place, number)
    add: Any  # (place, number) -> the number that was there, as any number of threads may at once


def _make_words(load_at, store_at, place_of, kind=_word_type) -> Words:
    """Access by functions ``(builder, pointer)`` and ``(builder, pointer, value)``, of the pointer to a place.

    Values in memory are of a `kind` that may have fewer bits than the numbers.
    """

    @intrinsic
    def load(typingctx, place):
        def codegen(context, builder, signature, args):
            return builder.zext(load_at(builder, place_of(builder, args[0])), _word_type)

        return types.uint64(types.uint64), codegen

    @intrinsic
    def store(typingctx, place, word):
        def codegen(context, builder, signature, args):
            store_at(builder, place_of(builder, args[0]), builder.trunc(args[1], kind))
            return context.get_dummy_value()

        return types.void(types.uint64, types.uint64), codegen

    @intrinsic
    def add(typingctx, place, word):
        def codegen(context, builder, signature, args):
            more = builder.trunc(args[1], kind)
            before = builder.atomic_rmw("add", place_of(builder, args[0]), more, "monotonic")
            return builder.zext(before, _word_type)

        return types.uint64(types.uint64, types.uint64), codegen

    return Words(load, store, add)


def make_shared(name: str, size: int, bits: int = 64) -> Words:
    """Memory of the block for so many numbers of 64 or 32 bits, by their place; a kernel has one of each name.

    GPUs add to 32 bits of it by one instruction, and to 64 by a loop.
    """
    each, bytes_of_each = ir.IntType(bits), bits // 8
    kind = ir.ArrayType(each, size)

    def place_of(builder, number):
        found = builder.module.globals.get(name)
        if found is None:
            found = ir.GlobalVariable(builder.module, kind, name, addrspace=SHARED)
            found.linkage, found.initializer = "linkonce_odr", ir.Constant(kind, ir.Undefined)
            found.align = bytes_of_each
        return builder.gep(found, [_half_type(0), builder.trunc(number, _half_type)])

    return _make_words(
        lambda builder, pointer: builder.load(pointer, align=bytes_of_each),
        lambda builder, pointer, value: builder.store(value, pointer, align=bytes_of_each),
        place_of,
        each,
    )


# Words in the GPU's memory, by their addresses, that other blocks read and write at the same time.
load_common, store_common, add_common = _make_words(
    lambda builder, pointer: builder.load_atomic(pointer, "monotonic", 8),
    lambda builder, pointer, word: builder.store_atomic(word, pointer, "monotonic", 8),
    lambda builder, address: builder.inttoptr(address, _word_type.as_pointer(GLOBAL)),
)

_load_tile, _store_tile, _ = make_shared("tile_of_block", 1)
_load_sum, _store_sum, _ = make_shared("sums_of_warps", WARPS)
_load_before, _store_before, _ = make_shared("sum_of_tiles_before", 1)


@jitable
def warp():
    """The number of this thread's warp in its block."""
    return threads.thread_of_block() // _lanes


@jitable
def next_tile(ticket):
    """The number of the tile that is this block's, given the address of the number of tiles taken."""
    if threads.thread_of_block() == _zero:
        _store_tile(_zero, add_common(ticket, _one))
    meet_block()
    return _load_tile(_zero)


@jitable
def _with_before(value, lane, distance):
    before = threads.value_before(value, distance)
    return value + before if lane >= distance else value


@jitable
def _sum_up_to(value, lane):
    """Sum of the values of the warp's threads up to this one."""
    value = _with_before(value, lane, np.uint64(1))
    value = _with_before(value, lane, np.uint64(2))
    value = _with_before(value, lane, np.uint64(4))
    value = _with_before(value, lane, np.uint64(8))
    return _with_before(value, lane, np.uint64(16))


@jitable
def sums_in_block(value):
    """Sum of the values of the block's threads before this one, and that of all.

    It is for one call in a kernel: a second one would write where a thread may not have read yet.
    """
    lane, mine = threads.lane(), warp()
    up_to = _sum_up_to(value, lane)
    if lane == _last_lane:
        _store_sum(mine, up_to)
    meet_block()
    before, total = up_to - value, _zero
    for other in range(WARPS):
        if np.uint64(other) < mine:
            before += _load_sum(np.uint64(other))
        total += _load_sum(np.uint64(other))
    return before, total


@jitable
def sum_of_tiles_before(tile, own, said, value, values):
    """Sum of what the tiles before this one have, given what this one has, for one `value` of so many.

    `said` is the address of a word for each value of each tile, and all words are 0 at first. A thread of each tile
    calls it.
    """
    mine = said + (tile * values + value) * _word
    store_common(mine, own | _OWN)
    before, other = _zero, tile
    while other > _zero:
        state = load_common(said + ((other - _one) * values + value) * _word)
        if state >= _OWN:
            before += state & _sum_of
            other = _zero if state >= _WHOLE else other - _one
    store_common(mine, (before + own) | _WHOLE)
    return before


@jitable
def sum_before(tile, own, said):
    """Sum of what the threads of all tiles have before this one, given what this one has; `said` has a word a tile.

    It is for one call in a kernel, as `sums_in_block` is.
    """
    before, total = sums_in_block(own)
    if threads.thread_of_block() == _zero:
        _store_before(_zero, sum_of_tiles_before(tile, total, said, _zero, _one))
    meet_block()
    return before + _load_before(_zero)
