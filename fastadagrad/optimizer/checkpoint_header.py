"""Checks of the header of an optimizer's file: all parts must be there and of the right kind, before any is used.

A check is a function of two arguments, where in the header a value stands and the value. It raises ValueError, which
names that place.
"""

from __future__ import annotations

import re
import reprlib
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from ..data.randomness import move
from ..support.parted_file import RECORD

Check = Callable[[str, Any], None]

MOST = 2**63 - 1  # the largest count of steps
OF_UPDATES = "updates"  # what arrays of a user's updates are called, before their number
GENERATORS = "MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"  # NumPy's


def check(header: Any, arrays: Collection[str]) -> None:
    """Check a header, and that it goes with arrays of these names.

    Raises
    ------
    ValueError
        If something is missing, of a wrong kind, or not known, or contradicts something else.
    """
    HEADER("the header", header)
    names, ledger, run = header["names"], header["ledger"], header["run"] or {}
    if len({*names}) < len(names):
        raise ValueError("two of its parameters have one name")
    overlay, begun = run.get("hyper", {}), run.get("begun", {})
    mentioned = {
        "ledger.updates": ledger["updates"],
        "late": header["late"],
        "displaced": header.get("displaced", ()),
        "hyper.groups": header.get("hyper", {}).get("groups", ()),
        "run.hyper.groups": overlay.get("groups", ()),
        "run.begun.groups": begun.get("groups", ()),
        "its arrays": [name.partition("/")[2] for name in arrays if not is_of_none(name)],
    }
    for where, some in mentioned.items():
        for name in some:
            if name not in names:
                raise ValueError(f"{where} is also of {name!r}, and there is no such parameter in it")
    if (ledger["best"] is None) != ("best" not in {name.partition("/")[0] for name in arrays}):
        raise ValueError("ledger.best and the best parameters are not both there")
    for number, (after, *_) in enumerate(ledger.get("validations", ())):
        if after > len(ledger["history"]):
            raise ValueError(f"ledger.validations[{number}] is after epochs that are not in ledger.history")
    if run.get("ended", run).get("has_best") and ledger["best"] is None:
        raise ValueError("run.has_best is True without ledger.best")


def is_of_none(name: str) -> bool:
    """Whether an array of this name is of no parameter."""
    return name == "learned" or re.fullmatch(f"{OF_UPDATES}/[0-9]{{1,9}}", name) is not None


def _expected(kind: str, good: Callable[[Any], bool]) -> Check:
    def check_kind(where: str, value: Any) -> None:
        if not good(value):
            raise ValueError(f"{where} is {reprlib.repr(value)}, not {kind}")

    return check_kind


def _optional(other: Check) -> Check:
    """A check that passes None, and what the other check passes."""

    def check_optional(where: str, value: Any) -> None:
        if value is not None:
            other(where, value)

    return check_optional


def _each(of: Check) -> Check:
    """A check of a list of any length, each member of which is checked by `of`."""

    def check_each(where: str, value: Any) -> None:
        LIST(where, value)
        for number, part in enumerate(value):
            of(f"{where}[{number}]", part)

    return check_each


def _row(*parts: Check) -> Check:
    """A check of a list with one member for each of these checks."""

    def check_row(where: str, value: Any) -> None:
        LIST(where, value)
        if len(value) != len(parts):
            raise ValueError(f"{where} has {len(value)} parts, not {len(parts)}")
        for number, (of, part) in enumerate(zip(parts, value, strict=True)):
            of(f"{where}[{number}]", part)

    return check_row


def _by_name(of: Check) -> Check:
    """A check of a dict with any names, each value of which is checked by `of`."""

    def check_by_name(where: str, value: Any) -> None:
        DICT(where, value)
        for name, part in value.items():
            of(f"{where}[{name!r}]", part)

    return check_by_name


def _parts(needed: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """A check of a dict that has the needed names, may have the optional ones, and has no others."""
    known = {**needed, **(optional or {})}

    def check_parts(where: str, value: Any) -> None:
        DICT(where, value)
        for name in needed:
            if name not in value:
                raise ValueError(f"{where} lacks {name!r}")
        for name, part in value.items():
            if name not in known:
                raise ValueError(f"{where} has also {name!r}, which is not known")
            known[name](name if where == "the header" else f"{where}.{name}", part)

    return check_parts


def _is_number(value: Any) -> bool:
    """Whether a value is a number that a float can hold; infinities and NaN are."""
    return type(value) is float or (type(value) is int and abs(value) <= sys.float_info.max)


def _is_setting(value: Any) -> bool:
    """Whether a value can be that of a hyperparameter; None stands for a callable."""
    return value is None or isinstance(value, bool | str) or _is_number(value)


TEXT = _expected("a string", lambda value: isinstance(value, str))
FLAG = _expected("True or False", lambda value: isinstance(value, bool))
COUNT = _expected("a count", lambda value: type(value) is int and 0 <= value <= MOST)
STEPS = _expected("a number of steps", lambda value: type(value) is int and -MOST <= value <= MOST)
NUMBER = _expected("a number", _is_number)
WEIGHT = _expected("a weight", lambda value: _is_number(value) and 0 <= value < float("inf"))
SETTING = _expected("the value of a hyperparameter", _is_setting)
LIST = _expected("a list", lambda value: isinstance(value, list))
DICT = _expected("a dict", lambda value: isinstance(value, dict))

MONITORED = _by_name(NUMBER)
LEDGER = _parts(
    {
        "steps": COUNT,
        "skipped": COUNT,
        "updates": _by_name(COUNT),
        "best": _optional(_parts({"loss": NUMBER, "monitors": MONITORED, "epoch": COUNT, "steps": COUNT})),
        "history": _each(_row(COUNT, COUNT, MONITORED, MONITORED)),
        "stopped_because": _optional(TEXT),
    },
    optional={"validations": _each(_row(COUNT, COUNT, COUNT, MONITORED))},  # files of version 0.1.0 have none
)
PROGRESS = _parts(
    {
        "epochs": COUNT,
        "updates": COUNT,
        "validated": FLAG,
        "changed": FLAG,
        "valid": MONITORED,
        "sums": MONITORED,
        "weight": WEIGHT,
    }
)
PATIENCE = _parts(
    {"best": _optional(NUMBER), "failures": COUNT},
    optional={"lowest": _optional(NUMBER)},  # files of version 0.1.0 have none
)
SHUFFLED = _expected("a way of shuffling", lambda value: value in ("True", "False", "batches"))
SOURCES = {
    kind: _parts({"kind": TEXT, "shuffle": SHUFFLED, "iteration_size": _optional(COUNT), **traits})
    for kind, traits in {
        "arrays": {"samples": COUNT, "batch_size": STEPS},
        "iterable": {},
        "callable": {},
    }.items()
}


def _check_source(where: str, value: Any) -> None:
    """Check what is known of the data that a position is of."""
    DICT(where, value)
    if "kind" not in value:
        raise ValueError(f"{where} lacks 'kind'")
    _expected("a kind of data", lambda kind: isinstance(kind, str) and kind in SOURCES)(f"{where}.kind", value["kind"])
    SOURCES[value["kind"]](where, value)


def _check_random(where: str, value: Any) -> None:
    """Check that a state is one of the generator of random numbers that it names, if that is NumPy's."""
    DICT(where, value)
    name = value.get("bit_generator")
    TEXT(f"{where}.bit_generator", name)
    if name in GENERATORS:
        try:
            move(np.random.Generator(getattr(np.random, name)(0)), value)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None


RANDOM = _optional(_check_random)
POSITION = _parts({"source": _check_source, "position": COUNT, "done": COUNT, "random": RANDOM, "drawn_from": RANDOM})
DATASET = _parts({"name": _optional(TEXT), "state": POSITION})
DATASETS = _parts({}, optional={"train": DATASET, "valid": DATASET})


def _check_hyper(where: str, value: Any) -> None:
    """Check a record of hyperparameters, whatever their names are, as these depend on the method."""
    DICT(where, value)
    for name, part in value.items():
        (_by_name(_by_name(SETTING)) if name == "groups" else SETTING)(f"{where}.{name}", part)


UNFINISHED = _parts(
    {"datasets": DATASETS, "progress": PROGRESS, "patience": PATIENCE, "has_best": FLAG},
    optional={"hyper": _check_hyper, "begun": _check_hyper},  # files of version 0.1.0 have none
)
ENDED = _parts({"reason": TEXT, "progress": PROGRESS, "patience": PATIENCE, "has_best": FLAG})
BETWEEN_RUNS = _parts({"datasets": DATASETS}, optional={"ended": ENDED, "begun": _check_hyper})


def _check_run(where: str, value: Any) -> None:
    """Check the record of a run, which is unfinished if the record has more than positions and how it has ended."""
    DICT(where, value)
    (UNFINISHED if {*value} - {"datasets", "ended", "begun"} else BETWEEN_RUNS)(where, value)


ROWS = _row(COUNT, COUNT)
PART = _parts({"name": TEXT, "id": TEXT, "rows": _by_name(ROWS), "listed": _by_name(TEXT)})
PARTED = _parts({"arrays": _by_name(_row(TEXT, _each(COUNT))), "parts": _each(PART)})

HEADER = _parts(
    {
        "method": TEXT,
        "names": _each(TEXT),
        "ledger": LEDGER,
        "run": _optional(_check_run),
        "late": _by_name(STEPS),
    },
    # Files of version 0.1.0 have none of the first three; a file that one process has written has no parts.
    optional={"random": RANDOM, "displaced": _each(TEXT), "hyper": _check_hyper, RECORD: PARTED},
)
