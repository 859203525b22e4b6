"""Hyperparameters as a file holds them, and comparisons of a file's hyperparameters with those in force."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..engine.given import checked
from ..engine.options import Conduct, Rule, make_group_settings, make_settings, refuse_unknown
from ..engine.registry import RegisteredRule

Record = dict[str, Any]  # name -> value, None for a callable; and "groups"

_OF_THE_MACHINE = ("threads",)


def recorded(rule: Rule, hyper: Mapping[str, Any], names: Sequence[str]) -> Record:
    """All hyperparameters that these keyword arguments give to the parameters of these names, in types of JSON."""
    settings, conduct = make_settings(rule, hyper)
    by_name = make_group_settings(rule, settings, hyper.get("groups", {}), names)
    values = {**vars(settings.options), **vars(settings.own), **vars(conduct)}
    groups = {}
    for name, given in hyper.get("groups", {}).items():
        own = {**vars(by_name[name].options), **vars(by_name[name].own)}
        groups[name] = {key: _plain(own[key]) for key in given}
    return {key: _plain(x) for key, x in values.items() if key not in _OF_THE_MACHINE} | {"groups": groups}


def _plain(value: Any) -> Any:
    return None if callable(value) else value


def check(rule: Rule, record: Record) -> None:
    """Raise TypeError or ValueError for a hyperparameter that this method cannot have had.

    A user's rule may have other hyperparameters now than when the record was made.
    """
    settings, conduct = make_settings(rule, {})
    defaults = {**vars(settings.options), **vars(settings.own), **vars(conduct)}
    for values in ({**record, "groups": None}, *record.get("groups", {}).values()):
        if not isinstance(rule, RegisteredRule):
            refuse_unknown(values, [*defaults, "groups"], rule.name.upper())
        for name, value in values.items():
            if name in defaults and value is not None:
                checked(name, value, defaults[name])
            elif value is None and name not in ("groups", "learning_rate"):
                raise TypeError(f"{name} cannot have been a callable")


def taken(record: Record, here: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments made from a record; callables, and hyperparameters of the machine, are taken from `here`."""
    own_groups = here.get("groups", {})
    groups = {name: _filled(group, own_groups.get(name, {})) for name, group in record.get("groups", {}).items()}
    values = {key: value for key, value in record.items() if key != "groups"}
    kept = {key: here[key] for key in _OF_THE_MACHINE if key in here}
    return {**_filled(values, here), **kept, **({"groups": groups} if groups else {})}


def _filled(values: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, Any]:
    return {key: here.get(key) if x is None else x for key, x in values.items() if x is not None or key in here}


def callables_of(record: Record) -> list[str]:
    """The hyperparameters of a record that were callables, in words."""
    found = [key for key, value in record.items() if value is None]
    for name, group in record.get("groups", {}).items():
        found += [f"{key} of {name!r}" for key, value in group.items() if value is None]
    return found


def differences(
    saved: Record, here: Record, names: Sequence[str], only: Collection[str] | None = None, but: Collection[str] = ()
) -> list[str]:
    """The hyperparameters in which some of these parameters differ from the saved record, in words.

    Parameters
    ----------
    only, but : collection of str
        Which hyperparameters to compare, and which not; all by default. Those that only one side has are left out.
    """
    of_all, found = vars(Conduct()), list[str]()
    looked_at = [key for key in saved if key in here and key != "groups" and key not in but]
    for key in looked_at if only is None else [key for key in looked_at if key in only]:
        pairs: dict[str, tuple[Any, Any]] = {
            name: (_value(saved, name, key), _value(here, name, key)) for name in ([""] if key in of_all else names)
        }
        for pair in dict.fromkeys(pairs.values()):
            if pair[0] != pair[1]:
                same = [name for name, each in pairs.items() if each == pair]
                of = "" if len(same) == len(pairs) else f" of {', '.join(map(repr, same))}"
                found.append(f"{key}{of} was {_worded(pair[0])} and is {_worded(pair[1])}")
    return found


def _value(record: Record, name: str, key: str) -> Any:
    return record.get("groups", {}).get(name, {}).get(key, record[key])


def _worded(value: Any) -> str:
    return "a callable" if value is None else repr(value)


def warn(message: str) -> None:
    """Warn with the line of the user's call, which is two functions above the caller."""
    warnings.warn(message, UserWarning, stacklevel=4)
