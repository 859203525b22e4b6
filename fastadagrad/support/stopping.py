"""Early stopping: a run stops when its validation loss has not improved for some time."""

from __future__ import annotations

from typing import Any


class Patience:
    """Stops at the (`patience` + 1)-th validation in a row that does not improve; notes the lowest loss of all.

    Parameters
    ----------
    patience : int
        Number of validations in a row without an improvement after which a run still goes on.
    min_improvement : float
        Least improvement that counts, relative to the last loss that counted. It only decides when to stop.

    Attributes
    ----------
    lowest : float or None
        Lowest loss so far, by however little.
    counted : float or None
        The latest loss that counted as an improvement.
    failures : int
        Validations since `counted`.

    Notes
    -----
    A loss improves if ``counted - loss > abs(counted) * min_improvement``, which holds for negative losses too;
    the first always does, NaN never.

    Examples
    --------
    >>> from fastadagrad.support.stopping import Patience
    >>> patience = Patience(1, min_improvement=0.5)
    >>> [patience.update(loss) for loss in (3.0, 2.0, 2.5)], patience.elapsed, patience.lowest
    ([True, True, False], True, 2.0)
    """

    def __init__(self, patience: int = 5, min_improvement: float = 0.0) -> None:
        self.patience, self.min_improvement = patience, min_improvement
        self.lowest: float | None = None
        self.counted: float | None = None
        self.failures = 0

    def update(self, loss: float) -> bool:
        """Take in a validation loss; True if it is the lowest so far."""
        loss = float(loss)
        if self._improves(loss):
            self.counted, self.failures = loss, 0
        else:
            self.failures += 1
        lowest = loss == loss and (self.lowest is None or loss < self.lowest)
        if lowest:
            self.lowest = loss
        return lowest

    def _improves(self, loss: float) -> bool:
        if loss != loss or self.counted is None:
            return loss == loss
        if abs(self.counted) == float("inf"):  # a share of infinity is infinite, so that no loss would improve
            return loss < self.counted
        return self.counted - loss > abs(self.counted) * self.min_improvement

    @property
    def elapsed(self) -> bool:
        """Whether it is time to stop."""
        return self.failures > self.patience

    def state(self) -> dict[str, Any]:
        """The state in types that JSON has."""
        return {"lowest": self.lowest, "best": self.counted, "failures": self.failures}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state; in older files, which lack the lowest loss, it is the loss that counted last."""
        self.counted, self.failures = state["best"], state["failures"]
        self.lowest = state.get("lowest", self.counted)
