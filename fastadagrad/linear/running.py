"""Scales of a stream that can be read once only: they grow with what has been read, and training goes with them.

Weights of scaled features stay as they are, as if the scales had been the new ones from the beginning: what a feature's
weight has learned from small values is not made larger because larger values have come. So do the normalised updates of
S. Ross, P. Mineiro and J. Langford, "Normalized Online Learning", UAI 2013. Sums of squared gradients are brought to
the new unit, so that steps go on as if it had been the unit of the steps before. Where means are shifted, the intercept
takes up the difference, so that an example with the new means has the score that it had.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.rules import trait
from .scaling import Scaling
from .training import Trainer


def rescale(trainer: Trainer, old: Scaling, new: Scaling) -> None:
    """Let a trainer that has been trained on examples scaled by `old` go on with examples scaled by `new`."""
    weights, intercept = trainer.parameters
    if trainer.has_intercept:
        take_up_shift(weights, intercept, old, new)
    if old.size is None or new.size is None or not trait(trainer.settings.form, "squares"):
        return
    changed = np.flatnonzero(new.size != old.size)
    ratio = (new.size[changed] / old.size[changed]).reshape(-1, *[1] * (weights.ndim - 1))
    squares = trainer.trained.weights.slots[0]
    with np.errstate(over="ignore"):
        squares[changed] = (squares[changed] / ratio**2).astype(squares.dtype)


def take_up_shift(weights: NDArray[Any], intercept: NDArray[Any], old: Scaling, new: Scaling) -> None:
    """Change the intercept so that an example with the new means has the score that it had."""
    if old.shift is not None and new.shift is not None and old.size is not None:
        moved = (new.shift - old.shift) / old.size
        intercept += (moved @ weights.astype(np.float64)).astype(intercept.dtype)
