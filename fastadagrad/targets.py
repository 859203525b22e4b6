"""What a linear model is to predict: its loss, its classes, and labels as the kernels take them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .log import logger
from .scaling import exponents_of

LOSSES = ("logistic", "squared", "hinge", "softmax")
MOST_CLASSES = 100


@dataclass(frozen=True)
class Targets:
    """A loss with its labels: `classes`, ascending, or the centre and spread of real ones."""

    loss: str
    classes: NDArray[Any] | None = None
    centre: float = 0.0
    spread: float = 1.0

    @property
    def outputs(self) -> int:
        """Scores of an example; 0 where it is a number rather than a row."""
        return len(self.classes) if self.loss == "softmax" and self.classes is not None else 0

    def in_own_unit(self, loss: float) -> float:
        """A loss as the kernels have it, in the square of the labels' own unit; infinite if float64 cannot hold it."""
        return loss * self.spread * self.spread

    def encode(self, labels: NDArray[Any], dtype: DTypeLike, *, unknown: bool = False) -> NDArray[Any]:
        """Labels for the kernels: -1 and 1, the class's position, or the distance from the centre in spreads.

        Parameters
        ----------
        unknown : bool
            Whether labels that are none of the classes are allowed. They become NaN, and a warning tells of them.

        Raises
        ------
        ValueError
            For a label that is none of the classes, if it is not allowed, or no number.
        """
        if self.classes is None:
            _check_numbers(labels)
            exponent = exponents_of(max(abs(self.centre), self.spread))  # no difference is beyond float64 then
            with np.errstate(over="ignore", under="ignore"):
                scaled, centre, spread = (
                    np.ldexp(each, -exponent) for each in (labels.astype(np.float64), self.centre, self.spread)
                )
                encoded: NDArray[Any] = ((scaled - centre) / spread).astype(dtype)
            beyond = np.flatnonzero(~np.isfinite(encoded))
            if beyond.size:
                raise ValueError(
                    f"y has {labels[beyond[0]].item()!r} at row {beyond[0]}, which {encoded.dtype} cannot hold: "
                    "divide y by a number"
                )
            return encoded
        position, known = self._positions(labels)
        encoded = position.astype(dtype)
        if not self.outputs:
            encoded = 2 * encoded - 1
        if not known.all():
            row = int(np.argmin(known))
            if not unknown:
                raise ValueError(f"y has {labels[row].item()!r} at row {row}: {self.classes_shown}")
            encoded[~known] = np.nan
            logger.warning(
                "%d of %d labels are of no class of the training, %r in row %d the first: they count as misses, "
                "and the loss is that of the others",
                known.size - np.count_nonzero(known),
                known.size,
                labels[row].item(),
                row,
            )
        return encoded

    def known(self, labels: NDArray[Any]) -> NDArray[np.bool]:
        """Which labels are of one of the classes, or all of them if these are real."""
        return self._positions(labels)[1]

    def groups(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """The position of each label's class, 0 for real ones; any position for a label of no class."""
        return self._positions(labels)[0].astype(np.int64)

    def _positions(self, labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool]]:
        """What `groups` and `known` say; of two classes the position is a truth value."""
        if self.classes is None:
            return np.zeros(len(labels), np.bool), np.ones(len(labels), np.bool)
        labels = _in_kind_of(self.classes, labels)
        if len(self.classes) == 2:
            second = labels == self.classes[1]
            return second, second | (labels == self.classes[0])
        position = np.minimum(np.searchsorted(self.classes, labels), len(self.classes) - 1)
        return position, self.classes[position] == labels

    @property
    def classes_shown(self) -> str:
        """The first of the classes, for a message."""
        classes = [] if self.classes is None else self.classes.tolist()
        return f"the classes are {', '.join(map(repr, classes[:10]))}"

    def standardised(self, labels: NDArray[Any]) -> Targets:
        """The same for labels that are centred and divided by their spread, as these are to be if they are real."""
        if self.classes is not None:
            return self
        centre, spread = _centre_and_spread(labels)
        return replace(self, centre=centre, spread=spread)


def _in_kind_of(classes: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    """Labels as numbers if the classes are, else as strings; a string that spells a number is the same label."""
    if (classes.dtype.kind == "U") == (labels.dtype.kind == "U"):
        return labels
    different, inverse = np.unique(labels, return_inverse=True)
    if classes.dtype.kind == "U":
        spelt = {_number(text, labels.dtype): text for text in reversed(classes.tolist())}
        return np.array([spelt.get(float(each), str(each)) for each in different.tolist()])[inverse]
    return np.array([_number(text, classes.dtype) for text in different.tolist()])[inverse]


def _number(text: str, dtype: np.dtype[Any]) -> float:
    """What a string spells, NaN if that is no number; "True" and "False" are numbers where others are booleans."""
    if dtype.kind == "b" and text in ("False", "True"):
        return float(text == "True")
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


def choose(loss: str, labels: NDArray[Any]) -> Targets:
    """Targets for these labels.

    With "auto", two different labels make it logistic. More are classes (softmax) if they are strings, or
    whole numbers of which there are at most 100 different ones, each twice or more on average; other
    numbers are real (squared).
    """
    different = np.unique(labels)
    if loss == "auto":
        loss = _guess(labels, different)
        logger.info("loss: %s, for %d different labels in %d rows", loss, len(different), len(labels))
    if loss == "squared":
        _check_numbers(labels)
        return Targets(loss)
    if len(different) < 2:
        raise ValueError(f"y has the one label {different[0].item()!r}: {loss} needs at least two classes")
    if loss != "softmax" and len(different) > 2:
        raise ValueError(f"y has {len(different)} classes: {loss} takes two; use softmax, or squared for numbers")
    return Targets(loss, different)


def _centre_and_spread(labels: NDArray[Any]) -> tuple[float, float]:
    """Mean and standard deviation; the latter is 1 if all are the same."""
    real = labels.astype(np.float64)
    lowest, highest = float(real.min()), float(real.max())
    if lowest == highest:
        return lowest, 1.0
    exponent = exponents_of(max(-lowest, highest))
    scaled = np.ldexp(real, -exponent)
    return float(np.ldexp(scaled.mean(), exponent)), float(np.ldexp(scaled.std(), exponent))


def _guess(labels: NDArray[Any], different: NDArray[Any]) -> str:
    if len(different) <= 2:
        return "logistic"
    if labels.dtype.kind in "US":
        return "softmax"
    whole = labels.dtype.kind != "f" or bool(np.all(different == np.round(different)))
    few = len(different) <= MOST_CLASSES and 2 * len(different) <= len(labels)
    return "softmax" if whole and few else "squared"


def _check_numbers(labels: NDArray[Any]) -> None:
    if labels.dtype.kind not in "biuf":
        raise ValueError(f"squared loss needs numbers as labels, got {labels[0].item()!r}; use logistic or softmax")
