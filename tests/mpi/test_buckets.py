"""Small arrays that are laid out one after the other."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastadagrad.mpi.buckets import Bucket
from fastadagrad.mpi.cuts import cut

SHAPES = st.lists(st.lists(st.integers(0, 5000), max_size=2).map(tuple), min_size=1, max_size=4)


@settings(deadline=None, max_examples=50)
@given(SHAPES.filter(lambda shapes: sum(map(math.prod, shapes)) < 1_000_000), st.integers(2, 5))
def test_what_is_packed_is_unpacked(shapes, ranks):
    cuts = cut(shapes, [False] * len(shapes), ranks)
    bucket = Bucket(range(len(shapes)), shapes, cuts)
    arrays = [np.arange(math.prod(shape), dtype=float).reshape(shape) + i for i, shape in enumerate(shapes)]
    flat = bucket.packed(arrays, range(ranks))
    assert bucket.bounds[-1] == sum(array.size for array in arrays)
    found = [np.full_like(array, -1.0) for array in arrays]
    for rank in range(ranks):
        bucket.unpack(flat, found, [rank])
        own = bucket.split(flat[bucket.bounds[rank] : bucket.bounds[rank + 1]], rank)
        for part, array, shape, bounds in zip(own, arrays, shapes, cuts, strict=True):
            rows = array if shape else array.reshape(1)
            np.testing.assert_array_equal(part, rows[bounds[rank] : bounds[rank + 1]])
    for array, again in zip(arrays, found, strict=True):
        np.testing.assert_array_equal(again, array, strict=True)
