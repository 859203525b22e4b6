"""The figure of a fit: the losses of its epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..kernels.linear.losses import LOSSES
from ..support.figures import PALETTE, dress, logarithmic_if_wide

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .model import LinearModel

CURVES = {"loss": "training, before each update", "valid_loss": "validation, after the epoch"}
MARKERS = ("o", "s")
MOST_MARKERS = 30


def draw_epochs(axes: Axes, model: LinearModel) -> None:
    """Draw the losses of a fitted model's epochs, and mark the epoch whose weights the model has."""
    from matplotlib.ticker import MaxNLocator

    dress(axes)
    epochs = [entry["epoch"] for entry in model.history]
    finite: list[float] = []
    for (name, label), color, marker in zip(CURVES.items(), PALETTE, MARKERS, strict=False):
        losses = np.array([entry.get(name, np.nan) for entry in model.history])
        if np.isfinite(losses).any():
            axes.plot(epochs, losses, color=color, marker=marker if len(epochs) <= MOST_MARKERS else "", label=label)
            finite += losses[np.isfinite(losses)].tolist()
    if model.best_epoch:
        kept = f"weights kept (epoch {model.best_epoch})"
        axes.axvline(model.best_epoch, color=PALETTE[6], linestyle=":", zorder=1, label=kept)
    if finite:
        logarithmic_if_wide(axes, min(finite), max(finite))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("epoch (passes over the training examples)")
    unit = LOSSES[model.loss].unit
    axes.set_ylabel(f"mean {model.loss} loss{f' ({unit})' if unit else ''}")
    if axes.lines:
        axes.legend()
