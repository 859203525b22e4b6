"""Intervals of medians and paired tests, against SciPy and numbers worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("scipy")
from scipy import stats

from fastadagrad.compare.significance import holm, interval, medians, wilcoxon
from fastadagrad.compare.summary import quartiles

INF = math.inf


def test_an_interval_is_that_of_all_samples_drawn_anew():
    """With three seeds all 27 ways to draw can be listed, and the interval of 95 % goes from the first to the last."""
    assert interval([np.array([1.0, 2.0, 9.0])]) == (1.0, 9.0)
    assert interval([np.array([1.0])]) == (None, None)
    assert interval([np.array([0.5, INF, INF, INF, INF, INF, INF])]) == (INF, INF)
    many = np.random.default_rng(1).standard_normal((1, 200))
    low, high = interval(many)
    theirs = stats.bootstrap(many, np.median, method="percentile", rng=2, n_resamples=2000).confidence_interval
    assert (low, high) == pytest.approx(tuple(theirs), abs=0.05)


def test_problems_may_have_different_numbers_of_seeds():
    assert interval([np.array([]), np.array([1.0])]) == (None, None)
    assert interval([np.array([]), np.array([1.0, 2.0, 9.0])]) == (1.0, 9.0)
    low, high = interval([np.array([1.0]), np.array([1.0, 9.0])])
    assert (low, high) == (1.0, 9.0)


@given(st.lists(st.floats(-1e6, 1e6) | st.just(INF), min_size=1, max_size=9))
def test_medians(values):
    assert float(medians(np.array(values))) == pytest.approx(quartiles(values).median, rel=1e-12)


def test_differences_that_are_all_zero():
    assert wilcoxon(np.zeros(8)) == 1.0
    assert wilcoxon(np.zeros(3)) is None
    assert holm([None, 0.5]) == [None, 0.5]
