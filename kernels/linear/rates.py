"""The scalars of steps as loops over examples read them: those of all steps, or of each step its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..jit import forceinlined
from ..memory.headers import unpack
from ..rules import places


class Rates(NamedTuple):
    """Rows of the rule's scalars, which are the same in all steps."""

    features: np.ndarray  # in the weights' dtype, as all arithmetic of a step
    intercept: np.ndarray
    exact: np.ndarray  # of the features in float64, to catch up with


class RatesOfSteps(NamedTuple):
    """Rows of the rule's scalars for each step of a call; the first row is that of the step before the call.

    Before the very first step that is any row, as a weight and the slots it begins with go together under all of them.
    """

    features: np.ndarray  # (1 + steps, scalars)
    intercept: np.ndarray
    exact: np.ndarray  # of the features in float64, of any step
    sums: np.ndarray  # (1 + steps, 2) float64: of a*l1, and of log(1 - a*w), over the steps of the call before each


def way_to_catch_up(form, exact: bool, timed: bool) -> str:
    """How a feature gets what it missed.

    "not": it missed nothing, or what it missed is left out; "place": by the place that its slots have had since the
    step before; "alike": of a number of steps under the same scalars; "sums": by what they add up to.
    """
    if not exact:
        return "not"
    if places(form):
        return "place"
    return "sums" if timed else "alike"


class Reading(NamedTuple):
    """Compilable ways to the scalars of a step: of features, of the intercept, and to catch up with."""

    begin: object  # (rates) -> scalars, before the first step
    at: object  # (rates, step, scalars) -> scalars, which are of this step of the call then
    end: object  # (rates, steps, scalars) -> scalars to catch up with after so many


def make_reading(Scalars, timed: bool, way: str) -> Reading:
    if timed:
        return _make_reading_of_steps(Scalars, way)

    @forceinlined
    def begin(rates):
        return unpack(Scalars, rates.features), unpack(Scalars, rates.intercept), unpack(Scalars, rates.exact)

    return Reading(
        begin,
        forceinlined(lambda rates, step, scalars: scalars),
        forceinlined(lambda rates, steps, scalars: scalars[2]),
    )


def _make_reading_of_steps(Scalars, way: str) -> Reading:
    @forceinlined
    def of_step_before(rates, step):
        return unpack(Scalars, rates.features[step])

    @forceinlined
    def with_sums(rates, step):
        return unpack(Scalars, rates.exact), rates.sums

    @forceinlined
    def of_any(rates, step):
        return unpack(Scalars, rates.exact)

    to_catch_up = {"place": of_step_before, "sums": with_sums}.get(way, of_any)

    @forceinlined
    def scalars_in(rates, row, step):
        return unpack(Scalars, rates.features[row]), unpack(Scalars, rates.intercept[row]), to_catch_up(rates, step)

    return Reading(
        forceinlined(lambda rates: scalars_in(rates, 0, 0)),
        forceinlined(lambda rates, step, scalars: scalars_in(rates, step + 1, step)),
        forceinlined(lambda rates, steps, scalars: to_catch_up(rates, steps)),
    )
