"""Conversions between types, and what is refused of them."""

import math
from fractions import Fraction
from functools import partial

import pytest
from ptx import Fault

from .exact import FLOAT, INT, floats, integers, number_of, rounded, special, whole, width
from .running import Case, computed

INT8 = ("s8", "u8", *INT)
WIDER = "b64"  # registers may be wider than what is in them


def cases():
    yield from between_integers()
    yield from from_integers()
    yield from to_integers()
    yield from to_whole_floats()
    yield from between_floats()


def extended(number, kind, register):
    """The bits of a register that holds a number of this type: it keeps its sign."""
    return whole(number_of(whole(number, kind), kind), register)


def from_wide(function, kind):
    """Of a wider register the lowest bits alone count."""
    return lambda bits: function(number_of(whole(bits, kind), kind))


def between_integers():
    for source in INT8:
        rows = [(bits,) for bits in integers(source)]
        wide_rows = [(bits,) for bits in integers(WIDER)]
        for to in INT8:
            name, narrow = f"cvt.{to}.{source}", f"b{max(16, width(to))}"
            for target, register, given in ((narrow, source, rows), (WIDER, WIDER, wide_rows)):
                result = from_wide(partial(extended, kind=to, register=target), source)
                yield name, Case(f"{name} %d, %a;", {"d": target}, {"a": register}, result, given).check


def from_integers():
    for to in FLOAT:
        digits = 24 if to == "f32" else 53
        for source in INT8:
            name = f"cvt.rn.{to}.{source}"
            numbers = {abs(number_of(bits, source)) for bits in integers(source)}
            numbers |= {
                sum(2**i for i in (n, max(n - digits, 0), k)) for n in range(width(source)) for k in (0, 1, n // 2)
            }
            near = [(whole(sign * number, source),) for number in sorted(numbers) for sign in (1, -1)]
            result = partial(integer_rounded, kind=to)
            yield name, Case(f"{name} %d, %a;", {"d": to}, {"a": source}, result, near).check
            yield name, Case(f"{name} %d, %a;", {"d": to}, {"a": WIDER}, from_wide(result, source)).check


def integer_rounded(number, kind):
    return rounded(Fraction(number) or 0.0, kind)


# Floats made whole


def to_nearest(number):
    """The nearest integer; the even one of two that are as near."""
    below = math.floor(number)
    over = 2 * (number - below)
    return below + (over > 1 or (over == 1 and below % 2))


WHOLE = {"rni": to_nearest, "rzi": math.trunc, "rmi": math.floor, "rpi": math.ceil}


def at_bounds(kind):
    """Floats, and those around each power of two that bounds integers, with halves where there are any."""
    bounds = [rounded(Fraction(2) ** n, kind) for n in (7, 8, 15, 16, 31, 32, 63, 64)]
    halves = [rounded(Fraction(2**n * 2 + odd, 2), kind) for n in (7, 8, 15, 16) for odd in (-3, -1, 1, 3)]
    near = [bits + step for bits in bounds for step in (-2, -1, 0, 1, 2)]
    return floats(kind) + [bits | sign for bits in near + halves for sign in (0, 1 << width(kind) - 1)]


def to_integers():
    for how, function in WHOLE.items():
        for source in FLOAT:
            for to in INT:
                fits, others = [], []
                for bits in at_bounds(source):
                    (fits if in_range(number_of(bits, source), function, to) else others).append((bits,))
                name = f"cvt.{how}.{to}.{source}"
                for target in (to, WIDER):
                    result = partial(made_whole, function=function, kind=to, register=target)
                    yield name, Case(f"{name} %d, %a;", {"d": target}, {"a": source}, result, fits).check
                yield name, partial(require_refusals, name, to, source, others[:: len(others) // 6])


def in_range(number, function, kind):
    if isinstance(number, float) and number:
        return False
    lowest = -(2 ** (width(kind) - 1)) if kind[0] == "s" else 0
    return lowest <= function(number) < lowest + 2 ** width(kind)


def made_whole(number, function, kind, register):
    return extended(function(number), kind, register)


def require_refusals(name, to, source, rows):
    for row in rows:
        with pytest.raises(Fault, match="conversion of a number that is too large"):
            computed(f"{name} %d, %a;", {"d": to}, {"a": source}, [row])


def to_whole_floats():
    for how, function in WHOLE.items():
        for kind in FLOAT:
            name, result = f"cvt.{how}.{kind}.{kind}", partial(whole_float, function=function, kind=kind)
            rows = [(bits,) for bits in at_bounds(kind)]
            yield name, Case(f"{name} %d, %a;", {"d": kind}, {"a": kind}, result, rows).check


def whole_float(number, function, kind):
    """0 has the sign of what it was made of."""
    if isinstance(number, float):
        return special(number, kind)
    return rounded(Fraction(function(number)) or math.copysign(0.0, number), kind)


# Between floats


def between_floats():
    for to, source in (("f32", "f64"), ("f16", "f32"), ("f16", "f64")):
        yield from between(f"cvt.rn.{to}.{source}", to, source, [(bits,) for bits in around_halves(to, source)])
    for to, source in (("f64", "f32"), ("f32", "f16"), ("f64", "f16")):
        yield from between(f"cvt.{to}.{source}", to, source, [(bits,) for bits in floats(source, drawn=200)])


def between(name, to, source, rows):
    result = partial(rounded, kind=to)
    yield name, Case(f"{name} %d, %a;", {"d": to}, {"a": source}, result, rows, constants=source != "f16").check


def around_halves(to, source):
    """Floats, and what lies between two of the smaller type and next to it."""
    found = floats(source)
    for bits in floats(to, drawn=100):
        number = number_of(bits, to)
        if isinstance(number, Fraction):
            half = rounded((number + following(bits, to)) / 2, source)
            found += [half - 1, half, half + 1]
    return found


def following(bits, kind):
    """The next number away from 0: behind the largest, the one that there would be if exponents went on."""
    number = number_of(bits + 1, kind)
    return number if isinstance(number, Fraction) else 2 * number_of(bits, kind) - number_of(bits - 1, kind)
