"""The visits of an epoch: how often it visits each example, and how much each visit counts.

An example of weight 3 is visited three times, as if it were in the data three times. An example of weight 2.5 is
visited three times as well, but each visit counts 5/6. A single visit that counted 3 would be one long step, which
overshoots.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.tables import CSR
from ..engine.place import readable
from ..kernels.linear.content import keys_of_rows
from ..support.asking import asking

LEAST = float(np.finfo(np.float32).tiny)  # training may be in float32
MOST = float(np.finfo(np.float64).max)  # so that sums are finite
MOST_VISITS = 10  # visits of an example in an epoch, on average


class Visits(NamedTuple):
    """The visits of an epoch."""

    order: NDArray[np.int64]  # the example of each visit
    importance: NDArray[np.float64] | None  # by example, how much each of its visits counts; None if all count 1


def checked_weights(weights: Any, n: int) -> NDArray[np.float64] | None:
    """Weights of examples as float64; None if all are 1.

    Raises
    ------
    TypeError, ValueError
        If weights are not numbers of at least 0, one an example, or if all are 0.
    """
    if weights is None:
        return None
    weights = readable("sample_weight", weights)
    try:
        with asking("sample_weight"):
            found = np.asarray(weights, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"sample_weight must be numbers, one an example, not {type(weights).__name__}") from None
    if found.ndim == 0:
        found = np.full(n, found)
    if found.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), one weight an example, not {found.shape}")
    bad = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
    if bad.size:
        raise ValueError(f"sample_weight must be finite and at least 0, not {found[bad[0]]} at row {bad[0]}")
    if n and not found.any():
        raise ValueError("sample_weight is 0 for all examples: nothing is left to train on")
    if n and not (LEAST < found.max() < MOST / n):
        raise ValueError(
            f"sample_weight must be of a size that sums can hold, not up to {found.max():g}: multiply all by a number"
        )
    return None if (found == 1).all() else found


def visits_of(n: int, weights: NDArray[np.float64] | None) -> Visits:
    """The visits of n examples with these weights; the visits of an example are next to one another."""
    if weights is None:
        return Visits(np.arange(n), None)
    unit = max(1.0, float(weights.sum()) / ((MOST_VISITS - 1) * n))
    counts = np.ceil(weights / unit).astype(np.int64)
    importance = weights / np.maximum(counts, 1)
    return Visits(np.repeat(np.arange(n), counts), None if (importance[counts > 0] == 1).all() else importance)


def by_content(
    features: NDArray[Any] | CSR, labels: NDArray[Any], weights: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """The order of the examples by their contents, whatever their order in the data; equal examples are neighbours."""
    keys = keys_of_rows(features, labels)
    order: NDArray[np.int64] = np.argsort(keys, kind="stable") if weights is None else np.lexsort((weights, keys))
    return order
