"""Checks of labels and their conversion to one array, which changes no label except that bytes become strings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.place import readable
from ..support.asking import asking, shown
from .array_likes import NUMERIC, as_array, first_not_finite, is_missing

EXACT = 2**53  # from here on, two whole numbers may be one float64


def as_labels(y: Any) -> NDArray[Any]:
    """One label a row, numbers or strings; numbers keep their dtype.

    Raises
    ------
    ValueError, TypeError
        For labels that are missing, not finite, of mixed kinds or several a row, or that no dtype can hold.
    """
    y = readable("y", y)
    labels = as_array(y, "y")
    if not isinstance(y, np.ndarray) and _may_be_others(labels):
        with asking("y", y):
            labels = np.asarray(y, dtype=object)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"y must have one label a row, got shape {labels.shape}")
    if labels.dtype.kind in "OST":
        with asking("y", y):
            labels = _from_objects(labels.tolist())
    if labels.dtype.kind not in NUMERIC + "US":
        raise TypeError(f"y must be numbers or strings, got {labels.dtype}")
    if labels.dtype.kind == "f":
        position = first_not_finite(labels)
        if position is not None:
            raise ValueError(f"y has {labels[position]} at row {position}: remove rows without a finite label")
    return np.ascontiguousarray(labels)


def one_label_each(labels: Any, name: str) -> NDArray[Any]:
    """Labels as an array, which may have NaN; TypeError or ValueError for what are no labels."""
    found = as_array(labels, name)
    if found.dtype.kind in "OST":
        return as_labels(labels)
    if found.ndim != 1:
        raise ValueError(f"{name} must be one a row, not of shape {found.shape}")
    if found.dtype.kind not in NUMERIC + "U":
        raise TypeError(f"{name} must be numbers or strings, not {found.dtype}")
    return found


def _may_be_others(labels: NDArray[Any]) -> bool:
    """Whether NumPy may have changed labels: numbers to strings, or large whole numbers to floats."""
    return labels.dtype.kind in "US" or (labels.dtype.kind == "f" and bool(np.any(np.abs(labels) >= EXACT)))


def _from_objects(values: list[Any]) -> NDArray[Any]:
    """An array of labels that are all of one kind; bytes become strings."""
    of_text = bool(values) and isinstance(values[0], str | bytes)
    kinds: tuple[type, ...] = (str, bytes) if of_text else (bool, int, float, np.number, np.bool)
    for row, value in enumerate(values):
        if is_missing(value):
            raise ValueError(f"y is missing ({value!r}) at row {row}: remove rows without a label")
        if not isinstance(value, kinds):
            raise TypeError(f"y must be all numbers or all strings, got {shown(value)} at row {row}")
    if not of_text:
        return _numbers(values)
    return np.array([_decoded(value, row) for row, value in enumerate(values)])


def _numbers(values: list[Any]) -> NDArray[Any]:
    """Numbers in a dtype that holds every whole number among them exactly."""
    for row, value in enumerate(values):
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            _refuse_whole(value, row, "beyond 64 bits")
    numbers = np.array(values)
    if numbers.dtype.kind == "f":
        for row in np.flatnonzero(np.abs(numbers) >= EXACT).tolist():
            value = values[row]
            if isinstance(value, int | np.integer) and int(numbers[row]) != int(value):
                _refuse_whole(value, row, f"which the others make {numbers.dtype}, and that cannot hold it")
    return numbers


def _refuse_whole(value: Any, row: int, reason: str) -> None:
    raise ValueError(
        f"y has the whole number {shown(int(value))} at row {row}, {reason}: give classes smaller numbers or strings, "
        "and real labels as floats"
    )


def _decoded(value: str | bytes, row: int) -> str:
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError:
        raise ValueError(
            f"y has {value!r} at row {row}, which is no text in UTF-8: decode it, as in np.char.decode(y, 'latin-1')"
        ) from None
