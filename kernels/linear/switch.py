"""Losses in compiled loops, which know them by number: one loop serves all losses of one score."""

from __future__ import annotations

from ..jit import forceinlined
from . import losses
from .losses import RECORDS, first_part

OF_ONE_SCORE = tuple(loss for loss in RECORDS if loss.slope is not None)


def _make_slope_of(records):
    """Compilable ``slope_of(number, score, label)``: the slope of that loss, and parts of its value.

    A switch at run time, which is never mispredicted, as a loop has the same loss all the time.
    """
    number, slope = records[0].number, forceinlined(records[0].slope)
    if len(records) == 1:
        return forceinlined(lambda asked, score, label: slope(score, label))
    others = _make_slope_of(records[1:])

    @forceinlined
    def slope_of(asked, score, label):
        if asked == number:
            return slope(score, label)
        return others(asked, score, label)

    return slope_of


def _make_value_of(records):
    """Compilable ``value_of(number, parts)``: the loss, from what `slope_of` has left of it."""
    if not records:
        return forceinlined(lambda asked, parts: parts[0])  # as `first_part`
    number, value, others = records[0].number, forceinlined(records[0].value), _make_value_of(records[1:])

    @forceinlined
    def value_of(asked, parts):
        return value(parts) if asked == number else others(asked, parts)

    return value_of


slope_of = _make_slope_of(OF_ONE_SCORE)
value_of = _make_value_of([loss for loss in OF_ONE_SCORE if loss.value is not first_part])
softmax = forceinlined(losses.softmax)
