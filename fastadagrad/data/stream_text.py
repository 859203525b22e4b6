"""Svmlight text that is read in blocks of whole lines, each of which is parsed on its own."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..support import contents
from .ahead import Job
from .svmlight import has_weights, lacks_label, parse
from .tables import CSR, Table

BLOCK = 1 << 23  # bytes of text that are parsed in one go
LONGEST_LINE = 1 << 26  # bytes, beyond which a text is taken for something else
Order = Callable[[int], NDArray[np.int64]]  # the order in which so many blocks are to be read


class _Span(NamedTuple):
    """A block's place in a file."""

    start: int
    size: int
    lines: int  # before it


class _Style(NamedTuple):
    """What the first block says of all: where columns count from, and whether lines have labels, and weights."""

    zero_based: bool
    labelled: bool
    weighted: bool


class TextSource:
    """The blocks of a svmlight text.

    Parameters
    ----------
    zero_based : bool or "auto"
        "auto": columns count from 0 if a column 0 occurs in the first block. In later blocks it is then refused, if it
        did not.
    labelled : bool
        Whether each line must have a label. False: lines have labels if the first has one.
    """

    feature_names = None

    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        zero_based: bool | Literal["auto"],
        labelled: bool,
        hash_bits: int | None,
    ) -> None:
        self._source, self._name = source, contents.name_of(source)
        self._zero_based, self._labelled, self.hash_bits = zero_based, labelled, hash_bits
        self._style: _Style | None = None
        self._spans: list[_Span] | None = None  # known once all blocks have been read
        seekable = contents.is_repeatable(source)
        self.repeatable = seekable
        self._in_any_order = seekable and not contents.is_compressed(contents.peek(source))

    @property
    def zero_based(self) -> bool | None:
        """Whether columns count from 0; None before the first block has been read."""
        return None if self._style is None else self._style.zero_based

    def jobs(self, order: Order | None) -> Iterator[Job[Table]]:
        """Jobs that parse the blocks: in the given order, if they have been read before and can be; else as they come.

        Raises
        ------
        OSError, ValueError
            If the source cannot be read, is damaged, or has no rows; a job raises ValueError for malformed text.
        """
        with contents.opened(self._source) as file:
            if order is None or self._spans is None or not self._in_any_order:
                yield from self._in_sequence(file)
                return
            for number in order(len(self._spans)).tolist():
                span = self._spans[number]
                file.seek(span.start)
                text = file.read(span.size)
                if len(text) < span.size or text[-1:] != b"\n":
                    raise ValueError(f"{self._name} has changed while it was being read")
                yield self._job(text, span.lines)

    def _in_sequence(self, file: IO[bytes]) -> Iterator[Job[Table]]:
        spans, at, lines = list[_Span](), 0, 0
        while text := self._next_block(file):
            if self._style is None:
                self._style = self._style_of(text)
            size = len(text)
            if not text.endswith(b"\n"):  # only the last line of a file
                text += b"\n"
                size = 0
            yield self._job(text, lines)
            spans.append(_Span(at, size, lines))
            at += size
            lines += text.count(b"\n")
        if not spans:
            raise ValueError(f"{self._name} has no rows")
        whole = spans[-1].size > 0
        self._in_any_order &= whole  # a file without a line break at its end is rare, and read in sequence
        self._spans = spans

    def _next_block(self, file: IO[bytes]) -> bytes:
        with contents.refusing_damage(f"{self._name}: truncated or damaged"):
            text = file.read(BLOCK)
            line = b"" if text.endswith(b"\n") else file.readline(LONGEST_LINE)
        if len(line) == LONGEST_LINE:
            raise ValueError(f"{self._name} has a line of more than {LONGEST_LINE} bytes: this is no svmlight text")
        return text + line

    def _style_of(self, text: bytes) -> _Style:
        """What the first block says; ValueError if it is text in UTF-16 or the like, which has no bytes for lines."""
        if contents.has_mark(text[:4]) and not text.startswith(codecs.BOM_UTF8):
            raise ValueError(f"{self._name} is in UTF-16 or UTF-32: a stream must be in UTF-8 (iconv -t utf-8)")
        weighted = has_weights(text)
        labelled = self._labelled or weighted or not lacks_label(text)
        if self._zero_based != "auto":
            return _Style(bool(self._zero_based), labelled, weighted)
        with self._placed(0):
            found = parse(text, zero_based="auto", labelled=self._labelled, weighted=weighted).zero_based
        return _Style(bool(found), labelled, weighted)

    def _job(self, text: bytes, lines: int) -> Job[Table]:
        return lambda: self._table(text, lines)

    def _table(self, text: bytes, lines: int) -> Table:
        style = self._style
        assert style is not None  # as the first block has been read
        with self._placed(lines):
            if not style.labelled and not lacks_label(text) and re.search(rb"^[^\S\n]*[^\s#]", text, re.MULTILINE):
                raise ValueError("line 1: has a label, and the lines before have none")
            parsed = parse(
                text,
                zero_based=style.zero_based,
                labelled=style.labelled,
                hash_bits=self.hash_bits,
                weighted=style.weighted,
            )
        features = CSR(parsed.data, parsed.indices, parsed.indptr, (parsed.labels.size, parsed.n_features))
        more: dict[str, Any] = {"zero_based": style.zero_based, "hash_bits": self.hash_bits, "first": lines}
        return Table(features, parsed.labels, self._name, weights=parsed.weights, **more)

    def _placed(self, lines: int) -> AbstractContextManager[None]:
        return _placed(self._name, lines)


@contextmanager
def _placed(name: str, lines: int) -> Iterator[None]:
    """Let errors that name a line of a block name the source, and the line in that."""
    try:
        yield
    except ValueError as error:
        found = re.match(r"line ([0-9]+): (.*)", str(error), re.DOTALL)
        text = f"line {int(found[1]) + lines}: {found[2]}" if found else str(error)
        raise ValueError(f"{name}: {text}") from None
