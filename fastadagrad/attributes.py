"""Hyperparameters that are looked for at the optimizer itself, where setting one would change nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from .hints import KEYWORDS, meant_by


class Misplaced:
    """A hyperparameter's name as an attribute: there is none, and the error says where to look.

    An object of this class costs nothing where other attributes are read, as `__getattr__` would.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> NoReturn:
        message = f"{owner.__name__} has no attribute {self._name!r}: it is opt.hyper.{self._name}"
        raise AttributeError(message, name=self._name, obj=owner if instance is None else instance)


def misplaced(name: str, hyper: Iterable[str], place: str = "opt.hyper.{}") -> str | None:
    """Where the hyperparameter is that this name of an attribute means; None if it means none of them.

    Examples
    --------
    >>> misplaced("learning_rate", ["learning_rate", "momentum"])
    'it is opt.hyper.learning_rate'
    >>> misplaced("lr", ["learning_rate", "momentum"])
    'did you mean opt.hyper.learning_rate?'
    >>> misplaced("my_own", ["learning_rate", "momentum"])
    """
    hyper = [*hyper]
    if name in hyper:
        return f"it is {place.format(name)}"
    meant = meant_by(name, hyper, KEYWORDS)
    if meant is None:
        return None
    if meant.name is not None:
        return f"did you mean {place.format(meant.name)}?"
    return f"{meant.sentence}, in {place.format('...')}"


def refuse_misplaced(owner: object, name: str, hyper: Iterable[str], place: str = "opt.hyper.{}") -> None:
    """Raise AttributeError for an attribute about to be set that means a hyperparameter, which is in another place."""
    meant = misplaced(name, hyper, place)
    if meant is not None:
        raise AttributeError(
            f"{type(owner).__name__} has no attribute {name!r} to be set, as nothing would go by it: {meant} (a "
            "subclass that wants one of this name defines it in its class)"
        )
