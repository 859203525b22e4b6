"""Exponentials and logarithms against more digits of them, and against the same functions in Python."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from power_cases import NAMES, by_cpu, numbers

from fastadagrad.kernels import powers


def exact(name, x):
    """The value of a function to 40 digits or more; for a tiny number it is formed by the first terms of the series."""
    if name in ("expm1", "log1p") and abs(x) < Decimal("1e-12"):
        sign = 1 if name == "expm1" else -1
        return x + sign * x * x / 2 + x**3 / (6 if name == "expm1" else 3)
    return {
        "exp": lambda: x.exp(),
        "expm1": lambda: x.exp() - 1,
        "log": lambda: x.ln(),
        "log1p": lambda: (1 + x).ln(),
    }[name]()


def taken(name, x):
    """The numbers for which the function is finite."""
    with np.errstate(all="ignore"):
        near = getattr(np, name)(x)
    return x[np.isfinite(near)]


@pytest.mark.parametrize("name", NAMES)
def test_within_a_unit_in_the_last_place(name):
    x = taken(name, numbers(name))
    results = by_cpu(name, x)
    with localcontext() as context:
        context.prec = 60
        for number, result in zip(x, results, strict=True):
            expected = exact(name, Decimal(float(number)))
            unit = Decimal(float(np.spacing(abs(float(expected)))))
            assert abs(Decimal(float(result)) - expected) <= unit, (name, number)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_in_python(name):
    x = numbers(name)
    with np.errstate(all="ignore"):
        plain = np.array([getattr(powers, name)(number) for number in x])
    np.testing.assert_array_equal(by_cpu(name, x), plain)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_number_or_infinite(name):
    x = numbers(name)
    rest = x[~np.isin(x, taken(name, x))]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(by_cpu(name, rest), getattr(np, name)(rest))


def test_signs_of_zero():
    zeros = np.array([0.0, -0.0])
    for name in ("expm1", "log1p"):
        assert np.signbit(by_cpu(name, zeros)).tolist() == [False, True]
