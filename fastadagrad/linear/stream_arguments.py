"""What a model's methods check before they train on a Stream, and how they report while they do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..data.columns import check_names
from ..data.roles import Columns
from ..data.streams import Stream
from ..data.tables import Table
from .progressive import Row, Watch
from .splits import labelled

Tell = Callable[[dict[str, float]], object]
HEADER = f"epoch {'average':>12} {'since last':>12} {'examples':>14} {'best constant':>14}"


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
    if columns is not None and stream.columns is not None:
        stream.with_columns(columns)
    check_names(stream.feature_names, names, stream.name)


def as_validation(valid: Any, hash_bits: int | None) -> Table | None:
    """The examples for validation, as a Table.

    Raises
    ------
    ValueError
        For a fraction, which would have to be set aside of examples that are not all there.
    """
    if isinstance(valid, float):
        if valid:
            raise ValueError(f"validation={valid:g} cannot be set aside of a stream: give examples, a Table or (X, y)")
        return None
    X, y = valid if isinstance(valid, tuple) else (valid, None)
    return labelled(X, y, None, hash_bits)


def reports(progress: bool | Callable[..., Any]) -> tuple[Tell, Watch | None]:
    """What is told of each epoch, and of the progressive losses within it."""
    if callable(progress):
        return progress, getattr(progress, "row", None)
    if not progress:
        return lambda entry: None, None
    print(HEADER, file=sys.stderr)
    return lambda entry: None, lambda row: print(shown(row), file=sys.stderr)


def shown(row: Row) -> str:
    """A row of the progressive losses as text."""
    return f"{row.epoch:>5} {row.loss:12.6g} {row.since:12.6g} {row.examples:14,} {row.constant_loss:14.6g}"
