"""Numbers of PTX as bits, and exact arithmetic with them: by Python's integers and fractions alone.

A float is kept as a fraction where it is finite and not 0, and as a Python float where it is 0, infinite or NaN: what
these give depends on signs, which fractions of 0 do not have.
"""

import functools
import itertools
import math
import random
import struct
from fractions import Fraction

SIGNED, UNSIGNED = ("s16", "s32", "s64"), ("u16", "u32", "u64")
INT, BITS, FLOAT = (*SIGNED, *UNSIGNED), ("b16", "b32", "b64"), ("f32", "f64")
PRECISION = {"f16": (11, "<e"), "f32": (24, "<f"), "f64": (53, "<d")}  # significant bits, and how `struct` calls it


def width(kind):
    """The bits that memory has for such a number."""
    return 8 if kind == "pred" else int(kind[1:])


def whole(number, kind):
    """The bits of an integer, of which those are lost that the type does not have."""
    return number % 2 ** width(kind)


def special(number, kind):
    """The bits of a Python float that is 0 or infinite, and None for NaN, of which any bits will do."""
    if math.isnan(number):
        return None
    return int.from_bytes(struct.pack(PRECISION[kind][1], number), "little")


@functools.lru_cache(100_000)
def number_of(bits, kind):
    """The number that these bits are."""
    if kind[0] == "f":
        [value] = struct.unpack(PRECISION[kind][1], bits.to_bytes(width(kind) // 8, "little"))
        return Fraction(value) if math.isfinite(value) and value else value
    return bits - 2 ** width(kind) if kind[0] == "s" and bits >> width(kind) - 1 else bits


def is_nan(bits, kind):
    return kind[0] == "f" and bits % 2 ** (width(kind) - 1) > special(math.inf, kind)


def rounded(exact, kind):
    """The bits of the nearest float, and of the even one if two are as near; None for NaN."""
    if isinstance(exact, float):
        return special(exact, kind)
    digits = PRECISION[kind][0]
    smallest = 2 - 2 ** (width(kind) - digits - 1)  # exponent of normal numbers
    size = abs(exact)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if Fraction(2) ** exponent > size:
        exponent -= 1
    exponent = max(exponent, smallest)
    units = size / Fraction(2) ** (exponent - digits + 1)
    count, rest = divmod(units.numerator, units.denominator)
    if 2 * rest > units.denominator or (2 * rest == units.denominator and count % 2):
        count += 1
    bits = (exponent - smallest << digits - 1) + count  # where a carry goes on into the exponent
    return min(bits, special(math.inf, kind)) | (exact < 0) << width(kind) - 1


# Sums, products, quotients and roots, not yet rounded.


def _sign(number):
    return number if isinstance(number, float) else math.copysign(1.0, number)


def added(a, b):
    if isinstance(a, float) and isinstance(b, float):
        return a + b
    if isinstance(a, float) or isinstance(b, float):
        one, finite = (a, b) if isinstance(a, float) else (b, a)
        return one if one else finite
    return a + b or 0.0


def multiplied(a, b):
    return _sign(a) * _sign(b) if isinstance(a, float) or isinstance(b, float) else a * b


def divided(a, b):
    if b == 0:
        return math.nan if a == 0 or a != a else math.copysign(math.inf, _sign(a)) * math.copysign(1, b)
    return _sign(a) / _sign(b) if isinstance(a, float) or isinstance(b, float) else a / b


def root(a):
    """The square root, or a fraction so near it that no float and no half of two floats lies between."""
    if isinstance(a, float) or a < 0:
        return a if a == 0 or a == math.inf else math.nan
    scale = 640  # bits behind the point: the root of the smallest number begins at the 537th
    scaled = (a.numerator << 2 * scale) // a.denominator
    below = math.isqrt(scaled)
    exact = below * below == scaled and (a.numerator << 2 * scale) % a.denominator == 0
    return Fraction(2 * below + (not exact), 2 << scale)


# Operands: those at the edges, and some that are drawn.


def integers(kind, drawn=24):
    """Bits of integers."""
    n, draw = width(kind), random.Random(kind)
    top = 1 << n - 1
    edges = {0, 1, 2, 3, 7, top - 1, top, top + 1, 2 * top - 2, 2 * top - 1}
    edges |= {2 * top // 3, 4 * top // 3, (1 << n // 2) - 1, 1 << n // 2, 2 * top - (1 << n // 2)}
    return [*sorted(edges), *(draw.getrandbits(draw.randint(1, n)) for _ in range(drawn))]


def floats(kind, drawn=24):
    """Bits of floats: of each sign 0, subnormal, near 1, halves of integers, the largest, infinity and NaN."""
    digits = PRECISION[kind][0]
    draw, sign, infinite = random.Random(kind), 1 << width(kind) - 1, special(math.inf, kind)
    normal, one = 1 << digits - 1, rounded(Fraction(1), kind)
    edges = [0, 1, 2, 3, normal - 1, normal, normal + 1, one - 1, one, one + 1, infinite - 1, infinite, infinite + 1]
    edges += [rounded(Fraction(n, 2), kind) for n in (1, 3, 5, 6, 7, 2**digits - 1, 2 ** (digits - 1) + 1)]
    edges += [rounded(Fraction(n), kind) for n in (2 ** (digits - 1), 2**digits)]
    edges += [rounded(Fraction(1, 3), kind), sign - 1]
    near_one = (one + draw.randrange(-normal, normal) * 4 for _ in range(drawn // 2))
    anywhere = (draw.randrange(2 * sign) for _ in range(drawn // 2))
    return [*(bits | negative for bits in edges for negative in (0, sign)), *near_one, *anywhere]


def operands(kind, drawn=24):
    if kind == "pred":
        return [0, 1]
    return floats(kind, drawn) if kind[0] == "f" else integers(kind, drawn)


def rows_of(*kinds, limit=2400, more=400):
    """Rows of operands of these types: those at the edges in all combinations, or so many of these, and drawn ones."""
    draw, edges = random.Random(limit), [operands(kind, drawn=0) for kind in kinds]
    if math.prod(map(len, edges)) <= limit:
        rows = list(itertools.product(*edges))
    else:
        rows = [tuple(map(draw.choice, edges)) for _ in range(limit)]
    columns = [operands(kind) for kind in kinds]
    return rows + [tuple(map(draw.choice, columns)) for _ in range(more)]
