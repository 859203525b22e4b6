"""The part of `fit` that trains on a stream, and shows the progressive loss as it goes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from . import example_files, screen, streaming

if TYPE_CHECKING:
    from ..data.streams import Stream
    from ..linear import LinearModel
    from ..linear.progressive import Row


class Rows:
    """Prints the progressive losses: all rows of the first epoch, and the last row of each that follows."""

    def __init__(self, out: screen.Screen | None) -> None:
        self._out = out
        self.last: Row | None = None
        self._told = False

    @property
    def examples(self) -> int:
        """The number of examples of the latest epoch."""
        return 0 if self.last is None else self.last.examples

    def row(self, row: Row) -> None:
        from ..linear.stream_arguments import HEADER, shown

        if self.last is None and self._out is not None:
            self._out.say(HEADER)
        self.last, self._told = row, row.epoch == 1
        if self._told and self._out is not None:
            self._out.say(shown(row))

    def __call__(self, entry: dict[str, float]) -> None:
        from ..linear.stream_arguments import shown

        if self._out is None:
            return
        if self.last is not None and not self._told:
            self._out.say(shown(self.last))
        found = {name.removeprefix("valid_"): value for name, value in entry.items() if name.startswith("valid_")}
        if found:
            self._out.say(f"valid: {example_files.shown(found)}")


def model_of(arguments: argparse.Namespace, options: dict[str, Any]) -> LinearModel:
    """A new model, or the one to go on from, with the options that are given.

    Raises
    ------
    ValueError
        If the model to go on from has no state.
    """
    from ..linear import LinearModel

    if arguments.resume is None:
        return LinearModel(**options)
    model = LinearModel.load(arguments.resume, **options, warm_start=True)
    if not model.goes_on:
        raise ValueError(
            f"{arguments.resume} has weights, but no state of training to go on from: train it with --stream"
        )
    return model


def open_source(arguments: argparse.Namespace, model: LinearModel) -> Stream:
    """The stream to train on, with the features that the model has, if it goes on."""
    known = len(model.coef_) if model.goes_on and model.hash_bits is None else arguments.features
    return streaming.open_stream(
        arguments,
        arguments.source,
        hash_bits=model.hash_bits,
        zero_based=example_files.base(arguments.zero_based, model.zero_based if model.goes_on else None),
        n_features=known,
        classes=arguments.classes,
        like=model.columns_ if model.goes_on else None,
    )
