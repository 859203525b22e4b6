"""The CUDA kernels that put row indices in order, run from their PTX on the CPU, against the CPU's own."""

import numpy as np
import pytest
from gpu import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st

from fastadagrad.device.arrays import as_device_array
from fastadagrad.device.distinct_rows import DeviceCoalescer
from fastadagrad.kernels.cpu.coalesce import sort_rows

INDEX_DTYPES = [np.int32, np.int64]


def sort_on_device(gpu, indices, n_rows):
    """(at, rows, starts) by the kernels."""
    coalescer, given = DeviceCoalescer(gpu, n_rows), as_device_array(gpu.array(indices))
    with gpu.on([]):
        found = coalescer.group("indices", given, unique=False)
        [n] = read(gpu, found.count_at, 1)
        assert found.most == len(indices) >= n
        return read(gpu, found.at, len(indices)), read(gpu, found.rows, n), read(gpu, found.starts, n + 1)


def read(gpu, address, size):
    words = np.zeros(size, np.uint64)
    gpu.read(address, words)
    return words


def sort_on_cpu(indices, n_rows):
    n = len(indices)
    at, rows, starts = (np.zeros(n + 1, np.int64) for _ in range(3))
    groups = sort_rows.serial(1, indices.astype(np.int64), n_rows, at, rows, starts)
    return at[:n], rows[:groups], starts[: groups + 1]


@pytest.mark.parametrize("dtype", INDEX_DTYPES)
@pytest.mark.parametrize("n_rows", [1, 17, 5000, 2**31])
@pytest.mark.parametrize("n", [1, 31, 33, 2048, 2049, 9000])
def test_sorted_as_on_the_cpu(gpu, n, n_rows, dtype):
    indices = np.random.default_rng(n).integers(0, min(n_rows, 2**31 - 1), n).astype(dtype)
    found, expected = sort_on_device(gpu, indices, n_rows), sort_on_cpu(indices, n_rows)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=200))
def test_any_indices(numbers):
    indices = np.array(numbers)
    for found, expected in zip(sort_on_device(Interpreter(), indices, 41), sort_on_cpu(indices, 41), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["one row", "ascending", "descending", "two rows in turn"])
def test_digits_that_are_shared_by_all_keys_or_by_none(gpu, kind):
    n, n_rows = 5000, 70_000
    indices = {
        "one row": np.full(n, 69_999),
        "ascending": np.arange(n) * 14,
        "descending": np.arange(n)[::-1] * 14,
        "two rows in turn": np.arange(n) % 2 * 65_536,
    }[kind]
    for found, expected in zip(sort_on_device(gpu, indices, n_rows), sort_on_cpu(indices, n_rows), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_memory_that_is_used_again(gpu):
    """What tiles have said in the last sort, of more indices or of fewer, is no part of the next."""
    coalescer, rng = DeviceCoalescer(gpu, 300), np.random.default_rng(5)
    for n in (5000, 100, 9000, 9000, 1):
        indices = rng.integers(0, 300, n)
        with gpu.on([]):
            found = coalescer.group("indices", as_device_array(gpu.array(indices)), unique=False)
        np.testing.assert_array_equal(read(gpu, found.at, n), np.argsort(indices, kind="stable"))


@pytest.mark.parametrize(("n_rows", "launches"), [(1, 2), (256, 3), (257, 4), (2**24, 5), (2**24 + 1, 6)])
def test_launches(gpu, n_rows, launches):
    sort_on_device(gpu, np.zeros(3, np.int32), n_rows)
    assert len(gpu.launched) == launches
    assert gpu.log.count("read") == 5, "the check of the indices, and four by this test"


@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize("dtype", INDEX_DTYPES)
@pytest.mark.parametrize("wrong", [-1, 50, -(2**31), 2**31 - 1])
@pytest.mark.parametrize("place", [0, 69])
def test_indices_outside_are_refused(gpu, place, wrong, dtype, unique):
    indices = np.arange(70, dtype=dtype) % 50
    indices[place] = wrong
    coalescer = DeviceCoalescer(gpu, 50)
    with gpu.on([]), pytest.raises(IndexError, match=f"number {place} is {wrong},"):
        coalescer.group("indices", as_device_array(gpu.array(indices)), unique)
    with gpu.on([]):  # and not remembered
        coalescer.group("indices", as_device_array(gpu.array(np.arange(50, dtype=dtype))), unique)
