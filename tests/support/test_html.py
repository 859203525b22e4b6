"""Tables for notebooks."""

import doctest
import math

import pytest

from fastadagrad.support import html


def test_docstring_examples():
    assert doctest.testmod(html).failed == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((True, "yes"), (False, "no"), (None, ""), (math.nan, ""), (math.inf, "inf"), (1 / 3, "0.333333")),
        *((1234567, "1,234,567"), ("<b>", "<b>"), (1e-30, "1e-30")),
    ],
)
def test_values(value, text):
    assert html.shown(value) == text


def test_a_long_table_lacks_its_middle():
    found = html.table(["n"], [[i] for i in range(1000)])
    assert "980 more" in found
    for kept in (0, 9, 990, 999):
        assert f">{kept}</td>" in found
    for left_out in (10, 989):
        assert f">{left_out}</td>" not in found
    assert "more" not in html.table(["n"], [[i] for i in range(20)])
