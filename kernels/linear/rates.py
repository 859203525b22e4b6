"""The scalars of steps as loops over examples read them: one row for all steps, or a row for each step."""

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

    For the very first call that may be any row, as under any scalars the initial slots place a weight where it begins.
    """

    features: np.ndarray  # (1 + steps, scalars)
    intercept: np.ndarray
    exact: np.ndarray  # of the features in float64, of any step
    sums: np.ndarray  # (1 + steps, 2) float64: of a*l1, and of log(1 - a*w), over the steps of the call before each


def way_to_catch_up(form, exact: bool, timed: bool) -> str:
    """How a feature is caught up with the steps that it missed.

    "not": not at all, as it missed nothing, or as missed steps are left out. "place": it is put where its slots place
    it under the scalars of the step before. "alike": by the number of missed steps, which all had the same scalars.
    "sums": by the sums, over the missed steps, of a*l1 and of log(1 - a*w).
    """
    if not exact:
        return "not"
    if places(form):
        return "place"
    return "sums" if timed else "alike"


class Reading(NamedTuple):
    """Compilable access to the scalars of a step: of features, of the intercept, and those to catch up with."""

    begin: object  # (rates) -> scalars, before the first step
    at: object  # (rates, step, scalars) -> scalars of this step of the call
    end: object  # (rates, steps, scalars) -> scalars to catch up with after so many steps


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
