"""What is looked at in a sparse matrix, against a plain evaluation row by row."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastadagrad.kernels.text.csr import ROWS, survey

INDEX = [np.int32, np.int64]


def plain_survey(columns, starts):
    stored = columns[: starts[-1]]
    rows = [columns[a:b] for a, b in itertools.pairwise(starts)]
    ascending = all((np.diff(row) > 0).all() for row in rows)
    return (True, stored.min(), stored.max(), ascending) if stored.size else (True, -1, -1, True)


@st.composite
def matrices(draw):
    """Rows of few columns, most of them ascending; some more stored than the starts use."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = rng.integers(0, draw(st.integers(1, 6)), draw(st.sampled_from([0, 1, 5, ROWS, ROWS + 1, 2 * ROWS + 7])))
    columns = [np.sort(rng.choice(1000, length, replace=False)) for length in lengths]
    flat = np.concatenate([*columns, rng.integers(0, 1000, draw(st.integers(0, 2)))])
    for at in rng.integers(0, max(flat.size, 1), draw(st.integers(0, 2))):
        flat[at : at + 2] = flat[at : at + 2][:: draw(st.sampled_from([-1, 1]))]
    return flat, np.concatenate([[0], np.cumsum(lengths)])


@settings(derandomize=True, deadline=None)
@given(matrices(), st.sampled_from(INDEX), st.sampled_from(INDEX))
def test_structure(matrix, of_columns, of_starts):
    columns, starts = matrix[0].astype(of_columns), matrix[1].astype(of_starts)
    assert tuple(survey(columns, starts)) == plain_survey(columns, starts)


@pytest.mark.parametrize("at", [0, 1, 3 * (ROWS - 1), 3 * ROWS - 2, 3 * ROWS, 3 * ROWS + 1, -2])
@pytest.mark.parametrize("by", [0, -1])
def test_one_column_that_does_not_rise(at, by):
    starts = np.arange(0, 3 * (2 * ROWS + 1), 3)
    columns = np.tile(np.array([1, 4, 9], np.int32), 2 * ROWS)
    assert survey(columns, starts).ascending
    at %= columns.size
    columns[at + 1] = columns[at] + by
    assert not survey(columns, starts).ascending


@pytest.mark.parametrize("starts", [[1, 2], [0, 2, 1, 3], [0, 4], [-1, 3], [0, -(2**62), 3], [0, 2**62, -(2**62), 3]])
def test_starts_that_do_not_rise_or_rise_too_far(starts):
    assert not survey(np.arange(3), np.array(starts)).rises
