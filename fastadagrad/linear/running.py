"""Scales of a stream that can be read once only: they grow with what has been read, and the weights go with them.

A score is not changed by that: a weight w of (x - shift)/size becomes w*size'/size for the new size, and the intercept
takes up what the new shift makes different. Sums of squared gradients are brought to the new unit, too, so that steps
go on as if the scale had been the new one.
"""

from __future__ import annotations

import numpy as np

from ..kernels.rules import trait
from .scaling import Scaling
from .training import Trainer


def rescale(trainer: Trainer, old: Scaling, new: Scaling) -> None:
    """Change a trainer's weights so that examples scaled by `new` have the scores that they had scaled by `old`."""
    if old.size is None or new.size is None:
        return
    weights, intercept = trainer.parameters
    if old.shift is not None and new.shift is not None and trainer.has_intercept:
        moved = (new.shift - old.shift) / old.size
        intercept += (moved @ weights.astype(np.float64)).astype(intercept.dtype)
    changed = np.flatnonzero(new.size != old.size)
    if not changed.size:
        return
    ratio = (new.size[changed] / old.size[changed]).reshape(-1, *[1] * (weights.ndim - 1))
    weights[changed] = (weights[changed] * ratio).astype(weights.dtype)
    if trait(trainer.settings.form, "squares"):
        squares = trainer.trained.weights.slots[0]
        with np.errstate(over="ignore"):
            squares[changed] = (squares[changed] / ratio**2).astype(squares.dtype)
