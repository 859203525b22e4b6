"""What a model's methods check before they train on a Stream, and how they report while they do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..data.columns import check_hashed, check_names
from ..data.roles import Columns
from ..data.streams import Stream, take_columns
from ..data.tables import Table
from .progressive import Row, Watch
from .splits import labelled

Tell = Callable[[dict[str, float]], object]


def check_alone(y: Any, sample_weight: Any) -> None:
    """Raise TypeError if labels or weights are given beside a Stream, which has its own."""
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            own = "target" if name == "y" else "weight"
            raise TypeError(
                f"{name} must be left out with a Stream, whose {own} names a column: Stream(..., {own}=...)"
            )


def adopted_bits(stream: Stream, own: int | None, goes_on: bool) -> int | None:
    """The hash bits of a model that is trained on a stream: its own, or else the stream's.

    Raises
    ------
    ValueError
        If they differ.
    """
    if stream.hash_bits == own or (own is None and not goes_on):
        return stream.hash_bits
    raise ValueError(
        f"the stream {stream.name} has hash_bits={stream.hash_bits}, but the model has hash_bits={own}: give both the "
        "same"
    )


def check_going_on(stream: Stream, names: tuple[str, ...] | None, columns: Columns | None) -> None:
    """Check that a stream has the columns of the training before, and let it take them as that did."""
    if stream.hash_bits is not None:
        check_hashed(stream.columns, columns, stream.name)
    if columns is not None and stream.columns is not None:
        take_columns(stream, columns)
    check_names(stream.feature_names, names, stream.name)


def as_validation(valid: Any, hash_bits: int | None) -> Table | float:
    """The examples for validation as a Table, or the fraction of the stream that they are."""
    if isinstance(valid, float):
        return valid
    X, y = valid if isinstance(valid, tuple) else (valid, None)
    return labelled(X, y, None, hash_bits)


def reports(progress: bool | Callable[..., Any], shown: bool = True) -> tuple[Tell, Watch | None]:
    """What is told of each epoch, and of the progressive losses within it, which may be `shown` or not."""
    if callable(progress):
        return progress, getattr(progress, "row", None)
    if not (progress and shown):
        return lambda entry: None, None
    table = ProgressiveTable(lambda line: print(line, file=sys.stderr))
    return lambda entry: None, table.row


class ProgressiveTable:
    """Writes the rows of progressive losses as lines, under a header; weights and validation have a column if needed.

    Parameters
    ----------
    write : callable
        Gets each line.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write, self._begun, self._weighed = write, False, False

    def row(self, row: Row, mark: str = "") -> None:
        """Write a row, whose epoch may have a mark."""
        judged = row.valid_loss is not None
        if not self._begun:
            self._begun, self._weighed = True, row.weight is not None
            weight, valid = f" {'weight':>14}" if self._weighed else "", f" {'validation':>12}" if judged else ""
            head = f"epoch {'average':>12} {'since last':>12} {'examples':>14}"
            self._write(f"{head}{weight} {'best constant':>14}{valid}")
        weight = f" {row.weight:14,.6g}" if self._weighed and row.weight is not None else ""
        valid = f" {row.valid_loss:12.6g}" if judged else ""
        losses = f"{row.loss:12.6g} {row.since:12.6g} {row.examples:14,}{weight} {row.constant_loss:14.6g}"
        self._write(f"{f'{row.epoch}{mark}':>5} {losses}{valid}")
