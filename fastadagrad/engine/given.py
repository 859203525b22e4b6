"""Hyperparameters as users give them: each object is asked once what it is, and refused with its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..support.asking import asking, shown
from ..support.checks import PLAIN_NUMBERS, checked_number, one_of, whole_number

_PLAIN = PLAIN_NUMBERS | {bool, np.bool, str, type(None)}
CHOICES = {
    "accumulator": ("element", "row", "tensor"),
    "lazy": ("exact", "touched", "dense"),
    "nonfinite": ("raise", "skip", "ignore"),
}
LEAST, MOST = {"threads": 1, "validate_every": 1}, 2**63 - 1  # bounds of whole numbers; others may be 0


def checked(name: str, value: Any, default: Any) -> Any:
    """`value` in the type of the hyperparameter's default, or an error that names it."""
    with asking(name, value):
        return _checked(name, value, default)


def _checked(name: str, value: Any, default: Any) -> Any:
    if name == "learning_rate" and callable(value):
        return value
    if name in CHOICES:
        return one_of(name, value, CHOICES[name])
    if isinstance(default, bool):
        if not isinstance(value, bool | np.bool | int) or value not in (0, 1):
            raise TypeError(f"{name} must be True or False, not {shown(value)}")
        return bool(value)
    if name == "threads" and value is None:
        return None
    if isinstance(default, int) or name == "threads":
        return whole_number(name, value, LEAST.get(name, 0), MOST)
    return checked_number(name, value)


def own_copy(hyper: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Copy of hyperparameters that is not changed where the user changes the dicts of `groups` later.

    With `defaults`, numbers of types that Python and NumPy do not have are replaced by plain ones, as such an object
    may be another number the next time it is asked.

    Raises
    ------
    TypeError, ValueError
        If the groups are no dicts of dicts, or such a number is refused.
    """
    own = _plain(dict(hyper), defaults)
    if "groups" in own:
        with asking("groups", own["groups"]):
            own["groups"] = groups = _own_groups(own["groups"])
            for name, group in groups.items():
                with of_group(name):
                    groups[name] = _plain(group, defaults)
    return own


@contextmanager
def of_group(name: Any) -> Iterator[None]:
    """Let errors name a group."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"groups[{name!r}]: {error}") from None


def _plain(hyper: dict[str, Any], defaults: Mapping[str, Any] | None) -> dict[str, Any]:
    if defaults is None or all(type(value) in _PLAIN for value in hyper.values()):
        return hyper
    return {
        name: x
        if type(x) in _PLAIN or name not in defaults or name == "groups" or callable(x)
        else checked(name, x, defaults[name])
        for name, x in hyper.items()
    }


def _own_groups(groups: Any) -> dict[Any, dict[Any, Any]]:
    if not isinstance(groups, Mapping):
        raise TypeError(f"groups must be a dict parameter name -> dict of hyperparameters, not {shown(groups)}")
    own = {}
    for name, group in groups.items():
        if not isinstance(group, Mapping):
            raise TypeError(f"groups[{name!r}] must be a dict of hyperparameters, not {shown(group)}")
        own[name] = dict(group)
    return own
