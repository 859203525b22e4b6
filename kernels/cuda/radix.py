"""What each thread of the radix sort does: kernels and their pieces, which `coalesce` compiles.

All numbers are 64-bit and unsigned, addresses among them. A block has a tile of TILE keys, and each of its warps the
same share of them, one part after the other. `coalesce.Sort` says what each kernel is given and what it leaves.
"""

from __future__ import annotations

import numpy as np

from ..cpu.coalesce import POSITION
from ..jit import jitable
from ..reduce import LANES
from . import blocks, threads
from .blocks import THREADS, WARPS, add_common, make_shared, meet_block, meet_warp
from .memory import load_word, mark, store_word

DIGIT = 8  # bits: a value for each thread of a block
VALUES = 1 << DIGIT
MOST_DIGITS = 4
TILE = 8 * THREADS  # keys of a block

_zero, _one, _word, _lanes, _tile, _threads = map(np.uint64, (0, 1, 8, LANES, TILE, THREADS))
_values, _share = map(np.uint64, (VALUES, TILE // WARPS))
_digit, _position, _low = map(np.uint64, (DIGIT, POSITION, (1 << POSITION) - 1))

_load_count, _store_count, _add_to_count = make_shared("counts_of_block", MOST_DIGITS * VALUES, bits=32)
_load_place, _store_place, _add_to_place = make_shared("places_of_warps", WARPS * VALUES, bits=32)
assert VALUES == THREADS, "a thread for each value of a digit"


@jitable
def _agree(digit, j):
    """A bit for each thread of the warp whose digit has the same bit j as this thread's."""
    own = digit >> np.uint64(j) & _one
    return threads.ballot(own != _zero) ^ (own - _one)


@jitable
def _threads_alike(digit, holds):
    """A bit for each thread of the warp with the same digit as this one, of those for which `holds` is true.

    There is no branch here: the compiler would make a loop of each side of it, and at a ballot all threads of the warp
    have to be at the same instruction.
    """
    alike = _agree(digit, 0) & _agree(digit, 1) & _agree(digit, 2) & _agree(digit, 3)
    alike &= _agree(digit, 4) & _agree(digit, 5) & _agree(digit, 6) & _agree(digit, 7)
    return alike & threads.ballot(holds)


@jitable
def _share_of_warp(tile, n):
    """The first key of this warp's share of a tile, and the one behind the last."""
    first = tile * _tile + blocks.warp() * _share
    return first, max(first, min(n, first + _share))


@jitable
def _digit_at(keys, i, end, shift):
    """Digit of key i; 0 if it is not before the end."""
    return load_word(keys + i * _word) >> shift & (_values - _one) if i < end else _zero


@jitable
def _is_head(keys, i, end):
    """Whether key i is the first of its row, and before the end."""
    if i >= end:
        return False
    return i == _zero or load_word(keys + i * _word) >> _position != load_word(keys + (i - _one) * _word) >> _position


def make_row_of(load, size):
    """Compilable ``(indices, i, rows, outside)``: the row of index i, of `size` bytes, which `load` reads.

    An index that is that of no row is marked, and taken for row 0: whatever else is launched stays within memory.
    """

    @jitable
    def row_of(indices, i, rows, outside):
        row = np.uint64(np.int64(load(indices + i * size)))
        if row < rows:
            return row
        mark(outside)  # negative numbers have become large ones
        return _zero

    return row_of


def make_pack_rows(load, size):
    row_of = make_row_of(load, size)

    def pack_rows(indices, n, rows, words, outside):
        i = threads.thread()
        if i < n:
            store_word(words + i * _word, row_of(indices, i, rows, outside))

    return pack_rows


def make_pack_keys(load, size):
    row_of = make_row_of(load, size)

    def pack_keys(indices, n, rows, keys, digits, counts, outside):
        thread = threads.thread_of_block()
        i = thread
        while i < digits * _values:
            _store_count(i, _zero)
            i += _threads
        meet_block()
        i = threads.block() * _tile + thread
        end = min(n, (threads.block() + _one) * _tile)
        while i < end:
            row, digit = row_of(indices, i, rows, outside), _zero
            store_word(keys + i * _word, row << _position | i)
            while digit < digits:
                _add_to_count(digit * _values + (row >> digit * _digit & (_values - _one)), _one)
                digit += _one
            i += _threads
        meet_block()
        i = thread
        while i < digits * _values:
            count = _load_count(i)
            if count != _zero:
                add_common(counts + i * _word, count)
            i += _threads

    return pack_keys


@jitable
def _count_in_warps(keys, start, end, shift):
    """Count the keys of each value in the shares of the block's warps."""
    value, lane, of_warp = threads.thread_of_block(), threads.lane(), blocks.warp() * _values
    for other in range(WARPS):
        _store_place(np.uint64(other) * _values + value, _zero)
    meet_block()
    i = start + lane
    while i < end:
        _add_to_place(of_warp + _digit_at(keys, i, end, shift), _one)
        i += _lanes
    meet_block()


@jitable
def _place_warps(tile, counts, said):
    """Replace the counts of each warp by the place of its first key of each value; a thread does so for a value."""
    value, own = threads.thread_of_block(), _zero
    for other in range(WARPS):
        at = np.uint64(other) * _values + value
        count = _load_place(at)
        _store_place(at, own)
        own += count
    place, _ = blocks.sums_in_block(load_word(counts + value * _word))
    place += blocks.sum_of_tiles_before(tile, own, said, value, _values)
    for other in range(WARPS):
        at = np.uint64(other) * _values + value
        _store_place(at, _load_place(at) + place)
    meet_block()


def sweep(keys, n, shift, counts, ticket, said, sorted_keys):
    tile, lane, of_warp = blocks.next_tile(ticket), threads.lane(), blocks.warp() * _values
    start, end = _share_of_warp(tile, n)
    _count_in_warps(keys, start, end, shift)
    _place_warps(tile, counts, said)
    while start < end:
        i = start + lane
        digit = _digit_at(keys, i, end, shift)
        alike = _threads_alike(digit, i < end)
        before = threads.popcount(alike & ((_one << lane) - _one))
        place = _zero
        if i < end and before == _zero:  # the first of them
            place = _add_to_place(of_warp + digit, threads.popcount(alike))
        place = threads.value_of(place, threads.popcount(~alike & (alike - _one)))
        if i < end:
            store_word(sorted_keys + (place + before) * _word, load_word(keys + i * _word))
        meet_warp()
        start += _lanes


def write(keys, n, ticket, said, at, rows, starts, count_at):
    tile, lane = blocks.next_tile(ticket), threads.lane()
    first, end = _share_of_warp(tile, n)
    heads, start = _zero, first
    while start < end:
        heads += threads.popcount(threads.ballot(_is_head(keys, start + lane, end)))
        start += _lanes
    group, start = threads.value_of(blocks.sum_before(tile, heads if lane == _zero else _zero, said), 0), first
    while start < end:
        i = start + lane
        head = _is_head(keys, i, end)
        votes = threads.ballot(head)
        if head:
            mine = group + threads.popcount(votes & ((_one << lane) - _one))
            store_word(rows + mine * _word, load_word(keys + i * _word) >> _position)
            store_word(starts + mine * _word, i)
        if i < end:
            store_word(at + i * _word, load_word(keys + i * _word) & _low)
        group += threads.popcount(votes)
        if i == n - _one:
            store_word(starts + group * _word, n)
            store_word(count_at, group)
        start += _lanes
