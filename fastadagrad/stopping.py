"""Early stopping."""

from __future__ import annotations

from typing import Any


class Patience:
    """Stops at the (`patience` + 1)-th validation in a row that does not improve on the best.

    Parameters
    ----------
    patience : int
        Validations without improvement to bear.
    min_improvement : float
        Least improvement that counts, relative to the best loss.

    Attributes
    ----------
    best : float or None
        Lowest loss that counted, in the loss's own unit.
    failures : int
        Validations since then.

    Notes
    -----
    A loss improves if ``best - loss > abs(best) * min_improvement``, which holds for negative losses too;
    the first always does, NaN never.

    Examples
    --------
    >>> from fastadagrad.stopping import Patience
    >>> patience = Patience(1)
    >>> [patience.update(loss) for loss in (3.0, 2.0, 2.5, 2.0)], patience.elapsed
    ([True, True, False, False], True)
    """

    def __init__(self, patience: int = 5, min_improvement: float = 0.0) -> None:
        self.patience, self.min_improvement = patience, min_improvement
        self.best: float | None = None
        self.failures = 0

    def update(self, loss: float) -> bool:
        """Take in a validation loss; True if it improved."""
        loss = float(loss)
        improved = self._improves(loss)
        if improved:
            self.best, self.failures = loss, 0
        else:
            self.failures += 1
        return improved

    def _improves(self, loss: float) -> bool:
        if loss != loss or self.best is None:
            return loss == loss
        if abs(self.best) == float("inf"):  # no multiple of it says anything
            return loss < self.best
        return self.best - loss > abs(self.best) * self.min_improvement

    @property
    def elapsed(self) -> bool:
        """Whether it is time to stop."""
        return self.failures > self.patience

    def state(self) -> dict[str, Any]:
        """Fit for JSON."""
        return {"best": self.best, "failures": self.failures}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what `state` returned."""
        self.best, self.failures = state["best"], state["failures"]
