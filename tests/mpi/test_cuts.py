"""Where parameters are cut among processes."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastadagrad.mpi.cuts import cut

SHAPES = st.lists(st.lists(st.integers(0, 9000), max_size=2).map(tuple), min_size=1, max_size=5)


@given(SHAPES, st.data(), st.integers(2, 9))
def test_every_row_is_somebodys(shapes, data, ranks):
    whole = [data.draw(st.booleans()) for _ in shapes]
    for shape, indivisible, bounds in zip(shapes, whole, cut(shapes, whole, ranks), strict=True):
        rows, width = (shape[0] if shape else 1), math.prod(shape[1:])
        assert len(bounds) == ranks + 1
        assert (bounds[0], bounds[-1]) == (0, rows)
        assert all(start <= stop for start, stop in pairwise(bounds))
        inner = [bound for bound in bounds if 0 < bound < rows]
        assert all(bound * width % 4096 == 0 for bound in inner)
        assert not (inner and (indivisible or not shape))


@pytest.mark.parametrize("ranks", [2, 3, 4, 7])
def test_all_have_about_as_much(ranks):
    shapes = [(784, 256), (256,), (1_000_003,), (), (60_000, 100), (5, 7)]
    sizes = [0] * ranks
    for shape, bounds in zip(shapes, cut(shapes, [False] * len(shapes), ranks), strict=True):
        for rank, (start, stop) in enumerate(pairwise(bounds)):
            sizes[rank] += (stop - start) * math.prod(shape[1:])
    mean = sum(sizes) / ranks
    assert (
        max(sizes) < 1.02 * mean + 102_400
    )  # elements between one place where the table of 100 columns can be cut and the next
