"""Weights for the unscaled features and labels, from those in training."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .links import LINKS
from .scaling import Scaling, only_finite, parts_of
from .targets import Targets

NEGLIGIBLE = 1e-7  # size of a weight that does not matter, as a share of the largest
Weights = tuple[NDArray[Any], NDArray[Any]]  # weights and intercept


def unscaled(weights: Weights, scale: Scaling, chosen: Targets) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights and intercept for unscaled features and labels; the arrays of the scaling are overwritten."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        raw, intercept = scale.unfold(*weights)
        factor, shift = LINKS[chosen.record.link].rescaled(chosen.centre, chosen.spread)
        raw *= factor
        intercept = intercept[0] * factor + shift
    if not only_finite(raw, intercept) or _has_lost(weights[0], raw):
        raise ValueError("X and y differ so much in size that float64 cannot hold the weights: multiply X or y")
    return raw, intercept


def unscaled_aside(scale: Scaling, chosen: Targets, weights: Weights) -> Weights:
    """Weights and intercept for unscaled features and labels; the scaling is not overwritten."""
    return unscaled(weights, scale.copy(), chosen)


def _has_lost(weights: NDArray[Any], raw: NDArray[np.float64]) -> bool:
    """Whether a weight that is not negligible has become 0 in unscaling."""
    if np.count_nonzero(raw) == np.count_nonzero(weights):
        return False
    least = NEGLIGIBLE * max(weights.max(), -weights.min())
    return any(
        bool(np.any((raw[part] == 0) & (np.abs(weights[part]) > least)))
        for part in parts_of(len(weights))  # truth values of all weights at once would take memory, too
    )
