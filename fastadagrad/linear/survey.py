"""What is found out of examples before training on a stream: width, scales, and which loss and labels there are."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.tables import CSR, Table
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


class Moments(NamedTuple):
    """Weight, mean and root mean square distance from the mean (or from 0) of the columns of some rows."""

    weight: float
    mean: NDArray[np.float64]
    size: NDArray[np.float64]

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
    moments: Moments | None  # of the features, if they are dense and to be centred or scaled by their deviation
    of_labels: Moments | None  # if they are numbers


class Survey:
    """Finds the scaling and the targets of the blocks that have been added to it; both can be asked for at any time.

    The results depend on the blocks and their order alone.
    """

    def __init__(self, p: Mapping[str, Any], settings: Settings, width: int | None) -> None:
        self._p, self._settings = p, settings
        self.width = width or 0
        self.fixed_width = width is not None
        self.rows = self.values = 0
        self.sparse: bool | None = None
        self._largest = np.zeros(self.width)
        self._moments: Moments | None = None
        self._of_labels: Moments | None = None
        self._labels: NDArray[Any] | None = None
        self._many = False  # whether there are more different labels than are told apart

    @property
    def _scale(self) -> str:
        scale = str(self._p["scale"])
        return scale if scale != "auto" else "maxabs" if self.sparse else "standard"

    def examine(self, table: Table) -> Block:
        """Find what can be found of a block alone; this may run in another thread."""
        scale = self._p["scale"]
        features, labels = table.features, table.labels
        found = None
        if scale in ("standard", "auto") and not isinstance(features, CSR) and len(labels):
            found = moments_of(features, self._p["intercept"], table.weights)
        of_labels = None
        if labels.dtype.kind in "biuf" and len(labels):
            of_labels = moments_of(labels.astype(np.float64)[:, None], True, table.weights)
        return Block(table, np.unique(labels), found, of_labels)

    def add(self, block: Block) -> None:
        """Take a block in.

        Raises
        ------
        ValueError
            If there are more features than memory has room for, or labels are numbers here and strings there.
        """
        table = block.table
        features = table.features
        self.sparse = isinstance(features, CSR)
        self.rows += len(table.labels)
        self.values += (features.data if isinstance(features, CSR) else features).size
        self._add_labels(block, table.name)
        if isinstance(features, CSR):
            if self._scale == "standard":
                raise ValueError('scale="standard" would make a sparse X dense: use "maxabs" or "none"')
            self._grow(features)
            if self._scale == "maxabs":
                inside = without_weightless(table).features
                assert isinstance(inside, CSR)
                if inside.shape[1] > self.width:
                    kept = inside.indices < self.width
                    inside = inside._replace(data=inside.data[kept], indices=inside.indices[kept])
                largest_of_columns(inside.data, inside.indices.view(np.uint32), self._largest)
            return
        self.width = features.shape[1]
        if self._scale == "maxabs":
            weighty = without_weightless(table).features
            assert not isinstance(weighty, CSR)
            found = np.abs(weighty).max(axis=0, initial=0).astype(np.float64)
            self._largest = found if len(self._largest) != self.width else np.maximum(self._largest, found)
        elif block.moments is not None:
            self._moments = block.moments if self._moments is None else self._moments.with_(block.moments)

    def _grow(self, features: CSR) -> None:
        width = features.shape[1]
        if width <= self.width or self.fixed_width:
            return
        means = 0 if self._p["average"] == "auto" else means_kept(self._p, self._settings)
        how = self._p["batch_size"], self._p["lazy"], np.float32, means
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
            found = self._moments or Moments(0.0, np.zeros(self.width), np.zeros(self.width))
            shift, size = found.mean.copy(), found.size.copy()
        for part in scaling.parts_of(size.size):
            size[part][size[part] == 0] = 1.0
        return Scaling(shift, size)
