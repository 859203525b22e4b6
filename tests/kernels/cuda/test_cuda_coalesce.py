"""The CUDA kernels that put row indices in order, run from their PTX on the CPU, against the CPU's own."""

import numpy as np
import pytest
from cuda_kernels import CC
from hypothesis import given, settings
from hypothesis import strategies as st
from ptx import junk, launch

from fastadagrad.device.arrays import as_device_array
from fastadagrad.device.distinct_rows import DeviceCoalescer
from fastadagrad.kernels.cpu.coalesce import POSITION, bit_length, sort_rows
from fastadagrad.kernels.cuda import coalesce

INDEX_DTYPES = [np.int32, np.int64]


def sort_on_device(indices, n_rows):
    """(at, rows, starts, whether an index is outside) by the kernels, launched as a device would be."""
    sort, n, tiles = coalesce.make_sort(CC), len(indices), coalesce.tiles_of(len(indices))
    keys, others, at, rows, starts = (junk(n + 1, np.uint64) for _ in range(5))
    counts, total, outside = junk(coalesce.VALUES * tiles, np.uint64), junk(1, np.uint64), np.zeros(1, np.int32)
    memory = [indices, keys, others, at, rows, starts, counts, total, outside]

    def run(kernel, threads, *arguments):
        addresses = [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments]
        launch(kernel.ptx, coalesce.blocks_of(threads), coalesce.THREADS, addresses, memory)

    def scan(size):
        """As `DeviceCoalescer.scan` does; of more than a span the totals are scanned too."""
        parts = coalesce.spans_of(size)
        totals = total if parts == 1 else junk(parts, np.uint64)
        memory.append(totals)
        run(sort.scan, 32 * parts, counts, size, parts, totals)
        if parts > 1:
            run(sort.scan, 32, totals, parts, 1, total)
            run(sort.add, size, counts, size, totals)

    run(sort.pack[str(indices.dtype)], n, indices, n, n_rows, keys, outside)
    if outside[0]:
        return None
    for shift in range(POSITION, POSITION + bit_length(n_rows - 1), coalesce.DIGIT):
        run(sort.count, 32 * tiles, keys, n, shift, tiles, counts)
        scan(coalesce.VALUES * tiles)
        run(sort.distribute, 32 * tiles, keys, n, shift, tiles, counts, others)
        keys, others = others, keys
    run(sort.count_heads, 32 * tiles, keys, n, tiles, counts)
    scan(tiles)
    groups = int(total[0])
    run(sort.write, 32 * tiles, keys, n, tiles, counts, at, rows, starts)
    return at[:n], rows[:groups], starts[: groups + 1]


@pytest.mark.parametrize("size", [1, 1000, 4097, 9000, pytest.param(coalesce.SPAN * 300 + 5, marks=pytest.mark.slow)])
def test_sums_of_those_before(interpreter, size):
    counts = np.random.default_rng(size).integers(0, 2**32, size)
    coalescer = DeviceCoalescer(interpreter, 5)
    on_gpu = interpreter.array(counts)
    with interpreter.on([]):
        coalescer.pack(as_device_array(interpreter.array(np.zeros(size, np.int32))))
        coalescer.scan(as_device_array(on_gpu), size)
    np.testing.assert_array_equal(on_gpu.numpy(), np.cumsum(counts) - counts)
    assert coalescer.total() == counts.sum()


def sort_on_cpu(indices, n_rows):
    n = len(indices)
    at, rows, starts = (np.zeros(n + 1, np.int64) for _ in range(3))
    groups = sort_rows.serial(1, indices.astype(np.int64), n_rows, at, rows, starts)
    return at[:n], rows[:groups], starts[: groups + 1]


@pytest.mark.parametrize("dtype", INDEX_DTYPES)
@pytest.mark.parametrize("n_rows", [1, 17, 5000, 2**31])
@pytest.mark.parametrize("n", [1, 31, 33, 1024, 1025, 5000])
def test_sorted_as_on_the_cpu(n, n_rows, dtype):
    indices = np.random.default_rng(n).integers(0, min(n_rows, 2**31 - 1), n).astype(dtype)
    for found, expected in zip(sort_on_device(indices, n_rows), sort_on_cpu(indices, n_rows), strict=True):
        np.testing.assert_array_equal(found, expected)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=200))
def test_any_indices(numbers):
    indices = np.array(numbers)
    for found, expected in zip(sort_on_device(indices, 41), sort_on_cpu(indices, 41), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", INDEX_DTYPES)
@pytest.mark.parametrize("wrong", [-1, 50, -(2**31), 2**31 - 1])
@pytest.mark.parametrize("place", [0, 69])
def test_indices_outside_are_noticed(place, wrong, dtype):
    indices = np.arange(70, dtype=dtype) % 50
    indices[place] = wrong
    assert sort_on_device(indices, 50) is None
