"""Sums over all parameters, whose bits depend on the order of the numbers alone."""

import functools
import operator

import numpy as np

from fastadagrad.engine.comm import ALONE, in_order, totals

NUMBERS = np.random.default_rng(6).standard_normal(1000) * 2.0 ** np.arange(1000)[::-1]


def test_numbers_are_added_one_after_the_other():
    expected = functools.reduce(operator.add, NUMBERS.tolist(), 0.0)
    assert in_order(NUMBERS) == expected
    assert ALONE.whole_sums([NUMBERS, NUMBERS[:1], NUMBERS[:0], np.array([-0.0])]) == [expected, NUMBERS[0], 0.0, 0.0]
    assert str(in_order(np.array([-0.0]))) == "0.0"


def test_totals():
    assert totals([], 2) == [0.0, 0.0]
    parts = NUMBERS.reshape(-1, 2).tolist()
    assert totals(parts, 2) == [in_order(NUMBERS[::2]), in_order(NUMBERS[1::2])]


def test_one_process_agrees_with_itself():
    assert ALONE.agreed(lambda: True)
    assert not ALONE.agreed(lambda: False)
