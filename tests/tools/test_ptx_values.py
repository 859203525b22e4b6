"""The interpreter of PTX: what each instruction of its table computes, beside Python's integers and fractions."""

import math
from fractions import Fraction

import ptx
import pytest
from ptx import Fault
from ptx.subset import KNOWN, expand
from ptx_cases import CASES, TOO_WIDE
from ptx_cases.atomics import lead_from
from ptx_cases.exact import PRECISION, floats, number_of, root, rounded, special
from ptx_cases.running import kernel, require


@pytest.mark.parametrize("form", ptx.FORMS, ids=lambda form: form.name)
def test_values(form):
    for name in expand(form.name):
        for check in CASES.get(name, ()):
            check()


def test_no_name_of_the_table_is_without_values():
    assert {*CASES, *TOO_WIDE} == {*KNOWN}
    assert not {*CASES} & {*TOO_WIDE}


def test_vectors_of_more_than_16_bytes_are_refused():
    for name in TOO_WIDE:
        operands = ["{%v, %v, %v, %v}", "[%at_x]"]
        first, second = operands if name.startswith("ld") else operands[::-1]
        with pytest.raises(Fault, match="does not have 4 registers"):
            ptx.load(kernel({"x": 32}, {"v": "b64"}, f"{name} {first}, {second};"))


# What the cases rest on


@pytest.mark.parametrize("kind", PRECISION)
def test_fractions_are_rounded_as_python_rounds_floats(kind):
    """Floats of the type, and what is a quarter, half or three quarters of their last place beyond them."""
    compared = 0
    for bits in floats(kind, drawn=100):
        number = number_of(bits, kind)
        if isinstance(number, Fraction):
            last_place = abs(number - Fraction(number_of(bits ^ 1, kind)))
            for quarters in range(4):
                exact = number + last_place * Fraction(quarters, 4)
                assert rounded(exact, kind) == rounded_by_python(exact, kind)
                compared += 1
    assert compared > 400


def rounded_by_python(exact, kind):
    try:
        return special(exact.numerator / exact.denominator, kind)
    except OverflowError:
        return special(math.inf if exact > 0 else -math.inf, kind)


def test_roots_are_those_of_python():
    for bits in floats("f64", drawn=200):
        number = number_of(bits, "f64")
        if number >= 0:
            assert rounded(root(number), "f64") == special(math.sqrt(number), "f64")


def test_a_wrong_value_is_told():
    sources = {"a": "s32", "b": "s32"}
    with pytest.raises(AssertionError, match=r"add\.s32 %d, %a, %b; with a = 0x2, b = 0x3 gives 0x5, and not 0x6"):
        require("add.s32 %d, %a, %b;", {"d": "s32"}, sources, [(1, 1), (2, 3)], [(2,), (6,)])
    with pytest.raises(AssertionError, match="gives 0x5, and not a NaN"):
        require("add.s32 %d, %a, %b;", {"d": "s32"}, sources, [(2, 3)], [(None,)])


def test_steps_that_no_order_makes_are_told():
    assert lead_from(1, 4, [(2, 3), (1, 2), (3, 4)])
    assert not lead_from(1, 3, [(1, 2), (1, 3)]), "two threads have found the same number"
    assert not lead_from(1, 2, [(1, 2), (5, 6), (6, 5)]), "nothing leads there"
