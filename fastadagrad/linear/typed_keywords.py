"""Keywords of linear models that some methods take and others do not, for type checkers.

Written by tests/tools/typed_keywords.py from the rules: run it instead of editing this.
"""

from __future__ import annotations

from typing import TypedDict


class OwnHyper(TypedDict, total=False):
    """Hyperparameters of a linear model's method, beside the options of all."""

    rms_halflife: float
    rms_regularizer: float
    epsilon_inside: bool
    initial_accumulator_value: float
    rda_l1: float
    beta1_halflife: float
    beta2_halflife: float
    amsgrad: bool
    cocob_alpha: float
    ftrl_beta: float
    ftrl_l1: float
    ftrl_l2: float
    centered: bool
    rprop_increase: float
    rprop_decrease: float
    rprop_min_step: float
    rprop_max_step: float
