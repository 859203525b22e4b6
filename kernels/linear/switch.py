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


def _make_piece(function, option):
    """Compilable ``(chosen, *args)``: a loss's function, to which the value of the loss's option is given last."""
    function = forceinlined(function)
    if option is None:
        return forceinlined(lambda chosen, *args: function(*args))
    return forceinlined(lambda chosen, *args: function(*args, chosen.option))


def _make_choice(records, name):
    """Compilable ``(chosen, *args)``: the function of this name of the chosen loss.

    It branches at run time. The processor predicts the branches, as a loop has the same loss all the time.
    """
    number, piece = records[0].number, _make_piece(getattr(records[0], name), records[0].option)
    if len(records) == 1:
        return piece
    others = _make_choice(records[1:], name)

    @forceinlined
    def choice(chosen, *args):
        if chosen.number == number:
            return piece(chosen, *args)
        return others(chosen, *args)

    return choice


def _make_value_of(records):
    """Compilable ``value_of(chosen, parts)``: the loss, from what `slope_of` has left of it."""
    if not records:
        return forceinlined(lambda chosen, parts: parts[0])  # as `first_part`
    number, value, others = records[0].number, forceinlined(records[0].value), _make_value_of(records[1:])

    @forceinlined
    def value_of(chosen, parts):
        return value(parts) if chosen.number == number else others(chosen, parts)

    return value_of


unless_negligible = forceinlined(losses.unless_negligible)
forceinlined(implicit.of_decay)  # the losses' functions call these
forceinlined(implicit.of_margin)
slope_of = _make_choice(OF_ONE_SCORE, "slope")  # (chosen, score, label) -> slope, parts of the loss
share_of = _make_choice(OF_ONE_SCORE, "share")  # (chosen, score, label, slope, reach) -> share of the explicit step
share_of_softmax = forceinlined(implicit.of_softmax)
value_of = _make_value_of([loss for loss in OF_ONE_SCORE if loss.value is not first_part])
softmax = forceinlined(losses.softmax)
