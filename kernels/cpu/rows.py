"""Drivers for rows of a parameter: each row that a sparse gradient names is stepped, the others are not read.

A gradient is given by `rows`, which are distinct (and ascending where squares are summed), by the address `source` of
an array of values, and by `at`: the values of row rows[k] are row at[k] of that array, or row k if `at` is empty. No
two threads have the same row, and every row is stepped by the same code, so that the number of threads changes no bit.
With `lagging`, rows that earlier steps did not name are first caught up by :mod:`..missed`.

The rows may be numbers in an array of the user's, which another thread may write to after they have been checked. Each
is read once, and one that is no row any more counts as the last row, so that no other memory is reached.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import prange

from ..element import first_of_sum, make_element, untouched
from ..jit import Pair, compiled, forceinlined, jitable, parallel
from ..memory.addresses import FIRST_SLOT, PARAMETER, SIZE, WIDTH, Row, count_update
from ..memory.headers import borrowed, on_stack, unpack
from ..memory.prefetch import prefetch_lines, rows_ahead
from ..memory.storage import Precision, precision_of
from ..missed import make_row_catch_up
from ..reduce import BLOCK, LANES, fold, make_ordered_sum
from .dense import make_own_accumulators, make_row_step, make_shared_accumulator

GROUP = 4  # rows whose sums of squares are formed before the first of them is stepped, so that no step waits for one


def _make_row_at(element, kind: str, precision: Precision):
    """Compilable ``(tensor, r) -> p, slots`` of row r; a first slot that its elements share is an array of one."""
    slots_at, first_at, rest_at = element.slots.at, element.first.at, element.rest.at
    real, at = precision.real, precision.storage.at

    def of_each(tensor, r, n, start):
        return slots_at(tensor, start, n, real)

    def of_the_row(tensor, r, n, start):
        return (first_at(tensor[FIRST_SLOT], r, 1, real),) + rest_at(tensor, start, n, real)

    def of_all(tensor, r, n, start):
        return (first_at(tensor[FIRST_SLOT], 0, 1, real),) + rest_at(tensor, start, n, real)

    slots_of = forceinlined({"element": of_each, "row": of_the_row, "tensor": of_all}[kind])

    @forceinlined
    def row_at(tensor, r):
        n, start = tensor[WIDTH], r * tensor[WIDTH]
        return at(tensor[PARAMETER], start, n, real), slots_of(tensor, r, n, start)

    return row_at


def _make_step(element, kind: str, precision: Precision, watchful: bool):
    """Compilable ``(p, g, square, slots, s)`` that steps a row, given its sum of squares if `kind` is "row".

    True if an accumulator became infinite.
    """
    own, row_step, shared = (
        make_own_accumulators(element, precision, watchful),
        make_row_step(element, precision),
        make_shared_accumulator(element, precision),
    )
    load, store, real = element.first.load, element.first.store, precision.real

    def by_element(p, g, square, slots, s):
        return own(p, g, slots, s)

    def by_row(p, g, square, slots, s):
        G = row_step(p, g, square, load(slots[0], 0), slots[1:], s)
        store(slots[0], 0, G)
        return G == real(np.inf)

    def by_tensor(p, g, square, slots, s):
        G = load(slots[0], 0)
        shared(p, g, G, slots[1:], s)
        return G == real(np.inf)

    return forceinlined({"element": by_element, "row": by_row, "tensor": by_tensor}[kind])


@forceinlined
def last_row(tensor):
    """The number of a parameter's last row, for `row_number`; no row is narrower than one element."""
    return np.uint64(tensor[SIZE] // tensor[WIDTH] - 1)


@forceinlined
def row_number(rows, k, last):
    """Number k of `rows`, read once, or the last row's if it is no row; it is compared as a number without a sign."""
    return np.int64(min(np.uint64(rows[k]), last))


@jitable
def place(at, k):
    return at[k] if at.size else k


def _make_prefetch_row(element, kind: str, precision: Precision):
    """Compilable ``(tensor, source, rows, at, k)``: prefetch the memory of row k of gradient, parameter and slots."""
    by_row, real, size_of, size_of_first = kind == "row", precision.real, precision.storage.size, element.first.size
    prefetch_slots = (element.slots if kind == "element" else element.rest).prefetch

    @jitable
    def prefetch_row(tensor, source, rows, at, k):
        size = size_of(tensor[WIDTH], real)
        offset = rows[k] * size
        prefetch_lines(source + place(at, k) * size, size)
        prefetch_lines(tensor[PARAMETER] + offset, size)
        if by_row:
            prefetch_lines(tensor[FIRST_SLOT] + size_of_first(rows[k], real), size_of_first(1, real))
        prefetch_slots(tensor, rows[k] * tensor[WIDTH], tensor[WIDTH], real)

    return prefetch_row


def _make_update_rows(
    rule: Any, motion: str, kind: str, lean: bool, lagging: bool, watchful: bool, dtype: np.dtype[Any]
):
    """Compilable steps of the rows [low, high) of a gradient: whether an accumulator became infinite."""
    element, precision = make_element(rule, motion, lean, summed=True), precision_of(dtype)
    real, size_of, array_at = precision.real, precision.storage.size, precision.storage.at
    row_at, step = _make_row_at(element, kind, precision), _make_step(element, kind, precision, watchful)
    square_of = make_ordered_sum(element.prepare, precision.storage)
    catch_up_row, stamp = make_row_catch_up(rule, motion, kind, precision.storage)
    prefetch_row = _make_prefetch_row(element, kind, precision)

    @forceinlined
    def ready(k, high, rows, at, source, tensor, last, s_exact, lag):
        """The row that the gradient names at place k, caught up, and its gradient."""
        size = size_of(tensor[WIDTH], real)
        ahead = rows_ahead(size)
        if k + ahead < high:
            prefetch_row(tensor, source, rows, at, k + ahead)
        r = row_number(rows, k, last)
        p, slots = row_at(tensor, r)
        if lagging:
            catch_up_row(r, p, slots, lag, s_exact)
            stamp(r, lag)
        return p, slots, array_at(source + place(at, k) * size, 0, tensor[WIDTH], real)

    @forceinlined
    def update_each(low, high, rows, at, source, tensor, s, s_exact, lag):
        infinite, last = False, last_row(tensor)
        for k in range(low, high):
            p, slots, g = ready(k, high, rows, at, source, tensor, last, s_exact, lag)
            infinite |= step(p, g, 0.0, slots, s)
        return infinite

    @forceinlined
    def update_grouped(low, high, rows, at, source, tensor, s, s_exact, lag):
        infinite, squares, last = False, on_stack(GROUP, np.float64), last_row(tensor)
        for first in range(low, high, GROUP):
            stop = min(first + GROUP, high)
            for k in range(first, stop):
                p, _, g = ready(k, high, rows, at, source, tensor, last, s_exact, lag)
                squares[k - first] = square_of(g, p, s)
            for k in range(first, stop):
                p, slots = row_at(tensor, row_number(rows, k, last))
                g = array_at(source, place(at, k) * tensor[WIDTH], tensor[WIDTH], real)
                infinite |= step(p, g, squares[k - first], slots, s)
        return infinite

    return update_grouped if kind == "row" else update_each


@cache
def make_update(
    rule: Any, motion: str, kind: str, lean: bool, lagging: bool, watchful: bool, dtype: np.dtype[Any]
) -> Pair:
    """Compiled ``(spans, rows, at, source, table, scalars, exact, lag)``: 1 if an accumulator became infinite, else 0.

    `exact` are the scalars in float64 and `lag` is a :class:`..missed.Lag`, to catch up rows that lag. If not
    `watchful`, accumulators that become infinite may go unnoticed.
    """
    Scalars, update_rows = rule.Scalars, _make_update_rows(rule, motion, kind, lean, lagging, watchful, dtype)

    @forceinlined
    def update(low, high, rows, at, source, table, scalars, exact, lag):
        rows, at, table, scalars, exact, lag = borrowed((rows, at, table, scalars, exact, lag))
        tensor = unpack(Row, table[0])  # a tuple, which LLVM does not read again after each write to memory
        s, s_exact = unpack(Scalars, scalars), unpack(Scalars, exact)
        return 1 if update_rows(low, high, rows, at, source, tensor, s, s_exact, lag) else 0

    @compiled
    def serial(spans, rows, at, source, table, scalars, exact, lag):
        count_update(table)
        return update(0, rows.size, rows, at, source, table, scalars, exact, lag)

    @parallel
    def threaded(spans, rows, at, source, table, scalars, exact, lag):
        infinite, n = 0, rows.size
        count_update(table)
        for t in prange(spans):
            share = update(t * n // spans, (t + 1) * n // spans, rows, at, source, table, scalars, exact, lag)
            infinite = max(infinite, share)
        return infinite

    return Pair(serial, threaded, f"the {dtype} {rule.name} kernel for rows ({motion}, {kind})")


@cache
def make_catch_up_rows(rule: Any, motion: str, kind: str, dtype: np.dtype[Any]) -> Pair:
    """Compiled ``(spans, rows, table, exact, lag)``: catch distinct rows up."""
    element = make_element(rule, motion, False)
    Scalars, precision = rule.Scalars, precision_of(dtype)
    row_at = _make_row_at(element, kind, precision)
    catch_up_row, _ = make_row_catch_up(rule, motion, kind, precision.storage)

    @forceinlined
    def catch_up_rows(low, high, rows, table, exact, lag):
        rows, table, exact, lag = borrowed((rows, table, exact, lag))
        s, tensor = unpack(Scalars, exact), unpack(Row, table[0])
        last = last_row(tensor)
        for k in range(low, high):
            r = row_number(rows, k, last)
            p, slots = row_at(tensor, r)
            catch_up_row(r, p, slots, lag, s)

    @compiled
    def serial(spans, rows, table, exact, lag):
        catch_up_rows(0, rows.size, rows, table, exact, lag)

    @parallel
    def threaded(spans, rows, table, exact, lag):
        for t in prange(spans):
            catch_up_rows(t * rows.size // spans, (t + 1) * rows.size // spans, rows, table, exact, lag)

    return Pair(serial, threaded, f"the catching up of {dtype} rows ({motion}, {kind})")


def _make_sum_squares(prepare, precision: Precision, Scalars):
    """Compilable sum of squares of the whole gradient in the order of :mod:`.reduce`; absent elements are 0.

    A span of rows leaves the sums of its blocks in `block_sums` from place `first` on, and returns how many there are.
    """
    real, array_at, load = precision.real, precision.storage.at, precision.storage.load

    @jitable
    def add(g, p, s, lane, lanes):
        """Add the squares of elements of one block to the lanes; the first element goes to `lane`."""
        head = min(g.size, (LANES - lane) % LANES)
        for j in range(head):
            x = np.float64(prepare(load(g, j), load(p, j), s))
            lanes[lane + j] += x * x
        whole = (g.size - head) // LANES
        for b in range(whole):
            start = head + b * LANES
            g_part, p_part = g[start : start + LANES], p[start : start + LANES]
            for j in range(LANES):
                x = np.float64(prepare(load(g_part, j), load(p_part, j), s))
                lanes[j] += x * x
        start = head + whole * LANES
        for j in range(start, g.size):
            x = np.float64(prepare(load(g, j), load(p, j), s))
            lanes[j - start] += x * x

    @jitable
    def sum_squares(low, high, rows, at, source, table, scalars, block_sums, first):
        rows, at, table, scalars, block_sums = borrowed((rows, at, table, scalars, block_sums))
        s, width, lanes = unpack(Scalars, scalars), table[0, WIDTH], on_stack(LANES, np.float64)
        block, count, last = np.int64(-1), 0, last_row(table[0])
        for k in range(low, high):
            i = row_number(rows, k, last) * width
            begin, stop = i, i + width
            g = array_at(source, place(at, k) * width, width, real)
            p = array_at(table[0, PARAMETER], i, width, real)
            while i < stop:
                if i // BLOCK != block:
                    if block >= 0:
                        block_sums[first + count] = fold(lanes)
                        count += 1
                    block = i // BLOCK
                    lanes[:] = 0.0
                end = min(stop, (block + 1) * BLOCK)
                add(g[i - begin : end - begin], p[i - begin : end - begin], s, i % LANES, lanes)
                i = end
        if block >= 0:
            block_sums[first + count] = fold(lanes)
            count += 1
        return count

    return sum_squares


@jitable
def _boundary(k, rows, width):
    """The first place from k on whose row begins in another block than the row before ends in."""
    while 0 < k < rows.size and rows[k] * width // BLOCK == ((rows[k - 1] + 1) * width - 1) // BLOCK:
        k += 1
    return k


@cache
def make_block_sums(rule: Any, dtype: np.dtype[Any]) -> Pair:
    """Compiled ``(spans, rows, at, source, table, scalars, block_sums)``: fill in sums of squares, return their number.

    They are the sums over the blocks in which ascending rows have elements, of the gradient as it is.
    """
    sum_squares = _make_sum_squares(jitable(first_of_sum(untouched)), precision_of(dtype), rule.Scalars)

    @compiled
    def serial(spans, rows, at, source, table, scalars, block_sums):
        return sum_squares(0, rows.size, rows, at, source, table, scalars, block_sums, 0)

    return Pair(serial, serial, f"the sums of squares of blocks of {dtype} rows")


@cache
def make_sum_of_squares(rule: Any, prepare_fully: bool, lean: bool, dtype: np.dtype[Any]) -> Pair:
    """Compiled ``(spans, rows, at, source, table, scalars)``: sum of squares of a gradient.

    With `prepare_fully`, its values are scaled, clipped and given decay first, as for an accumulator; else the sum is
    that of the gradient as it is.
    """
    element = make_element(rule, "plain", lean, summed=True)
    prepare = element.prepare if prepare_fully else jitable(first_of_sum(untouched))
    sum_squares = _make_sum_squares(prepare, precision_of(dtype), rule.Scalars)

    @jitable
    def room(rows, width):
        """The largest number of blocks in which one row may have elements."""
        return width // BLOCK + 2

    @jitable
    def total(block_sums, first, count, so_far):
        for b in range(first, first + count):
            so_far += block_sums[b]
        return so_far

    @compiled
    def serial(spans, rows, at, source, table, scalars):
        block_sums = np.empty(rows.size * room(rows, table[0, WIDTH]))
        count = sum_squares(0, rows.size, rows, at, source, table, scalars, block_sums, 0)
        return total(block_sums, 0, count, 0.0)

    @parallel
    def threaded(spans, rows, at, source, table, scalars):
        n, width = rows.size, table[0, WIDTH]
        a_row = room(rows, width)
        block_sums, counts, bounds = np.empty(n * a_row), np.zeros(spans, np.int64), np.zeros(spans + 1, np.int64)
        for t in range(spans):
            bounds[t + 1] = max(bounds[t], _boundary((t + 1) * n // spans, rows, width))
        for t in prange(spans):
            low, high = bounds[t], bounds[t + 1]
            counts[t] = sum_squares(low, high, rows, at, source, table, scalars, block_sums, low * a_row)
        so_far = 0.0
        for t in range(spans):
            so_far = total(block_sums, bounds[t] * a_row, counts[t], so_far)
        return so_far

    return Pair(serial, threaded, f"the norm of {dtype} rows")
