"""The part of `predict` that scores a source a block at a time, and writes as it goes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..support import contents
from ..support.log import logger
from . import example_files, streaming

if TYPE_CHECKING:
    from ..data.streams import Stream
    from ..data.tables import Table
    from ..linear import LinearModel

Write = Callable[[Any], object]  # gets the scores of a block


def can_be_streamed(arguments: argparse.Namespace) -> bool:
    """Whether SOURCE is svmlight text or has named columns, and what comes of it is written line by line."""
    from ..data.loading import BUILT_IN

    source = arguments.source
    if arguments.json or source in BUILT_IN:
        return False
    if source != contents.STDIN and not os.path.exists(source):
        return False
    head = contents.peek(source)
    arrays = head.startswith((*contents.ZIP, contents.NPY)) or contents.suffix_of(source) == ".npz"
    return not arrays and not (contents.has_mark(head[:4]) and not head.startswith(b"\xef\xbb\xbf"))


def open_source(arguments: argparse.Namespace, model: LinearModel) -> Stream:
    """The stream to score, with the features of the model."""
    named = streaming.has_named_columns(arguments, arguments.source)
    if not named:
        streaming.check_unnamed(arguments)
    base = "auto" if named else example_files.base(arguments.zero_based, model.zero_based)
    width = model.n_features if model.hash_bits is None and not named else None
    like = model.columns_ if named else None
    if named and like is None and model.feature_names is not None:
        from ..data.roles import Columns

        like = Columns(model.feature_names)
    return streaming.open_stream(
        arguments,
        arguments.source,
        hash_bits=model.hash_bits,
        zero_based=base,
        n_features=width,
        labelled=False,
        like=like,
    )


def score(model: LinearModel, stream: Stream, base: Any, write: Write) -> tuple[dict[str, float] | None, str | None]:
    """Give the scores of each block to `write`; return the monitors, or the reason why there are none, if any."""
    from ..data.ahead import closed_at_end
    from ..data.loading import fitted_to, warn_of_base
    from ..linear.evaluation import Evaluation

    width, first, rows = model.n_features, True, 0
    evaluation, reason = Evaluation(model), None
    with closed_at_end(iter(stream)) as blocks:
        for block in blocks:
            rows += len(block.labels)
            if first and model.hash_bits is None and base == "auto":
                warn_of_base(block, width, None)
            table = fitted_to(block, width) if first else _fitted_quietly(block, width)
            first = False
            scores = model.decision_function(table)
            write(scores)
            if reason is None and _has_labels(block):
                try:
                    evaluation.add(scores, block.labels)
                except ValueError as error:
                    reason = str(error)
                    logger.warning("the predictions are not evaluated: %s", error)
    if not rows:
        raise ValueError(f"{stream.name} has no rows")
    return (evaluation.result() or None, None) if reason is None else (None, reason)


def _fitted_quietly(table: Table, width: int) -> Table:
    """As `fitted_to`, which has warned for the first block."""
    from dataclasses import replace

    from ..data.loading import fitted_to
    from ..data.tables import CSR, cut

    if not isinstance(table.features, CSR):
        return fitted_to(table, width)
    return replace(table, features=cut(table.features, width))


def _has_labels(table: Table) -> bool:
    import numpy as np

    return not (table.labels.dtype.kind == "f" and np.isnan(table.labels).all())
