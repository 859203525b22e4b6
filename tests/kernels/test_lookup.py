"""The places of a few columns among many."""

import numpy as np
import pytest

from fastadagrad.kernels.linear.lookup import enter_all, find_all


def found(columns, sought, bits):
    entries, unused = np.zeros(1 << bits, np.uint64), np.uint64(64 - bits)
    enter_all(columns.astype(np.uint64), entries, unused)
    places = np.empty(len(sought), np.int32)
    find_all(sought.astype(np.int32), entries, unused, np.int32(-7), places)
    return places


@pytest.mark.parametrize("width", [10, 3000, 2**31 - 1])
@pytest.mark.parametrize("bits", [11, 15])
def test_each_column_has_its_place(width, bits):
    rng = np.random.default_rng(width)
    columns = np.unique(np.append(rng.integers(0, width, 1000), [0, width - 1]))
    sought = np.concatenate([columns, rng.integers(0, width, 5000)])
    place_of = {column: place for place, column in enumerate(columns.tolist())}
    assert found(columns, sought, bits).tolist() == [place_of.get(column, -7) for column in sought.tolist()]


def test_no_column_is_found_among_none():
    assert found(np.empty(0, int), np.arange(5), 1).tolist() == [-7] * 5
    assert found(np.arange(3), np.empty(0, int), 3).size == 0
