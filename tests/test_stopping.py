import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastadagrad.stopping import Patience


def stops_at(losses, patience, min_improvement=0.0):
    """Number of validations after which it stops, or None."""
    stopping = Patience(patience, min_improvement)
    for i, loss in enumerate(losses, 1):
        stopping.update(loss)
        if stopping.elapsed:
            return i
    return None


@pytest.mark.parametrize(
    ("losses", "patience", "min_improvement", "expected"),
    [
        ([1, 1], 0, 0.0, 2),
        ([1, 1, 1], 1, 0.0, 3),
        ([1, 1, 0.9, 0.9, 0.9], 1, 0.0, 5),
        ([3, 2, 1], 0, 0.0, None),
        ([1.0, 0.9], 0, 0.1, 2),  # 0.1 is not more than a tenth of 1
        ([1.0, 0.89], 0, 0.1, None),
        ([-1.0, -1.05], 0, 0.1, 2),
        ([-1.0, -1.2], 0, 0.1, None),
        ([-1.0, -0.5], 0, 0.0, 2),
        ([0.0, -1e-300], 0, 0.5, None),
        ([math.nan, math.nan], 1, 0.0, 2),
        ([math.nan, 5.0, 4.0], 1, 0.0, None),
        ([math.inf, 5.0], 0, 0.5, None),
        ([-math.inf, -5.0], 0, 0.0, 2),
    ],
)
def test_stops_at(losses, patience, min_improvement, expected):
    assert stops_at(losses, patience, min_improvement) == expected


@settings(derandomize=True, deadline=None)
@given(st.lists(st.floats(-10, 10), max_size=30), st.integers(0, 4), st.sampled_from([0.0, 0.1, 1.0]))
def test_agrees_with_the_definition(losses, patience, min_improvement):
    best, last, expected = None, 0, None
    for i, loss in enumerate(losses, 1):
        if best is None or best - loss > abs(best) * min_improvement:
            best, last = loss, i
        if i - last == patience + 1:
            expected = i
            break
    assert stops_at(losses, patience, min_improvement) == expected


def test_state_survives_json():
    stopping = Patience(2)
    for loss in (np.float32(2.0), np.float32(3.0)):
        stopping.update(loss)
    resumed = Patience(2)
    resumed.restore(json.loads(json.dumps(stopping.state())))
    assert (resumed.best, resumed.failures) == (2.0, 1)
    assert not resumed.update(2.0)
    assert resumed.update(1.0)
