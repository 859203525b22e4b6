"""The part of `fit` that trains on a stream, and shows the progressive loss as it goes."""

from __future__ import annotations

import argparse
import errno
import os
from typing import TYPE_CHECKING, Any

from . import example_files, screen, streaming

if TYPE_CHECKING:
    from ..data.streams import Stream
    from ..linear import LinearModel
    from ..linear.progressive import Row


class Rows:
    """Prints the progressive losses: of the first epoch at 1, 2, 4, ... examples, and of each later one at its end."""

    def __init__(self, out: screen.Screen | None) -> None:
        from ..linear.stream_arguments import ProgressiveTable

        self._table = None if out is None else ProgressiveTable(out.say)
        self._last: dict[int, Row] = {}  # of each epoch

    @property
    def examples(self) -> int:
        """The number of examples of the latest epoch; 0 before there is one."""
        return self._latest.examples if self._latest else 0

    @property
    def weight(self) -> float | None:
        """The weights of these examples together; None if each has weighed 1."""
        return self._latest.weight if self._latest else None

    @property
    def _latest(self) -> Row | None:
        return self._last[max(self._last)] if self._last else None

    def row(self, row: Row) -> None:
        self._last[row.epoch] = row
        if self._table is not None:
            self._table.row(row)

    def __call__(self, entry: dict[str, float]) -> None:
        """Take an epoch's entry of the history, of which the rows have told."""

    def finish(self, kept: int) -> None:
        """Print the row of the epoch whose weights are kept, marked `*`, if it is not the last one."""
        if self._table is not None and kept in self._last and kept < max(self._last):
            self._table.row(self._last[kept], "*")


def validation_of(model: LinearModel) -> dict[str, float] | None:
    """What the examples that were set aside have said of the epoch whose weights were kept; None if they have not."""
    entry = model.history[model.best_epoch - 1] if model.best_epoch else {}
    found = {name.removeprefix("valid_"): value for name, value in entry.items() if name.startswith("valid_")}
    return found or None


def model_of(arguments: argparse.Namespace, options: dict[str, Any]) -> LinearModel:
    """A new model, or the one to go on from, with the options that are given.

    Raises
    ------
    ValueError, OSError
        If the model to go on from has no state, or is no file.
    """
    from ..linear import LinearModel

    if not isinstance(arguments.resume, str):
        return LinearModel(**options)
    if os.path.isdir(arguments.resume):
        reason = "Is a directory: to go on from checkpoints in it, give --checkpoint DIR --resume"
        raise IsADirectoryError(errno.EISDIR, reason, arguments.resume)
    model = LinearModel.load(arguments.resume, **options, warm_start=True)
    if not model.goes_on:
        raise ValueError(
            f"{arguments.resume} has weights, but no state of training to go on from: train it with --stream"
        )
    return model


def open_source(arguments: argparse.Namespace, model: LinearModel) -> Stream:
    """The stream to train on, with the features that the model has, if it goes on."""
    known = arguments.features
    if model.goes_on and model.hash_bits is None:
        if known not in (None, model.n_features):
            raise ValueError(f"--features is {known}, and the model to go on from has {model.n_features}")
        known = model.n_features
    return streaming.open_stream(
        arguments,
        arguments.source,
        hash_bits=model.hash_bits,
        zero_based=example_files.base(arguments.zero_based, model.zero_based if model.goes_on else None),
        n_features=known,
        classes=arguments.classes,
        like=model.columns_ if model.goes_on else None,
    )
