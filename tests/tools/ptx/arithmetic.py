"""What instructions compute from numbers, as PTX defines it, on arrays of the instruction's type."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from .fault import Fault

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lo": np.less,
    "ls": np.less_equal,
    "hi": np.greater,
    "hs": np.greater_equal,
}
# How floats become whole, by the modifier that rounds.
WHOLE: dict[str, Callable[[Any], Any]] = {"rmi": np.floor, "rpi": np.ceil, "rni": np.rint, "rzi": np.trunc}


def comparison(how: str, kind: np.dtype[Any]) -> Callable[[Any, Any], Any]:
    """The comparison of this name, of numbers of this type: of floats, those that end in u hold of NaN too."""
    if kind.kind != "f":
        return COMPARE[how]
    if how in ("num", "nan"):
        return lambda a, b: (np.isnan(a) | np.isnan(b)) == (how == "nan")
    if how == "ne":  # NumPy's holds of NaN
        return lambda a, b: np.less(a, b) | np.greater(a, b)
    if how in COMPARE:
        return COMPARE[how]
    holds = COMPARE[how.removesuffix("u")]
    return np.not_equal if how == "neu" else lambda a, b: holds(a, b) | np.isnan(a) | np.isnan(b)


def smaller(a: Any, b: Any) -> Any:
    """The other one, if one is NaN; -0 is smaller than 0."""
    if a.dtype.kind != "f":
        return np.minimum(a, b)
    return _first_or_second((a < b) | ((a == b) & np.signbit(a)), a, b)


def larger(a: Any, b: Any) -> Any:
    if a.dtype.kind != "f":
        return np.maximum(a, b)
    return _first_or_second((a > b) | ((a == b) & ~np.signbit(a)), a, b)


def _first_or_second(first: Any, a: Any, b: Any) -> Any:
    """The one chosen or, if one is NaN, the other, for which NumPy's `fmin` gives NaN if it is one that signals."""
    return np.where(np.isnan(a) | (~first & ~np.isnan(b)), b, a)


def _require_divisor(b: Any) -> None:
    if not np.all(b):
        raise Fault("an integer is divided by 0")


def quotient(a: Any, b: Any) -> Any:
    """Of floats, rounded to nearest; of integers, without what is behind the point."""
    if a.dtype.kind == "f":
        return a / b
    _require_divisor(b)
    return (a - np.fmod(a, b)) // b


def remainder(a: Any, b: Any) -> Any:
    _require_divisor(b)
    return np.fmod(a, b)


def shift_left(a: Any, b: Any) -> Any:
    bits = 8 * a.dtype.itemsize
    return np.where(b < bits, a << np.minimum(b, bits - 1).astype(a.dtype), 0)


def shift_right(a: Any, b: Any) -> Any:
    bits = 8 * a.dtype.itemsize
    kept = a >> np.minimum(b, bits - 1).astype(a.dtype)
    return kept if a.dtype.kind == "i" else np.where(b < bits, kept, 0)


def _fused(a: float, b: float, c: float, dtype: Any) -> Any:
    if not (math.isfinite(a) and math.isfinite(b)):
        return a * b + c  # infinite or NaN in any precision
    if not math.isfinite(c):
        return c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if not exact:
        return 0.0 if a and b else a * b + c
    try:
        near = float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf
    if dtype == np.float64 or not math.isfinite(near) or Fraction(near) == exact:
        return near
    # To odd, so that the second rounding goes where one alone would have gone.
    below = near if Fraction(near) < exact else math.nextafter(near, -math.inf)
    even = np.float64(below).view(np.uint64) % 2 == 0
    return math.nextafter(below, math.inf) if even else below


def fused(a: Any, b: Any, c: Any) -> Any:
    """a*b + c rounded once, by exact fractions."""
    dtype = np.result_type(a, b, c)
    each = (_fused(float(x), float(y), float(z), dtype) for x, y, z in np.broadcast(a, b, c))
    shape = np.broadcast(a, b, c).shape
    return np.fromiter(each, np.float64, math.prod(shape)).astype(dtype).reshape(shape)


def _old_and_new(function: np.ufunc) -> Callable[[Any, Any], tuple[Any, Any]]:
    def changed(old: Any, values: Any) -> tuple[Any, Any]:
        results = function.accumulate(np.concatenate([[old], values]), dtype=values.dtype)
        return results[:-1], results[-1]

    return changed


# What atomic operations make of a number and of the operands of several threads, one after the other: what each
# thread finds there, and what is there in the end.
OLD_AND_NEW: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {
    "exch": lambda old, values: (np.concatenate([[old], values[:-1]]), values[-1]),
    "add": _old_and_new(np.add),
    "min": _old_and_new(np.minimum),
    "max": _old_and_new(np.maximum),
    "and": _old_and_new(np.bitwise_and),
    "or": _old_and_new(np.bitwise_or),
    "xor": _old_and_new(np.bitwise_xor),
}

# What takes its operands in the type of the instruction and gives a result in it.
SAME: dict[str, Callable[..., Any]] = {
    "mov": lambda a: a,
    "add": np.add,
    "sub": np.subtract,
    "div": quotient,
    "rem": remainder,
    "fma": fused,
    "sqrt": np.sqrt,
    "neg": np.negative,
    "abs": np.abs,
    "min": smaller,
    "max": larger,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.invert,
    "copysign": lambda a, b: np.copysign(b, a),
}
