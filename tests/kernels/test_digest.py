"""Digests of functions: equal in every process, different where the results could differ."""

import enum
import math
import threading
import types as python_types
from collections import namedtuple

import numpy as np
import pytest
from numba import extending, njit, types
from processes import run

from fastadagrad.kernels.digest import Undescribable, digest_of
from fastadagrad.kernels.jit import compiled, jitable, parallel
from fastadagrad.kernels.rules import adagrad, adam


def plus(n):
    def add(x):
        return x + n

    return add


def function(text, **names):
    """The function that a text defines, with these globals."""
    names["__name__"] = "somewhere"
    exec(text, names)
    return names["f"]


def test_the_same_function_made_twice():
    assert digest_of(plus(1)) == digest_of(plus(1))


def test_where_a_function_stands_does_not_matter():
    assert digest_of(function("def f(x):\n return x + 1")) == digest_of(function("\n\n\ndef f(x):\n return x + 1"))


class Colour(enum.Enum):
    RED = 1


Point, Pixel = namedtuple("Point", "x y"), namedtuple("Point", "x z")
VALUES = [1, True, 1.0, 0.0, -0.0, 1j, "1", b"1", None, ..., (1,), [1], (1, 2), {1}, {1: 2}, {2: 1}, range(3), slice(3)]
VALUES += [np.float32(1), np.float64(1), np.dtype("f4"), np.arange(3), np.arange(3.0), np.float32, np.sqrt, np.exp]
VALUES += [
    math,
    math.sqrt,
    Colour.RED,
    Colour,
    Point,
    Pixel,
    jitable(plus(1)),
    jitable(plus(2)),
    compiled(plus(1)),
    compiled(plus(2)),
]
VALUES += [parallel(plus(1)), types.float32, types.float64, types.Array(types.float32, 1, "C")]
VALUES += [types.Array(types.float32, 1, "C", readonly=True), types.NamedUniTuple(types.float32, 2, Point)]
VALUES += [types.NamedUniTuple(types.float32, 2, Pixel), types.literal(1), types.literal(2)]


def test_every_value_of_a_closure_counts():
    found = [digest_of(plus(value)) for value in VALUES]
    assert len({*found}) == len(VALUES)
    assert found == [digest_of(plus(value)) for value in VALUES]


TEXTS = [
    "def f(x): return x + 1",
    "def f(x): return x - 1",
    "def f(x): return x + 2",
    "def f(x): return x + 1.0",
    "def f(y, x): return x + 1",
    "def f(x, y=1): return x + 1",
    "def f(x, y=2): return x + 1",
    "def f(x, *, y=2): return x + 1",
    "def f(x): return (lambda: x + 1)()",
    "def f(x): return (lambda: x + 2)()",
    "def f(x): return A + x",
    "def f(x): return B + x",
    "def f(x): return m.A + x",
    "def f(x): return g(x)",
    "def f(x):\n try: return x + 1\n except ValueError: return x",
    "def f(x):\n try: return x + 1\n except KeyError: return x",
]


def test_code_and_defaults_count():
    module = python_types.ModuleType("m")
    module.A = 1
    found = {digest_of(function(text, A=1, B=1, m=module, g=jitable(plus(1)))) for text in TEXTS}
    assert len(found) == len(TEXTS)


def test_a_function_that_is_changed():
    """As by a notebook, in which it goes by another constant later."""
    changed = function("def f(x, y=1): return A + x + y", A=1)
    found = [digest_of(changed)]
    changed.__globals__["A"] = 2
    found.append(digest_of(changed))
    changed.__defaults__ = (2,)
    found.append(digest_of(changed))
    assert len({*found}) == 3


def test_a_piece_keeps_the_digest_of_what_it_was_made_of():
    made = function("def f(x): return A + x", A=1)
    digest, piece = digest_of(made), jitable(made)
    made.__globals__["A"] = 2
    assert digest_of(piece) == digest != digest_of(made)
    assert jitable(piece) is piece
    assert jitable(made) is not piece


def test_globals_count_where_they_are_named():
    text = "def f(x): return A + x"
    assert digest_of(function(text, A=1, B=1)) == digest_of(function(text, A=1, B=2))
    assert digest_of(function(text, A=1)) != digest_of(function(text, A=2))
    nested = "def f(x): return (lambda y: A + y)(x)"
    assert digest_of(function(nested, A=1)) != digest_of(function(nested, A=2))
    called = "def f(x): return g(x)"
    assert digest_of(function(called, g=jitable(plus(1)))) != digest_of(function(called, g=jitable(plus(2))))


def test_an_attribute_of_a_module_counts():
    digests = set()
    for value in (1, 2):
        module = python_types.ModuleType("constants")
        module.A = value
        digests.add(digest_of(function("def f(x): return m.A + x", m=module)))
    assert len(digests) == 2


def test_an_attribute_of_a_class_counts():
    text = "def f(x): return Constants.A + x"
    digests = [digest_of(function(text, Constants=type("Constants", (), {"A": value}))) for value in (1, 2, 1)]
    assert digests[0] == digests[2] != digests[1]


def nested_module(value):
    outer, inner = python_types.ModuleType("outer"), python_types.ModuleType("outer.constants")
    outer.constants, inner.A = inner, value
    inner.outer = outer  # as modules lead back to one another
    return outer


def test_a_module_in_a_module_and_in_a_closure():
    text = "def f(x): return m.constants.A + x"
    assert digest_of(function(text, m=nested_module(1))) == digest_of(function(text, m=nested_module(1)))
    assert digest_of(function(text, m=nested_module(1))) != digest_of(function(text, m=nested_module(2)))

    def make(m):
        return lambda x: m.constants.A + x

    assert digest_of(make(nested_module(1))) != digest_of(make(nested_module(2)))


def test_a_function_that_calls_itself():
    text = "def f(x): return f(x) + A"
    assert digest_of(function(text, A=1)) == digest_of(function(text, A=1)) != digest_of(function(text, A=2))


@extending.overload(plus)
def _compiled_plus(n):
    return lambda n: n


@pytest.mark.parametrize("called", [plus(1), njit(plus(1)), extending.register_jitable(plus(1)), plus])
def test_what_somebody_else_has_compiled(called):
    """Nobody can tell when, with which options and for which globals."""
    with pytest.raises(Undescribable):
        digest_of(function("def f(x): return g(x)", g=called))


def test_rules():
    assert digest_of(adagrad.accumulate) != digest_of(adam.accumulate)


@pytest.mark.parametrize("value", [object(), threading.Lock(), np.array([None]), "".join])
def test_what_nobody_can_describe(value):
    with pytest.raises(Undescribable):
        digest_of(plus(value))


def test_a_name_without_a_value():
    def early():
        return late

    with pytest.raises(Undescribable, match="early"):
        digest_of(early)
    late = 1
    assert digest_of(early)


PROCESS = """
import numpy as np
from fastadagrad.kernels.digest import digest_of
def make(n, s):
    return lambda x: x in s and n
print(digest_of(make(1.5, frozenset(["a", "b", "c", "d"]))), digest_of(make(np.float32(2), {"e", "f", "g"})))
"""


def test_another_process_finds_the_same():
    found = {run(PROCESS).stdout for _ in range(3)}
    assert len(found) == 1
    assert len(found.pop().split()) == 2
