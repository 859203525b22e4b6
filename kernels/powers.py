"""Exponentials and logarithms in float64 that are made of sums, products and quotients alone.

They give the same bits wherever sums, products and quotients are rounded as IEEE 754 says: on every processor, with
every C library, and on GPUs. Each is within one unit in the last place of the exact value. With a whole number k and a
small remainder,

    exp(x)   = 2^k * exp(r)              x = k*log(2) + r,     |r| <= log(2)/2
    log(x)   = k*log(2) + log(1 + f)     x = 2^k * (1 + f),    sqrt(1/2) <= 1 + f <= sqrt(2)

and the two functions of remainders are the first terms of their power series: of exp(r) in r, of log(1 + f) in
s = f/(2 + f), as log(1 + f) = 2*artanh(s). Neighbouring terms are added in pairs, so that a processor need not wait for
one before it begins the next. What is lost in rounding the larger sums is added in the end.
"""

from __future__ import annotations

import numpy as np

from .jit import jitable

_PER_LOG2 = float.fromhex("0x1.71547652b82fep+0")  # 1 / log(2)
# log(2) in two parts: the upper one has so few bits that its product with a whole number k is exact.
_LOG2_UPPER, _LOG2_LOWER = float.fromhex("0x1.62e42fee00000p-1"), float.fromhex("0x1.a39ef35793c76p-33")
_ROUNDING = 1.5 * 2.0**52  # added to a number, it leaves a whole one in the last bits
_ROUNDING_BITS = np.float64(_ROUNDING).view(np.int64)
_LARGEST, _SMALLEST = 709.782712893384, -745.1332191019412  # beyond them exp is infinite, or 0
_LEAST = -37.5  # below it, expm1 is -1
_NEGLIGIBLE = np.int64(60)  # beside 1, 2^-k is nothing for larger k
_TINY = 2.0**-54  # of smaller numbers, expm1 and log1p are these numbers

_ONE, _FRACTION_BITS, _BIAS = np.int64(1), np.int64(52), np.int64(1023)
_SQRT_HALF = np.float64(0.5**0.5).view(np.int64)
_NORMAL, _SCALE, _SCALE_BITS = 2.0**-1022, 2.0**54, np.int64(54)  # the scale makes normal numbers of others


@jitable
def _power_of_two(k):
    """2^k for a whole number k from -1022 to 1023."""
    return np.int64((k + _BIAS) << _FRACTION_BITS).view(np.float64)


@jitable
def _divided(x):
    """Compute k and, as a sum of two numbers, exp(r) - 1; the second is at most half of the first."""
    rounded = np.float64(x * _PER_LOG2 + _ROUNDING)
    k = rounded - _ROUNDING
    upper, lower = x - k * _LOG2_UPPER, k * _LOG2_LOWER
    r = upper - lower
    r2 = r * r
    r4 = r2 * r2
    first = (1 / 6 + 1 / 24 * r) + (1 / 120 + 1 / 720 * r) * r2
    second = (1 / 5040 + 1 / 40320 * r) + (1 / 362880 + 1 / 3628800 * r) * r2
    third = (1 / 39916800 + 1 / 479001600 * r) + (1 / 6227020800 + 1 / 87178291200 * r) * r2
    lost = (upper - r) - lower
    rest = 0.5 * r2 + (r2 * r * (first + (second + third * r4) * r4) + lost * (1.0 + r))
    return rounded.view(np.int64) - _ROUNDING_BITS, r, rest


@jitable
def _scaled(k, first, larger, smaller):
    """2^k * (first + larger + smaller), where `first` is 0 or the largest."""
    total = first + larger
    rest = ((first - total) + larger) + smaller
    half = k >> _ONE  # both steps are by a power of two that there is
    return (total + rest) * _power_of_two(half) * _power_of_two(k - half)


@jitable
def exp(x):
    """e^x."""
    if x > _LARGEST:
        return np.inf
    if x < _SMALLEST:
        return 0.0
    k, r, rest = _divided(x)
    return _scaled(k, 1.0, r, rest)


@jitable
def expm1(x):
    """e^x - 1, without loss where x is small."""
    if x > _LARGEST:
        return np.inf
    if x < _LEAST:
        return -1.0
    if abs(x) < _TINY:
        return x
    k, r, rest = _divided(x)
    small = _power_of_two(-min(k, _NEGLIGIBLE))
    first = 1.0 - small
    return _scaled(k, first, r, rest + ((1.0 - first) - small))


@jitable
def _sum_of_logarithms(bits, k, smaller):
    """log(x) + k*log(2) + smaller, for a normal number x above 0 that is given by its bits."""
    more = (bits - _SQRT_HALF) >> _FRACTION_BITS
    f = np.int64(bits - (more << _FRACTION_BITS)).view(np.float64) - 1.0
    k = np.float64(k + more)
    s = f / (2.0 + f)
    z = s * s
    z2 = z * z
    z4 = z2 * z2
    first = (2 / 3 + 2 / 5 * z) + (2 / 7 + 2 / 9 * z) * z2
    second = (2 / 11 + 2 / 13 * z) + (2 / 15 + 2 / 17 * z) * z2
    series = z * (first + (second + (2 / 19 + 2 / 21 * z) * z4) * z4)
    upper = k * _LOG2_UPPER
    total = upper + f
    rest = ((upper - total) + f) + ((smaller + k * _LOG2_LOWER) - s * (f - series))
    return total + rest


@jitable
def log(x):
    """The natural logarithm of x."""
    if not 0.0 < x < np.inf:
        return x if x > 0.0 else (-np.inf if x == 0.0 else np.nan)
    if x < _NORMAL:
        return _sum_of_logarithms(np.float64(x * _SCALE).view(np.int64), -_SCALE_BITS, 0.0)
    return _sum_of_logarithms(np.float64(x).view(np.int64), np.int64(0), 0.0)


@jitable
def log1p(x):
    """log(1 + x), without loss where x is small."""
    if not -1.0 < x < np.inf:
        return x if x > -1.0 else (-np.inf if x == -1.0 else np.nan)
    if abs(x) < _TINY:
        return x
    total = np.float64(1.0 + x)
    part = total - 1.0
    lost = (1.0 - (total - part)) + (x - part)
    return _sum_of_logarithms(total.view(np.int64), np.int64(0), lost / total)
