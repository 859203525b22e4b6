"""The choice of a loss, by its number, within compiled loops: one compiled loop serves all losses of one score."""

from __future__ import annotations

from typing import NamedTuple

from ..jit import forceinlined
from . import implicit, losses
from .losses import RECORDS, first_part

OF_ONE_SCORE = tuple(loss for loss in RECORDS if loss.slope is not None)


class Chosen(NamedTuple):
    """The loss that a loop computes."""

    number: int
    option: float  # value of the loss's option; any number for a loss without one


def _make_slope(loss):
    """Compilable ``(chosen, score, label)``."""
    slope = forceinlined(loss.slope)
    if loss.option is None:
        return forceinlined(lambda chosen, score, label: slope(score, label))
    return forceinlined(lambda chosen, score, label: slope(score, label, chosen.option))


def _make_slope_of(records):
    """Compilable ``slope_of(chosen, score, label)``: the slope of the chosen loss, and parts of its value.

    It branches at run time. The processor predicts the branches, as a loop has the same loss all the time.
    """
    number, slope = records[0].number, _make_slope(records[0])
    if len(records) == 1:
        return slope
    others = _make_slope_of(records[1:])

    @forceinlined
    def slope_of(chosen, score, label):
        if chosen.number == number:
            return slope(chosen, score, label)
        return others(chosen, score, label)

    return slope_of


def _make_share(loss):
    """Compilable ``(chosen, score, label, slope, reach)``."""
    share = forceinlined(loss.share)
    if loss.option is None:
        return forceinlined(lambda chosen, score, label, slope, reach: share(score, label, slope, reach))
    return forceinlined(lambda chosen, score, label, slope, reach: share(score, label, slope, reach, chosen.option))


def _make_share_of(records):
    """Compilable ``share_of(chosen, score, label, slope, reach)``: the share of the explicit step that is made."""
    number, share = records[0].number, _make_share(records[0])
    if len(records) == 1:
        return share
    others = _make_share_of(records[1:])

    @forceinlined
    def share_of(chosen, score, label, slope, reach):
        if chosen.number == number:
            return share(chosen, score, label, slope, reach)
        return others(chosen, score, label, slope, reach)

    return share_of


def _make_value_of(records):
    """Compilable ``value_of(chosen, parts)``: the loss, from what `slope_of` has left of it."""
    if not records:
        return forceinlined(lambda chosen, parts: parts[0])  # as `first_part`
    number, value, others = records[0].number, forceinlined(records[0].value), _make_value_of(records[1:])

    @forceinlined
    def value_of(chosen, parts):
        return value(parts) if chosen.number == number else others(chosen, parts)

    return value_of


slope_of = _make_slope_of(OF_ONE_SCORE)
forceinlined(implicit.of_decay)  # the losses' functions call these
forceinlined(implicit.of_margin)
share_of = _make_share_of(OF_ONE_SCORE)
share_of_softmax = forceinlined(implicit.of_softmax)
value_of = _make_value_of([loss for loss in OF_ONE_SCORE if loss.value is not first_part])
softmax = forceinlined(losses.softmax)
