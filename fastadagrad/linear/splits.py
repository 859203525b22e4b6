"""Examples for a linear model: made into a table, and split into training and validation examples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..data.columns import check_names
from ..data.loading import warn_of_base
from ..data.tables import CSR, Table, as_table, with_width
from ..support.asking import asking, shown
from ..support.log import logger
from .scaling import as_dense
from .targets import Targets
from .visits import checked_weights


def labelled(X: Any, y: Any, dtype: DTypeLike | None, hash_bits: int | None, sample_weight: Any = None) -> Table:
    """Examples as a Table, with columns hashed if `hash_bits` is given; a dtype of None is the one that X needs."""
    table = _labelled(X, y, dtype, hash_bits)
    if sample_weight is not None:
        table = replace(table, weights=checked_weights(sample_weight, len(table.labels)))
    return table


def _labelled(X: Any, y: Any, dtype: DTypeLike | None, hash_bits: int | None) -> Table:
    with asking("X", X):
        is_table = isinstance(X, Table)
    bits = bits_to_come(X, hash_bits)
    if is_table:
        if y is not None:
            raise TypeError("y must be left out when X is a Table, which has its labels")
        names = X.feature_names
        table = as_table(X.features, X.labels, dtype=dtype, name=X.name, feature_names=names, hash_bits=bits)
        weights = checked_weights(X.weights, len(table.labels))
        return replace(table, zero_based=X.zero_based, hash_bits=hash_bits, weights=weights, columns=X.columns)
    if y is None:
        raise TypeError("y is missing: give labels with X, or a Table")
    return as_table(X, y, dtype=dtype, hash_bits=bits)


def bits_to_come(X: Any, hash_bits: int | None) -> int | None:
    """The number of bits into which X is still to be hashed for a model with `hash_bits`; None for a hashed Table.

    Raises
    ------
    ValueError
        If X is a Table that has been hashed into another number of bits.
    """
    if not isinstance(X, Table) or X.hash_bits is None:
        return hash_bits
    if X.hash_bits != hash_bits:
        own = "does not hash" if hash_bits is None else f"has hash_bits={hash_bits}"
        raise ValueError(f"{X.name} was loaded with hash_bits={X.hash_bits}, but the model {own}: give both the same")
    return None


def checked_validation(name: str, value: Any) -> float | Table | tuple[Any, Any]:
    """The argument `validation`, checked: a fraction, a table or (X, y)."""
    expected = f"{name} must be a fraction in [0, 1), a Table or (X, y)"
    with asking(name, value):
        if isinstance(value, Table):
            return value
        if isinstance(value, tuple | list):
            if len(value) != 2:
                raise ValueError(f"{expected}, not a {type(value).__name__} of {len(value)}")
            return value[0], value[1]
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise TypeError(f"{expected}, not {type(value).__name__} {shown(value)}")
        if not 0 <= value < 1:
            raise ValueError(f"{expected}, not {shown(value)}")
        return float(value)


def split(table: Table, valid: Any, seed: int, targets: Targets) -> tuple[Table, Table | None]:
    """Training and validation examples; the validation examples get as many columns as the training examples have.

    A fraction takes its share of each class, and leaves at least one example of each class to train on. Sparse
    validation examples become dense where the training examples are, which may have come sparse, too.
    """
    if isinstance(valid, float):
        return _set_aside(table, valid, seed, targets.groups(table.labels)) if valid else (table, None)
    X, y = valid if isinstance(valid, tuple) else (valid, None)
    held_out = labelled(X, y, None, table.hash_bits)
    check_names(held_out.feature_names, table.feature_names, "the validation examples")
    if targets.classes is None:
        targets.check_numbers(held_out.labels, "y of the validation examples")
    if not targets.known(held_out.labels).any():
        raise ValueError(
            f"no label of the validation examples is a class of the training: the first is "
            f"{held_out.labels[0].item()!r}, {targets.classes_shown}"
        )
    width = table.features.shape[1]
    warn_of_base(held_out, width, table.zero_based)
    features = held_out.features
    if isinstance(table.features, CSR) and not isinstance(features, CSR):
        raise ValueError("the validation examples must be sparse if the training examples are")
    if isinstance(features, CSR):
        features = with_width(features, width, "the validation examples")
        features = features if isinstance(table.features, CSR) else as_dense(features)
    elif features.shape[1] != width:
        raise ValueError(f"the validation examples must have {width} features, got {features.shape[1]}")
    return table, Table(features, held_out.labels, held_out.name, weights=held_out.weights)


def _set_aside(table: Table, fraction: float, seed: int, groups: NDArray[np.int64]) -> tuple[Table, Table]:
    n = len(table.labels)
    count = round(n * fraction)
    if not 0 < count < n:
        raise ValueError(f"validation={fraction} of {n} examples is {count}: none would be left on one side")
    order = np.random.default_rng([seed, 0]).permutation(n)
    chosen = in_proportion(groups[order], count, spare=1)
    if not chosen.any():
        raise ValueError(
            f"validation={fraction} leaves no example to validate on: each of the {n} examples is the only one of its "
            "class, and stays in training; give the examples for validation themselves, as (X, y)"
        )
    parts = np.sort(order[~chosen]), np.sort(order[chosen])
    unseen = np.count_nonzero(np.bincount(groups)) - np.count_nonzero(np.bincount(groups[parts[1]]))
    if unseen:
        logger.info("%d of the classes have too few examples to be validated on", unseen)
    train, held_out = (rows_of(table, rows) for rows in parts)
    return train, held_out


def in_proportion(groups: NDArray[np.int64], count: int, spare: int) -> NDArray[np.bool]:
    """Which `count` members of groups to choose, in the order in which they come, so that each group has its share.

    A group's share is rounded down, and the groups with the largest remainders get one more. At least `spare` members
    of each group are not chosen. If `count` is then not reached, further members are taken in the order in which they
    come, and if there are not enough, fewer than `count` are chosen.
    """
    n, sizes = groups.size, np.bincount(groups)
    room, first = np.maximum(sizes - spare, 0), np.zeros_like(sizes)
    first[groups[::-1]] = np.arange(n)[::-1]
    shares = np.minimum(sizes * count // n, room)
    by_remainder = np.lexsort((first, -(sizes * count % n)))
    growing = by_remainder[(shares < room)[by_remainder]][: count - shares.sum()]
    shares[growing] += 1
    few = groups.astype(np.uint16) if sizes.size <= 1 << 16 else groups  # NumPy has a radix sort for 16 bits
    of_group = np.argsort(few, kind="stable")  # members of one group are next to one another
    rank = np.empty(n, np.int64)
    rank[of_group] = np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen: NDArray[np.bool] = rank < shares[groups]
    if shares.sum() < count:
        others = np.flatnonzero(~chosen & (rank < room[groups]))
        chosen[others[: count - shares.sum()]] = True
    return chosen


def with_width_of(features: NDArray[Any] | CSR, width: int) -> NDArray[Any] | CSR:
    """Features with as many columns as in training; a sparse X is widened or cut, a dense one raises ValueError."""
    if isinstance(features, CSR):
        return with_width(features, width, "X")
    if features.shape[1] != width:
        raise ValueError(f"X must have {width} features, as in training, got {features.shape[1]}")
    return features


def rows_of(table: Table, rows: NDArray[np.int64]) -> Table:
    """These rows of a table, copied, with all else that the table says of its columns."""
    weights = None if table.weights is None else table.weights[rows]
    return replace(table, features=take(table.features, rows), labels=table.labels[rows], weights=weights, first=None)


def without_weightless(table: Table) -> Table:
    """A table without the rows of weight 0, which train nothing."""
    if table.weights is None or table.weights.all():
        return table
    some = rows_of(table, np.flatnonzero(table.weights))
    return replace(some, weights=checked_weights(some.weights, len(some.labels)))


def take(features: NDArray[Any] | CSR, rows: NDArray[np.int64]) -> NDArray[Any] | CSR:
    """These rows of a matrix, copied."""
    if not isinstance(features, CSR):
        return features[rows]
    lengths = np.diff(features.indptr)[rows]
    indptr = np.append(0, np.cumsum(lengths))
    at = np.arange(indptr[-1]) + np.repeat(features.indptr[rows] - indptr[:-1], lengths)
    return CSR(features.data[at], features.indices[at], indptr, (len(rows), features.shape[1]))
