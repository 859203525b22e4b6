"""Trial compilation of a rule's functions: which of them cannot be compiled first, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import numpy as np
from numba import njit, typeof, types
from numba.core import ir

from .cpu.statistics import make_terms
from .element import make_element
from .jit import OPTIONS, compiled, jitable
from .memory.headers import unpack
from .memory.slots import as_computed, make_slots
from .rules import trait

_PARTS = ("accumulate", "scale", "delta", "place", "measure")
_LONGEST = 300  # characters of the compiler's message that are reported
_NOT_THE_REASON = re.compile(r"Failed in \w+ mode pipeline|During: |There (is|are) \d|File |Enable logging|\[\d+\] ")


def fault_of(rule: Any) -> str | None:
    """Why a rule cannot be compiled: which of its functions is at fault, and the reason; None if it can be compiled.

    None of its functions is run. The compiled code is kept on the disk, as that of kernels is.
    """
    for part in _PARTS:
        function = getattr(rule, part, None)
        if function is not None and not isinstance(function, FunctionType):
            return f"{part} must be a plain function, as the library compiles it itself, not {_kind_of(function)}"
    for real in (np.float32, np.float64):
        for trial, arguments in _trials(rule, real):
            try:
                compiled(trial).compile(tuple(map(typeof, arguments)))
            except Exception as error:  # whatever the compiler raises of a user's function
                return _fault_of_a_part(rule, real) or f"its functions cannot be compiled together: {_reason(error)}"
    return None


def _trials(rule: Any, real: Any) -> Iterator[tuple[Callable[..., None], tuple[Any, ...]]]:
    """Functions to compile, each with arguments of the types that drivers pass.

    The first is an element's step. If the rule measures, the second is an element's part of the sums.
    """
    Scalars, step = rule.Scalars, make_element(rule, "plain", True).step
    slots = make_slots(as_computed(len(rule.slots)))
    load, store = slots.load, slots.store

    def step_one(p, g, slots, scalars):
        p[0], values = step(p[0], g[0], load(slots, 0), unpack(Scalars, scalars))
        store(slots, 0, values)

    one, scalars = np.zeros(1, real), np.zeros(len(Scalars._fields), real)
    arguments = one, one, (one,) * len(rule.slots), scalars
    yield step_one, arguments
    if trait(rule, "measured"):
        terms, store_sums = make_terms(rule), make_slots(as_computed(len(rule.measured))).store

        def measure_one(p, g, slots, scalars, sums):
            store_sums(sums, 0, terms(p[0], g[0], load(slots, 0), unpack(Scalars, scalars)))

        yield measure_one, (*arguments, (np.zeros(1),) * len(rule.measured))


def _fault_of_a_part(rule: Any, real: Any) -> str | None:
    """The fault of the first function that cannot be compiled by itself, or that returns a type that it should not."""
    number, wide = real(), np.float64()
    s = rule.Scalars(*np.zeros(len(rule.Scalars._fields), real))
    own, own_wide = (number,) * len(rule.slots), (wide,) * len(rule.slots)
    slots = f"a tuple of {len(own)} numbers, the slots"
    signatures = {
        "accumulate": ((number, number, number, own, s), slots, _is_row_of(len(own))),
        "scale": ((own, s), "a number", _is_number),
        "delta": ((number, number, own, s), f"a number and {slots}", _is_displacement(len(own))),
        "place": ((number, number, own, s), "a number", _is_number),
    }
    if trait(rule, "measured"):
        count = len(rule.measured)
        arguments = wide, wide, own_wide, wide, wide, s
        signatures["measure"] = arguments, f"a tuple of {count} numbers", _is_row_of(count)
    for part, (arguments, expected, good) in signatures.items():
        function = getattr(rule, part, None)
        if function is None:
            continue
        signature = tuple(map(typeof, arguments))
        called = compiled(_called(function, len(signature)))
        try:
            called.compile(signature)
        except Exception as error:
            error = _fault_of_it_alone(function, signature) or error
            return f"{part} cannot be compiled: {_reason(error)}{_place_of(error, function)}"
        found = called.overloads[signature].signature.return_type
        if not good(found):
            return f"{part} must give {expected}, as compiled it gives {found}{_place_of(None, function)}"
    return None


def _called(function: Any, count: int) -> Callable[..., Any]:
    """A function that calls `function` with `count` arguments, as a step does; further parameters have defaults."""
    f = jitable(function)
    calls = (lambda a, b: f(a, b)), (lambda a, b, c, d: f(a, b, c, d)), (lambda a, b, c, d, e: f(a, b, c, d, e))
    more = (lambda a, b, c, d, e, s: f(a, b, c, d, e, s),)
    return {call.__code__.co_argcount: call for call in (*calls, *more)}[count]


def _fault_of_it_alone(function: Any, signature: tuple[Any, ...]) -> Exception | None:
    """The compiler's error for the function itself, which is more precise than the error for a call of it."""
    try:
        compiled(function).compile(signature)
    except Exception as error:
        return error
    return None


def widening_of(rule: Any) -> str | None:
    """The first line of a rule that computes in float64 where parameters are of float32, in words; None if none does.

    Such a step gives other bits than the formula in float32 and takes longer, and nothing else tells of it.
    """
    number = np.float32()
    s, own = rule.Scalars(*np.zeros(len(rule.Scalars._fields), np.float32)), (number,) * len(rule.slots)
    arguments = {
        "accumulate": (number, number, number, own, s),
        "scale": (own, s),
        "delta": (number, number, own, s),
        "place": (number, number, own, s),
    }
    for part, values in arguments.items():
        function = getattr(rule, part, None)
        line = None if function is None else _first_wide_line(function, tuple(map(typeof, values)))
        if line is not None:
            return f"{part} computes in float64 where parameters are float32 ({function.__code__.co_filename}:{line})"
    return None


def _first_wide_line(function: Any, signature: tuple[Any, ...]) -> int | None:
    """Where a function first makes a float64 of something else, as typed for these arguments."""
    typed = njit(**OPTIONS)(function)
    try:
        typed.compile(signature)
        found = typed.overloads[signature].type_annotation
    except Exception:  # one that is called in another way, with defaults of its own
        return None
    made = [
        each
        for block in found.blocks.values()
        for each in block.body
        if isinstance(each, ir.Assign) and found.typemap[each.target.name] == types.float64
    ]
    computed = [each.loc.line for each in made if isinstance(each.value, ir.Expr)]
    passed_on = [each.loc.line for each in made if isinstance(each.value, ir.Var)]
    return min(computed or passed_on, default=None)


def _is_number(kind: Any) -> bool:
    return isinstance(kind, types.Number | types.Boolean)


def _is_row_of(count: int) -> Callable[[Any], bool]:
    return lambda kind: isinstance(kind, types.BaseTuple) and len(kind) == count and all(map(_is_number, kind))


def _is_displacement(count: int) -> Callable[[Any], bool]:
    def good(kind: Any) -> bool:
        return isinstance(kind, types.BaseTuple) and len(kind) == 2 and _is_number(kind[0]) and is_row(kind[1])

    is_row = _is_row_of(count)
    return good


def _reason(error: Exception) -> str:
    """The compiler's message without the passes and files that it lists."""
    text = re.sub(r"\x1b\[[\d;]*m| at 0x[0-9a-f]+", "", str(error))  # colours and addresses
    said: list[str] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if not _NOT_THE_REASON.match(line):
            said.append(line)
        elif said:
            break
    return " ".join(said)[:_LONGEST] or type(error).__name__


def _place_of(error: Exception | None, function: Any) -> str:
    """Where to look: the line that the compiler names, if it names one of the user's, or the function."""
    at, code = getattr(error, "loc", None), function.__code__
    line = at.line if at is not None and at.filename == code.co_filename else code.co_firstlineno
    return f" ({code.co_filename}:{line})"


def _kind_of(function: Any) -> str:
    """What kind of object stands where a plain function should, and what to do about it."""
    if hasattr(function, "__func__"):
        return "a method of an object: register its class, whose functions have no self"
    if hasattr(function, "py_func"):
        return f"a {type(function).__name__}: give the function without its decorator"
    return f"a {type(function).__name__}"
