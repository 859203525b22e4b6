"""The evaluation of predictions a block at a time: the numbers of `evaluate`, without all scores at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .links import LINKS
from .survey import Moments, moments_of
from .targets import Targets, warn_of_unknown

if TYPE_CHECKING:
    from .predictor import Predictor

MEANS = ("loss", "accuracy", "mae", "coverage", "deviance")  # of all examples, if those of blocks are averaged
OF_SUMS = ("rmse", "r2", "d2")  # which follow from sums over all examples


class Evaluation:
    """Adds up what `evaluation_of` finds of each block.

    Parameters
    ----------
    model : Predictor
        The model whose scores come.
    """

    def __init__(self, model: Predictor) -> None:
        self._model = model
        self._sums: dict[str, float] = {}
        self._weights: dict[str, int] = {}
        self._rows = self._unknown = 0
        self._first: tuple[Any, int] | None = None  # the first unknown label, and its row
        self._errors: Moments | None = None
        self._labels: Moments | None = None
        self._logs = 0.0  # sum of y*log(y)

    def add(self, scores: NDArray[np.float64], labels: NDArray[Any]) -> None:
        """Take a block in.

        Raises
        ------
        ValueError
            If the labels do not suit the loss.
        """
        chosen = Targets(self._model.loss, self._model.classes_)
        known = chosen.known(labels)
        unknown = int(np.count_nonzero(~known))
        self._unknown += unknown
        if unknown and self._first is None:
            row = int(np.argmin(known))
            self._first = labels[row].item(), self._rows + row
        self._rows += len(labels)
        if chosen.classes is not None:
            self._add_mean("accuracy", 0.0, unknown)  # each is a miss
        scores, labels = scores[known], labels[known]
        if not len(labels):
            return
        found = self._model.evaluation_of(scores, labels)
        for name in MEANS:
            if name in found:
                self._add_mean(name, found[name], len(labels))
        if chosen.classes is None:
            self._add_sums(scores, labels.astype(np.float64), chosen)

    def _add_mean(self, name: str, mean: float, count: int) -> None:
        if count:
            self._sums[name] = self._sums.get(name, 0.0) + mean * count
            self._weights[name] = self._weights.get(name, 0) + count

    def _add_sums(self, scores: NDArray[np.float64], labels: NDArray[np.float64], chosen: Targets) -> None:
        predicted = LINKS[chosen.record.link].predicted(scores, None)
        with np.errstate(over="ignore", invalid="ignore"):
            errors = moments_of((predicted - labels)[:, None], False, None)
        of_labels = moments_of(labels[:, None], True, None)
        self._errors = errors if self._errors is None else self._errors.with_(errors)
        self._labels = of_labels if self._labels is None else self._labels.with_(of_labels)
        some = labels[labels > 0]
        self._logs += float(some @ np.log(some))

    def result(self) -> dict[str, float]:
        """The numbers that `evaluate` finds of all examples that were added; empty if there were none.

        There is a warning if labels are of no class of the training.
        """
        if not self._weights:
            return {}
        if self._first is not None:
            warn_of_unknown(self._unknown, self._rows, *self._first)
        found = {name: total / self._weights[name] for name, total in self._sums.items()}
        found.setdefault("loss", float("nan"))  # where no label was known
        found |= self._of_sums(found)
        monitors = ("loss", *Targets(self._model.loss).record.monitors)
        result = {name: found[name] for name in monitors}
        return {**result, "unknown_labels": self._unknown} if self._unknown else result

    def _of_sums(self, found: dict[str, float]) -> dict[str, float]:
        if self._errors is None or self._labels is None:
            return {}
        rmse, spread, mean = float(self._errors.size[0]), float(self._labels.size[0]), float(self._labels.mean[0])
        more = {"rmse": rmse, "r2": 1 - (rmse / spread) ** 2 if spread > 0 else float("nan")}
        if "deviance" in found:
            null = 2 * (self._logs / self._labels.weight - mean * np.log(mean)) if mean > 0 else 0.0
            more["d2"] = float(1 - found["deviance"] / null) if null > 0 else float("nan")
        return more
