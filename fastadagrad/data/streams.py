"""Examples that are read a block at a time, so that they need not fit into memory."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..support import contents
from ..support.asking import asking, path_text, shown, whether
from ..support.checks import one_of, whole_number
from . import stream_tables
from .ahead import MOST_THREADS, Job, closed_at_end, composed, default_threads, in_order
from .columns import checked_base, checked_bits
from .named_columns import RULES, Converter, Means, check_numbers, check_there, columns_of, is_string
from .roles import Columns
from .stream_text import TextSource
from .tables import Table, in_one

FORMATS = ("svmlight", *stream_tables.FORMATS)
DEFAULT_BITS = 18  # hash bits where hashing is needed and none are given; as many as Vowpal Wabbit's
Order = Callable[[int], NDArray[np.int64]]
T = TypeVar("T")


class Stream:
    r"""Examples in a file or on standard input, read a block at a time in the background.

    `LinearModel.fit` and `partial_fit` take a Stream in the place of X and y, and train in bounded memory. Iterating
    over a Stream gives its blocks as Tables, which `predict` and the like take.

    Parameters
    ----------
    source : str or path
        svmlight text, CSV with a header line, Parquet, Arrow IPC (a file or a stream), or ``-``, which is standard
        input. Text may be compressed by gzip, bzip2 or xz.
    format : {"svmlight", "csv", "parquet", "arrow"}, optional
        By default what the suffix and the first bytes say; other text is CSV if its first line names the `target`, else
        svmlight.
    target : str, optional
        The column of labels, numbers or strings, of sources with named columns.
    weight : str, optional
        The column of the examples' weights.
    drop, categories : sequence of str
        Columns to leave out; and columns of numbers or dates whose values are to be taken as strings.
    columns : Columns, optional
        The columns of a training, `columns` of its Stream or `columns_` of its model: these are taken, in their order,
        with the numbers that stood for missing ones there, and others are left out. They stand in the place of `drop`,
        `categories` and `missing`. The target may be another one, or lacking.
    missing : {"refuse", "zero", "mean"}
        What becomes of a missing number, or NaN, among named columns: it is refused, with its row and column; or 0 or
        the mean of its column stands for it. The mean is that of the whole source, which is read once more for it. A
        missing string is taken as an empty one; a missing label, or an empty one, is refused if there must be labels.
    hash_bits : int, optional
        Hash the features into 2**hash_bits: those of svmlight by their numbers, columns by their names, strings by
        name and value together. Where there are strings, or svmlight text that can be read once only, whose number of
        features is not known, the default is 18; else nothing is hashed.
    zero_based : bool or "auto"
        Of svmlight text: whether columns count from 0 or from 1; "auto": from 0 if a column 0 occurs in the first 8 MB.
    n_features : int, optional
        Number of features of svmlight text, if they are not hashed; by default a pass over the source finds it.
    labelled : bool
        Whether there must be labels. If not, labels are NaN where there are none.
    classes : sequence, optional
        All labels, for a loss of classes, where not all occur in the first part of a source that can be read once only.
    threads : int, optional
        Threads that read and parse ahead; by default as many as there are cores, at most 4. With 0 there are none,
        and more than 1024 are refused. What is read does not depend on them.

    Attributes
    ----------
    name : str
    repeatable : bool
        Whether the source can be read again: a file can, standard input or a pipe cannot.
    columns : Columns or None
        Which of the named columns are what.
    feature_names : tuple of str or None

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError, TypeError
        If an argument makes no sense, or does not go with the source; the message names it.
    RuntimeError
        If pyarrow is needed and not installed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastadagrad import LinearModel, Stream
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "rain.csv"
    >>> _ = path.write_text("cloud,wind,rain\n" + ".9,2,yes\n.1,3,no\n.8,1,yes\n.2,1,no\n" * 50)
    >>> model = LinearModel().fit(Stream(path, target="rain"))
    >>> [model.predict(table)[:4].tolist() for table in Stream(path, target="rain")]
    [['yes', 'no', 'yes', 'no']]
    >>> folder.cleanup()
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        format: Literal["svmlight", "csv", "parquet", "arrow"] | None = None,
        target: str | None = None,
        weight: str | None = None,
        drop: Sequence[str] = (),
        categories: Sequence[str] = (),
        columns: Columns | None = None,
        missing: Literal["refuse", "zero", "mean"] = "refuse",
        hash_bits: int | None = None,
        zero_based: bool | Literal["auto"] = "auto",
        n_features: int | None = None,
        labelled: bool = True,
        classes: Sequence[Any] | None = None,
        threads: int | None = None,
    ) -> None:
        path = path_text("source", source, "a path, or - for standard input")
        source = path if isinstance(source, str) else Path(path)
        missing = one_of("missing", missing, RULES)
        format = None if format is None else one_of("format", format, FORMATS)
        zero_based = checked_base(zero_based)
        self._threads = default_threads() if threads is None else whole_number("threads", threads, 0, MOST_THREADS)
        self.n_features = None if n_features is None else whole_number("n_features", n_features, 1)
        self._bits = self.hash_bits = checked_bits(hash_bits)
        self.labelled, self._missing = whether("labelled", labelled), missing
        self.classes = classes
        self._source, self.name = source, Path(contents.name_of(source)).name
        if source != contents.STDIN and not os.path.exists(source):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(source))
        self._zero_based = zero_based
        self.columns: Columns | None = None
        named = {
            "target": _name("target", target),
            "weight": _name("weight", weight),
            "drop": _names("drop", drop),
            "categories": _names("categories", categories),
        }
        with asking("columns", columns):
            if not isinstance(columns, Columns | None):
                raise TypeError(f"columns must be those of a Stream or a model, not {shown(columns)}")
        self._format = format or _recognised(source, target)
        self._taken = False
        self._table_source: stream_tables.TableSource | None = None
        self._text: TextSource | None = None
        if self._format == "svmlight":
            self._open_text({name: value for name, value in named.items() if value})
        else:
            self._open_table(named, columns)

    def _open_text(self, unfit: Mapping[str, Any]) -> None:
        if contents.is_repeatable(self._source) and not os.path.getsize(self._source):
            raise ValueError(f"{self.name} has no rows")
        if "target" in unfit:
            raise ValueError(
                f"target names an array of a .npz file, or a column of CSV, Parquet or Arrow, but {self.name} is "
                f"svmlight text, or its first line names no {unfit['target']!r}"
            )
        if unfit:
            raise ValueError(f"{next(iter(unfit))} names columns, and svmlight text, as {self.name} is, has none")
        if self._missing != "refuse":
            raise ValueError(
                f"missing={self._missing!r} fills numbers of CSV, Parquet or Arrow; in svmlight text, as {self.name} "
                "is, a missing value is left out, for which 0 stands"
            )
        if self.hash_bits is None and self.n_features is None and not contents.is_repeatable(self._source):
            self.hash_bits = DEFAULT_BITS
        self._text = TextSource(
            self._source, zero_based=self._zero_based, labelled=self.labelled, hash_bits=self.hash_bits
        )
        self.repeatable = self._text.repeatable

    def _open_table(self, named: dict[str, Any], columns: Columns | None) -> None:
        found = stream_tables.open_source(self._source, self._format)
        if self.labelled and named["target"] is None and columns is None:
            names = ", ".join(map(repr, found.schema.names[:10]))
            raise ValueError(f"{self.name}: say which column has the labels (target, --target): there are {names}")
        self._table_source, self.repeatable = found, found.repeatable
        if columns is not None:
            self.columns = replace(columns, target=named["target"], weight=named["weight"])
            take_columns(self, columns)
            return
        if isinstance(found, stream_tables.CSVSource):
            found.take_as_strings(named["categories"])
        self.columns = columns_of(found.schema, self.name, **named)
        check_numbers(found.schema, self.columns, self.name)
        if self._missing == "zero":
            self.columns = replace(self.columns, fill=dict.fromkeys(self.columns.numbers, 0.0))
        if self._missing == "mean" and not self.repeatable:
            raise ValueError(
                f"missing='mean' takes the mean of the whole source, and {self.name} can be read once only"
            )
        if self.columns.categories and self.hash_bits is None:
            self.hash_bits = DEFAULT_BITS

    def table(self) -> Table:
        r"""All examples in one Table, in memory.

        Returns
        -------
        Table

        Raises
        ------
        OSError, ValueError
            As iterating over the Stream does; and if there are no rows.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> from fastadagrad import Stream
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "rain.csv"
        ...     _ = path.write_text("cloud,rain\n.9,yes\n.1,no\n")
        ...     table = Stream(path, target="rain").table()
        >>> table.features.tolist(), table.labels.tolist()
        ([[0.9], [0.1]], ['yes', 'no'])
        """
        parts = [part for part in self if len(part.labels)]
        if not parts:
            raise ValueError(f"{self.name} has no rows")
        return in_one(parts)

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Names of the features, if they have names and are not hashed."""
        return self.columns.numbers if self.columns is not None and self.hash_bits is None else None

    @property
    def zero_based(self) -> bool | None:
        """Whether the columns of svmlight text count from 0; None before any was read, and for other formats."""
        return None if self._text is None else self._text.zero_based

    def __iter__(self) -> Iterator[Table]:
        """The blocks in the source's order.

        An OSError or ValueError is raised if the source is damaged or malformed, or can be read once only and has been.
        """
        return read_blocks(self, lambda table: table)

    def _jobs(self, order: Order | None) -> Iterator[Job[Table]]:
        if self._text is not None:
            return self._text.jobs(order)
        converter = self._converter()
        return self._batches(converter.table, order)

    @property
    def _named(self) -> tuple[stream_tables.TableSource, Columns]:
        """The source and its columns, if these have names."""
        if self._table_source is None or self.columns is None:
            raise ValueError(f"{self.name} is svmlight text, whose columns have no names")
        return self._table_source, self.columns

    def _converter(self) -> Converter:
        source, columns = self._named
        return Converter(source.schema, columns, self.hash_bits, self.name, self.labelled)

    def _batches(self, make: Callable[[Any, int], Any], order: Order | None) -> Iterator[Job[Any]]:
        source, columns = self._named
        empty = True
        for batch, first in source.batches(columns.all, order):
            empty = False
            yield partial(make, batch, first)
        if empty:
            raise ValueError(f"{self.name} has no rows")

    def _means(self) -> Means:
        """The means of the columns of numbers, for which the source is read once."""
        converter = self._converter()
        means = Means(len(converter.columns.numbers))
        jobs = self._batches(lambda batch, first: Means.part(converter.numbers(batch)), None)
        with closed_at_end(in_order(jobs, self._threads, self._threads + 2)) as parts:
            for part in parts:
                means.add(part)
        return means


def read_blocks(stream: Stream, then: Callable[[Table], T], order: Order | None = None, ahead: int = 2) -> Iterator[T]:
    """What `then` makes of each block of a stream, in background threads, in order.

    Parameters
    ----------
    then : callable
        Gets a Table and returns anything; it is called in several threads at a time.
    order : callable, optional
        Given the number of blocks (of row groups or record batches), the order to read them in, where that is possible
        and the source has been read through before; else they come in the source's order.
    ahead : int
        Number of blocks that are prepared in advance, beside those that threads are at work on.

    Raises
    ------
    OSError, ValueError
        If the source cannot be read, is damaged or malformed, or can be read once only and has been.
    """
    if stream._taken and not stream.repeatable:
        raise ValueError(f"{stream.name} can be read once only, and has been")
    settle_columns(stream)
    stream._taken = True
    return in_order(composed(stream._jobs(order), then), stream._threads, stream._threads + ahead)


def is_stream(X: Any) -> TypeGuard[Stream]:
    """Whether examples are a Stream; TypeError if they do not say."""
    with asking("X", X):
        return isinstance(X, Stream)


def settle_columns(stream: Stream) -> Columns | None:
    """The named columns of a stream, with the numbers that stand for missing ones; None for svmlight text.

    For ``missing="mean"`` the source is read, if it has not been.

    Raises
    ------
    OSError, ValueError
        If the source cannot be read, or is damaged or malformed.
    """
    if stream._missing == "mean" and stream.columns is not None and stream.columns.fill is None:
        stream.columns = stream._means().fill(stream.columns)
    return stream.columns


def take_columns(stream: Stream, columns: Columns) -> None:
    """Let a stream have the features of another one, in their order, and its numbers for missing ones.

    Parameters
    ----------
    columns : Columns
        Those of a Stream, or of a model trained on one. Other columns of the source are left out. The target and the
        weight are those that the stream was made with, or else those named here, if the source has them.

    Raises
    ------
    ValueError
        If the source lacks a feature, or is svmlight text.
    """
    source, own = stream._named
    names = Counter(map(str, source.schema.names))
    for name in (*columns.numbers, *columns.categories):
        check_there(name, names, stream.name, "a feature of the training")
    features = {*columns.numbers, *columns.categories}
    for role, given in (("target", own.target), ("weight", own.weight)):
        if given in features:
            raise ValueError(f"{role} must be no feature of the training, as column {given!r} is: name another one")
        if given is not None:
            check_there(given, names, stream.name, role)
    if isinstance(source, stream_tables.CSVSource):
        source.take_as_strings(columns.categories)
        source.take_as_numbers([name for name in columns.numbers if is_string(source.schema.field(name).type)])
    target, weight = own.target or columns.target, own.weight or columns.weight
    stream.columns = replace(
        columns, target=target if target in names else None, weight=weight if weight in names else None
    )
    check_numbers(source.schema, stream.columns, stream.name)
    stream._missing = "refuse" if columns.fill is None else "zero"  # filled by those numbers
    stream.hash_bits = DEFAULT_BITS if stream._bits is None and columns.categories else stream._bits


def _name(what: str, given: Any) -> str | None:
    with asking(what, given):
        if not isinstance(given, str | None):
            raise TypeError(f"{what} must be the name of a column, not {shown(given)}")
        return given


def _names(what: str, given: Any) -> list[str]:
    with asking(what, given):
        if isinstance(given, str):
            raise TypeError(f"{what} must be a list of names, not the string {given!r}")
        names = list(given)
        if not all(isinstance(name, str) for name in names):
            raise TypeError(f"{what} must be a list of names, not {shown(given)}")
        return names


def _recognised(source: str | os.PathLike[str], target: str | None) -> str:
    if contents.peek(source).startswith((*contents.ZIP, contents.NPY)):
        raise ValueError(
            f"{contents.name_of(source)} is made of NumPy's arrays, which are read whole: use load (leave --stream out)"
        )
    return stream_tables.format_of(source, target) or "svmlight"
