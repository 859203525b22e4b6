"""Parsing of svmlight (libsvm) text to CSR arrays: one pass over the bytes sizes the arrays, one fills them."""

from __future__ import annotations

import math
import re
from itertools import islice
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.text import svmlight as kernels
from ..support import contents
from ..support.asking import shown
from ..support.log import logger
from .columns import checked_base, checked_bits, hashed
from .memory_at_hand import BYTES_A_FEATURE, advice, in_words
from .tables import CSR, cast_sparse

SLOW_BATCH = 4096  # numbers of many digits, which Python converts, that one call of the scanner may leave
SHOWN = 60  # characters of a word that a message shows
LONGEST_LINE = 4096  # bytes of a line that are looked at to find out what a text is
# Advice for messages about text that is something else.
NAMED = "say which column of its first line has the labels: target, --target COLUMN"
SAVED = "numpy.savez('data.npz', X=X, y=y) makes a file of them that is taken"


class Parsed(NamedTuple):
    """A parsed text: CSR arrays, a label a row, the number of columns, whether these counted from 0, and weights."""

    data: NDArray[Any]
    indices: NDArray[np.int32]
    indptr: NDArray[np.int64]
    labels: NDArray[np.float64]
    n_features: int
    zero_based: bool | None
    weights: NDArray[np.float64] | None = None


def parse(
    text: bytes | bytearray | memoryview | NDArray[np.uint8],
    *,
    dtype: DTypeLike = np.float64,
    zero_based: bool | Literal["auto"] = "auto",
    labelled: bool = True,
    hash_bits: int | None = None,
    weighted: bool | Literal["auto"] = "auto",
) -> Parsed:
    r"""Parse svmlight text.

    Parameters
    ----------
    text : bytes-like or uint8 ndarray
        Lines ``label [qid:N] index:value ... [# comment]``, ended by ``\n`` or ``\r\n`` and separated by
        any white space; or ``label:weight ...`` with how much each line counts. Numbers are decimal, with an optional
        exponent. ``qid:N`` is skipped, and so are comments, blank lines and a byte order mark; text in UTF-16 or UTF-32
        must have one.
    dtype : {float64, float32}
        Dtype of the data. Each value is the float64 nearest to the decimal number; float32 is rounded from that.
    zero_based : bool or "auto"
        Whether columns count from 0 or from 1; "auto": from 0 if a column 0 occurs anywhere.
    labelled : bool
        Whether each line must have a label. False: if the first line has none, no line may have one.
    hash_bits : int, optional
        Hash the columns, counted from 0, into 2**hash_bits, as :func:`fastadagrad.data.tables.as_features` does. They
        may have up to 19 digits then.
    weighted : bool or "auto"
        Whether each label has a weight; "auto": if there is a colon where the first label should be, and if one of the
        labels has a sign, a point or an exponent, as in ``+1:2.5``, so that it is no column.

    Returns
    -------
    Parsed
        ``data`` (nnz,) of dtype, ``indices`` (nnz,) int32 counted from 0, ``indptr`` (n + 1,) int64,
        ``labels`` (n,) float64, NaN where lines have none, ``n_features``, the ``zero_based`` found: None
        where no row has a column to tell by, and ``weights`` (n,) float64, or None. Rows are sorted by column.

    Raises
    ------
    ValueError
        For a malformed, infinite or NaN number, several labels, a label that is a whole number, written without an
        exponent, which float64 cannot hold, a negative weight, a line without one where others have it, a column that
        is negative, repeated in its row or beyond int32 (unless columns are hashed), or an infinite value after
        rounding. The message names the line and the text at fault, and says what the text is, if it is no svmlight
        text.

    Examples
    --------
    >>> parsed = parse(b"+1 1:0.5 3:2  # first\n-1 2:1e-3\n")
    >>> parsed.data.tolist(), parsed.indices.tolist(), parsed.indptr.tolist(), parsed.labels.tolist()
    ([0.5, 2.0, 0.001], [0, 2, 1], [0, 2, 3], [1.0, -1.0])
    """
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, got {shown(dtype)}")
    zero_based = checked_base(zero_based)
    if weighted not in (True, False, "auto"):
        raise ValueError(f"weighted must be True, False or 'auto', got {shown(weighted)}")
    bits = checked_bits(hash_bits)
    one_based = zero_based != "auto" and not zero_based
    lines = _as_lines(text)
    with_weights = has_weights(lines) if weighted == "auto" else bool(weighted)
    unlabelled = not (labelled or with_weights) and lacks_label(lines)
    if unlabelled:
        lines = _as_lines(_with_labels(lines))
    colons, newlines = kernels.count(lines)
    labels, indptr = np.empty(newlines), np.zeros(newlines + 1, np.int64)
    weights = np.empty(newlines if with_weights else 0)
    indices: NDArray[Any] = np.empty(colons, np.int32 if bits is None else np.uint64)
    data = np.empty(colons, dtype)
    state = _scan_all(lines, np.uint64(one_based), labels, weights, indptr, indices, data)

    rows, entries = int(state[kernels.ROW]), int(state[kernels.ENTRY])
    # Comments, blank lines and qid:N make the counts of the first pass too large.
    labels, indptr = _trimmed(labels, rows), _trimmed(indptr, rows + 1)
    indices, data = _trimmed(indices, entries), _trimmed(data, entries)
    if state[kernels.UNSORTED]:
        repeated = kernels.sort_rows(indptr, indices, data)
        if repeated >= 0:
            _refuse_repeated(lines, repeated, indices[indptr[repeated] : indptr[repeated + 1]])
    width = int(state[kernels.WIDTH])
    found: bool | None = None if zero_based == "auto" else bool(zero_based)
    if found is None and entries:
        found = bool(state[kernels.LOWEST] == 0)
    if entries and not found:
        indices -= indices.dtype.type(1)
        width -= 1
    if unlabelled:
        labels.fill(np.nan)
    if bits is not None:
        data, indices, indptr = hashed(data, indices, indptr, bits)
        width = 2**bits
        data = cast_sparse(CSR(data, indices, indptr, (rows, width)), np.dtype(dtype)).data
    return Parsed(data, indices, indptr, labels, width, found, _trimmed(weights, rows) if with_weights else None)


def _as_lines(text: bytes | bytearray | memoryview | NDArray[np.uint8]) -> NDArray[np.uint8]:
    if isinstance(text, str):
        raise TypeError("text must be bytes, got str: read the file in binary mode or call text.encode()")
    lines = np.frombuffer(text, np.uint8)
    if contents.has_mark(lines[:4].tobytes()):
        lines = np.frombuffer(contents.as_utf8(lines.tobytes()), np.uint8)
    if not lines.size or lines[-1] != kernels.NEWLINE:
        lines = np.append(lines, np.uint8(kernels.NEWLINE))
    lines.flags.writeable = False  # always read-only, as Numba compiles another version for writable arrays
    return lines


def lacks_label(text: bytes | NDArray[np.uint8]) -> bool:
    """Whether the first line that is not blank begins with a feature."""
    first = re.search(rb"^[^\S\n]*([^\s#]+)", text if isinstance(text, bytes) else text.data, re.MULTILINE)
    return first is not None and b":" in first[1]


def has_weights(text: bytes | NDArray[np.uint8]) -> bool:
    """Whether lines begin with a label and its weight: with a colon, before which one is no column, but has a sign.

    A point or an exponent shows a label, too.
    """
    if not lacks_label(text):
        return False
    label = rb"^[^\S\n]*(?:[+-]|[0-9]*\.|[0-9]+[eE])[^\s:#]*:"
    return re.search(label, text if isinstance(text, bytes) else text.data, re.MULTILINE) is not None


def _with_labels(text: NDArray[np.uint8]) -> bytes:
    """The lines of a text that has no labels, each with the label 0 put before it."""
    lines = text.tobytes()
    if re.search(rb"^[^\S\n]*$", lines.rstrip(), re.MULTILINE):
        logger.warning("blank lines are taken for no examples: one without features is to be written as 1:0")
    return re.sub(rb"^(?=[^\S\n]*[^\s#])", b"0 ", lines, flags=re.MULTILINE)


def _scan_all(
    text: NDArray[np.uint8],
    lowest_allowed: np.uint64,
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
    indptr: NDArray[np.int64],
    indices: NDArray[Any],
    data: NDArray[Any],
) -> NDArray[np.uint64]:
    state = np.zeros(kernels.PENDING + 1, np.uint64)
    state[kernels.LOWEST] = np.iinfo(np.uint64).max
    slow = np.empty((SLOW_BATCH, 4), np.int64)
    highest = np.uint64(np.iinfo(indices.dtype).max)
    while state[kernels.POS] < text.size:
        kernels.scan(text, state, lowest_allowed, highest, slow, labels, weights, indptr, indices, data)
        _fill_slow(text, slow[: int(state[kernels.PENDING])], labels, weights, data)
        if state[kernels.FAILED]:
            _refuse_token(text, int(state[kernels.POS]), state[kernels.EXPECTED], int(highest), bool(weights.size))
    return state


def _fill_slow(
    text: NDArray[np.uint8],
    slow: NDArray[np.int64],
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
    data: NDArray[Any],
) -> None:
    """Convert the numbers that a scan has left, and put them in their places; ValueError for what does not fit."""
    view = text.data
    values = np.array([float(view[start:stop]) for _, _, start, stop in slow.tolist()])
    of_label = slow[:, 0] == kernels.LABEL
    _refuse_inexact(text, slow[of_label], values[of_label])
    for array, kind in ((labels, kernels.LABEL), (data, kernels.FEATURE), (weights, kernels.WEIGHT)):
        chosen = slow[:, 0] == kind
        with np.errstate(over="ignore", under="ignore"):
            rounded = values[chosen].astype(array.dtype)
        infinite = np.flatnonzero(np.isinf(rounded))
        if infinite.size:
            start = int(slow[chosen][infinite[0], 2])
            _refuse(text, start, f"{_token(text, start)!r} is too large for {array.dtype}")
        array[slow[chosen, 1]] = rounded


def _refuse_inexact(text: NDArray[np.uint8], slow: NDArray[np.int64], values: NDArray[np.float64]) -> None:
    """Refuse a label that is a whole number which float64 rounds: it would become equal to its neighbours."""
    for (_, _, start, stop), value in zip(slow.tolist(), values.tolist(), strict=True):
        whole = re.fullmatch(rb"([+-]?)0*([0-9]+)(\.0*)?", text[start:stop].tobytes())
        if whole is not None and math.isfinite(value) and int(whole[1] + whole[2]) != int(value):
            _refuse(
                text,
                start,
                f"the label {_token(text, start)!r} is a whole number that float64 cannot hold: it would become "
                f"{shown(int(value))}, as others would; give classes smaller numbers, and write real labels with an "
                f"exponent, as {value:g} is",
            )


def _trimmed(array: NDArray[Any], size: int) -> NDArray[Any]:
    return array if array.size == size else array[:size].copy()


def _refuse(text: NDArray[np.uint8], pos: int, reason: str) -> NoReturn:
    raise ValueError(f"line {kernels.count(text[:pos])[1] + 1}: {reason}")


def _token(text: NDArray[np.uint8], pos: int) -> str:
    start = text[pos : pos + SHOWN + 1].tobytes()
    token = re.split(rb"[\s#]", start, maxsplit=1)[0].decode(errors="backslashreplace")
    return token if len(token) <= SHOWN else token[:SHOWN] + "..."


def _refuse_token(text: NDArray[np.uint8], pos: int, expected: np.uint64, highest: int, weighted: bool) -> NoReturn:
    what = contents.describe(text[: contents.HEAD].tobytes())
    if what is not None:
        raise ValueError(f"this {what}")
    what = _other_format(text, pos)
    if what is not None:
        _refuse(text, pos, f"this looks like {what}, not like svmlight text")
    token = _token(text, pos)
    index, colon, value = token.partition(":")
    if expected == kernels.WEIGHT:
        reason = "is not a weight: behind its label and a colon, a finite number of at least 0 is needed"
    elif expected == kernels.LABEL:
        if token.startswith("\ufeff"):
            reason = "begins with a byte order mark, as where files have been joined: take it out"
        elif "," in token:
            reason = "has several labels; give each row one number"
        elif weighted:
            reason = "is not a label and its weight, as 1:2.5, and others are: give each line both"
        elif colon:
            reason = "stands where the label should; each line starts with one"
            if re.fullmatch(r"[0-9]+:[+-]?[0-9.]+", token):
                reason += f" (a label that has a weight is told by its sign, as +{token})"
        else:
            reason = "is not a label: a finite decimal number is needed"
    elif index == "qid":
        reason = "is not a query id: it is a whole number, right after the label, once"
    elif not colon:
        reason = "is not of the form index:value"
        if re.fullmatch(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?", token):
            reason += f"; if these are plain numbers, {SAVED}"
    elif re.fullmatch("-[0-9]+", index):
        reason = "has a negative index"
    elif not re.fullmatch("[0-9]+", index):
        reason = "has an index that is not a whole number"
    elif len(index) > kernels.EXACT_DIGITS:
        reason = f"has an index of more than {kernels.EXACT_DIGITS} digits: number the columns anew"
    elif int(index) > highest:
        size = in_words(BYTES_A_FEATURE * (int(index) + 1))
        reason = f"has an index beyond int32 ({highest}): a weight for each up to there would take {size}; {advice()}"
    elif re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", value):
        reason = "has index 0, but zero_based is False: if columns count from 0, say so for all files that go together"
    else:
        reason = f"has a value that is not a finite decimal number ({value!r})"
        if value.lower() in ("", "nan", "na", "?"):
            reason += ": leave a missing value out, for which 0 then stands"
    _refuse(text, pos, f"{token!r} {reason}")


def _other_format(text: NDArray[np.uint8], pos: int) -> str | None:
    """The format that a line which is no svmlight likely has, and what to do about it."""
    before = text[max(0, pos - LONGEST_LINE) : pos].tobytes().rpartition(b"\n")[2]
    line = (before + text[pos : pos + LONGEST_LINE].tobytes()).partition(b"\n")[0]
    line = line.partition(b"#")[0].strip()
    head = text[: contents.HEAD].tobytes().lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page (has the download failed?)"
    if head.startswith(b"version https://git-lfs"):
        return "the pointer to a file in Git LFS (`git lfs pull` fetches it)"
    if head.startswith((b"@relation", b"%%matrixmarket")):
        kind = "ARFF (scipy.io.arff.loadarff" if head.startswith(b"@") else "Matrix Market (scipy.io.mmread"
        return f"{kind} reads it; {SAVED})"
    if b"\r" in head and b"\n" not in head.rstrip():
        return "text whose lines end in a carriage return alone (`tr '\\r' '\\n'` makes lines of them)"
    if line.startswith((b"{", b"[")):
        return f"JSON ({SAVED}, from its numbers)"
    if re.search(rb"(^|\s)\|", line):
        return "Vowpal Wabbit's format (write each line as: label index:value ...)"
    features = line.split()[1:]
    if any(re.match(rb"[0-9]+:[-+.0-9]", each) and len(re.findall(rb"[,;]", each)) < 2 for each in features):
        return None  # some features are sound, so that an error about the malformed one says more
    if re.search(rb"[,;]", line):
        return f"CSV ({NAMED})"
    if b"\t" in line:
        return f"a table separated by tabs ({NAMED})"
    return None


def _refuse_repeated(text: NDArray[np.uint8], row: int, indices: NDArray[Any]) -> NoReturn:
    index = indices[:-1][indices[1:] == indices[:-1]][0]
    lines = re.finditer(rb"^[^\S\n]*([^\s#])", text.data, re.MULTILINE)
    line = next(islice(lines, row, None))
    _refuse(text, line.start(1), f"index {index} occurs more than once")
