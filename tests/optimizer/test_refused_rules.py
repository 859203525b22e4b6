"""Rules that `register` refuses, in words: mistakes, what cannot be compiled, and formulas that break down."""

import functools
from collections import namedtuple
from dataclasses import make_dataclass
from math import log, sqrt

import numba
import numpy as np
import pytest
from averaged import Averaged, changed, registered

import fastadagrad as fa
from fastadagrad.kernels.rules import COMMON
from fastadagrad.optimizer.methods import METHODS

__all__ = ["registered"]


def mistaken(g, H, own, s):
    return s.learning_rat * g, own  # this line is told


def unknown_name(own, s):
    return sqroot(own[0])  # noqa: F821


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"accumulate": lambda p, g, own, s: own},
            r"accumulate fails: TypeError: .*5 were given \(.*refused_rules.py:",
        ),
        (
            {"scale": unknown_name},
            r"scale fails: NameError: name 'sqroot' is not defined \(.*test_refused_rules.py:\d+\)",
        ),
        ({"delta": mistaken}, r"delta fails: AttributeError: .*learning_rat.*\(.*test_refused_rules.py:\d+\)"),
        ({"delta": lambda g, H, own, s: g}, r"delta must give the displacement and the slots, \(d, own\), not"),
        ({"delta": lambda g, H, own, s: (g, own[0])}, "delta must give the slots"),
        ({"delta": lambda g, H, own, s: (own, own)}, "delta must give a number for the displacement"),
        ({"scale": lambda own, s: own}, "scale must give a number, not"),
        ({"scale": lambda own, s: None}, "scale must give a number, not None"),
        ({"accumulate": lambda p, g, square, own, s: own[:1]}, "accumulate must give the slots"),
        ({"slots": "mean"}, r"slots must be a tuple of names, as \('mean',\), not 'mean'"),
        ({"slots": ("a/b", "c")}, "slots must be identifiers of ASCII letters, not 'a/b'"),
        ({"slots": ("größe", "c")}, "slots must be identifiers of ASCII letters, not 'größe'"),
        ({"Scalars": namedtuple("Scalars", (*COMMON, "épsilon", "weight"))}, "Scalars must be identifiers of ASCII"),
        ({"initial": lambda hyper, a: 0.5}, "initial must give a value for each of its slots"),
        ({"initial": lambda hyper, a: ("zero", 0.5)}, "initial must give numbers"),
        ({"scalar_values": lambda hyper, a: (1.0, 2.0)}, "scalar_values fails: TypeError"),
    ],
)
def test_mistakes_are_told_with_the_users_line(change, message):
    with pytest.raises(TypeError, match=f"rule 'refused': {message}"):
        fa.register(changed(**change, name="refused"))
    assert "refused" not in METHODS


class OfItsOwn:
    pass


UNKNOWN_TO_THE_COMPILER = OfItsOwn()


PARTIAL = functools.partial(lambda factor, g, H, own, s: (factor * g, own), 2.0)


def in_case_of_error(g, H, own, s):
    try:
        return g / H, own
    except ValueError:
        return g, own


# Numba refuses the format before Python 3.13, and from there on the opcode that Python has for it.
UNFORMATTED = r"(format spec|Use of unsupported opcode \(FORMAT)"


def by_a_format(own, s):
    return sqrt(own[0]) if f"{own[0]:.3f}" else s.one


def by_an_import(p, g, square, own, s):
    import random  # noqa: F401

    return own


def by_a_generator(g, H, own, s):
    def parts():
        yield g

    return next(parts()), own


def of_a_class(own, s):
    return own[0] if UNKNOWN_TO_THE_COMPILER else s.one


def sometimes_alone(g, H, own, s):
    return (g, own) if g < s.one else g


def sometimes_less(p, g, square, own, s):
    return own if g < s.one else own[:1]


def sometimes_text(own, s):
    return own[0] if own[0] < s.one + s.one else "large"


def by_another_function(own, s):
    return another_function(own[0])


def another_function(x):
    return x


class WithMethods:
    def delta(self, g, H, own, s):
        return g, own


@pytest.mark.parametrize(
    ("part", "function", "reason"),
    [
        ("delta", in_case_of_error, r"cannot be compiled: .*exception_match.* \(.*test_refused_rules.py:\d+\)"),
        ("scale", by_a_format, rf"cannot be compiled: {UNFORMATTED}.*\(.*test_refused_rules.py:\d+\)"),
        ("accumulate", by_an_import, r"cannot be compiled: .*IMPORT_NAME.*\(.*test_refused_rules.py:\d+\)"),
        ("delta", by_a_generator, r"cannot be compiled: .*(yield|generator).*\(.*test_refused_rules.py:\d+\)"),
        ("scale", of_a_class, r"cannot be compiled: .*UNKNOWN_TO_THE_COMPILER.*\(.*test_refused_rules.py:\d+\)"),
        ("scale", by_another_function, r"cannot be compiled: .*another_function.*\(.*test_refused_rules.py:\d+\)"),
        ("delta", sometimes_alone, r"cannot be compiled: Can.* unify .*\(.*test_refused_rules.py:\d+\)"),
        ("accumulate", sometimes_less, r"cannot be compiled: Can.* unify .*\(.*test_refused_rules.py:\d+\)"),
        ("scale", sometimes_text, r"cannot be compiled: Can.* unify .*\(.*test_refused_rules.py:\d+\)"),
        ("delta", PARTIAL, "must be a plain function, as the library compiles it itself, not a partial"),
        ("delta", WithMethods().delta, "must be a plain function.*, not a method of an object: register its class"),
        (
            "scale",
            numba.njit(lambda own, s: own[0]),
            "must be a plain function.*: give the function without its decorator",
        ),
    ],
)
def test_what_cannot_be_compiled_is_refused_in_words(part, function, reason):
    with pytest.raises(TypeError, match=f"^rule 'refused': {part} {reason}"):
        fa.register(changed(**{part: function}, name="refused"))
    assert "refused" not in METHODS


@pytest.mark.parametrize(
    ("part", "function"),
    [
        ("delta", lambda g, H, own, s: 1 / 0),
        ("delta", lambda g, H, own, s: (1 / 0, own)),
        ("delta", lambda g, H, own, s: (g * (1 // 0), own)),
        ("scale", lambda own, s: 1 % 0),
        ("scale", lambda own, s: log(s.one - s.one - s.one)),
        ("accumulate", lambda p, g, square, own, s: (1.0 / sqrt(own[0] - own[0]), own[1])),
        ("initial", lambda hyper, a: (1 / 0, 0.0)),
        ("scalar_values", lambda hyper, a, t: (1 / 0, 0.0)),
    ],
)
def test_what_fails_at_all_numbers_is_refused(part, function):
    kind = "ValueError: .*" if "log" in function.__code__.co_names else "ZeroDivisionError: .* by zero"
    message = rf"^rule 'refused': {part} fails at all numbers that were tried: {kind} \(.*test_refused_rules.py:\d+\)"
    with pytest.raises(TypeError, match=message):
        fa.register(changed(**{part: function}, name="refused"))
    assert "refused" not in METHODS


def with_a_literal(g, H, own, s):
    doubled = s.learning_rate * g
    doubled = 2.0 * doubled  # this line is told
    return doubled / H, own


def root_by_a_power(own, s):
    return own[0] ** 0.5


def zero_by_a_literal(p, g, square, own, s):
    return (own[0] if g > s.zero else 0.0, own[1])


@pytest.mark.parametrize(
    ("part", "function", "line"),
    [("delta", with_a_literal, 2), ("scale", root_by_a_power, 1), ("accumulate", zero_by_a_literal, 1)],
)
def test_a_number_in_the_text_that_widens_float32_is_warned_of_with_its_line(registered, part, function, line):
    line += function.__code__.co_firstlineno
    message = (
        rf"^rule 'family_test': {part} computes in float64 where parameters are float32 "
        rf"\(.*test_refused_rules.py:{line}\); .* let scalar_values give it, as a constant in Scalars"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        fa.register(changed(**{part: function}))
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    ("part", "function"),
    [
        ("delta", lambda g, H, own, s: (g * s.learning_rate if g > 0.0 else s.zero, own)),  # only compared with
        ("delta", lambda g, H, own, s: (g * s.learning_rate / (s.one + s.one), own)),
        ("scale", lambda own, s: sqrt(own[0]) + abs(own[1])),
        ("scale", lambda own, s: own[0] ** 2),
    ],
)
def test_what_stays_float32_is_not_warned_of(registered, part, function):
    fa.register(changed(**{part: function}))  # warnings are errors


def test_numbers_at_which_a_formula_breaks_down_are_no_mistake(registered):
    fa.register(changed(scale=lambda own, s: log(own[1]), rests=True))
    fa.register(changed(scale=lambda own, s: s.one / sqrt(own[1] + s.weight - s.weight)))
    no_weight = make_dataclass("Hyperparameters", [("rms_regularizer", float, 1.0), ("weight", float, 0.0)])
    fa.register(changed(Hyperparameters=no_weight, scale=lambda own, s: log(s.weight)))


def test_arguments_with_defaults_and_any_number_of_them_are_compiled(registered):
    fa.register(changed(delta=lambda g, H, own, s, factor=0.5: (factor * g, own), scale=lambda *both: both[0][0]))
    p = np.ones(3)
    fa.build(registered, params=p).step(np.ones(3))
    assert p.tolist() == [0.5] * 3


def test_a_form_that_cannot_be_compiled_is_refused_when_it_is_asked_for(registered):
    chosen = make_dataclass(
        "Hyperparameters",
        [("rms_regularizer", float, 1e-3), ("weight", float, 0.5), ("odd", bool, False)],
        frozen=True,
        kw_only=True,
    )
    odd = changed(scale=by_a_format)
    fa.register(changed(Hyperparameters=chosen, form=lambda hyper: odd if hyper.odd else Averaged))
    p = np.ones(3)
    opt = fa.build(registered, params=p)
    for ask in (
        lambda: fa.build(registered, params=p, odd=True),
        lambda: fa.build(registered, params=p, odd=True),
        lambda: opt.hyper.update(odd=True),
    ):
        with pytest.raises(TypeError, match=rf"^rule 'family_test': scale cannot be compiled: {UNFORMATTED}"):
            ask()
    opt.step(np.ones(3))
    assert (opt.hyper.odd, bool((p < 1).all())) == (False, True)
