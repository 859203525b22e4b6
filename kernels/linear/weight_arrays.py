"""The arrays that the training loops of a linear model work on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .rates import Rates as Rates
from .sixteen import room_for, whole_groups


class Weights(NamedTuple):
    """Weights (features,) or (features, classes) and their slots; the intercept's are those of one feature."""

    p: np.ndarray
    slots: tuple
    together: np.ndarray  # (features * (1 + slots),): all of them, a feature's own side by side; or empty


def make_weights(layout: str, features: int, outputs: int, slots: int, dtype: np.dtype) -> Weights:
    """Weights and slots of 0, laid out as loops over examples of this layout read them."""
    n = 1 + slots
    if layout == "sparse" and not outputs:
        block = np.zeros((features, n), dtype)
        arrays, flat = [block[:, i] for i in range(n)], block.reshape(-1)
    else:
        arrays = [np.zeros((features, outputs) if outputs else features, dtype) for _ in range(n)]
        flat = np.zeros(0, dtype)
    return Weights(arrays[0], tuple(arrays[1:]), flat)


class Work(NamedTuple):
    """Scratch arrays, allocated once for many epochs.

    Between calls gradients and `last` are 0; nothing is expected of the others.
    """

    scores: np.ndarray  # (classes,)
    slopes: np.ndarray  # (classes,) float64
    moved: np.ndarray  # (classes,) float64, by how much an explicit step would lower each class's score
    gradient: np.ndarray  # of a batch, shaped as the weights; +0 where nothing was added (see `.heads.Outputs`)
    intercept_gradient: np.ndarray
    last: np.ndarray  # (features,) int32, steps of this call that each feature has had
    missed: np.ndarray  # float64, steps that the weights of one example have missed
    gathered: np.ndarray  # copies of these weights in groups, if a feature's weight and slots lie side by side


MOST_STEPS = 2**31 - 1  # in one call of exact loops: `last` is int32


def make_work(weights: Weights, longest: int, *, online: bool, exact: bool) -> Work:
    """Scratch for one way of training: `online`, or by batches.

    `longest` is the number of features that the longest row of sparse examples has; `exact` loops, which count the
    steps that a feature has missed, do at most MOST_STEPS in a call.
    """
    p = weights.p
    classes = p.shape[1] if p.ndim == 2 else 1
    features = len(p)
    gathered = longest if online and weights.together.size else 0
    return Work(
        np.zeros(classes, p.dtype),
        np.zeros(classes),
        np.zeros(classes),
        np.zeros((0 if online else features, *p.shape[1:]), p.dtype),
        np.zeros((1, *p.shape[1:]), p.dtype),
        np.zeros(features if exact else 0, np.int32),
        np.zeros(whole_groups(gathered) if exact else 0),
        np.zeros(room_for(gathered, len(weights.slots)), p.dtype),
    )
