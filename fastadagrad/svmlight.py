"""svmlight (libsvm) text to CSR arrays: one pass over the bytes sizes the arrays, one fills them."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .kernels import svmlight as kernels

SLOW_BATCH = 4096
SHOWN = 60


class Parsed(NamedTuple):
    """A parsed text: CSR arrays, one label a row, one more than the largest column, and where columns began."""

    data: NDArray[Any]
    indices: NDArray[np.int32]
    indptr: NDArray[np.int64]
    labels: NDArray[np.float64]
    n_features: int
    zero_based: bool | None


def parse(
    text: bytes | bytearray | memoryview | NDArray[np.uint8],
    *,
    dtype: DTypeLike = np.float64,
    zero_based: bool | Literal["auto"] = "auto",
) -> Parsed:
    r"""Parse svmlight text.

    Parameters
    ----------
    text : bytes-like or uint8 ndarray
        Lines ``label [qid:N] index:value ... [# comment]``, ended by ``\n`` or ``\r\n`` and separated by
        any white space. Numbers are decimal, with an optional exponent. ``qid:N`` is skipped, and so are
        comments and blank lines.
    dtype : {float64, float32}
        Of the data. Each value is the float64 nearest to the decimal number; float32 rounds that.
    zero_based : bool or "auto"
        Whether columns count from 0 or from 1; "auto": from 0 if a column 0 occurs anywhere.

    Returns
    -------
    Parsed
        ``data`` (nnz,) of dtype, ``indices`` (nnz,) int32 counted from 0, ``indptr`` (n + 1,) int64,
        ``labels`` (n,) float64, ``n_features``, and the ``zero_based`` found: None where no row has a column
        to tell by. Rows are sorted by column.

    Raises
    ------
    ValueError
        Naming the line and the text at fault: a malformed, infinite or NaN number, several labels, a
        column that is negative, repeated in its row or beyond int32, or an infinite value after rounding.

    Examples
    --------
    >>> parsed = parse(b"+1 1:0.5 3:2  # first\n-1 2:1e-3\n")
    >>> parsed.data.tolist(), parsed.indices.tolist(), parsed.indptr.tolist(), parsed.labels.tolist()
    ([0.5, 2.0, 0.001], [0, 2, 1], [0, 2, 3], [1.0, -1.0])
    """
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}")
    if zero_based not in (True, False, "auto"):
        raise ValueError(f"zero_based must be True, False or 'auto', got {zero_based!r}")
    one_based = zero_based != "auto" and not zero_based
    lines = _as_lines(text)
    colons, newlines = kernels.count(lines)
    labels, indptr = np.empty(newlines), np.zeros(newlines + 1, np.int64)
    indices, data = np.empty(colons, np.int32), np.empty(colons, dtype)
    state = _scan_all(lines, np.uint64(one_based), labels, indptr, indices, data)

    rows, entries = int(state[kernels.ROW]), int(state[kernels.ENTRY])
    # Comments, blank lines and qid:N make the count too large.
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
        indices -= np.int32(1)
        width -= 1
    return Parsed(data, indices, indptr, labels, width, found)


def _as_lines(text: bytes | bytearray | memoryview | NDArray[np.uint8]) -> NDArray[np.uint8]:
    if isinstance(text, str):
        raise TypeError("text must be bytes, got str: read the file in binary mode or call text.encode()")
    lines = np.frombuffer(text, np.uint8)
    if not lines.size or lines[-1] != kernels.NEWLINE:
        lines = np.append(lines, np.uint8(kernels.NEWLINE))
    lines.flags.writeable = False  # one compiled version serves bytes and writable buffers
    return lines


def _scan_all(
    text: NDArray[np.uint8],
    lowest_allowed: np.uint64,
    labels: NDArray[np.float64],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[Any],
) -> NDArray[np.uint64]:
    state = np.zeros(kernels.PENDING + 1, np.uint64)
    state[kernels.LOWEST] = np.iinfo(np.uint64).max
    slow = np.empty((SLOW_BATCH, 4), np.int64)
    while state[kernels.POS] < text.size:
        kernels.scan(text, state, lowest_allowed, slow, labels, indptr, indices, data)
        _fill_slow(text, slow[: int(state[kernels.PENDING])], labels, data)
        if state[kernels.FAILED]:
            _refuse_token(text, int(state[kernels.POS]), bool(state[kernels.INSIDE]))
    return state


def _fill_slow(
    text: NDArray[np.uint8], slow: NDArray[np.int64], labels: NDArray[np.float64], data: NDArray[Any]
) -> None:
    view = text.data
    values = np.array([float(view[start:stop]) for _, _, start, stop in slow.tolist()])
    of_label = slow[:, 0] == 1
    for array, chosen in ((labels, of_label), (data, ~of_label)):
        with np.errstate(over="ignore", under="ignore"):
            rounded = values[chosen].astype(array.dtype)
        infinite = np.flatnonzero(np.isinf(rounded))
        if infinite.size:
            start = int(slow[chosen][infinite[0], 2])
            _refuse(text, start, f"{_token(text, start)!r} is too large for {array.dtype}")
        array[slow[chosen, 1]] = rounded


def _trimmed(array: NDArray[Any], size: int) -> NDArray[Any]:
    return array if array.size == size else array[:size].copy()


def _refuse(text: NDArray[np.uint8], pos: int, reason: str) -> NoReturn:
    raise ValueError(f"line {kernels.count(text[:pos])[1] + 1}: {reason}")


def _token(text: NDArray[np.uint8], pos: int) -> str:
    start = text[pos : pos + SHOWN + 1].tobytes()
    token = re.split(rb"[\s#]", start, maxsplit=1)[0].decode(errors="backslashreplace")
    return token if len(token) <= SHOWN else token[:SHOWN] + "..."


def _refuse_token(text: NDArray[np.uint8], pos: int, inside: bool) -> NoReturn:
    token = _token(text, pos)
    index, colon, value = token.partition(":")
    if not inside:
        if "," in token:
            reason = "has several labels; give each row one number"
        elif colon:
            reason = "stands where the label should; each line starts with one"
        else:
            reason = "is not a label: a finite decimal number is needed"
    elif index == "qid":
        reason = "is not a query id: it is a whole number, right after the label, once"
    elif not colon:
        reason = "is not of the form index:value"
    elif re.fullmatch("-[0-9]+", index):
        reason = "has a negative index"
    elif not re.fullmatch("[0-9]+", index):
        reason = "has an index that is not a whole number"
    elif len(index) > kernels.EXACT_DIGITS or int(index) > kernels.LARGEST_INDEX:
        reason = f"has an index beyond int32 ({kernels.LARGEST_INDEX})"
    elif re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", value):
        reason = "has index 0, but zero_based is False"
    else:
        reason = f"has a value that is not a finite decimal number ({value!r})"
    _refuse(text, pos, f"{token!r} {reason}")


def _refuse_repeated(text: NDArray[np.uint8], row: int, indices: NDArray[np.int32]) -> NoReturn:
    index = indices[:-1][indices[1:] == indices[:-1]][0]
    lines = re.finditer(rb"^[^\S\n]*([^\s#])", text.data, re.MULTILINE)
    line = next(islice(lines, row, None))
    _refuse(text, line.start(1), f"index {index} occurs more than once")
