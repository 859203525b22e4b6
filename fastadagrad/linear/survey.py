"""What is found out of examples before training on a stream: width, scales, and which loss and labels there are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.tables import CSR, Table, cut
from ..engine.options import Settings
from ..kernels.linear.layouts import largest_of_columns
from ..kernels.linear.losses import COUNTS, LOSSES
from . import scaling, targets
from .fitting import check_width, means_kept
from .scaling import Scaling, exponents_of
from .splits import without_weightless
from .targets import OF_CLASSES, Targets
from .training import bytes_a_feature

MOST_DIFFERENT = 10_000  # labels that are told apart
LEAST_FULL = 0.25  # share of stored values below which a block of sparse rows is surely not of dense data


class Moments(NamedTuple):
    """Weight, mean and root mean square distance from the mean (or from 0) of the columns of some rows."""

    weight: float
    mean: NDArray[np.float64]
    size: NDArray[np.float64]

    def of_width(self, width: int) -> Moments:
        """Those of these rows with so many columns: new ones are 0, and those beyond are dropped."""
        if len(self.mean) == width:
            return self
        wide = np.zeros((2, width))
        for row, old in zip(wide, (self.mean, self.size), strict=True):
            row[: len(old)] = old[:width]
        return Moments(self.weight, *wide)

    def with_(self, other: Moments) -> Moments:
        """Those of these rows and others together, by the formula of Chan, Golub and LeVeque."""
        if not self.weight or not other.weight:
            return self if self.weight else other
        total = self.weight + other.weight
        share = other.weight / total
        largest = np.maximum.reduce([np.abs(self.mean), np.abs(other.mean), self.size, other.size])
        exponent = exponents_of(largest)
        mean, more, size, its_size = (np.ldexp(a, -exponent) for a in (self.mean, other.mean, self.size, other.size))
        difference = more - mean
        squares = (1 - share) * size * size + share * its_size * its_size + share * (1 - share) * difference**2
        return Moments(total, np.ldexp(mean + share * difference, exponent), np.ldexp(np.sqrt(squares), exponent))


def moments_of(features: NDArray[Any], centre: bool, weights: NDArray[np.float64] | None) -> Moments:
    weight = float(len(features) if weights is None else weights.sum())
    if not weight:
        return Moments(0.0, np.zeros(features.shape[1]), np.zeros(features.shape[1]))
    return Moments(weight, *scaling.moments(features, centre, weights))


class Block(NamedTuple):
    """A block of rows, and what a thread in the background has found of it."""

    table: Table
    labels: NDArray[Any]  # those that differ
    moments: Moments | None  # of the features, if they are, or may turn out to be, scaled by their deviation
    of_labels: Moments | None  # if they are numbers
    unit: bool | None = None  # whether sparse rows have length 1, where that decides how they are scaled


class Survey:
    """Finds the scaling and the targets of the blocks that have been added to it; both can be asked for at any time.

    The results depend on the blocks and their order alone.
    """

    def __init__(self, p: Mapping[str, Any], settings: Settings, width: int | None) -> None:
        self._p, self._settings = p, settings
        self.width = width or 0
        self.fixed_width = width is not None
        self.rows = self._weighty_rows = self._stored = 0
        self.sparse: bool | None = None
        self._unit: bool | None = None  # None: no row has values
        self._may_be_full = True  # whether sparse rows may turn out to be those of dense data
        self._settled: str | None = None
        self._largest = np.zeros(self.width)
        self._moments: Moments | None = None
        self._of_labels: Moments | None = None
        self._labels: NDArray[Any] | None = None
        self._many = False  # whether there are more different labels than are told apart

    @property
    def _scale(self) -> str:
        """The kind of scaling; "auto" becomes what suits all that has been added, as `scaling.measure` would find it.

        But sparse rows with a block that is less than LEAST_FULL are never those of dense data.
        """
        scale = str(self._p["scale"])
        if scale != "auto" or self._settled is not None:
            return self._settled or scale
        if not self.sparse:
            return "standard"
        if self._may_be_full and self._stored > scaling.FULL * self._weighty_rows * self.width:
            return "standard"
        return "none" if self._unit else "maxabs"

    def settle(self) -> None:
        """Stay with the width and the kind of scaling that have been found, whatever is added from now on."""
        if self.sparse is not None:
            self._settled, self.fixed_width = self._scale, True

    def examine(self, table: Table) -> Block:
        """Find what can be found of a block alone; this may run in another thread."""
        scale = self._p["scale"]
        features, labels = table.features, table.labels
        found = None
        if scale in ("standard", "auto") and not isinstance(features, CSR) and len(labels):
            found = moments_of(features, self._p["intercept"], table.weights)
        unit = None
        if scale == "auto" and isinstance(features, CSR) and len(labels):
            weighty = self._weighty(table)
            assert isinstance(weighty.features, CSR)
            unit = scaling.of_unit_length(weighty.features)
            if weighty.features.data.size >= LEAST_FULL * math.prod(weighty.features.shape):
                found = moments_of(scaling.as_dense(weighty.features), self._p["intercept"], weighty.weights)
        of_labels = None
        if labels.dtype.kind in "biuf" and len(labels):
            of_labels = moments_of(labels.astype(np.float64)[:, None], True, table.weights)
        return Block(table, np.unique(labels), found, of_labels, unit)

    def _weighty(self, table: Table) -> Table:
        """The rows that train something, and of sparse ones the columns that there are to be."""
        table = without_weightless(table)
        if self.fixed_width and isinstance(table.features, CSR) and table.features.shape[1] > self.width:
            table = replace(table, features=cut(table.features, self.width))
        return table

    def add(self, block: Block) -> None:
        """Take a block in.

        Raises
        ------
        ValueError
            If there are more features than memory has room for, or labels are numbers here and strings there.
        """
        features = block.table.features
        self.sparse = isinstance(features, CSR)
        self.rows += len(block.table.labels)
        self._add_labels(block, block.table.name)
        if isinstance(features, CSR):
            if self._p["scale"] == "standard":
                raise ValueError('scale="standard" would make a sparse X dense: use "maxabs" or "none"')
            self._grow(features)
            self._add_sparse(block)
            return
        self.width = features.shape[1]
        if self._scale == "maxabs":
            weighty = without_weightless(block.table).features
            assert not isinstance(weighty, CSR)
            found = np.abs(weighty).max(axis=0, initial=0).astype(np.float64)
            self._largest = found if len(self._largest) != self.width else np.maximum(self._largest, found)
        elif block.moments is not None:
            self._moments = block.moments if self._moments is None else self._moments.with_(block.moments)

    def _add_sparse(self, block: Block) -> None:
        """Take in what tells how sparse features are to be scaled."""
        if self._p["scale"] == "none":
            return
        table = self._weighty(block.table)
        features = table.features
        assert isinstance(features, CSR)
        largest_of_columns(features.data, features.indices.view(np.uint32), self._largest)
        self._stored += features.data.size
        self._weighty_rows += features.shape[0]
        if block.unit is not None:
            self._unit = block.unit and self._unit is not False
        found = block.moments
        if found is None and self._settled == "standard" and len(table.labels):
            found = moments_of(scaling.as_dense(features), self._p["intercept"], table.weights)
        if found is not None and self._may_be_full:
            found = found.of_width(self.width)
            self._moments = found if self._moments is None else self._moments.of_width(self.width).with_(found)
        elif len(table.labels):
            self._may_be_full, self._moments = False, None

    def _grow(self, features: CSR) -> None:
        width = features.shape[1]
        if width <= self.width or self.fixed_width:
            return
        how = self._p["batch_size"], self._p["lazy"], np.float32, means_kept(self._p, self._settings, width)
        check_width(features, bytes_a_feature(0, self._settings, *how))
        self.width = width
        if width > len(self._largest):
            larger = np.zeros(max(width, min(2 * len(self._largest), width + (1 << 22))))
            larger[: len(self._largest)] = self._largest
            self._largest = larger

    def _add_labels(self, block: Block, name: str) -> None:
        if block.of_labels is not None:
            self._of_labels = block.of_labels if self._of_labels is None else self._of_labels.with_(block.of_labels)
        if not block.labels.size:
            return
        if self._labels is None:
            self._labels = block.labels
        elif (self._labels.dtype.kind in "US") != (block.labels.dtype.kind in "US"):
            raise ValueError(f"{name}: labels must be all numbers or all strings")
        elif not self._many:
            self._labels = np.union1d(self._labels, block.labels)
        self._many = len(self._labels) > MOST_DIFFERENT

    def targets(self, classes: Any = None) -> Targets:
        """The loss and its labels, as `fit` chooses them.

        Raises
        ------
        ValueError
            If the labels do not suit the loss, or if there are more classes than are told apart.
        """
        p, labels = self._p, self._labels
        if labels is None:
            raise ValueError("there are no rows to train on")
        to_be_classes = labels.dtype.kind in "US" if p["loss"] == "auto" else LOSSES[p["loss"]].labels in OF_CLASSES
        if self._many and to_be_classes and classes is None:
            raise ValueError(f"there are more than {MOST_DIFFERENT} different labels: too many to be classes")
        if classes is not None and labels.dtype.kind not in "US":
            with suppress(TypeError, ValueError):  # strings of a command line that spell numbers
                classes = np.asarray(classes, np.float64)
        chosen = targets.choose(p["loss"], labels, p, classes, self.rows)
        if chosen.classes is not None or p["scale"] == "none" or not p["intercept"] or self._of_labels is None:
            return chosen
        mean, spread = float(self._of_labels.mean[0]), float(self._of_labels.size[0])
        if chosen.record.labels == COUNTS:
            return replace(chosen, centre=0.0, spread=mean or 1.0)
        return replace(chosen, centre=mean, spread=spread or 1.0)

    def scaling(self) -> Scaling:
        """The scaling of the rows that have been added; its arrays are its own."""
        if self._scale == "none":
            return Scaling(None, None)
        if self._scale == "maxabs":
            size, shift = self._largest[: self.width].copy(), None
        else:
            found = (self._moments or Moments(0.0, np.zeros(self.width), np.zeros(self.width))).of_width(self.width)
            shift, size = found.mean.copy(), found.size.copy()
        for part in scaling.parts_of(size.size):
            size[part][size[part] == 0] = 1.0
        return Scaling(shift, size)
