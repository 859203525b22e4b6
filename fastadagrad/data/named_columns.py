"""Tables with named columns, as CSV, Parquet and Arrow have them: which columns are what, and batches made features of.

If all features are numbers, they are dense. If there are strings, or if hashing is wanted, each row is sparse: a number
is the value of the column that its name is hashed to, and a string is 1 in the column that ``name=string`` is hashed
to, as in Vowpal Wabbit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..kernels.text.hashing import FNV_BEGIN, FNV_PRIME, hash_strings
from ..support.extras import needed
from ..support.hints import hint
from .array_likes import first_not_finite
from .columns import canonical
from .labels import as_labels
from .roles import Columns
from .tables import CSR, Table

RULES = ("refuse", "zero", "mean")  # what may become of missing numbers
SHOWN = 10  # names of columns that a message lists


def columns_of(
    schema: Any,
    where: str,
    *,
    target: str | None,
    weight: str | None,
    drop: Sequence[str],
    categories: Sequence[str],
) -> Columns:
    """The columns of a schema, by their types: all that are not named otherwise are features.

    Raises
    ------
    ValueError, TypeError
        If a named column is not there, if two have one name, or if a feature is neither a number nor a string.
    """
    names = Counter(map(str, schema.names))
    for name in names:
        check_there(name, names, where, "a feature")
    for what, wanted in (("target", target), ("weight", weight), *(("drop", each) for each in drop)):
        if wanted is not None:
            check_there(wanted, names, where, what)
    for each in categories:
        check_there(each, names, where, "categories")
    others = {target, weight, *drop}
    numbers, strings = [], []
    for name, kind in zip(names, schema.types, strict=True):
        if name in others:
            continue
        if name in categories or is_string(kind):
            strings.append(name)
        elif is_number(kind):
            numbers.append(name)
        else:
            raise TypeError(
                f"{where}: column {name!r} is {kind}, neither a number nor a string: take it out of the file; a Stream "
                "and `fit` also leave it out (drop, --drop) or take each value as a string (categories, --categories)"
            )
    if not numbers and not strings:
        raise ValueError(f"{where} has no features beside {', '.join(map(repr, filter(None, others)))}")
    return Columns(tuple(numbers), tuple(strings), target, weight)


def check_there(name: str, names: Counter[str], where: str, what: str) -> None:
    """Raise ValueError if there is not one column of a name; `names` counts those that there are."""
    if names[name] > 1:
        raise ValueError(f"{where} has {names[name]} columns named {name!r}: rename all but one")
    if name not in names:
        shown = ", ".join(map(repr, [*names][:SHOWN])) + (", ..." if len(names) > SHOWN else "")
        meant = hint(name, names)
        raise ValueError(f"{where} has no column {name!r} ({what}); it has {shown}{f': {meant}' if meant else ''}")


def check_numbers(schema: Any, columns: Columns, where: str) -> None:
    """Raise TypeError if a column that is to be numbers, a feature or the weight, is something else."""
    wanted = [(name, "numbers, as in the training") for name in columns.numbers]
    wanted += [(columns.weight, "numbers, which weights must be")] if columns.weight is not None else []
    for name, what in wanted:
        kind = schema.field(name).type
        if not is_number(kind):
            raise TypeError(f"{where}: column {name!r} is {kind}, and not {what}")


def is_number(kind: Any) -> bool:
    types = needed("pyarrow", "a table with named columns").types
    tests = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
    return any(test(kind) for test in tests)


def is_string(kind: Any) -> bool:
    types = needed("pyarrow", "a table with named columns").types
    if types.is_dictionary(kind):
        return is_string(kind.value_type)
    return bool(types.is_string(kind) or types.is_large_string(kind) or str(kind) == "string_view")


class Converter:
    """Makes a Table of each batch of rows of one source.

    Parameters
    ----------
    schema : pyarrow.Schema
    columns : Columns
    hash_bits : int or None
        Hash the features into 2**hash_bits; None: they are dense, and there must be no strings.
    labelled : bool
        Whether a missing label is refused. If not, it is NaN among numbers, and an empty string among strings; where
        all labels of a batch are missing, they are NaN.
    """

    def __init__(self, schema: Any, columns: Columns, hash_bits: int | None, where: str, labelled: bool = True) -> None:
        self.columns, self.hash_bits, self.where, self._labelled = columns, hash_bits, where, labelled
        if columns.categories and hash_bits is None:
            raise ValueError(
                f"{where}: column {columns.categories[0]!r} has strings: put numbers in their place, or, for `load`, a "
                "Stream and `fit`, give hash_bits (--hash-bits)"
            )
        types = dict(zip(schema.names, schema.types, strict=True))
        narrow = all(_fits_float32(types[name]) for name in columns.numbers)
        self.dtype = np.dtype(np.float32 if narrow and hash_bits is None else np.float64)
        self._fill = np.array([(columns.fill or {}).get(name, np.nan) for name in columns.numbers])
        self.feature_names = columns.numbers if hash_bits is None else None

    def table(self, batch: Any, first: int) -> Table:
        """A Table of a batch, whose first row is number `first` of the source, counted from 0.

        Raises
        ------
        ValueError
            For a missing number, unless it is filled, an infinite one, or a missing label; row and column are named.
        """
        numbers = self.numbers(batch)
        self._make_finite(numbers, first)
        features: NDArray[Any] | CSR = numbers
        if self.hash_bits is not None:
            features = self._hashed(batch, numbers)
        columns = self.columns
        labels = np.full(batch.num_rows, np.nan)
        if columns.target is not None:
            labels = self._labels(batch.column(columns.target), first)
        weights = None
        if columns.weight is not None:
            weights = np.asarray(_as_numbers(batch.column(columns.weight)), np.float64)
            self._check_weights(weights, first)
        names, bits = self.feature_names, self.hash_bits
        return Table(features, labels, self.where, names, hash_bits=bits, weights=weights, columns=columns, first=first)

    def numbers(self, batch: Any) -> NDArray[Any]:
        """The features that are numbers, (rows, numbers); missing ones are NaN."""
        out = np.empty((batch.num_rows, len(self.columns.numbers)), self.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            for j, name in enumerate(self.columns.numbers):
                out[:, j] = _as_numbers(batch.column(name))
        return out

    def _make_finite(self, numbers: NDArray[Any], first: int) -> None:
        position = first_not_finite(numbers.reshape(-1))
        if position is None:
            return
        missing = np.isnan(numbers)
        if not np.isnan(self._fill).any():
            columns = np.nonzero(missing)[1]
            numbers[missing] = self._fill[columns]
            position = first_not_finite(numbers.reshape(-1))
            if position is None:
                return
        row, column = divmod(position, numbers.shape[1])
        name, value = self.columns.numbers[column], numbers[row, column]
        if np.isnan(value):
            filled = "a Stream and `fit` also fill it with missing='zero' or 'mean' (--missing zero|mean)"
            self._refuse(first + row, name, f"is missing: fill it in the file, or leave the row out; {filled}")
        self._refuse(first + row, name, f"is {value} (as {numbers.dtype}): features must be finite")

    def _refuse(self, row: int, name: str | None, reason: str) -> NoReturn:
        raise ValueError(f"{self.where}, row {row} (counted from 0), column {name!r}: {reason}")

    def _labels(self, column: Any, first: int) -> NDArray[Any]:
        """The labels in a column, of which an empty string is a missing one, too: CSV has no other sign of it."""
        kind = column.type
        if is_string(kind):
            found, missing = _words_of(column)
        elif is_number(kind):
            found = np.ascontiguousarray(_as_numbers(column))
            missing = np.isnan(found) if found.dtype.kind == "f" else np.zeros(len(found), bool)
        else:
            raise TypeError(
                f"{self.where}: column {self.columns.target!r} of labels is {kind}, neither numbers nor strings"
            )
        if self._labelled and missing.any():
            reason = "is missing, and it is the label: remove rows without one"
            self._refuse(first + int(np.argmax(missing)), self.columns.target, reason)
        if not self._labelled and missing.all():
            return np.full(len(found), np.nan)
        if found.dtype.kind == "f" and np.isinf(found).any():
            row = int(np.argmax(np.isinf(found)))
            reason = f"is {found[row]}, and it is the label: remove such rows"
            self._refuse(first + row, self.columns.target, reason)
        return found if missing.any() or found.dtype.kind == "U" else as_labels(found)

    def _check_weights(self, weights: NDArray[np.float64], first: int) -> None:
        bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
        if bad.size:
            row = int(bad[0])
            self._refuse(first + row, self.columns.weight, f"is {weights[row]}, and weights must be at least 0")

    def _hashed(self, batch: Any, numbers: NDArray[Any]) -> CSR:
        assert self.hash_bits is not None
        n, columns, unused = batch.num_rows, self.columns, np.uint64(64 - self.hash_bits)
        width = len(columns.numbers) + len(columns.categories)
        indices, data = np.empty((n, width), np.int32), np.ones((n, width))
        for j, name in enumerate(columns.numbers):
            indices[:, j] = _hash_of(name, unused)
        data[:, : len(columns.numbers)] = numbers
        for j, name in enumerate(columns.categories, len(columns.numbers)):
            indices[:, j] = _hashes_of(batch.column(name), name, unused)
        stored = data != 0
        indptr = np.append(0, np.cumsum(stored.sum(axis=1)))
        parts = canonical(data[stored], indices[stored], indptr)
        return CSR(*parts, (n, 2**self.hash_bits))


def _hash_of(name: str, unused: np.uint64) -> int:
    out, text = np.empty(1, np.int32), np.frombuffer(name.encode(), np.uint8)
    hash_strings(text, np.array([0, text.size]), FNV_BEGIN, unused, out)
    return int(out[0])


def _hashes_of(column: Any, name: str, unused: np.uint64) -> NDArray[np.int32]:
    """The column that each string of a column is hashed to; a missing one is hashed like an empty one."""
    pa = needed("pyarrow", "a column of strings")
    before = int(FNV_BEGIN)
    for byte in f"{name}=".encode():
        before = ((before ^ byte) * int(FNV_PRIME)) % 2**64
    column = column.cast(pa.large_string())
    _, starts, text = column.buffers()
    n = len(column)
    out = np.empty(n, np.int32)
    if n:
        places = np.frombuffer(starts, np.int64, n + 1, 8 * column.offset)
        letters = np.frombuffer(text, np.uint8) if text is not None and text.size else np.empty(0, np.uint8)
        hash_strings(letters, places, np.uint64(before), unused, out)
    return out


def _words_of(column: Any) -> tuple[NDArray[np.str_], NDArray[np.bool]]:
    """The strings of a column, where those that are missing are empty, and which of them are missing or blank."""
    encoded = column if hasattr(column, "dictionary") else column.dictionary_encode()
    words = np.array([*(word or "" for word in encoded.dictionary.to_pylist()), ""])
    places = encoded.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
    blank = np.array([not word.strip() for word in words.tolist()])
    return words[places], blank[places]


def _as_numbers(column: Any) -> NDArray[Any]:
    """A column as an array of numbers; where one is missing, floats with NaN."""
    pa = needed("pyarrow", "a table with named columns")
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_boolean(column.type) and column.null_count:
        column = column.cast(pa.int8())
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values


def _fits_float32(kind: Any) -> bool:
    types = needed("pyarrow", "a table with named columns").types
    return bool(types.is_boolean(kind) or types.is_null(kind)) or (
        not types.is_decimal(kind) and np.can_cast(kind.to_pandas_dtype(), np.float32)
    )


class Means:
    """The means of the numbers of each column that are not missing, of all batches that were added."""

    def __init__(self, width: int) -> None:
        self._sums, self._counts = np.zeros(width), np.zeros(width, np.int64)

    @staticmethod
    def part(numbers: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """What one batch adds; it may be found in another thread."""
        present = np.isfinite(numbers)
        return np.where(present, numbers, 0.0).sum(axis=0, dtype=np.float64), present.sum(axis=0)

    def add(self, part: tuple[NDArray[np.float64], NDArray[np.int64]]) -> None:
        self._sums += part[0]
        self._counts += part[1]

    def fill(self, columns: Columns) -> Columns:
        """The columns, with their means in the place of missing numbers; 0 where all are missing."""
        means = self._sums / np.maximum(self._counts, 1)
        return replace(columns, fill=dict(zip(columns.numbers, means.tolist(), strict=True)))
