"""Columns of features: sorted and made distinct in sparse rows, hashed into fewer, and compared by their names."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..kernels.text.hashing import hash_columns
from ..kernels.text.svmlight import sort_rows
from ..support.asking import asking, shown
from ..support.checks import whole_number
from .roles import Columns

MOST_HASH_BITS = 31  # columns are int32
Parts = tuple[NDArray[Any], NDArray[np.int32], NDArray[np.int64]]


def canonical(data: NDArray[Any], indices: NDArray[np.int32], indptr: NDArray[np.int64]) -> Parts:
    """Copies with the columns of each row sorted; duplicates are added in float64, in order of occurrence."""
    data, indices = data.astype(np.float64), indices.copy()
    indptr = indptr.copy()
    if sort_rows(indptr, indices, data) < 0:
        return data, indices, indptr
    first = np.append(True, indices[1:] != indices[:-1])
    first[indptr[:-1][np.diff(indptr) > 0]] = True
    group = np.cumsum(first, dtype=np.int64)
    summed = np.zeros(group[-1])
    np.add.at(summed, group - 1, data)
    return summed, indices[first], np.append(0, group)[indptr]


def hashed(data: NDArray[Any], columns: NDArray[Any], indptr: NDArray[np.int64], bits: int) -> Parts:
    """Sparse rows with columns hashed into 2**bits; values whose columns fall together in a row add up as float64."""
    indices = np.empty(columns.size, np.int32)
    hash_columns(columns, np.uint64(64 - bits), indices)
    return canonical(data, indices, indptr)


def checked_bits(bits: Any) -> int | None:
    """The number of bits to hash columns into, checked; None stays None.

    Raises
    ------
    TypeError, ValueError
        If it is no whole number, or not between 1 and MOST_HASH_BITS.
    """
    return None if bits is None else whole_number("hash_bits", bits, 1, MOST_HASH_BITS)


def checked_base(zero_based: Any) -> bool | Literal["auto"]:
    """The argument `zero_based`, checked.

    Raises
    ------
    TypeError, ValueError
        If it is neither True nor False nor "auto".
    """
    with asking("zero_based", zero_based):
        if isinstance(zero_based, bool | np.bool | int) and zero_based in (0, 1):
            return bool(zero_based)
        if not isinstance(zero_based, str) or zero_based != "auto":
            raise ValueError(f"zero_based must be True, False or 'auto', not {shown(zero_based)}")
        return "auto"


def check_hashed(found: Columns | None, expected: Columns | None, what: str) -> None:
    """Raise ValueError if features are hashed by names here and by numbers in the training, or the other way round."""
    how = {True: "numbers of columns, as in svmlight text", False: "names of columns, as of CSV, Parquet or Arrow"}
    here, there = found is None, expected is None
    if here != there:
        raise ValueError(f"{what} has features hashed by {how[here]}, and the model's are hashed by {how[there]}")


def check_names(found: tuple[str, ...] | None, expected: tuple[str, ...] | None, what: str) -> None:
    """Raise ValueError if names of columns differ from those trained on, or are in another order, if both are known."""
    if found is None or expected is None or found == expected:
        return
    if sorted(found) == sorted(expected):
        column = next(i for i, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1])
        difference = f"column {column} is {found[column]!r}, not {expected[column]!r}"
    else:
        missing = [name for name in expected if name not in found][:5]
        extra = [name for name in found if name not in expected][:5]
        difference = f"missing are {missing}, unknown are {extra}"
    raise ValueError(f"{what} must have the features of the training, in their order: {difference}")
