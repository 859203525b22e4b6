"""Blocks of a stream made into buffers of scaled examples, each with the order in which its examples are visited."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..data.tables import CSR, Table, cut
from ..kernels.linear.layouts import Dense, Sparse, WeighedDense, WeighedSparse, shuffle
from ..support.log import logger
from .sampling import Aside
from .scaling import Scaling, as_dense
from .targets import Targets
from .training import Examples, as_examples, importance_of, is_dense
from .visits import visits_of

BUFFER = 1 << 22  # values of the examples whose order is drawn together


class Prepared(NamedTuple):
    """The examples of a block as the loops take them, and the visits to them, in the order of the block."""

    examples: Examples
    visits: NDArray[np.int64]

    @property
    def values(self) -> int:
        return int(self.examples.values.size)


class Preparing:
    """Scales the features of blocks and encodes their labels; threads may do so side by side.

    Parameters
    ----------
    aside : Aside, optional
        Decides which rows of a block are not trained on.
    """

    def __init__(
        self, scale: Scaling, targets: Targets, width: int, dtype: DTypeLike, aside: Aside | None = None
    ) -> None:
        self.scale, self.targets, self.width, self._dtype, self._aside = scale, targets, width, dtype, aside
        self._warned = False

    def __call__(self, table: Table) -> Prepared:
        """Prepare a block.

        Raises
        ------
        ValueError
            If a label is none of the classes, or the features are of another number, where that is not to be.
        """
        if self._aside is not None:
            table = self._aside.left_of(table)
        visits = visits_of(len(table.labels), table.weights)
        return Prepared(self.examples(replace(table, weights=visits.importance)), visits.order)

    def examples(self, table: Table) -> Examples:
        """Prepare rows, whose weights are the importance of single visits; ValueError as for a block."""
        features = self._fitted(table)
        self._check_labels(table)
        labels = self.targets.encode(table.labels, self._dtype)
        return as_examples(self.scale.apply(features, self._dtype), labels, table.weights)

    def _fitted(self, table: Table) -> NDArray[Any] | CSR:
        """Features with as many columns as there are weights; entries of sparse rows beyond are left out."""
        features = table.features
        if not isinstance(features, CSR):
            if features.shape[1] != self.width:
                raise ValueError(f"{table.name} must have {self.width} features, got {features.shape[1]}")
            return features
        if features.shape[1] > self.width and not self._warned:
            self._warned = True
            logger.warning("%s has columns beyond the %d features: these entries are ignored", table.name, self.width)
        fitted = cut(features, self.width)
        return fitted if self.scale.shift is None else as_dense(fitted)  # where means are at 0, no zeros are left out

    def _check_labels(self, table: Table) -> None:
        targets = self.targets
        if targets.classes is None:
            return
        known = targets.known(table.labels)
        if not known.all():
            label = table.labels[int(np.argmin(known))].item()
            raise ValueError(
                f"{table.name} has the label {label!r}, and {targets.classes_shown}: where not all classes occur in "
                "what is read first, name them (classes, --classes)"
            )


class Feed(NamedTuple):
    """The examples of a buffer, and the visits to them in the order in which they are to be made."""

    examples: Examples
    order: NDArray[np.int64]
    firsts: NDArray[np.bool] | None  # by visit, whether it is the first to its example; None if each is visited once


def buffers(
    blocks: Iterable[Any], prepared: Callable[[list[Any]], list[Prepared]], rng: np.random.Generator | None, size: int
) -> Iterator[Feed]:
    """Buffers of at least `size` values, if there are as many, whose visits are in an order that `rng` draws.

    `prepared` makes examples of the blocks of a buffer; `size` counts the values of blocks, Tables or Prepared.
    """
    held, values = list[Any](), 0
    for block in blocks:
        held.append(block)
        values += values_of(block)
        if values >= size:
            yield _feed(prepared(held), rng)
            held, values = [], 0
    if held:
        yield _feed(prepared(held), rng)


def values_of(block: Table | Prepared) -> int:
    """The number of stored values of a block."""
    if isinstance(block, Prepared):
        return block.values
    return int((block.features.data if isinstance(block.features, CSR) else block.features).size)


def _feed(blocks: list[Prepared], rng: np.random.Generator | None) -> Feed:
    firsts = np.cumsum([0, *(len(block.examples.labels) for block in blocks)])
    order = np.concatenate([block.visits + first for block, first in zip(blocks, firsts.tolist(), strict=False)])
    examples = joined([block.examples for block in blocks])
    once = np.array_equal(order, np.arange(firsts[-1]))
    if rng is not None:
        drawn = np.arange(len(order))
        shuffle(rng.random(len(order)), drawn)
        order = order[drawn]
    return Feed(examples, order, None if once else _first_visits(order, int(firsts[-1])))


def _first_visits(order: NDArray[np.int64], rows: int) -> NDArray[np.bool]:
    visits = np.arange(len(order))
    earliest = np.full(rows, -1)
    earliest[order[::-1]] = visits[::-1]
    found: NDArray[np.bool] = earliest[order] == visits
    return found


def joined(parts: list[Examples]) -> Examples:
    """Examples one after another; if some have an importance, it is 1 for the others."""
    if len(parts) == 1:
        return parts[0]
    values = np.concatenate([part.values for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    importance = None
    if any(importance_of(part) is not None for part in parts):
        importance = np.concatenate([_importance(part) for part in parts])
    if is_dense(parts[0]):
        return Dense(values, labels) if importance is None else WeighedDense(values, labels, importance)
    sparse = [part for part in parts if isinstance(part, Sparse | WeighedSparse)]
    columns = np.concatenate([part.columns for part in sparse])
    before = np.cumsum([0, *(part.values.size for part in sparse)]).astype(np.uint64)
    starts = [part.starts[1:] + first for part, first in zip(sparse, before[:-1], strict=True)]
    arrays = values, columns, np.concatenate([np.zeros(1, np.uint64), *starts]), labels
    return Sparse(*arrays) if importance is None else WeighedSparse(*arrays, importance)


def _importance(part: Examples) -> NDArray[Any]:
    found = importance_of(part)
    return np.ones_like(part.labels) if found is None else found
