"""Early stopping."""

from __future__ import annotations

from typing import Any


class Patience:
    """Stops after `patience` + 1 validations in a row that do not improve on the best.

    Parameters
    ----------
    patience : int
    min_improvement : float
        A loss improves if ``best - loss > abs(best) * min_improvement``; the first always does, NaN never.

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
        improved = loss == loss and (self.best is None or self.best - loss > abs(self.best) * self.min_improvement)
        if improved:
            self.best, self.failures = loss, 0
        else:
            self.failures += 1
        return improved

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
