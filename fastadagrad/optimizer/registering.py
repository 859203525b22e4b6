"""Checks of a user's rule when it is registered, and a trial of its functions on plain numbers."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import is_dataclass
from numbers import Real
from typing import Any

import numpy as np

from ..engine.options import Conduct, Options, Settings, default_options
from ..kernels.memory.storage import Storage
from ..kernels.rules import COMMON, MOST_SLOTS, PARAMETER, form_of, trait

_TAKEN = ("best", "learned", "param", "velocity")
_GRADIENTS = (0.25, -0.5, 0.0)
# Errors that mean a mistake in a function. Others, such as that of the root of a negative number, may be due to the
# numbers that the trial uses.
_MISTAKES = (AttributeError, LookupError, NameError, TypeError)
_OF_NUMBERS = (ArithmeticError, ValueError, RuntimeError)


def check(rule: Any, what: str) -> None:
    """Raise TypeError for a rule of which, with its default hyperparameters, no optimizer can be made."""
    _refuse_missing(what, rule, "Hyperparameters", "Scalars", "scalar_values")
    if not is_dataclass(rule.Hyperparameters) or getattr(rule.Scalars, "_fields", ())[: len(COMMON)] != COMMON:
        raise TypeError(f"{what}: Hyperparameters must be a dataclass, and Scalars begin with the names of COMMON")
    _check_names(what, "Scalars", rule.Scalars._fields)
    hyper: Any = rule.Hyperparameters()  # type: ignore[operator]  # is_dataclass says that it may be no class
    form = form_of(rule, hyper)
    _refuse_missing(what, form, "name", "Scalars", "slots", "initial", "accumulate", "scale")
    if not (hasattr(form, "delta") or hasattr(form, "place")):
        _refuse_missing(what, form, "delta")
    _check_names(what, "name", (form.name,))
    for part in ("slots", "measured", "learned", "starts"):
        _check_names(what, part, getattr(form, part, ()) if part == "slots" else trait(rule, part))
    if len({*form.slots} - {*_TAKEN}) != len(form.slots) or len(form.slots) >= MOST_SLOTS:
        names = ", ".join(map(repr, _TAKEN))
        raise TypeError(f"{what} may have {MOST_SLOTS - 1} slots, all different and none called {names}: {form.slots}")
    if trait(form, "fed") and trait(form, "fed") not in form.slots:
        raise TypeError(f"{what}: fed must name one of its slots {form.slots}, not {trait(form, 'fed')!r}")
    _check_storages(what, form)
    options = {*vars(Options()), *vars(Conduct()), "groups"}
    if options & {*vars(hyper)}:
        raise TypeError(f"{what}: Hyperparameters has {options & {*vars(hyper)}}, which all methods have: rename them")
    for part in ("defaults", "fixed"):
        if {*trait(rule, part)} - {*vars(Options())}:
            raise TypeError(f"{what}: {part} must be of {', '.join(vars(Options()))}, not {trait(rule, part)}")
    _check_measures(rule, form, what)
    _Trial(rule, form, hyper, what).run()
    form.refuse_uncompilable()
    rule.compiles = True


def _refuse_missing(what: str, rule: Any, *parts: str) -> None:
    missing = [part for part in parts if not hasattr(rule, part)]
    if missing:
        raise TypeError(f"{what} lacks {', '.join(missing)}: see fastadagrad.kernels.rules")


def _check_names(what: str, part: str, names: Any) -> None:
    """Raise TypeError unless names are ASCII identifiers, as they become names of kernels and of arrays in files."""
    if not isinstance(names, tuple | list):
        example = f"({names!r},)" if isinstance(names, str) else "()"
        raise TypeError(f"{what}: {part} must be a tuple of names, as {example}, not {names!r}")
    for name in names:
        if not (isinstance(name, str) and name.isidentifier() and name.isascii()):
            raise TypeError(f"{what}: {part} must be identifiers of ASCII letters, not {name!r}")


def _check_storages(what: str, form: Any) -> None:
    stored = trait(form, "stored")
    if not (
        isinstance(stored, Mapping)
        and {*stored} <= {*form.slots} - {trait(form, "fed")}
        and all(isinstance(storage, Storage) for storage in stored.values())
    ):
        raise TypeError(
            f"{what}: stored must be a dict of some of its slots {form.slots}, but for one that is fed, each with a "
            f"Storage of fastadagrad.kernels.memory.storage, not {stored!r}"
        )


def _check_measures(rule: Any, form: Any, what: str) -> None:
    if trait(rule, "measured"):
        _refuse_missing(f"{what} is to measure {rule.measured}, but", rule, "measure", "learn")
    for part in ("measured", "learned"):
        if tuple(trait(form, part)) != tuple(trait(rule, part)):
            raise TypeError(
                f"{what}: {part} is {trait(rule, part)} of the rule and {trait(form, part)} of its form: all forms of "
                "a method measure the same; say it of the rule alone"
            )


class _Trial:
    """Some steps of one element in plain Python, so that a mistake is reported with the user's own line."""

    def __init__(self, rule: Any, form: Any, hyper: Any, what: str) -> None:
        self._rule, self._form, self._hyper, self._what = rule, form, hyper, what
        self._worked: set[str] = set()
        self._broken: dict[str, str] = {}  # by part, the error that it raised for some numbers

    def run(self) -> None:
        """Raise TypeError for a part that has a mistake, or that fails for all numbers that it is tried with."""
        with suppress(*_OF_NUMBERS), np.errstate(all="ignore"):
            self._run()
        for part, reason in self._broken.items():
            if part not in self._worked:
                raise TypeError(f"{self._what}: {part} fails at all numbers that were tried: {reason}")

    def _run(self) -> None:
        rule, form, hyper = self._rule, self._form, self._hyper
        initial = self._tuple("initial", len(form.slots), f"a value for each of its slots {form.slots}", hyper, 1.0)
        for value in initial:
            self._refuse_unless(value == PARAMETER or isinstance(value, Real), "initial", "numbers", initial)
        learned = [0.0] * len(trait(rule, "learned"))
        own = rule.Scalars._fields[len(COMMON) :]
        self._tuple("scalar_values", len(own), f"its own of {rule.Scalars._fields}", hyper, 1.0, 0, *learned)
        exact = Settings(default_options(rule), hyper, rule).scalars(0, None, learned)
        others = (*exact[: len(COMMON)], *(x or 0.5 for x in exact[len(COMMON) :]))  # a 0 may hide a part of a formula
        for values in (exact, others):
            s, p = rule.Scalars(*map(np.float64, values)), np.float64(0.75)
            slots = tuple(p if value == PARAMETER else np.float64(value) for value in initial)
            for g in map(np.float64, _GRADIENTS):
                with suppress(*_OF_NUMBERS):
                    p, slots = self._step(p, g, slots, s)
            if trait(rule, "measured"):
                with suppress(*_OF_NUMBERS):
                    self._measure(p, np.float64(0.25), slots, learned, s)

    def _step(self, p: Any, g: Any, slots: Any, s: Any) -> tuple[Any, Any]:
        count, names = len(self._form.slots), f"the slots {self._form.slots}"
        slots = self._tuple("accumulate", count, names, p, g, g * g, slots, s)
        H = self._number("scale", slots, s)
        if hasattr(self._form, "place"):
            return self._number("place", g, H, slots, s), slots
        d, slots = self._tuple("delta", 2, "the displacement and the slots, (d, own)", g, H, slots, s)
        self._refuse_unless(isinstance(d, Real), "delta", "a number for the displacement", d)
        self._refuse_unless(isinstance(slots, tuple) and len(slots) == count, "delta", names, slots)
        return p - d, slots

    def _measure(self, p: Any, g: Any, slots: Any, learned: Any, s: Any) -> None:
        rule = self._rule
        H = self._number("scale", slots, s)
        measures = (p, g, slots, H, H, s)
        sums = self._tuple("measure", len(rule.measured), f"a part of each of {rule.measured}", *measures)
        names = trait(rule, "learned")
        self._tuple("learn", len(names), f"a number for each of {names}", self._hyper, tuple(learned), list(sums))

    def _tuple(self, part: str, count: int, expected: str, *arguments: Any) -> tuple[Any, ...]:
        value = self._call(part, *arguments)
        self._refuse_unless(isinstance(value, tuple | list) and len(value) == count, part, expected, value)
        return tuple(value)

    def _number(self, part: str, *arguments: Any) -> Any:
        value = self._call(part, *arguments)
        self._refuse_unless(isinstance(value, Real), part, "a number", value)
        return value

    def _refuse_unless(self, good: bool, part: str, expected: str, value: Any) -> None:
        if not good:
            function = self._function(part)
            raise TypeError(f"{self._what}: {part} must give {expected}, not {value!r} ({_place_of(function)})")

    def _function(self, part: str) -> Callable[..., Any]:
        return getattr(self._form if hasattr(self._form, part) else self._rule, part)  # type: ignore[no-any-return]

    def _call(self, part: str, *arguments: Any) -> Any:
        function = self._function(part)
        try:
            value = function(*arguments)
        except (*_MISTAKES, *_OF_NUMBERS) as error:
            frames = traceback.extract_tb(error.__traceback__)[1:]  # without the frame of this function
            where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else _place_of(function)
            reason = f"{type(error).__name__}: {error} ({where})"
            if isinstance(error, _MISTAKES):
                raise TypeError(f"{self._what}: {part} fails: {reason}") from error
            self._broken[part] = reason
            raise
        self._worked.add(part)
        return value


def _place_of(function: Any) -> str:
    code = getattr(getattr(function, "py_func", function), "__code__", None)
    return repr(function) if code is None else f"{code.co_filename}:{code.co_firstlineno}"
