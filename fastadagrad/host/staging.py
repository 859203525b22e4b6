"""Messages from and to arrays in the host's memory, which need no copies of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.parameters import FloatArray


class InPlace:
    """The `fastadagrad.engine.place.Staging` of arrays in the host's memory."""

    def __init__(self, arrays: Sequence[FloatArray]) -> None:
        self.arrays = arrays

    def gradients(self, gradients: Mapping[int, Any]) -> Mapping[int, Any]:
        return gradients

    def reserve(self, parts: Sequence[FloatArray]) -> None:
        """Take none."""

    def memory(self, size: int, dtype: Any) -> NDArray[Any]:
        return np.empty(size, dtype)

    def sums(self, turn: int, sums: Mapping[int, NDArray[Any]]) -> Mapping[int, Any]:
        return sums

    def straight(self, position: int) -> Any:
        return self.arrays[position].reshape(-1)

    def fetch(self, positions: Sequence[int], cuts: Sequence[Sequence[int]], rank: int) -> None:
        """Copy nothing."""

    def store(self, positions: Sequence[int], cuts: Sequence[Sequence[int]], rank: int) -> None:
        """Copy nothing."""

    def settle(self) -> None:
        """Wait for nothing."""
