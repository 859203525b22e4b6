"""The examples that judge a model while it is trained on a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.streams import Stream
from ..data.tables import CSR, Table
from .feeds import Preparing
from .scaling import Scaling
from .splits import split
from .training import Examples, Scorer, as_examples, importance_of


class Judges:
    """Examples for validation, scaled as those for training are at the time.

    Parameters
    ----------
    valid : Table
        The examples, with the columns of the stream.
    dense : bool
        Whether the examples for training are dense, so that these have to be, too.

    Raises
    ------
    ValueError
        If they have other columns than the stream, or no label that the model knows.
    """

    def __init__(self, valid: Table, stream: Stream, preparing: Preparing, dense: bool, p: Mapping[str, Any]) -> None:
        width, targets = preparing.width, preparing.targets
        empty: NDArray[Any] | CSR = np.empty((0, width))
        if not dense:
            empty = CSR(np.empty(0), np.empty(0, np.int32), np.zeros(1, np.int64), (0, width))
        names, bits, base = stream.feature_names, stream.hash_bits, stream.zero_based
        columns = Table(empty, valid.labels[:0], feature_names=names, hash_bits=bits, zero_based=base)
        _, held_out = split(columns, (valid, None), p["seed"], targets)
        assert held_out is not None  # as examples were given
        self._table, self._dtype, self._preparing = held_out, p["dtype"], preparing
        self._labels = targets.encode(held_out.labels, self._dtype, unknown=True)
        self._scorer = Scorer(targets)
        self._scaled: tuple[Scaling, Examples] | None = None

    @property
    def examples(self) -> Examples:
        """The examples by the scale that there is now, which may grow while a stream is read."""
        scale = self._preparing.scale
        if self._scaled is None or self._scaled[0] is not scale:
            features = scale.apply(self._table.features, self._dtype)
            self._scaled = scale, as_examples(features, self._labels, self._table.weights)
        return self._scaled[1]

    def loss(self, weights: NDArray[Any], intercept: NDArray[Any]) -> float:
        """Their mean loss by weights for scaled features, in the unit of the labels."""
        examples, targets = self.examples, self._scorer.targets
        importance = importance_of(examples)
        found = self._scorer.loss(self._scorer.scores(examples, weights, intercept), examples.labels, importance)
        return targets.in_own_unit(found, targets.mean_label(examples.labels, importance))
