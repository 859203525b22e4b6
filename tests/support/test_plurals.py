"""Numbers of things in words."""

import doctest

from fastadagrad.support import plurals


def test_docstring_examples():
    assert doctest.testmod(plurals).failed == 0
