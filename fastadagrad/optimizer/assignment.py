"""New values for parameters, given from outside: all are checked and copied before the first is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..engine.parameters import Parameters, holds_floats
from ..engine.place import array_of, plain
from ..engine.shard import Shard
from ..support.asking import asking, shown
from ..support.memory_maps import refuse_closed


def asks_for_best(targets: Any) -> bool:
    """Whether targets are the word for the best parameters, or none; ValueError for another word."""
    with asking("targets", targets):
        if targets is None or not isinstance(targets, str):
            return targets is None
        if targets != "best":
            raise ValueError(f"targets must be None, 'best' or arrays in the structure of params, not {shown(targets)}")
        return True


def values_of(params: Parameters, targets: Any) -> list[Any]:
    """The arrays of `targets` in the order of the parameters.

    Targets have the structure of the parameters, or are a list with one target for each parameter. Where a single array
    is the only parameter, shapes decide whether a list holds the array or the array's numbers.
    """
    with asking("targets", targets):
        return _values_of(params, targets)


def _values_of(params: Parameters, targets: Any) -> list[Any]:
    alone = not isinstance(params.given, Mapping | list | tuple)
    if alone and isinstance(targets, list | tuple) and _holds_one_of_shape(targets, params.arrays[0].shape):
        flat = [*targets]
    else:
        flat = params.flatten(targets, "targets")
    given = zip(params.names, flat, strict=True)
    return [_as_array(f"target for {name!r}", target) for name, target in given]


def _holds_one_of_shape(targets: Sequence[Any], shape: tuple[int, ...]) -> bool:
    """Whether a list holds one array, or one nested list, of this shape, so that the list itself has another shape."""
    if len(targets) != 1:
        return False
    array = None if isinstance(targets[0], list | tuple) else array_of("target", targets[0])
    try:
        found: tuple[int, ...] = np.shape(plain("target", targets[0])) if array is None else array.shape
    except ValueError:  # it is ragged
        return False
    return found == shape


def check(params: Parameters, values: Sequence[Any]) -> None:
    """Raise ValueError or TypeError for a value that does not fit the parameter in the same position."""
    for (name, array), value in zip(params, values, strict=True):
        if value.shape != array.shape:
            raise ValueError(f"target for {name!r} must have shape {array.shape}, not {value.shape}")
        if value.dtype.kind not in "iub" and not holds_floats(value):
            raise TypeError(f"target for {name!r} must hold real numbers, not {value.dtype}")


def copies(params: Parameters, values: Sequence[Any]) -> list[Any]:
    """Copies of the new values in the dtypes of the parameters, on the GPU if value and parameter are there."""
    return [_copy(name, array, value) for (name, array), value in zip(params, values, strict=True)]


def _as_array(what: str, target: Any) -> Any:
    if type(target) is Shard:
        return target.rows
    found = array_of(what, target)
    if isinstance(found, np.ndarray):
        refuse_closed(what, found)
    if found is not None:  # the base of a subclass, which may say of itself what it likes
        return np.asarray(found) if isinstance(found, np.ndarray) else found
    try:
        return np.asarray(plain(what, target))
    except ValueError as error:
        raise ValueError(f"{what} must be an array or nested lists of one shape: {error}") from None


def _copy(name: str, array: Any, value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        if not isinstance(array, np.ndarray) and value.dtype == array.dtype and value.flags.c_contiguous:
            return value.copy()
        if not value.flags.c_contiguous:
            raise ValueError(f"target for {name!r} must be C-contiguous; pass a contiguous copy")
        value = value.to_host()
    with np.errstate(all="ignore"):
        copy = np.array(value, array.dtype)
    if not np.array_equal(np.isinf(value), np.isinf(copy)):
        raise ValueError(f"target for {name!r} holds numbers that {copy.dtype} cannot hold")
    return copy
