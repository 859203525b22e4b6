"""The targets of a linear model: its loss, its classes, and the encoding of labels for the kernels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..data.labels import as_labels
from ..kernels.linear.losses import CLASSES, COUNTS, LOSSES, NUMBERS, TWO_CLASSES, Loss
from ..kernels.linear.switch import Chosen
from ..support.log import logger
from .scaling import exponents_of

MOST_CLASSES = 100
OF_CLASSES, REAL = (TWO_CLASSES, CLASSES), (NUMBERS, COUNTS)  # kinds of labels


@dataclass(frozen=True)
class Targets:
    """A loss and what is known of its labels: ascending `classes`, or the centre and spread that scale real labels."""

    loss: str
    classes: NDArray[Any] | None = None
    centre: float = 0.0
    spread: float = 1.0
    option: float = 0.0  # value of the loss's option, if it has one

    @property
    def record(self) -> Loss:
        """The record of the loss."""
        return LOSSES[self.loss]

    @property
    def chosen(self) -> Chosen:
        """The loss as compiled loops take it."""
        option = self.record.option
        return Chosen(self.record.number, self.option / self.spread if option and option.has_unit else self.option)

    @property
    def outputs(self) -> int:
        """Number of scores of an example; 0 if its score is a single number and not a row."""
        return len(self.classes) if self.classes is not None and self.record.labels == CLASSES else 0

    @property
    def heavy_tails(self) -> bool:
        """Whether one outlier may make most of the loss of many examples, as the square of a real label's error may."""
        return self.classes is None

    def in_own_unit(self, loss: float, mean_label: float) -> float:
        """A mean loss of encoded labels in the unit of the labels themselves, given the mean of the encoded labels.

        The result is infinite if float64 cannot hold it.
        """
        return loss if self.classes is not None else self.record.in_unit(loss, mean_label, self.spread)

    def mean_label(self, encoded: NDArray[Any], importance: NDArray[Any] | None) -> float:
        """The mean of encoded labels, weighted by importance, for `in_own_unit`; 0 of classes, which have no unit."""
        if self.classes is not None:
            return 0.0
        return float(np.average(encoded.astype(np.float64), weights=importance))

    def encode(self, labels: NDArray[Any], dtype: DTypeLike, *, unknown: bool = False) -> NDArray[Any]:
        """Encode labels for the kernels: as -1 and 1, as positions of classes, or as (label - centre) / spread.

        Parameters
        ----------
        unknown : bool
            Whether labels that are none of the classes are allowed. They become NaN, with a warning.

        Raises
        ------
        ValueError
            For a label that is none of the classes, unless these are allowed, or that is no number where it must be.
        """
        if self.classes is None:
            self.check_numbers(labels, "y")
            exponent = exponents_of(max(abs(self.centre), self.spread))  # divided by 2**exponent, none overflows
            with np.errstate(over="ignore", under="ignore"):
                scaled, centre, spread = (
                    np.ldexp(each, -exponent) for each in (labels.astype(np.float64), self.centre, self.spread)
                )
                encoded: NDArray[Any] = ((scaled - centre) / spread).astype(dtype)
            beyond = np.flatnonzero(~np.isfinite(encoded))
            if beyond.size:
                if np.isnan(labels[beyond[0]]):
                    raise ValueError(f"y is missing at row {beyond[0]}: label it, or leave the row out")
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
            warn_of_unknown(int(known.size - np.count_nonzero(known)), known.size, labels[row].item(), row)
        return encoded

    def check_numbers(self, labels: NDArray[Any], what: str) -> None:
        """Raise ValueError for labels that are not real: strings, also those of numbers, and negative counts."""
        if labels.dtype.kind not in "biuf":
            raise ValueError(
                f"{what} has the string {labels[0].item()!r} at row 0, and {self.loss} loss needs numbers as labels: "
                "numpy.asarray(y, float) makes numbers of strings that spell them; for classes, train with "
                f"{_names_of(OF_CLASSES)}"
            )
        if self.record.labels == COUNTS and labels.size and labels.min() < 0:
            row = int(np.argmax(labels < 0))
            raise ValueError(
                f"{what} has {labels[row].item()!r} at row {row}, and {self.loss} loss needs counts as labels, "
                f"numbers of at least 0: for others, train with {_names_of((NUMBERS,))}"
            )

    def known(self, labels: NDArray[Any]) -> NDArray[np.bool]:
        """Which labels are among the classes; all labels, if there are no classes."""
        return self._positions(labels)[1]

    def groups(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """The position of each label's class; 0 for real labels, and any position for a label that is no class."""
        return self._positions(labels)[0].astype(np.int64)

    def _positions(self, labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool]]:
        """The positions of `groups` and the truth values of `known`; with two classes, positions are booleans."""
        if self.classes is None:
            return np.zeros(len(labels), np.bool), np.ones(len(labels), np.bool)
        if labels.dtype.kind != self.classes.dtype.kind:
            position = _positions_by_value(self.classes, labels)
            return np.maximum(position, 0), position >= 0
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

    def standardised(self, labels: NDArray[Any], weights: NDArray[np.float64] | None = None) -> Targets:
        """The targets with the centre and spread of these labels, if they are real.

        Numbers are centred and divided by their standard deviation. Counts are only divided by their mean, as their 0
        has a meaning. A label of weight 2 counts as two labels.
        """
        if self.classes is not None:
            return self
        centre, spread = _centre_and_spread(labels, weights)
        if self.record.labels == COUNTS:
            centre, spread = 0.0, centre or 1.0
        return replace(self, centre=centre, spread=spread)


def warn_of_unknown(count: int, rows: int, label: Any, row: int) -> None:
    """Warn of labels that are none of the classes; the first of them is in this row."""
    logger.warning(
        "%d of %d labels are of no class of the training, %r in row %d the first: they count as misses, "
        "and the loss is that of the others",
        count,
        rows,
        label,
        row,
    )


def _positions_by_value(classes: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
    """The position of each label's class, or -1, where labels and classes have dtypes of different kinds.

    A string that spells a number is the same label as the number. Python objects are compared, because NumPy would
    round large whole numbers to compare them with floats.
    """
    different, inverse = np.unique(labels, return_inverse=True)
    known = [*enumerate(classes.tolist())]
    places = {_value(each, labels.dtype): place for place, each in reversed(known)}
    return np.array([places.get(_value(each, classes.dtype), -1) for each in different.tolist()], np.int64)[inverse]


def _value(label: Any, other: np.dtype[Any]) -> Any:
    """A label in a form that equals the same label of the dtype `other`; None if it equals no label of that dtype."""
    if not isinstance(label, str) or other.kind == "U":
        return label
    if other.kind == "b" and label in ("False", "True"):  # strings that spell booleans
        return label == "True"
    if "_" in label:
        return None
    whole = re.fullmatch(r"([+-]?[0-9]+)(\.0*)?", label)
    with suppress(ValueError):
        return int(whole[1]) if whole else float(label)
    return None


def option_of(loss: str, parameters: Mapping[str, Any]) -> float:
    """The value of the loss's option in a model with these parameters; 0 if the loss has no option."""
    option = LOSSES[loss].option
    return 0.0 if option is None else float(parameters[option.name])


def choose(
    loss: str,
    labels: NDArray[Any],
    parameters: Mapping[str, Any] | None = None,
    classes: Any = None,
    rows: int | None = None,
) -> Targets:
    """Targets for these labels, in a model with these parameters; `classes` names all labels that will come.

    `rows` is the number of examples, if `labels` has not one for each.

    The loss "auto" becomes logistic for two different labels. More labels are classes (softmax) if they are strings, or
    whole numbers of which at most 100 are different, each occurring twice or more on average. Other numbers are real
    (squared).
    """
    different = np.unique(labels if classes is None else as_labels(classes))
    if loss == "auto":
        rows = len(labels) if rows is None else rows
        loss = _guess(different, rows)
        logger.info("loss: %s, for %d different labels in %d rows", loss, len(different), rows)
    kind = LOSSES[loss].labels
    if kind not in OF_CLASSES:
        targets = Targets(loss, option=option_of(loss, parameters or {}))
        targets.check_numbers(labels, "y")
        return targets
    if len(different) < 2:
        raise ValueError(f"y has the one label {different[0].item()!r}: {loss} needs at least two classes")
    if kind == TWO_CLASSES and len(different) > 2:
        many, real = (_names_of(kinds) for kinds in ((CLASSES,), REAL))
        raise ValueError(f"y has {len(different)} classes: {loss} takes two; use {many}, or {real} for numbers")
    return Targets(loss, different)


def _names_of(kinds: tuple[str, ...]) -> str:
    """The losses whose labels are of these kinds."""
    return " or ".join(loss.name for loss in LOSSES.values() if loss.labels in kinds)


def _centre_and_spread(labels: NDArray[Any], weights: NDArray[np.float64] | None) -> tuple[float, float]:
    """Mean and standard deviation of labels; the standard deviation counts as 1 if all labels are the same."""
    real = labels.astype(np.float64)
    lowest, highest = float(real.min()), float(real.max())
    if lowest == highest:
        return lowest, 1.0
    exponent = exponents_of(max(-lowest, highest))
    scaled = np.ldexp(real, -exponent)
    if weights is None:
        return float(np.ldexp(scaled.mean(), exponent)), float(np.ldexp(scaled.std(), exponent))
    mean = np.average(scaled, weights=weights)
    spread = np.sqrt(np.average(np.square(scaled - mean), weights=weights))
    return float(np.ldexp(mean, exponent)), float(np.ldexp(spread, exponent))


def _guess(different: NDArray[Any], rows: int) -> str:
    if len(different) <= 2:
        return "logistic"
    if different.dtype.kind in "US":
        return "softmax"
    whole = different.dtype.kind != "f" or bool(np.all(different == np.round(different)))
    few = len(different) <= MOST_CLASSES and 2 * len(different) <= rows
    return "softmax" if whole and few else "squared"
