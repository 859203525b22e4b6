"""Hyperparameters that are looked for at the optimizer itself, where setting one would change nothing."""

from __future__ import annotations

from collections.abc import Iterable

from .hints import KEYWORDS, hint


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
