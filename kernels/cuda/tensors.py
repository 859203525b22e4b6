"""Reading a table of addresses of tensors in global memory, by blocks of threads that each have a part of a tensor."""

from __future__ import annotations

import numpy as np

from ..jit import jitable
from ..memory import addresses
from ..reduce import BLOCK
from .memory import load_word

ROW = 8 * addresses.COLUMNS  # bytes

_zero, _one, _two, _block, _word, _row_size = map(np.uint64, (0, 1, 2, BLOCK, 8, ROW))
_size, _first_block = (np.uint64(8 * n) for n in (addresses.SIZE, addresses.FIRST_BLOCK))


@jitable
def _tensor_of(block, rows, tensors):
    """The last tensor that begins at this block or before it."""
    left, right = _zero, tensors - _one
    while left < right:
        middle = (left + right + _one) // _two
        if load_word(rows + middle * _row_size + _first_block) <= block:
            left = middle
        else:
            right = middle - _one
    return left


@jitable
def part_of(block, rows, tensors):
    """The tensor of a block of BLOCK elements: its number, the address of its row, the first element, and how many."""
    i = _tensor_of(block, rows, tensors)
    row = rows + i * _row_size
    start = (block - load_word(row + _first_block)) * _block
    return i, row, start, min(load_word(row + _size) - start, _block)


def make_load_column(column: int):
    """Compilable ``(row)``: what the row at this address has in a column."""
    offset = np.uint64(column) * _word
    return jitable(lambda row: load_word(row + offset))


def make_load_columns(first: int, count: int):
    """Compilable ``(row)``: what the row has in `count` neighbouring columns, as a tuple."""
    if count == 0:
        return jitable(lambda row: ())
    load, load_rest = make_load_column(first), make_load_columns(first + 1, count - 1)
    return jitable(lambda row: (load(row),) + load_rest(row))
