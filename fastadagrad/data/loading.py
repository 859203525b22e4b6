"""Data by file or by name: svmlight text, .npz, or the data sets that scikit-learn ships."""

from __future__ import annotations

import errno
import os
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Literal, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..support import contents
from ..support.asking import asking, path_text, whether
from ..support.checks import whole_number
from ..support.extras import needed
from ..support.hints import hint
from ..support.log import logger
from .columns import checked_base, checked_bits
from .stream_tables import format_of
from .streams import Stream
from .svmlight import parse
from .tables import CSR, Table, as_features, as_table, cast, with_width

BUILT_IN = ("breast_cancer", "diabetes", "digits", "iris", "wine")
CSR_KEYS = ("data", "indices", "indptr", "shape")

__all__ = ["BUILT_IN", "CSR", "Table", "as_features", "as_table", "load"]


def load(
    source: str | os.PathLike[str],
    *,
    dtype: DTypeLike | None = np.float32,
    target: str | None = None,
    n_features: int | None = None,
    zero_based: bool | Literal["auto"] = "auto",
    labelled: bool = True,
    hash_bits: int | None = None,
) -> Table:
    """Read features and labels.

    Parameters
    ----------
    source : str or path
        ``breast_cancer``, ``diabetes``, ``digits``, ``iris`` or ``wine``, which scikit-learn ships (a file
        of such a name is ``./iris``); ``-``, which is standard input; or a file. By what they hold, not by
        their names, these are ``.npz`` files or svmlight text, and may be compressed by gzip, bzip2 or xz; Parquet or
        Arrow IPC; or, by the suffix .csv or .tsv, CSV, as :class:`fastadagrad.Stream` takes them.
    dtype : {float32, float64, None}
        Dtype of the features; None: float64 for svmlight text, else as in :func:`as_features`.
    target : str, optional
        Which array of a .npz file has the labels; "y" by default. Of a source with named columns, which column has
        them.
    n_features : int, optional
        Number of columns of a sparse table, so that a test file fits a training file. A narrower file is widened;
        columns beyond are ignored, with a logged warning. Dense features must have this width.
    zero_based : bool or "auto"
        For svmlight text: whether columns count from 0 or from 1; "auto": from 0 if a column 0 occurs. A test file may
        lack column 0, so load it with the ``zero_based`` of the training table. With `n_features`, "auto" is warned of,
        unless column 0 or column `n_features` occurs, which leaves no doubt.
    labelled : bool
        Whether there must be labels. False: svmlight text and .npz files may have none, and a .npy file of features is
        taken.
    hash_bits : int, optional
        Hash the columns of a sparse table, counted from 0, into 2**hash_bits, as :func:`as_features` does, before
        anything is made for each column. The model must have the same `hash_bits`.

    Returns
    -------
    Table
        The table. Its labels are float64 from svmlight text, else of the dtype in which they are stored; NaN where
        there are none. Its ``zero_based`` is what was found. It has weights if labels of svmlight text have them,
        ``+1:2.5 index:value ...``; one label must have a sign, a point or an exponent, or it could be a column.

    Raises
    ------
    OSError
        If the file cannot be read; FileNotFoundError lists the built-in names if it looks like one.
    ValueError, TypeError
        For a truncated, damaged, empty or malformed file; the message names the file and the place in it.
    RuntimeError
        If a built-in name needs scikit-learn, which is not installed.

    Notes
    -----
    A .npz file has ``y`` and either ``X`` (n, k), or ``X_data``, ``X_indices``, ``X_indptr``, ``X_shape``,
    or what ``scipy.sparse.save_npz`` writes for a CSR matrix: ``data``, ``indices``, ``indptr``, ``shape``;
    and optionally ``feature_names``. Duplicate entries of CSR are added up; svmlight text has none.

    Examples
    --------
    >>> table = load("iris")
    >>> table.features.shape, table.features.dtype, table.labels[:3].tolist()
    ((150, 4), dtype('float32'), [0, 0, 0])
    """
    text = path_text("source", source, "a path or a name (for arrays, there is as_table)")
    source = text if isinstance(source, str) else Path(text)
    with asking("dtype", dtype):
        dtype = None if dtype is None else np.dtype(dtype)
    with asking("target", target):
        if not isinstance(target, str | None):
            raise TypeError(f"target must be a name, not {type(target).__name__}")
    zero_based, labelled = checked_base(zero_based), whether("labelled", labelled)
    if n_features is not None:
        n_features = whole_number("n_features", n_features, 1)
    bits = checked_bits(hash_bits)
    if bits is not None and n_features not in (None, 2**bits):
        raise ValueError(f"n_features must be left out with hash_bits={bits}, which makes {2**bits}, got {n_features}")
    path = Path(source)
    if target is not None and not takes_target(source, target):
        raise ValueError(
            f"target names an array of a .npz file, or a column of CSV, Parquet or Arrow, but source is "
            f"{os.fspath(source)!r}"
        )
    if isinstance(source, str) and (source in BUILT_IN or source == "linnerud"):
        table = _built_in(source, dtype, bits)
    elif source != contents.STDIN and not path.exists():
        _refuse_missing(path)
    elif has_named_columns(source, target):
        table = Stream(source, target=target, hash_bits=bits, labelled=labelled).table()
        bits = table.hash_bits
        table = table if dtype is None else replace(table, features=cast(table.features, dtype))
    elif path.suffix.lower() == ".npz" and path.is_file():  # opened here, as only some of its arrays are read
        with open(path, "rb") as file:
            table = _from_npz(file, path, dtype, target, labelled, bits)
    else:
        table = _from_content(contents.read(source), source, dtype, target, zero_based, labelled, bits)
    if n_features is None:
        return table
    if zero_based == "auto":
        warn_of_base(table, n_features, None)
    return fitted_to(table, n_features)


def warn_of_base(table: Table, n_features: int, known: bool | None) -> None:
    """Warn if a table's columns may count from another number than the columns of the training.

    Parameters
    ----------
    table : Table
    n_features : int
        Number of features in the training.
    known : bool or None
        Whether columns counted from 0 in the training, if its examples were svmlight text.
    """
    found, width = table.zero_based, table.features.shape[1]
    if found is None or found == known or (known is None and found) or (not found and width == n_features):
        return
    logger.warning(
        "%s is taken to have columns that count from %d, as %s: if that is wrong, all of them are off by one, so say "
        "where they count from by zero_based (--zero-based true or false)",
        table.name,
        0 if found else 1,
        f"what it goes with from {0 if known else 1}" if known is not None else "it has no column 0",
    )


def takes_target(source: str | os.PathLike[str], target: str | None = None) -> bool:
    """Whether `load` looks for the labels by name: in a .npz file, or in one with named columns."""
    is_npz = contents.suffix_of(source) == ".npz" or contents.peek(source).startswith(contents.ZIP)
    return is_npz or has_named_columns(source, target)


def has_named_columns(source: str | os.PathLike[str], target: str | None = None) -> bool:
    """Whether a source is CSV, by its suffix or as its first line names the target, Parquet or Arrow IPC."""
    return format_of(source, target) is not None


def fitted_to(table: Table, n_features: int) -> Table:
    """A table with so many features; a sparse one is widened, or cut with a logged warning.

    Raises
    ------
    ValueError
        If a dense one has not as many.
    """
    if isinstance(table.features, CSR):
        features = with_width(table.features, n_features, table.name)
        unchanged = features.shape == table.features.shape
        return replace(table, features=features, feature_names=table.feature_names if unchanged else None)
    if table.features.shape[1] != n_features:
        raise ValueError(f"{table.name} must have {n_features} features, got {table.features.shape[1]}")
    return table


def _from_content(
    content: bytes,
    source: str | os.PathLike[str],
    dtype: DTypeLike | None,
    target: str | None,
    zero_based: bool | Literal["auto"],
    labelled: bool,
    bits: int | None,
) -> Table:
    if content.startswith(contents.ZIP) or contents.suffix_of(source) == ".npz":
        return _from_npz(BytesIO(content), source, dtype, target, labelled, bits)
    name = contents.name_of(source)
    try:
        if content.startswith(contents.NPY) and not labelled:
            return _unlabelled(_read_npy(content), dtype, Path(name).name, None, bits)
        chosen = np.float64 if dtype is None else dtype
        found = parse(content, dtype=chosen, zero_based=zero_based, labelled=labelled, hash_bits=bits)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if not found.labels.size:
        raise ValueError(f"{name} has no rows")
    features = CSR(found.data, found.indices, found.indptr, (found.labels.size, found.n_features))
    base, weights = found.zero_based, found.weights
    return Table(features, found.labels, Path(name).name, zero_based=base, hash_bits=bits, weights=weights)


def _from_npz(
    file: IO[bytes],
    source: str | os.PathLike[str],
    dtype: DTypeLike | None,
    target: str | None,
    labelled: bool,
    bits: int | None,
) -> Table:
    path, key = contents.name_of(source), target or "y"
    stored, names = _read_npz(file, path, key)
    if key not in stored and (labelled or target is not None):
        raise ValueError(f"{path} has no labels {key!r}; name them with target=, it has {names}")
    name, columns = Path(path).name, stored.get("feature_names")
    try:
        features = _stored_features(stored)
        if features is None:
            raise ValueError(f"no X, and no CSR matrix with or without the prefix X_, in {names}")
        if key not in stored:
            return _unlabelled(features, dtype, name, columns, bits)
        _refuse_blank(stored[key], key)
        return as_table(features, stored[key], dtype=dtype, name=name, feature_names=columns, hash_bits=bits)
    except TypeError as error:
        raise TypeError(f"{path}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _refuse_blank(labels: NDArray[Any], key: str) -> None:
    """Raise ValueError for a string without a letter in the place of a label, which is a missing one."""
    if labels.dtype.kind in "US":
        missing = np.array([not label.strip() for label in labels.reshape(-1).tolist()], bool)
        if missing.any():
            raise ValueError(f"{key} is missing at row {int(np.argmax(missing))}: remove rows without a label")


def _unlabelled(
    X: NDArray[Any] | CSR, dtype: DTypeLike | None, name: str, feature_names: Any, bits: int | None
) -> Table:
    features = as_features(X, dtype=dtype, hash_bits=bits)
    names = None if bits is not None else feature_names
    table = as_table(features, np.zeros(features.shape[0]), dtype=dtype, name=name, feature_names=names)
    return replace(table, labels=np.full(features.shape[0], np.nan), hash_bits=bits)


def _stored_features(stored: Mapping[str, NDArray[Any]]) -> NDArray[Any] | CSR | None:
    if "X" in stored:
        return stored["X"]
    for prefix in ("X_", ""):
        if all(prefix + key in stored for key in CSR_KEYS):
            layout = stored.get("format", np.array("csr"))
            if not prefix and layout.item() not in ("csr", b"csr"):
                raise ValueError(f"the sparse format must be csr, got {layout.item()!r}: save X.tocsr()")
            data, indices, indptr, shape = (stored[prefix + key] for key in CSR_KEYS)
            return CSR(data, indices, indptr, tuple(shape.tolist()))
    return None


def _read_npz(file: IO[bytes], path: str, target: str) -> tuple[dict[str, NDArray[Any]], str]:
    """The arrays of features, labels and names, and a list of the names of all arrays in the file."""
    known = {"X", target, "feature_names", "format", *CSR_KEYS, *(f"X_{key}" for key in CSR_KEYS)}
    with contents.refusing_damage(f"{path} is not a sound .npz file of plain arrays"):
        if not zipfile.is_zipfile(file):
            file.seek(0)
            what = contents.describe(file.read(contents.HEAD))
            raise ValueError("no zip archive, or a truncated one" if what is None else f"it {what}")
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            _check_members(archive.zip.namelist())
            stored = {key: archive[key] for key in archive.files if key in known}
            return stored, ", ".join(sorted(archive.files)) or "nothing"


def _read_npy(content: bytes) -> NDArray[Any]:
    with contents.refusing_damage("not a sound .npy file of a plain array"):
        array: NDArray[Any] = np.load(BytesIO(content), allow_pickle=False)
        return array


def _check_members(members: list[str]) -> None:
    """Raise ValueError for a zip archive that is something else."""
    if "header.json" in members:
        raise ValueError("it is a model or an optimizer that fastadagrad has saved, not data")
    if not any(member.endswith(".npy") for member in members):
        raise ValueError(f"it is a zip archive of {', '.join(members[:5]) or 'nothing'}: unpack it first")


def _built_in(name: str, dtype: DTypeLike | None, bits: int | None) -> Table:
    if name == "linnerud":
        raise ValueError("linnerud has three targets a row; one is needed: pass arrays to as_table instead")
    bunch = getattr(needed("sklearn.datasets", f"the data set {name!r}"), f"load_{name}")()
    names = bunch.feature_names
    return as_table(bunch.data, bunch.target, dtype=dtype, name=name, feature_names=names, hash_bits=bits)


def _refuse_missing(path: Path) -> NoReturn:
    message = os.strerror(errno.ENOENT)
    if len(path.parts) == 1 and not path.suffix:
        message += f", nor a built-in data set of that name ({', '.join(BUILT_IN)})"
        meant = hint(path.name, BUILT_IN)
        message += f"; {meant}" if meant else ""
    raise FileNotFoundError(errno.ENOENT, message, str(path))
