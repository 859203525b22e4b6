import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastadagrad.support.stopping import Patience


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
    counted, last, expected = None, 0, None
    for i, loss in enumerate(losses, 1):
        if counted is None or counted - loss > abs(counted) * min_improvement:
            counted, last = loss, i
        if i - last == patience + 1:
            expected = i
            break
    assert stops_at(losses, patience, min_improvement) == expected


@settings(derandomize=True, deadline=None)
@given(st.lists(st.floats(-10, 10) | st.just(math.nan), max_size=30), st.sampled_from([0.0, 0.1, 1.0, 1e9]))
def test_the_lowest_loss_is_told_whatever_counts(losses, min_improvement):
    stopping, lowest = Patience(3, min_improvement), None
    for loss in losses:
        expected = loss == loss and (lowest is None or loss < lowest)
        lowest = loss if expected else lowest
        assert stopping.update(loss) == expected
        assert stopping.lowest == lowest


def test_state_survives_json():
    stopping = Patience(2)
    for loss in (np.float32(2.0), np.float32(3.0)):
        stopping.update(loss)
    resumed = Patience(2)
    resumed.restore(json.loads(json.dumps(stopping.state())))
    assert (resumed.lowest, resumed.counted, resumed.failures) == (2.0, 2.0, 1)
    assert not resumed.update(2.0)
    assert resumed.update(1.0)


def test_the_lowest_and_the_counted_loss_are_resumed_apart():
    stopping, resumed = Patience(2, 0.5), Patience(2, 0.5)
    for loss in (4.0, 3.0):
        stopping.update(loss)
    resumed.restore(json.loads(json.dumps(stopping.state())))
    assert not resumed.update(3.5)
    assert resumed.update(2.5)
    assert resumed.elapsed
    assert stopping.update(1.5)
    assert stopping.failures == 0


def test_a_state_from_before_the_lowest_loss_was_kept_apart():
    resumed = Patience(2)
    resumed.restore({"best": 2.0, "failures": 1})
    assert (resumed.lowest, resumed.failures) == (2.0, 1)
    assert not resumed.update(2.0)
