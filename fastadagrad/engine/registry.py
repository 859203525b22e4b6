"""Methods by name, and the references to methods that pickles and files carry instead of code."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import warnings
from contextlib import suppress
from functools import cache
from typing import Any

from ..kernels import rules
from ..kernels.digest import Undescribable, digest_of

METHODS: dict[str, Any] = {}  # classes of optimizers

_OF_ALL_FORMS = ("name", "Scalars", "initial", "measured", "measure", "learned", "learn")
_FORMULA = ("accumulate", "scale", "delta", "place", "measure")
_PARTS = ("Hyperparameters", "scalar_values", "refusal", "slots", "accumulate", "scale", "delta", "place", "example")


class RegisteredRule:
    """A user's rule, or one of its forms, as it was when it was registered.

    A module that is reloaded stays the same object, but with other functions. An optimizer goes on with the functions
    that it was made with, and compiled code is cached by this object, not by the user's.

    Parameters
    ----------
    rule : object
        The user's class or module.
    other : RegisteredRule, optional
        The rule that this is a form of, and from which it takes the attributes that all forms share.
    """

    name: str

    def __init__(self, rule: Any, other: RegisteredRule | None = None) -> None:
        for part in (*_OF_ALL_FORMS, *_PARTS, *rules.TRAITS):
            if hasattr(rule, part):
                setattr(self, part, getattr(rule, part))
        for part in _OF_ALL_FORMS:
            if hasattr(other, part) and not hasattr(self, part):
                setattr(self, part, getattr(other, part))
        self.__doc__ = rule.__doc__
        self.compiles = False  # True once a trial has shown it
        self.home = getattr(rule, "__module__", None) or getattr(rule, "__name__", None)
        if other is None and hasattr(rule, "form"):
            self._form, self._forms = rule.form, dict[int, tuple[Any, RegisteredRule]]()
            self.form = self._registered_form

    def _registered_form(self, hyper: Any) -> RegisteredRule:
        form = self._form(hyper)
        if id(form) not in self._forms:
            registered = RegisteredRule(form, self)
            if self.compiles:
                registered.refuse_uncompilable()
            self._forms[id(form)] = form, registered
        return self._forms[id(form)][1]

    def refuse_uncompilable(self) -> None:
        """Raise TypeError if the formula cannot be compiled in one of the dtypes; later forms are tried likewise.

        A warning tells of one that computes in float64 where parameters are float32.
        """
        from ..kernels.trial import fault_of, widening_of

        fault = fault_of(self)
        if fault is not None:
            raise TypeError(f"rule {self.name!r}: {fault}")
        widening = widening_of(self)
        if widening is not None:
            warnings.warn(
                f"rule {self.name!r}: {widening}; its bits are not those of float32, and it is slower. A number in the "
                "text, as 0.5 or 2, makes a float64 of what it is computed with: let scalar_values give it, as a "
                "constant in Scalars, or use s.zero and s.one",
                UserWarning,
                stacklevel=4,  # who registers
            )
        self.compiles = True

    def __copy__(self) -> RegisteredRule:
        return self

    def __deepcopy__(self, memo: Any) -> RegisteredRule:
        return self


def reference_to(rule: Any) -> tuple[str, str | None, str | None]:
    """Name, module and digest by which `rule_at` finds a rule in any process and sees if its formula has changed."""
    return rule.name, rule.home if isinstance(rule, RegisteredRule) else rule.__name__, _digest_of(rule)


def _digest_of(rule: Any) -> str | None:
    """Digest of the formula of a user's rule; None for a rule of the library, and for one that cannot be described."""
    parts = [getattr(rule, part) for part in _FORMULA if hasattr(rule, part)]
    try:
        return digest_of(*parts) if isinstance(rule, RegisteredRule) else None
    except Undescribable:
        return None


def method_at(name: str, home: str | None, digest: str | None = None) -> Any:
    """The class of a method; if the name is not known, the module `home` is imported, which may register it.

    A warning says so if the rule of this name has another formula than the one that had this digest.

    Raises
    ------
    ValueError
        If the name is not known after the import, either.
    """
    if name not in METHODS and home not in (None, *sys.modules):
        with suppress(ImportError):
            importlib.import_module(str(home))
    if name not in METHODS:
        raise ValueError(
            f"this was made with the method {name!r}, registered by {home or 'a program'}, and there is no such method "
            "here: import or run what calls fastadagrad.register before it is unpickled"
        )
    if digest is not None and _digest_of(METHODS[name].rule) not in (digest, None):
        warnings.warn(
            f"this was made with another rule that was registered as {name!r}: it goes by the one that has the name "
            "now",
            UserWarning,
            stacklevel=3,
        )
    return METHODS[name]


def rule_names() -> list[str]:
    """Names of the methods of the library, imported or not, and of those that users have registered."""
    return list(dict.fromkeys((*_names_of_the_library(), *METHODS)))


@cache
def _names_of_the_library() -> tuple[str, ...]:
    return tuple(module.name for module in pkgutil.iter_modules(rules.__path__) if not module.name.startswith("_"))


def rule_named(name: str) -> Any:
    """The rule of one of `rule_names`, found without importing the classes of optimizers."""
    return METHODS[name].rule if name in METHODS else importlib.import_module(f"{rules.__name__}.{name}")


def names_of_simple_rules() -> list[str]:
    """Names of the methods that need the gradients of a step and nothing else.

    The other methods measure all parameters before a step, or take Hessian-vector products.
    """
    return [name for name in rule_names() if not _wants_more(rule_named(name))]


def _wants_more(rule: Any) -> bool:
    form = rules.form_of(rule, rule.Hyperparameters())
    return bool(rules.trait(rule, "measured") or rules.trait(form, "fed"))


def rule_at(name: str, home: str | None, digest: str | None = None) -> Any:
    """The rule that `reference_to` has described; ValueError if it is not registered in this process."""
    if home == f"{rules.__name__}.{name}":
        return importlib.import_module(home)
    return method_at(name, home, digest).rule
