"""Tables of features and labels: checked, features of one dtype, dense in C order or CSR with sorted rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.text.csr import survey
from ..support.asking import OF_ARGUMENTS, asking, shown
from ..support.log import logger
from .array_likes import NUMERIC, as_array, first_not_finite, is_missing
from .columns import canonical, checked_bits, hashed
from .labels import as_labels
from .memory_at_hand import BYTES_A_FEATURE, advice, in_words
from .roles import Columns

LARGEST_WIDTH = 2**31  # columns are int32


class CSR(NamedTuple):
    """A sparse matrix by rows: row i has ``data[indptr[i]:indptr[i + 1]]`` at these ``indices``.

    Parameters
    ----------
    data : ndarray (nnz,)
        float32 or float64.
    indices : ndarray (nnz,) of int32
        Columns, ascending and distinct within each row.
    indptr : ndarray (n + 1,) of int64
    shape : (int, int)
    """

    data: NDArray[Any]
    indices: NDArray[np.int32]
    indptr: NDArray[np.int64]
    shape: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of features with a label each.

    Parameters
    ----------
    features : ndarray (n, k) or CSR
        float32 or float64, finite; an ndarray is in C order.
    labels : ndarray (n,)
        Numbers or strings, as given; bytes are decoded. Where none were read, they are NaN.
    name : str
    feature_names : tuple of str or None
    zero_based : bool or None
        For svmlight text: whether its columns counted from 0; None if that is not known. Load other files of the same
        features with the same value.
    hash_bits : int or None
        The columns have been hashed into 2**hash_bits; None: they are not hashed.
    weights : ndarray (n,) of float64 or None
        How much each row counts in training; None if all count the same.
    columns : Columns or None
        Of a source with named columns: which of them are what.
    first : int or None
        Of a block of a Stream: the number of its first row, or of its first line in svmlight text, counted from 0.
    """

    features: NDArray[Any] | CSR
    labels: NDArray[Any]
    name: str = "data"
    feature_names: tuple[str, ...] | None = None
    zero_based: bool | None = None
    hash_bits: int | None = None
    weights: NDArray[np.float64] | None = None
    columns: Columns | None = None
    first: int | None = None


def as_table(
    X: Any,
    y: Any,
    *,
    dtype: DTypeLike | None = np.float32,
    name: str = "data",
    feature_names: Any = None,
    hash_bits: int | None = None,
) -> Table:
    """Check and normalise features and labels.

    Parameters
    ----------
    X : array-like (n, k), sparse matrix, DataFrame or CSR
        Features as :func:`as_features` takes them.
    y : array-like (n,) or (n, 1)
        Numbers or strings; numbers must be finite. Their dtype stays, but bytes become strings, and must be UTF-8.
    dtype : {float32, float64, None}
        Dtype of the features; None: as in :func:`as_features`.
    name : str
    feature_names : sequence of str, optional
        By default a DataFrame's columns, else None. Hashed columns have none.
    hash_bits : int, optional
        As in :func:`as_features`.

    Returns
    -------
    Table

    Raises
    ------
    ValueError, TypeError
        As in :func:`as_features`; and if there are no rows, if there are not as many labels as rows, or for labels that
        are missing, infinite, of mixed kinds or several a row, or whole numbers that no dtype can hold.

    Examples
    --------
    >>> table = as_table([[0, 1], [2, 3]], ["no", "yes"])
    >>> table.features.dtype, table.labels.tolist()
    (dtype('float32'), ['no', 'yes'])
    """
    features = as_features(X, dtype=dtype, hash_bits=hash_bits)
    rows, columns = features.shape
    if not rows:
        raise ValueError(f"X has no rows: its shape is {tuple(features.shape)}")
    labels = as_labels(y)
    if labels.size != rows:
        raise ValueError(f"X and y must be of one length, got {rows} rows of X and {labels.size} labels")
    with asking("feature_names", feature_names):
        names = names_of(X) if feature_names is None else tuple(map(_as_name, feature_names))
    names = names if hash_bits is None else None
    if names is not None and len(names) != columns:
        raise ValueError(f"feature_names must have one name for each of the {columns} columns, got {len(names)}")
    return Table(features, labels, name, names, hash_bits=checked_bits(hash_bits))


def as_features(X: Any, *, dtype: DTypeLike | None = np.float32, hash_bits: int | None = None) -> NDArray[Any] | CSR:
    """Check and normalise a matrix of features.

    Parameters
    ----------
    X : array-like (n, k), sparse matrix, DataFrame or CSR
        Real numbers. An object with ``tocsr`` is sparse; its duplicate entries are added up.
    dtype : {float32, float64, None}
        None: float32 if it holds all numbers of X's dtype, else float64.
    hash_bits : int, optional
        Hash the columns of a sparse X, however many there are, into 2**hash_bits. The hash is the upper bits of the
        finaliser of MurmurHash3 (fmix64), applied to a column's number; values that fall together in a row are added.

    Returns
    -------
    ndarray (n, k) or CSR
        The memory of X if that has the dtype and the layout already, else new memory; X itself is not changed.

    Raises
    ------
    ValueError
        If X has not two axes, for an element that is not finite in dtype (the message names its row and column), or for
        a sparse matrix whose parts contradict each other.
    TypeError
        For elements that are not real numbers, or a masked array.

    Examples
    --------
    >>> as_features([[1, 2], [3, 4]], dtype="float64")
    array([[1., 2.],
           [3., 4.]])
    """
    with asking("dtype", dtype):
        chosen = None if dtype is None else np.dtype(dtype)
    if chosen not in (None, np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, got {shown(dtype)}")
    with asking("X", X):
        if not isinstance(X, CSR) and hasattr(X, "tocsr"):
            sparse = X.tocsr()
            X = CSR(sparse.data, sparse.indices, sparse.indptr, sparse.shape)
        of_rows = isinstance(X, CSR)
    if of_rows:
        return _as_csr(X, chosen, checked_bits(hash_bits))
    if checked_bits(hash_bits) is not None:
        raise ValueError("hash_bits is for a sparse X or svmlight text, and X is dense: make a csr_array of it")
    return _as_dense(X, chosen)


def cast(
    features: NDArray[Any] | CSR, dtype: np.dtype[Any], names: tuple[str, ...] | None = None
) -> NDArray[Any] | CSR:
    """Features in another dtype; raises ValueError, which names the place, for one that is not finite in it."""
    return cast_sparse(features, dtype, names) if isinstance(features, CSR) else _cast_dense(features, dtype, names)


def cast_sparse(features: CSR, dtype: np.dtype[Any], names: tuple[str, ...] | None = None) -> CSR:
    """A sparse matrix in another dtype; raises ValueError, as `cast` does, for an element not finite in it."""
    data = _cast(features.data, dtype)
    position = first_not_finite(data)
    if position is not None:
        row = int(np.searchsorted(features.indptr, position, "right")) - 1
        _refuse_not_finite(data[position], row, int(features.indices[position]), names)
    return features._replace(data=data)


def with_width(features: CSR, n_features: int, name: str) -> CSR:
    """The same rows with ``n_features`` columns: new columns are zero, columns beyond are dropped with a warning."""
    fitting = cut(features, n_features)
    if features.shape[1] > n_features:
        logger.warning(
            "%s has %d columns, %d were expected: its %d entries in the columns beyond are ignored",
            name,
            features.shape[1],
            n_features,
            features.indices.size - fitting.indices.size,
        )
    return fitting


def cut(features: CSR, n_features: int) -> CSR:
    """The same rows with ``n_features`` columns: new columns are zero, columns beyond are dropped."""
    rows, width = features.shape
    if width <= n_features:
        return features._replace(shape=(rows, n_features))
    kept = features.indices < n_features
    before = np.concatenate(([0], np.cumsum(kept, dtype=np.int64)))
    return CSR(features.data[kept], features.indices[kept], before[features.indptr], (rows, n_features))


def in_one(parts: Sequence[Table]) -> Table:
    """Tables one after another, of one source, in one; sparse ones may have different numbers of columns."""
    first = parts[0]
    labels = np.concatenate([part.labels for part in parts])
    features: NDArray[Any] | CSR
    if isinstance(first.features, CSR):
        sparse = [part.features for part in parts if isinstance(part.features, CSR)]
        before = np.cumsum([0, *(each.data.size for each in sparse)]).tolist()
        starts = [each.indptr[1:] + size for each, size in zip(sparse, before[:-1], strict=True)]
        features = CSR(
            np.concatenate([each.data for each in sparse]),
            np.concatenate([each.indices for each in sparse]),
            np.concatenate([np.zeros(1, np.int64), *starts]),
            (labels.size, max(each.shape[1] for each in sparse)),
        )
    else:
        features = np.concatenate([part.features for part in parts])
    weights = None
    if any(part.weights is not None for part in parts):
        ones = (np.ones(len(part.labels)) if part.weights is None else part.weights for part in parts)
        weights = np.concatenate(list(ones))
    return replace(first, features=features, labels=labels, weights=weights, first=None)


def refuse_weights(table: Table) -> Table:
    """The table itself; ValueError if its rows have weights, for callers that would pass over them."""
    if table.weights is not None:
        raise ValueError(f"{table.name} has weights of examples (label:weight), which have no meaning here: drop them")
    return table


def _as_dense(X: Any, dtype: np.dtype[Any] | None) -> NDArray[Any]:
    array = as_array(X, "X")
    if array.ndim != 2:
        hint = "; for one row use X.reshape(1, -1), for one column X.reshape(-1, 1)" if array.ndim == 1 else ""
        raise ValueError(f"X must have two axes (rows, columns), got shape {array.shape}{hint}")
    names = names_of(X)
    if array.dtype.kind == "O":
        array = _from_objects(array, names)
    _check_real(array, "X")
    return _cast_dense(array, dtype or _natural(array.dtype), names)


def _natural(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.float32 if np.can_cast(dtype, np.float32) else np.float64)


def _cast_dense(array: NDArray[Any], dtype: np.dtype[Any], names: tuple[str, ...] | None) -> NDArray[Any]:
    array = _cast(array, dtype)
    position = first_not_finite(array.reshape(-1))
    if position is not None:
        row, column = divmod(position, array.shape[1])
        _refuse_not_finite(array[row, column], row, column, names)
    return array


def _as_csr(csr: CSR, dtype: np.dtype[Any] | None, bits: int | None) -> NDArray[Any] | CSR:
    data, indices, indptr = (as_array(part, "a part of X") for part in csr[:3])
    if len(csr.shape) != 2 or {data.ndim, indices.ndim, indptr.ndim} != {1}:
        raise ValueError(f"a sparse X must have two axes and flat parts, got shape {tuple(csr.shape)}")
    _check_real(data, "X")
    rows, columns = (int(size) for size in csr.shape)
    _check_form(indices, indptr, rows, columns, hashing=bits is not None)
    starts = np.ascontiguousarray(indptr, np.int64)  # large unsigned starts become negative, and are refused
    stored = min(data.size, indices.size)
    found = survey(_as_columns(indices[:stored]), starts)
    if not found.rises:
        _refuse_starts(data, indices, indptr)
    size = int(starts[-1])
    if size and not (0 <= found.lowest and found.highest < columns):
        lowest, highest = indices[:size].min(), indices[:size].max()
        raise ValueError(f"indices of X must be in [0, {columns}), got {lowest} to {highest}")
    data, dtype = data[:size], dtype or _natural(data.dtype)
    if bits is not None:
        data, indices, starts = hashed(data, _as_columns(indices[:size]), starts, bits)
        return cast(CSR(data, indices, starts, (rows, 2**bits)), dtype)
    indices = np.ascontiguousarray(indices[:size], np.int32)
    if not found.ascending:
        data, indices, starts = canonical(data, indices, starts)
    return cast(CSR(data, indices, starts, (rows, columns)), dtype)


def _check_form(indices: NDArray[Any], indptr: NDArray[Any], rows: int, columns: int, hashing: bool) -> None:
    if rows < 0 or columns < 0:
        raise ValueError(f"a sparse X must have rows and columns, got shape {(rows, columns)}")
    if columns > LARGEST_WIDTH and not hashing:
        used = f", the largest of those in use {indices.max()}" if indices.size else ""
        raise ValueError(
            f"a sparse X must have at most {LARGEST_WIDTH} columns, got shape {(rows, columns)}{used}: a weight for "
            f"each column would take {in_words(BYTES_A_FEATURE * columns)}; {advice()}"
        )
    if indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        raise TypeError(f"indices and indptr of X must be integers, got {indices.dtype} and {indptr.dtype}")
    if indptr.size != rows + 1:
        raise ValueError(f"indptr of X must rise from 0 in {rows + 1} numbers, got {indptr.size} of them: {indptr}")


def _refuse_starts(data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any]) -> NoReturn:
    if indptr[0] != 0 or np.any(indptr[1:] < indptr[:-1]):
        raise ValueError(f"indptr of X must rise from 0 in {indptr.size} numbers, got {indptr}")
    raise ValueError(
        f"indptr of X ends at {indptr[-1]}, but X has {data.size} data elements and {indices.size} indices"
    )


def _as_columns(indices: NDArray[Any]) -> NDArray[Any]:
    """Columns in a dtype that compiled code takes; large unsigned ones become negative, and are refused."""
    kept = indices.dtype in (np.int32, np.int64)
    return np.ascontiguousarray(indices, None if kept else np.int64)


def _as_name(value: Any) -> str:
    """A column's name as a string; bytes are decoded."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def _from_objects(array: NDArray[Any], names: tuple[str, ...] | None) -> NDArray[np.float64]:
    numbers = np.empty(array.shape)
    for column, values in enumerate(array.T):
        for row, value in enumerate(values.tolist()):
            try:
                if isinstance(value, str | bytes):
                    raise TypeError
                numbers[row, column] = value
            except OF_ARGUMENTS:
                where = f"row {row}, column {_label(column, names)}"
                if is_missing(value):
                    raise ValueError(f"X is missing ({value!r}) at {where}: remove or replace it") from None
                raise TypeError(f"X must hold real numbers, got {shown(value)} at {where}: encode it as one") from None
    return numbers


def _check_real(array: NDArray[Any], name: str) -> None:
    if array.dtype.kind not in NUMERIC:
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")


def _cast(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # what becomes infinite is refused later
        return np.ascontiguousarray(array, dtype)


def _refuse_not_finite(value: Any, row: int, column: int, names: tuple[str, ...] | None) -> NoReturn:
    raise ValueError(
        f"X has {value} at row {row}, column {_label(column, names)} (as {value.dtype}): "
        "features must be finite, so remove or replace it"
    )


def _label(column: int, names: tuple[str, ...] | None) -> str:
    return str(column) if names is None else f"{column} ({names[column]!r})"


def names_of(X: Any) -> tuple[str, ...] | None:
    """Names of the columns of a Table or a DataFrame; None if they are only numbered."""
    with asking("X", X):
        if isinstance(X, Table):
            return X.feature_names
        columns = getattr(X, "columns", None)
        if columns is None or all(isinstance(column, int) for column in columns):
            return None
        return tuple(map(_as_name, columns))
