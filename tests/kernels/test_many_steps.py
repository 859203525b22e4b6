"""Millions of steps: how far rounding drifts, and where an accumulator in float32 stops growing."""

import numpy as np
import pytest
from many_steps import drift, stalls_at


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_drift_stays_within_the_bound(dtype):
    """In float64 the usual drift is a thousandth of it: roundings go up and down."""
    of_G, of_p, bound_of_G, bound_of_p = drift(dtype, 1_000_000, seed=1)
    assert (of_G <= bound_of_G).all()
    assert (of_p <= bound_of_p).all()
    assert of_G.max() > 0
    assert of_G.max() < bound_of_G / 100


def test_an_accumulator_in_float32_stops_where_the_guide_says():
    """A square is lost once it is less than half of the last digit of their sum: after 2**24 that are equal."""
    assert stalls_at((1 << 24) + 1000) == (2.0**24, 1 / 4096)
