"""Keywords of all methods, for type checkers.

Written by tests/tools/typed_keywords.py from the rules: run it instead of editing this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict

Schedule = Callable[[int], float]


class Hyper(TypedDict, total=False):
    """Hyperparameters of any method; those of one are in the constructor of its class."""

    learning_rate: float | Schedule
    rms_halflife: float
    rms_regularizer: float
    momentum: float
    nesterov: bool
    lr_decay: float
    weight_decay: float
    decoupled_weight_decay: float
    max_gradient_elem: float
    max_gradient_norm: float
    lazy: Literal["exact", "touched", "dense"]
    frozen: bool
    max_global_norm: float
    nonfinite: Literal["raise", "skip", "ignore"]
    deferred: bool
    threads: int | None
    patience: int
    validate_every: int
    min_improvement: float
    groups: Mapping[str, Mapping[str, Any]]
    epsilon_inside: bool
    initial_accumulator_value: float
    l1: float
    l2: float
    accumulator: Literal["element", "row", "tensor"]
    cocob_alpha: float
    averaged: bool
    ftrl_beta: float
    ftrl_l1: float
    ftrl_l2: float
    rda_l1: float
    beta1_halflife: float
    beta2_halflife: float
    amsgrad: bool
    initial_distance: float
    dadapt_growth: float
    centered: bool
    rprop_increase: float
    rprop_decrease: float
    rprop_min_step: float
    rprop_max_step: float


class _Rate:
    """A learning rate as an attribute: what is read is mostly a number, which a callable is to type checkers, too."""

    if TYPE_CHECKING:

        def __get__(self, owner: Any, kind: Any) -> Any: ...
        def __set__(self, owner: Any, value: float | Schedule) -> None: ...


class HyperAttributes:
    """The same as attributes. There are none at run time: whoever has them says which."""

    learning_rate: _Rate
    rms_halflife: float
    rms_regularizer: float
    momentum: float
    nesterov: bool
    lr_decay: float
    weight_decay: float
    decoupled_weight_decay: float
    max_gradient_elem: float
    max_gradient_norm: float
    lazy: Literal["exact", "touched", "dense"]
    frozen: bool
    max_global_norm: float
    nonfinite: Literal["raise", "skip", "ignore"]
    deferred: bool
    threads: int | None
    patience: int
    validate_every: int
    min_improvement: float
    groups: Mapping[str, Mapping[str, Any]]
    epsilon_inside: bool
    initial_accumulator_value: float
    l1: float
    l2: float
    accumulator: Literal["element", "row", "tensor"]
    cocob_alpha: float
    averaged: bool
    ftrl_beta: float
    ftrl_l1: float
    ftrl_l2: float
    rda_l1: float
    beta1_halflife: float
    beta2_halflife: float
    amsgrad: bool
    initial_distance: float
    dadapt_growth: float
    centered: bool
    rprop_increase: float
    rprop_decrease: float
    rprop_min_step: float
    rprop_max_step: float
