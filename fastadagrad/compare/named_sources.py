"""Files with examples as problems and recipes name them: ``FILE``, or ``FILE:COLUMN`` where columns have names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from numpy.typing import DTypeLike

from ..data.loading import BUILT_IN, has_named_columns, load
from ..data.stream_tables import format_of, open_source
from ..data.tables import Table, refuse_weights

SUFFIXES = (".svm", ".svmlight", ".libsvm", ".npz", ".csv", ".tsv", ".parquet", ".arrow", ".gz", ".bz2", ".xz", ".txt")


class Source(NamedTuple):
    """A file, or a data set by its name, and the column of its labels: None where that has no name."""

    path: str
    target: str | None

    @property
    def is_file(self) -> bool:
        """Whether it is a file, and not the name of a data set."""
        return self.path not in BUILT_IN

    def label(self) -> str:
        """A short name, with the column if there is one."""
        name = os.path.basename(self.path)
        while name.lower().endswith(SUFFIXES) and name.rindex("."):
            name = name[: name.rindex(".")]
        return name if self.target is None else f"{name}-{self.target}"


def is_source(text: str) -> bool:
    """Whether a text names a data set, a file that there is, or one that could be there, by its suffix."""
    return text in BUILT_IN or os.path.isfile(text) or text.lower().endswith(SUFFIXES)


def is_named(text: str) -> bool:
    """Whether a text is a source, or one and a column."""
    return is_source(text) or is_source(text.rpartition(":")[0])


def source_named(text: str) -> Source:
    """The source that a text names, and the column of its labels if that is behind a colon.

    Examples
    --------
    >>> from fastadagrad.compare.named_sources import source_named
    >>> source_named("train.csv:price").label(), source_named("train.svm.gz").label()
    ('train-price', 'train')
    """
    path, _, column = text.rpartition(":")
    with_column = column and path not in BUILT_IN and is_source(path) and not is_source(text)
    return Source(path, column) if with_column else Source(text, None)


def load_examples(source: Source, dtype: DTypeLike) -> Table:
    """The examples of a source.

    Raises
    ------
    OSError, ValueError
        If it cannot be read, has weights of examples, or has columns with names of which none is named for the labels.
    """
    path = source.path
    if source.is_file and source.target is None and has_named_columns(path):
        names = ", ".join(map(repr, open_source(path, format_of(path) or "").schema.names[:10]))
        raise ValueError(f"{path}: say which column has the labels, as in {path}:COLUMN; there are {names}")
    return refuse_weights(load(Path(path) if source.is_file else path, dtype=dtype, target=source.target))
