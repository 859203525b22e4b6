"""Scales of a stream that can be read once only: they grow with what has been read, and the weights go with them.

A score is not changed by that: a weight w of (x - shift)/size becomes w*size'/size for the new size, and the intercept
takes up what the new shift makes different. Sums of squared gradients are brought to the new unit, too, so that steps
go on as if the scale had been the new one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.rules import trait
from .scaling import Scaling
from .training import Trainer


def rescale(trainer: Trainer, old: Scaling, new: Scaling) -> None:
    """Change a trainer's weights so that examples scaled by `new` have the scores that they had scaled by `old`."""
    weights, intercept = trainer.parameters
    rescale_weights(weights, intercept if trainer.has_intercept else None, old, new)
    changed, ratio = _ratios(old, new, weights.ndim)
    if changed.size and trait(trainer.settings.form, "squares"):
        squares = trainer.trained.weights.slots[0]
        with np.errstate(over="ignore"):
            squares[changed] = (squares[changed] / ratio**2).astype(squares.dtype)


def rescale_weights(weights: NDArray[Any], intercept: NDArray[Any] | None, old: Scaling, new: Scaling) -> None:
    """Change weights, and the intercept if there is one, as `rescale` does."""
    if old.shift is not None and new.shift is not None and old.size is not None and intercept is not None:
        moved = (new.shift - old.shift) / old.size
        intercept += (moved @ weights.astype(np.float64)).astype(intercept.dtype)
    changed, ratio = _ratios(old, new, weights.ndim)
    weights[changed] = (weights[changed] * ratio).astype(weights.dtype)


def _ratios(old: Scaling, new: Scaling, axes: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The features whose sizes differ, and the new sizes over the old ones, as columns where weights have two axes."""
    if old.size is None or new.size is None:
        return np.empty(0, np.int64), np.empty((0, *[1] * (axes - 1)))
    changed = np.flatnonzero(new.size != old.size)
    return changed, (new.size[changed] / old.size[changed]).reshape(-1, *[1] * (axes - 1))
