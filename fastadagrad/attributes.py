"""Hyperparameters that are looked for at the optimizer itself, where setting one would change nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from .hints import KEYWORDS, hint


class Misplaced:
    """A hyperparameter's name as an attribute: there is none, and the error says where to look.

    An object of this class costs nothing where other attributes are read, as `__getattr__` would.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> NoReturn:
        message = f"{owner.__name__} has no attribute {self._name!r}: it is opt.hyper.{self._name}"
        raise AttributeError(message, name=self._name, obj=owner if instance is None else instance)


def misplaced(name: str, hyper: Iterable[str]) -> str | None:
    """Where the hyperparameter is that this name of an attribute means; None if it means none of them.

    Examples
    --------
    >>> misplaced("learning_rate", ["learning_rate", "momentum"])
    'it is opt.hyper.learning_rate'
    >>> misplaced("lr", ["learning_rate", "momentum"])
    "did you mean opt.hyper.learning_rate?"
    >>> misplaced("my_own", ["learning_rate", "momentum"])
    """
    hyper = [*hyper]
    if name in hyper:
        return f"it is opt.hyper.{name}"
    meant = hint(name, hyper, KEYWORDS)
    if meant is None:
        return None
    if meant.startswith("did you mean "):
        other = meant.split("'")[1]
        return f"did you mean opt.hyper.{other}?"
    return f"{meant}, in opt.hyper"
