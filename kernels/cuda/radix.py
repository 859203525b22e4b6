"""What each thread of the radix sort does: kernels and their pieces, which `coalesce` compiles.

All numbers are 64-bit and unsigned, addresses among them. A warp has a tile of TILE keys. `coalesce.Sort` says what
each kernel is given and what it leaves.
"""

from __future__ import annotations

import numpy as np

from ..cpu.coalesce import POSITION
from ..jit import jitable
from ..reduce import LANES
from . import threads
from .memory import load_word, mark, store_word

DIGIT = 6  # bits: two values for each thread of a warp
VALUES = 1 << DIGIT
TILE = 1024  # keys of a warp
SPAN = 4096  # counts of a warp that scans

_zero, _one, _word, _lanes, _tile, _span, _values = map(np.uint64, (0, 1, 8, LANES, TILE, SPAN, VALUES))
_position, _low = np.uint64(POSITION), np.uint64((1 << POSITION) - 1)


@jitable
def _warp():
    return threads.thread() // _lanes


@jitable
def _ballot(holds):
    """A bit for each thread of the warp: whether `holds` is true for this thread."""
    return threads.ballot(holds)


@jitable
def _value_of(value, lane):
    """The value that the thread `lane` of the warp has."""
    return threads.value_of(value, lane)


@jitable
def _agree(bits, digit, j):
    """A bit for each thread whose key has this bit j of the digit, given the ballot on it."""
    return bits ^ (((digit >> np.uint64(j)) & _one) - _one)


@jitable
def _threads_with(digit, bits0, bits1, bits2, bits3, bits4, bits5, valid):
    """A bit for each thread whose key has this digit, given the ballots on each bit of all threads' digits.

    There is no branch here: the compiler would make a loop of each side of it, and at a ballot all threads of the warp
    have to be at the same instruction.
    """
    found = _agree(bits0, digit, 0) & _agree(bits1, digit, 1) & _agree(bits2, digit, 2)
    return found & _agree(bits3, digit, 3) & _agree(bits4, digit, 4) & _agree(bits5, digit, 5) & valid


@jitable
def _vote(digit, holds):
    return (
        _ballot(digit & _one != _zero),
        _ballot(digit >> _one & _one != _zero),
        _ballot(digit >> np.uint64(2) & _one != _zero),
        _ballot(digit >> np.uint64(3) & _one != _zero),
        _ballot(digit >> np.uint64(4) & _one != _zero),
        _ballot(digit >> np.uint64(5) & _one != _zero),
        _ballot(holds),
    )


@jitable
def _digit_at(keys, i, n, shift):
    """Digit of key i; 0 if there is no such key."""
    return load_word(keys + i * _word) >> shift & (_values - _one) if i < n else _zero


@jitable
def _popcount(bits):
    return threads.popcount(bits)


@jitable
def _is_head(keys, i, n):
    """Whether key i is the first of its row."""
    if i >= n:
        return False
    return i == _zero or load_word(keys + i * _word) >> _position != load_word(keys + (i - _one) * _word) >> _position


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


def make_pack(load, size, sorts: bool):
    """The kernel that makes a word of each index: `load` reads one, of `size` bytes.

    It is a key if the kernel's user `sorts` them, else the row's number alone.
    """

    def pack(indices, n, rows, words, outside):
        i = threads.thread()
        if i < n:
            row = np.uint64(np.int64(load(indices + i * size)))
            if row >= rows:  # negative numbers have become large ones
                mark(outside)
            store_word(words + i * _word, row << _position | i if sorts else row)

    return pack


def count(keys, n, shift, tiles, counts):
    tile, lane, mine, others = _warp(), threads.lane(), _zero, _zero
    if tile < tiles:
        start = tile * _tile
        while start < min(n, (tile + _one) * _tile):
            i = start + lane
            votes = _vote(_digit_at(keys, i, n, shift), i < n)
            mine += _popcount(_threads_with(lane, *votes))
            others += _popcount(_threads_with(lane + _lanes, *votes))
            start += _lanes
        store_word(counts + (lane * tiles + tile) * _word, mine)
        store_word(counts + ((lane + _lanes) * tiles + tile) * _word, others)


def scan(counts, size, spans, totals):
    span, lane, so_far = _warp(), threads.lane(), _zero
    if span < spans:
        start = span * _span
        end = min(size, start + _span)
        while start < end:
            i = start + lane
            own = load_word(counts + i * _word) if i < end else _zero
            up_to = _sum_up_to(own, lane)
            if i < end:
                store_word(counts + i * _word, so_far + up_to - own)
            so_far += _value_of(up_to, LANES - 1)
            start += _lanes
        if lane == _zero:
            store_word(totals + span * _word, so_far)


def add(counts, size, places):
    i = threads.thread()
    if i < size:
        at = counts + i * _word
        store_word(at, load_word(at) + load_word(places + i // _span * _word))


def distribute(keys, n, shift, tiles, places, sorted_keys):
    tile, lane = _warp(), threads.lane()
    if tile < tiles:
        place = load_word(places + (lane * tiles + tile) * _word)
        other = load_word(places + ((lane + _lanes) * tiles + tile) * _word)
        start = tile * _tile
        while start < min(n, (tile + _one) * _tile):
            i = start + lane
            digit = _digit_at(keys, i, n, shift)
            votes = _vote(digit, i < n)
            before = _popcount(_threads_with(digit, *votes) & ((_one << lane) - _one))
            lower = np.int32(digit & (_lanes - _one))
            of_lower, of_upper = _value_of(place, lower), _value_of(other, lower)
            first = of_lower if digit < _lanes else of_upper
            if i < n:
                store_word(sorted_keys + (first + before) * _word, load_word(keys + i * _word))
            place += _popcount(_threads_with(lane, *votes))
            other += _popcount(_threads_with(lane + _lanes, *votes))
            start += _lanes


def count_heads(keys, n, tiles, counts):
    tile, lane, heads = _warp(), threads.lane(), _zero
    if tile < tiles:
        start = tile * _tile
        while start < min(n, (tile + _one) * _tile):
            heads += _popcount(_ballot(_is_head(keys, start + lane, n)))
            start += _lanes
        if lane == _zero:
            store_word(counts + tile * _word, heads)


def write(keys, n, tiles, places, at, rows, starts):
    tile, lane = _warp(), threads.lane()
    if tile < tiles:
        group, start = load_word(places + tile * _word), tile * _tile
        while start < min(n, (tile + _one) * _tile):
            i = start + lane
            head = _is_head(keys, i, n)
            heads = _ballot(head)
            if head:
                mine = group + _popcount(heads & ((_one << lane) - _one))
                store_word(rows + mine * _word, load_word(keys + i * _word) >> _position)
                store_word(starts + mine * _word, i)
            if i < n:
                store_word(at + i * _word, load_word(keys + i * _word) & _low)
            group += _popcount(heads)
            if i == n - _one:
                store_word(starts + group * _word, n)
            start += _lanes
