"""Arithmetic and logic: rows of the table whose threads compute numbers each for itself."""

import itertools
import math
import operator
from fractions import Fraction
from functools import partial

from .exact import (
    BITS,
    FLOAT,
    INT,
    PRECISION,
    SIGNED,
    UNSIGNED,
    added,
    divided,
    integers,
    multiplied,
    number_of,
    root,
    rounded,
    rows_of,
    whole,
    width,
)
from .running import Case


def of(name, to, *kinds, result, rows=None, more="", **how):
    """A case of an instruction from registers `%a`, `%b`, `%c` to `%d`, and what else its operands are."""
    sources = dict(zip("abc", kinds, strict=False))
    text = f"{name} {', '.join(f'%{each}' for each in ('d', *sources))}{more};"
    return name, Case(text, {"d": to}, sources, result, rows, **how).check


def modulo(function, kind):
    return lambda *numbers: whole(function(*numbers), kind)


def nearest(function, kind):
    return lambda *numbers: rounded(function(*numbers), kind)


def cases():
    yield from of_integers()
    yield from of_bits()
    yield from of_fields()
    yield from of_floats()
    yield from comparisons()
    yield from choices()


# Integers


def truncated(a, b):
    """The quotient without what is behind the point."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


OF_INTEGERS = {
    "add": operator.add,
    "sub": operator.sub,
    "mul.lo": operator.mul,
    "min": lambda a, b: b if b < a else a,
    "max": lambda a, b: b if b > a else a,
}
DIVISIONS = {"div": truncated, "rem": lambda a, b: a - truncated(a, b) * b}


def of_integers():
    for kind in INT:
        for name, function in OF_INTEGERS.items():
            yield of(f"{name}.{kind}", kind, kind, kind, result=modulo(function, kind))
        for name, function in DIVISIONS.items():
            rows = [(a, b) for a, b in rows_of(kind, kind) if b]
            yield of(f"{name}.{kind}", kind, kind, kind, result=modulo(function, kind), rows=rows)
        yield of(f"mad.lo.{kind}", kind, kind, kind, kind, result=modulo(lambda a, b, c: a * b + c, kind))
    for kind in ("s16", "u16", "s32", "u32"):
        wide = f"{kind[0]}{2 * width(kind)}"
        yield of(f"mul.wide.{kind}", wide, kind, kind, result=modulo(operator.mul, wide))
        yield of(f"mad.wide.{kind}", wide, kind, kind, wide, result=modulo(lambda a, b, c: a * b + c, wide))
    for kind in ("s32", "u32"):
        yield of(f"mul.hi.{kind}", kind, kind, kind, result=modulo(lambda a, b: a * b >> 32, kind))
    for kind in SIGNED:
        yield of(f"neg.{kind}", kind, kind, result=modulo(operator.neg, kind))
        yield of(f"abs.{kind}", kind, kind, result=modulo(abs, kind))


# Bits

LOGIC = {"and": operator.and_, "or": operator.or_, "xor": operator.xor}
AMOUNTS = [0, 1, 2, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 2**16, 2**31, 2**32 - 32, 2**32 - 1]


def of_bits():
    for kind in ("pred", *BITS):
        for name, function in LOGIC.items():
            yield of(f"{name}.{kind}", kind, kind, kind, result=function)
    yield of("not.pred", "pred", "pred", result=lambda a: 1 - a)
    for kind in BITS:
        yield of(f"not.{kind}", kind, kind, result=modulo(lambda a: -1 - a, kind))
    for kind in (*BITS, *INT):
        rows = list(itertools.product(integers(kind), AMOUNTS))
        yield of(f"shr.{kind}", kind, kind, "u32", result=modulo(shifted_right, kind), rows=rows)
        if kind in BITS:
            yield of(f"shl.{kind}", kind, kind, "u32", result=modulo(shifted_left, kind), rows=rows)
    for kind in ("b32", "b64"):
        yield of(f"popc.{kind}", "u32", kind, result=lambda a: format(a, "b").count("1"))


def shifted_right(a, amount):
    """Of a negative number all bits are 1 that come in from above, so that -1 is what is left at last."""
    return a // 2 ** min(amount, 64)


def shifted_left(a, amount):
    return a * 2 ** min(amount, 64)


def of_fields():
    """By the loops over bits with which the manual defines them."""
    for bits in (32, 64):
        for first, count in ((0, bits), (0, 1), (bits - 1, 1), (3, 4), (5, bits - 5), (7, 0), (bits, 0), (0, 0)):
            field = range(first, min(first + count, bits))
            more = f", {first}, {count}"
            yield of(f"bfe.u{bits}", f"u{bits}", f"u{bits}", result=taken_from(field), more=more)
            yield of(f"bfi.b{bits}", f"b{bits}", f"b{bits}", f"b{bits}", result=put_into(field), more=more)


def taken_from(field):
    return lambda a: sum((a >> place & 1) << i for i, place in enumerate(field))


def put_into(field):
    def result(a, b):
        for i, place in enumerate(field):
            b = b & ~(1 << place) | (a >> i & 1) << place
        return b

    return result


# Floats

OF_FLOATS = {"add": added, "sub": lambda a, b: added(a, -b), "mul": multiplied, "div": divided}


def of_floats():
    for kind in FLOAT:
        for name, function in OF_FLOATS.items():
            yield of(f"{name}.rn.{kind}", kind, kind, kind, result=nearest(function, kind))
        fused = nearest(lambda a, b, c: added(multiplied(a, b), c), kind)
        yield of(f"fma.rn.{kind}", kind, kind, kind, kind, result=fused)
        yield of(f"fma.rn.{kind}", kind, kind, kind, kind, result=fused, rows=cancelling(kind))
        of_signs = list(itertools.product(specials(kind), repeat=3))
        yield of(f"fma.rn.{kind}", kind, kind, kind, kind, result=fused, rows=of_signs)
        yield of(f"sqrt.rn.{kind}", kind, kind, result=nearest(root, kind))
        yield of(f"neg.{kind}", kind, kind, result=nearest(operator.neg, kind))
        yield of(f"abs.{kind}", kind, kind, result=nearest(abs, kind))
        for name, function in {"min": smaller, "max": larger}.items():
            case = partial(of, f"{name}.{kind}", kind, kind, kind, result=nearest(function, kind))
            yield case()
            for row in itertools.product(specials(kind), repeat=2):  # NumPy has other code for few numbers
                yield case(rows=[row], constants=False)
        yield of(f"copysign.{kind}", kind, kind, kind, result=with_sign_of_first(kind), of_bits=True)


def specials(kind):
    """0, 1, infinity, NaN, and NaN that signals, each with both signs."""
    one, infinite = (rounded(number, kind) for number in (Fraction(1), math.inf))
    quiet = 1 << PRECISION[kind][0] - 2
    return [
        bits | sign for bits in (0, one, infinite, infinite | quiet, infinite + 1) for sign in (0, 1 << width(kind) - 1)
    ]


def cancelling(kind):
    """Products with their own roundings, or half a unit of these, taken off: what is left was never rounded before."""
    draw = rows_of(kind, kind, kind, limit=1000)
    products = [(a, b, multiplied(number_of(a, kind), number_of(b, kind))) for a, b, _ in draw]
    taken = [(a, b, rounded(-product, kind)) for a, b, product in products]
    return [(a, b, c ^ last) for a, b, c in taken if c is not None for last in (0, 1)]


def smaller(a, b):
    """The other number where one is NaN; -0 is smaller than 0."""
    if a != a or b != b:
        return b if a != a else a
    if a == b == 0:
        return a if str(a) == "-0.0" else b
    return a if a < b else b


def larger(a, b):
    return -smaller(-a, -b)


def with_sign_of_first(kind):
    sign = 1 << width(kind) - 1
    return lambda a, b: None if number_of(b, kind) != number_of(b, kind) else a & sign | b & sign - 1


# Comparisons and choices

COMPARISONS = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
OF_UNSIGNED = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}


def comparisons():
    for name, function in COMPARISONS.items():
        for kind in (*INT, *(BITS if name in ("eq", "ne") else ())):
            yield of(f"setp.{name}.{kind}", "pred", kind, kind, result=function)
        for kind in FLOAT:
            yield of(f"setp.{name}.{kind}", "pred", kind, kind, result=of_numbers(function, with_nan=False))
            yield of(f"setp.{name}u.{kind}", "pred", kind, kind, result=of_numbers(function, with_nan=True))
    for name, same in OF_UNSIGNED.items():
        for kind in UNSIGNED:
            yield of(f"setp.{name}.{kind}", "pred", kind, kind, result=COMPARISONS[same])
    for kind in FLOAT:
        yield of(f"setp.num.{kind}", "pred", kind, kind, result=lambda a, b: a == a and b == b)
        yield of(f"setp.nan.{kind}", "pred", kind, kind, result=lambda a, b: a != a or b != b)


def of_numbers(function, with_nan):
    """The comparison of numbers, and what it is where one is NaN."""
    return lambda a, b: with_nan if a != a or b != b else function(a, b)


def choices():
    """The bits, even of NaN, are those of an operand."""
    for kind in (*BITS, *INT, *FLOAT):
        result = {"result": lambda a, b, p: a if p else b, "of_bits": True}
        yield of(f"selp.{kind}", kind, kind, kind, "pred", **result)
    for kind in ("pred", *BITS, *INT, *FLOAT):
        yield of(f"mov.{kind}", kind, kind, result=lambda a: a, of_bits=True)
    for whole_bits, parts in ((32, 2), (64, 2), (64, 4)):
        yield from halves(f"mov.b{whole_bits}", whole_bits, parts)


def halves(name, bits, count):
    """Registers put together, the first at the lowest bits, and one taken apart."""
    part = bits // count
    parts = {f"h{i}": f"b{part}" for i in range(count)}
    names = ", ".join(f"%{each}" for each in parts)
    ones = 2**part - 1
    joined = lambda *values: sum(value << part * i for i, value in enumerate(values))  # noqa: E731
    yield name, Case(f"{name} %d, {{{names}}};", {"d": f"b{bits}"}, parts, joined, constants=False).check
    split = lambda a: tuple(a >> part * i & ones for i in range(count))  # noqa: E731
    yield name, Case(f"{name} {{{names}}}, %a;", parts, {"a": f"b{bits}"}, split, constants=False).check
