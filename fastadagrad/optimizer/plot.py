"""The figure of an optimizer's runs: a monitor against their epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..support.figures import PALETTE, dress, logarithmic_if_wide
from .history import Best, History

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_MARKERS = 30


def draw_history(axes: Axes, subject: tuple[History, Best | None, str]) -> None:
    """Means over each epoch, validations of what each has left, and the best; runs follow one another."""
    from matplotlib.ticker import MaxNLocator

    history, best, monitor = subject
    dress(axes)
    records = history.records()
    place = np.cumsum([record["epoch"] > 0 for record in records])  # epochs of all runs, until then
    drawn: list[float] = []
    curves = (("train", "training, mean over the epoch", "o"), ("valid", "validation, after the epoch", "s"))
    for (kind, label, marker), color in zip(curves, PALETTE, strict=False):
        values = np.array([record.get(f"{kind}_{monitor}", np.nan) for record in records])
        there = np.isfinite(values)
        if there.any():
            marker = marker if there.sum() <= MOST_MARKERS else ""
            axes.plot(place[there], values[there], color=color, marker=marker, label=label)
            drawn += values[there].tolist()
    if best is not None:
        at = [x for x, record in zip(place, records, strict=True) if record["validated"] and _is(best, record)]
        if at:
            axes.axvline(
                at[-1], color=PALETTE[6], linestyle=":", zorder=1, label=f"best validation, epoch {best.epoch}"
            )
    runs = [x for x, record in zip(place, records, strict=True) if record["epoch"] == 0 < x]
    for number, x in enumerate(runs):
        axes.axvline(x, color="0.7", linewidth=0.8, zorder=0, label="" if number else "a new run")
    if drawn:
        logarithmic_if_wide(axes, min(drawn), max(drawn))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("epochs")
    axes.set_ylabel(f"mean {monitor}")
    if axes.lines:
        axes.legend()


def _is(best: Best, record: dict[str, float]) -> bool:
    return (record["epoch"], record["steps"], record["valid_loss"]) == (best.epoch, best.steps, best.loss)
