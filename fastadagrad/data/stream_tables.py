"""Sources with named columns, CSV, Parquet and Arrow IPC, that pyarrow reads a batch of rows at a time."""

from __future__ import annotations

import codecs
import io
import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..support import contents
from ..support.extras import needed

BATCH = 1 << 23  # bytes of the features of a batch, as float64
FEWEST_ROWS = 256  # of a batch, however many columns there are
HEAD = 1 << 20  # bytes of CSV by which the types of its columns are found
FORMATS = ("csv", "parquet", "arrow")
COMPRESSED_INSIDE = (".parquet", ".arrow", ".arrows", ".feather")  # suffixes of formats whose parts are compressed
Order = Callable[[int], NDArray[np.int64]]
Batches = Iterator[tuple[Any, int]]  # batches of rows, each with the number of its first row


class TableSource(Protocol):
    """A source with named columns."""

    schema: Any
    repeatable: bool

    def batches(self, columns: list[str], order: Order | None) -> Batches:
        """Batches of rows with these columns, in the source's order, or its parts in the order that is asked for."""


def format_of(source: str | os.PathLike[str], target: str | None = None) -> str | None:
    """The format of a source by its suffix and its first bytes: one of FORMATS, or None if it is none of these.

    Text with another suffix, or none, is CSV if its first line names the target.
    """
    head = contents.peek(source)
    if contents.is_compressed(head) and contents.suffix_of(source) in COMPRESSED_INSIDE:
        raise ValueError(f"{contents.name_of(source)} is compressed as a whole: decompress it first")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"ARROW1", b"FEA1")) or re.match(rb"\xff\xff\xff\xff(?s:.{3})\x00", head):
        return "arrow"
    if contents.suffix_of(source) in (".csv", ".tsv"):
        return "csv"
    return "csv" if target is not None and _names(head, target) else None


def _names(head: bytes, target: str) -> bool:
    """Whether the first line of a text, of which this is the beginning, is a header with this name in it."""
    first, _, rest = head.partition(b"\n")
    words = {each.strip(b' \r"') for each in re.split(rb"[,;\t]", first.removeprefix(b"\xef\xbb\xbf"))}
    cut_off = not rest and len(head) >= contents.HEAD  # the name may come later in a long line
    return target.encode() in words or (cut_off and len(words) > 1 and b":" not in first)


def open_source(source: str | os.PathLike[str], kind: str) -> TableSource:
    """A source of one of the FORMATS, whose columns are known; it is opened anew for each pass.

    Raises
    ------
    OSError, ValueError
        If it cannot be read, or is damaged.
    RuntimeError
        If pyarrow is not installed.
    """
    needed("pyarrow", f"{contents.name_of(source)} ({kind})")
    if kind == "csv":
        return CSVSource(source)
    return ParquetSource(source) if kind == "parquet" else ArrowSource(source)


@contextmanager
def _sound(name: str, kind: str) -> Iterator[None]:
    """Turn pyarrow's errors for a damaged or malformed source into ValueError with its name."""
    with contents.refusing_damage(f"{name} is no sound {kind} file"):
        yield


def _rows_for(columns: int) -> int:
    return max(FEWEST_ROWS, BATCH // (8 * max(columns, 1)))


def _slices(batch: Any, first: int, rows: int) -> Batches:
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows), first + start


class ParquetSource:
    """A Parquet file: its row groups, in any order, each in batches of rows; one on standard input is read once."""

    def __init__(self, source: str | os.PathLike[str]) -> None:
        self._name = contents.name_of(source)
        self.repeatable = contents.is_repeatable(source)
        if not contents.is_seekable(source):
            raise ValueError(f"{self._name} is Parquet, whose contents stand at its end: it must be a file, not a pipe")
        self._source = source
        with _sound(self._name, "Parquet"), self._open() as file:
            self.schema = file.schema_arrow

    def _open(self) -> Any:
        # Without buffering ahead, a row group of any size is read a page at a time.
        parquet = needed("pyarrow.parquet", f"{self._name} (Parquet)")
        source = contents.stdin() if self._source == contents.STDIN else self._source
        return parquet.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20)

    def batches(self, columns: list[str], order: Order | None) -> Batches:
        with self._open() as file:
            groups = file.num_row_groups
            sizes = [file.metadata.row_group(g).num_rows for g in range(groups)]
            firsts = np.append(0, np.cumsum(sizes))
            rows = _rows_for(len(columns))
            for group in range(groups) if order is None else order(groups).tolist():
                first = int(firsts[group])
                batches = file.iter_batches(rows, row_groups=[group], columns=columns)
                while True:
                    with _sound(self._name, "Parquet"):
                        batch = next(batches, None)
                    if batch is None:
                        break
                    yield batch, first
                    first += batch.num_rows


class ArrowSource:
    """Arrow IPC: a file, whose record batches are read in any order; or a stream, also from standard input."""

    def __init__(self, source: str | os.PathLike[str]) -> None:
        self._source, self._name = source, contents.name_of(source)
        self._ipc = needed("pyarrow.ipc", f"{self._name} (Arrow IPC)")
        head = contents.peek(source)
        self._is_file = head.startswith(b"ARROW1")
        if head.startswith(b"FEA1"):
            raise ValueError(f"{self._name} is of Feather's first version: write it anew as Arrow IPC")
        self.repeatable = contents.is_repeatable(source)
        if self._is_file and not contents.is_seekable(source):
            raise ValueError(f"{self._name} is an Arrow file: it must not come through a pipe, as an Arrow stream may")
        self._pending = ExitStack()  # what has been opened and can be opened once only
        self._reader: Any = None
        self._firsts: list[int] | None = None  # number of the first row of each record batch, after the first pass
        if not self.repeatable:
            self._reader = self._opened(self._pending)
            self.schema = self._reader.schema
            return
        with ExitStack() as stack:
            self.schema = self._opened(stack).schema

    def _opened(self, stack: ExitStack) -> Any:
        file = stack.enter_context(contents.opened(self._source))
        with _sound(self._name, "Arrow"):
            return self._ipc.open_file(file) if self._is_file else self._ipc.open_stream(file)

    def batches(self, columns: list[str], order: Order | None) -> Batches:
        rows, first, firsts = _rows_for(len(columns)), 0, list[int]()
        with ExitStack() as stack:
            stack.push(self._pending)
            reader = self._reader or self._opened(stack)
            if self._is_file and order is not None and self._firsts is not None:
                for number in order(len(self._firsts)).tolist():
                    yield from _slices(self._batch(reader, number), self._firsts[number], rows)
                return
            for number in range(reader.num_record_batches) if self._is_file else count():
                batch = self._batch(reader, number)
                if batch is None:
                    break
                firsts.append(first)
                yield from _slices(batch, first, rows)
                first += batch.num_rows
            self._firsts = firsts

    def _batch(self, reader: Any, number: int) -> Any:
        with _sound(self._name, "Arrow"):
            batch = reader.get_batch(number) if self._is_file else next(reader, None)
            if batch is not None:
                batch.validate(full=True)  # pyarrow believes where a file says that words begin and end
            return batch


class CSVSource:
    """CSV with a header line, separated by commas, semicolons or tabs, whichever the header has most of.

    The types of the columns are those of the first megabyte, except that whole numbers may be followed by others.
    """

    def __init__(self, source: str | os.PathLike[str]) -> None:
        self._source, self._name = source, contents.name_of(source)
        self._csv = needed("pyarrow.csv", f"{self._name} (CSV)")
        self.repeatable = contents.is_repeatable(source)
        self._pending = ExitStack()  # what has been opened and can be opened once only
        self._joined: _Joined | None = None
        with ExitStack() as stack:
            file = stack.enter_context(contents.opened(source))
            with _sound(self._name, "CSV"):
                head = file.read(HEAD)
            if not self.repeatable:
                self._joined, self._pending = _Joined(head, file), stack.pop_all()
        header, *rows = self._text_of(head).strip().splitlines() or [""]
        if len(head) == HEAD and not rows:
            raise ValueError(f"{self._name} has a first line of more than {HEAD:,} bytes: this is no CSV")
        if not rows:
            raise ValueError(f"{self._name} has no rows")
        self._delimiter = max(",;\t", key=header.count)
        self.schema = self._inferred(head)

    def _text_of(self, head: bytes) -> str:
        """The beginning of the file as text; ValueError if it is none, or not in UTF-8."""
        if contents.has_mark(head[:4]) and not head.startswith(codecs.BOM_UTF8):
            raise ValueError(f"{self._name} is in UTF-16 or UTF-32: CSV must be in UTF-8 (iconv -t utf-8)")
        what = contents.describe(head[: contents.HEAD])
        if what is not None:
            raise ValueError(f"{self._name} {what}")
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        try:
            return decoder.decode(head, final=len(head) < HEAD)
        except UnicodeDecodeError as error:
            line, byte = head.count(b"\n", 0, error.start) + 1, head[error.start]
            raise ValueError(
                f"{self._name}, line {line}: is no text in UTF-8, for its byte 0x{byte:02x}: CSV must be in UTF-8 "
                "(iconv -f latin1 -t utf-8)"
            ) from None

    def _inferred(self, head: bytes) -> Any:
        pa = needed("pyarrow", "CSV")
        whole = head[: head.rfind(b"\n") + 1] if len(head) == HEAD else head
        parse = self._csv.ParseOptions(
            delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=lambda row: "skip"
        )
        read = self._csv.ReadOptions(block_size=max(len(whole), 1) + 1)
        with _sound(self._name, "CSV"), self._csv.open_csv(io.BytesIO(whole), read, parse) as reader:
            found = reader.schema
        types = [pa.float64() if pa.types.is_integer(kind) or pa.types.is_null(kind) else kind for kind in found.types]
        return pa.schema(list(zip(found.names, types, strict=True)))

    def take_as_strings(self, names: Collection[str]) -> None:
        """Let columns be strings as they are written, whatever they look like."""
        self._take_as(needed("pyarrow", "CSV").string(), names)

    def take_as_numbers(self, names: Collection[str]) -> None:
        """Let columns be numbers: what is none is refused when it is read."""
        self._take_as(needed("pyarrow", "CSV").float64(), names)

    def _take_as(self, chosen: Any, names: Collection[str]) -> None:
        fields = zip(self.schema.names, self.schema.types, strict=True)
        schema = needed("pyarrow", "CSV").schema
        self.schema = schema([(name, chosen if name in names else kind) for name, kind in fields])

    def batches(self, columns: list[str], order: Order | None) -> Batches:
        csv, first = self._csv, 0
        types = dict(zip(self.schema.names, self.schema.types, strict=True))
        rows = _rows_for(len(columns))
        with ExitStack() as stack:
            stack.push(self._pending)
            file: Any = self._joined or stack.enter_context(contents.opened(self._source))
            with _sound(self._name, "CSV"):
                reader = stack.enter_context(
                    csv.open_csv(
                        file,
                        csv.ReadOptions(block_size=BATCH // 2),
                        csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
                        csv.ConvertOptions(include_columns=columns, column_types={k: types[k] for k in columns}),
                    )
                )
            while True:
                with _sound(self._name, "CSV"):
                    batch = next(reader, None)
                if batch is None:
                    return
                yield from _slices(batch, first, rows)
                first += batch.num_rows


class _Joined(io.RawIOBase):
    """What has been read of a file, and then its rest."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._head[: len(buffer)]
        if part:
            self._head = self._head[len(part) :]
        else:
            part = self._rest.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)
