"""Contents of files: recognised by their first bytes, decompressed, and, if they are text, converted to UTF-8."""

from __future__ import annotations

import codecs
import errno
import importlib
import os
import re
import sys
import tokenize
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

STDIN = "-"
COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}  # suffixes, and the modules that decompress
HEAD = 512
ZIP, NPY = (b"PK\x03\x04", b"PK\x05\x06"), b"\x93NUMPY"

_CODECS = (
    (rb"\x1f\x8b\x08", "gzip"),
    (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", "bz2"),
    (rb"\xfd7zXZ\x00|\x5d\x00\x00", "lzma"),
)
_SAVED = "numpy.savez('data.npz', X=X, y=y)"
_AS_FRAME = f"read it with pandas, and save it by {_SAVED}"
_UNPACK = "decompress it first"
_BINARY = (
    (rb"PK(\x03\x04|\x05\x06)", "a zip archive", "give a .npz file a name that ends so, and unpack any other"),
    (rb"\x93NUMPY", "a .npy file, which is one array", f"save features and labels together, by {_SAVED}"),
    (rb"PAR1", "a Parquet file", _AS_FRAME),
    (rb"ARROW1|FEA1|\xff\xff\xff\xff(?s:.{3})\x00", "an Arrow file", _AS_FRAME),
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file", f"read its arrays with h5py, and save them by {_SAVED}"),
    (rb"\x1f\x8b", "compressed by gzip", _UNPACK),
    (rb"BZh[1-9]", "compressed by bzip2", _UNPACK),
    (rb"\xfd7zXZ\x00|\x5d\x00\x00", "compressed by xz or lzma", _UNPACK),
    (rb"\x28\xb5\x2f\xfd", "compressed by zstd", _UNPACK),
    (rb"\x04\x22\x4d\x18", "compressed by lz4", _UNPACK),
    (rb"\x1f[\x9d\xa0]", "compressed by compress", _UNPACK),
    (rb"7z\xbc\xaf\x27\x1c|Rar!", "an archive", "unpack it first"),
    (rb"(?s:.{257})ustar", "a tar archive", "unpack it first"),
    (rb"\x80[\x02-\x05]", "a pickle, which is never loaded", f"save plain arrays by {_SAVED}"),
    (rb"SQLite format 3\x00", "an SQLite database", _AS_FRAME),
    (rb"%PDF-|\x89PNG|\xd0\xcf\x11\xe0|\x7fELF", "a document, a picture or a program", _AS_FRAME),
    (rb"(?s:[^\x00]\x00){4}", "text in UTF-16 without a byte order mark", "save it as UTF-8"),
    (rb"(?s:\x00[^\x00]){4}", "text in UTF-16 without a byte order mark", "save it as UTF-8"),
    (rb"(?s:.{0,500}?)\x00", "binary", _AS_FRAME),
)
_MARKS = (  # byte order marks; UTF-32's come first, as one of them begins like one of UTF-16
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def _faults_of_decompressors() -> Iterator[type[Exception]]:
    """Exceptions of the decompressors that this Python has: lzma may be missing, and zstd came with 3.14."""
    for module, name in (("zlib", "error"), ("lzma", "LZMAError"), ("compression.zstd", "ZstdError")):
        with suppress(ImportError):
            yield getattr(importlib.import_module(module), name)


DAMAGE: tuple[type[Exception], ...] = (  # exceptions that readers raise for damaged archives, arrays and JSON
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    OSError,  # but see `refusing_damage`
    RuntimeError,  # for an encrypted member, and for JSON that is nested too deeply
    SyntaxError,  # for the header of an array, which is a Python expression
    tokenize.TokenError,
    zipfile.BadZipFile,
    *_faults_of_decompressors(),
)


@contextmanager
def refusing_damage(complaint: str, sizes_are_checked: bool = False) -> Iterator[None]:
    """Turn any exception that a damaged file causes into a ValueError with a complaint and the reason.

    A MemoryError is taken for a huge size in a damaged header, unless sizes are checked before memory is allocated. An
    OSError of the system is raised as it is. An OSError without a number comes from a decompressor, and "invalid
    argument" from an offset outside the file in a damaged archive, so that both count as damage.

    >>> with refusing_damage("the file is damaged"):
    ...     raise EOFError("it ends early")
    Traceback (most recent call last):
    ...
    ValueError: the file is damaged: it ends early
    """
    damage: tuple[type[Exception], ...] = DAMAGE if sizes_are_checked else (*DAMAGE, MemoryError)
    try:
        yield
    except damage as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise ValueError(f"{complaint}: {error or type(error).__name__}") from error


def describe(head: bytes) -> str | None:
    """The kind of a binary content by its first bytes, with advice, as part of a message; None for text."""
    for pattern, kind, advice in _BINARY:
        if re.match(pattern, head):
            return f"is {kind}: {advice}"
    return None


def name_of(source: str | os.PathLike[str]) -> str:
    """The name of a source in messages."""
    return "standard input" if source == STDIN else os.fspath(source)


def suffix_of(source: str | os.PathLike[str]) -> str:
    """The suffix of a path in lower case, not counting that of a compression."""
    path = Path(source)
    if path.suffix.lower() in COMPRESSED:
        path = path.with_suffix("")
    return path.suffix.lower()


def peek(source: str | os.PathLike[str]) -> bytes:
    """The first bytes of a file or of standard input; empty if to read them would take them away from later readers."""
    if source == STDIN:
        head: bytes = stdin().peek(HEAD)[:HEAD]
        return head
    if not os.path.isfile(source):
        return b""
    with open(source, "rb") as file:
        return file.read(HEAD)


def read(source: str | os.PathLike[str]) -> bytes:
    """All bytes of a file or of standard input, decompressed if they are compressed, whatever the name is.

    Raises
    ------
    ValueError
        If the source is damaged, or not of the kind that its suffix says; the message names it.
    """
    content: bytes = stdin().read() if source == STDIN else Path(source).read_bytes()
    suffix = "" if source == STDIN else Path(source).suffix.lower()
    found = next((module for pattern, module in _CODECS if re.match(pattern, content)), COMPRESSED.get(suffix))
    if found is None or not content:
        return content
    codec = importlib.import_module(found)
    what = suffix if COMPRESSED.get(suffix) == found else found
    with refusing_damage(f"{name_of(source)}: truncated, damaged or not {what}"):
        decompressed: bytes = codec.decompress(content)
    return decompressed


@contextmanager
def opened(source: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file or standard input, opened to be read from its beginning on, decompressed, whatever the name is.

    Standard input stays open. Whoever reads does so within `refusing_damage`.
    """
    with ExitStack() as stack:
        raw = stdin() if source == STDIN else stack.enter_context(open(source, "rb"))
        codec = next((module for pattern, module in _CODECS if re.match(pattern, raw.peek(HEAD))), None)
        yield raw if codec is None else stack.enter_context(importlib.import_module(codec).open(raw))


def is_repeatable(source: str | os.PathLike[str]) -> bool:
    """Whether a source can be read more than once: a regular file can."""
    return source != STDIN and os.path.isfile(source)


def is_seekable(source: str | os.PathLike[str]) -> bool:
    """Whether a source can be read from any place on: a regular file can, also as standard input."""
    return is_repeatable(source) or (source == STDIN and bool(stdin().seekable()))


def is_compressed(head: bytes) -> bool:
    """Whether a content that begins with these bytes is compressed in a way that `opened` undoes."""
    return any(re.match(pattern, head) for pattern, _ in _CODECS)


def read_text(path: str | os.PathLike[str]) -> str:
    """The text in a file, which may be compressed, and in UTF-8, UTF-16 or UTF-32.

    Raises
    ------
    ValueError
        If the file is no text, or in another encoding; the message names it.
    """
    content = as_utf8(read(path), name_of(path))
    what = describe(content[:HEAD])
    if what is not None:
        raise ValueError(f"{name_of(path)} {what}")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise ValueError(
            f"{name_of(path)}, line {line}: is no text in UTF-8, for its byte 0x{byte:02x}: save it as UTF-8"
        ) from None


def has_mark(head: bytes) -> bool:
    """Whether a text that begins with these bytes has a byte order mark."""
    return head.startswith((codecs.BOM_UTF8, *(mark for mark, _ in _MARKS)))


def as_utf8(text: bytes, name: str = "the text") -> bytes:
    """A text without its byte order mark, converted to UTF-8 if the mark says another encoding."""
    if text.startswith(codecs.BOM_UTF8):
        return text[len(codecs.BOM_UTF8) :]
    for mark, encoding in _MARKS:
        if text.startswith(mark):
            try:
                return text.decode(encoding).encode()
            except UnicodeError as error:
                raise ValueError(f"{name} begins as {encoding} does, but is damaged: {error}") from None
    return text


def stdin() -> Any:
    """Standard input as bytes; ValueError if there is none."""
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise ValueError("standard input is closed, or gives no bytes: give a file instead of -")
    return stream
