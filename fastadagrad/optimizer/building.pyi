# Written by tests/tools/typed_keywords.py from the rules: run it instead of editing this.
# fmt: off
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Unpack, overload

from ..engine.options import Hyper, Schedule
from . import adaptive
from .curvature import HessianProduct
from .monitors import Monitor
from .objective import Gradient
from .optimizer import Optimizer
from .updates import Pair

def method_named(algo: str) -> type[Optimizer]: ...
@overload
def build(
    algo: Literal["adadelta"], loss: Callable[..., Any] | None = None, params: Any = None,
    inputs: Sequence[str] | None = None, updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (), monitor_gradients: bool = False, *,
    gradient: Gradient = None, comm: Any = None, reduction: str = "mean", learning_rate: float | Schedule = 1.0,
    rms_halflife: float = 14.0, rms_regularizer: float = 1e-8, momentum: float = 0.0, nesterov: bool = False,
    lr_decay: float = 0.0, weight_decay: float = 0.0, decoupled_weight_decay: float = 0.0,
    max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
    lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
    nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
    patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
    groups: Mapping[str, Mapping[str, Any]] = ...,
) -> adaptive.ADADELTA: ...
@overload
def build(
    algo: Literal["adagrad"], loss: Callable[..., Any] | None = None, params: Any = None,
    inputs: Sequence[str] | None = None, updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (), monitor_gradients: bool = False, *,
    gradient: Gradient = None, comm: Any = None, reduction: str = "mean", learning_rate: float | Schedule = 0.0001,
    rms_regularizer: float = 1e-8, epsilon_inside: bool = False, initial_accumulator_value: float = 0.0,
    momentum: float = 0.0, nesterov: bool = False, lr_decay: float = 0.0, weight_decay: float = 0.0,
    decoupled_weight_decay: float = 0.0, l1: float = 0.0, l2: float = 0.0, max_gradient_elem: float = 0.0,
    max_gradient_norm: float = 0.0, accumulator: Literal["element", "row", "tensor"] = "element",
    lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
    nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
    patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
    groups: Mapping[str, Mapping[str, Any]] = ...,
) -> adaptive.ADAGRAD: ...
@overload
def build(
    algo: Literal["cocob"], loss: Callable[..., Any] | None = None, params: Any = None,
    inputs: Sequence[str] | None = None, updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (), monitor_gradients: bool = False, *,
    gradient: Gradient = None, comm: Any = None, reduction: str = "mean", learning_rate: float | Schedule = 0.0001,
    cocob_alpha: float = 100.0, lr_decay: float = 0.0, weight_decay: float = 0.0, max_gradient_elem: float = 0.0,
    max_gradient_norm: float = 0.0, lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False,
    max_global_norm: float = 0.0, nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False,
    threads: int | None = None, patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
    groups: Mapping[str, Mapping[str, Any]] = ...,
) -> adaptive.COCOB: ...
@overload
def build(
    algo: Literal["esgd"], loss: Callable[..., Any] | None = None, params: Any = None,
    inputs: Sequence[str] | None = None, updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (), monitor_gradients: bool = False, *,
    gradient: Gradient = None, comm: Any = None, reduction: str = "mean", hv: HessianProduct = None, hv_rng: Any = None,
    learning_rate: float | Schedule = 0.0001, rms_halflife: float = 14.0, rms_regularizer: float = 1e-8,
    epsilon_inside: bool = False, averaged: bool = False, momentum: float = 0.0, nesterov: bool = False,
    lr_decay: float = 0.0, weight_decay: float = 0.0, decoupled_weight_decay: float = 0.0, l1: float = 0.0,
    l2: float = 0.0, max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
    lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
    nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
    patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
    groups: Mapping[str, Mapping[str, Any]] = ...,
) -> adaptive.ESGD: ...
@overload
def build(
    algo: Literal["ftrl"], loss: Callable[..., Any] | None = None, params: Any = None,
    inputs: Sequence[str] | None = None, updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (), monitor_gradients: bool = False, *,
    gradient: Gradient = None, comm: Any = None, reduction: str = "mean", learning_rate: float | Schedule = 0.1,
    ftrl_beta: float = 1.0, ftrl_l1: float = 0.0, ftrl_l2: float = 0.0, initial_accumulator_value: float = 0.0,
    lr_decay: float = 0.0, weight_decay: float = 0.0, max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
    lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
    nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
    patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
    groups: Mapping[str, Mapping[str, Any]] = ...,
) -> adaptive.FTRL: ...
@overload
def build(
    algo: Literal["nag"], loss: Callable[..., Any] | None = None, params: Any = None,
    inputs: Sequence[str] | None = None, updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (), monitor_gradients: bool = False, *,
    gradient: Gradient = None, comm: Any = None, reduction: str = "mean", learning_rate: float | Schedule = 0.0001,
    momentum: float = 0.0, nesterov: bool = True, lr_decay: float = 0.0, weight_decay: float = 0.0,
    decoupled_weight_decay: float = 0.0, l1: float = 0.0, l2: float = 0.0, max_gradient_elem: float = 0.0,
    max_gradient_norm: float = 0.0, lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False,
    max_global_norm: float = 0.0, nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False,
    threads: int | None = None, patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
    groups: Mapping[str, Mapping[str, Any]] = ...,
) -> adaptive.NAG: ...
@overload
def build(
    algo: Literal["rda"], loss: Callable[..., Any] | None = None, params: Any = None,
    inputs: Sequence[str] | None = None, updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (), monitor_gradients: bool = False, *,
    gradient: Gradient = None, comm: Any = None, reduction: str = "mean", learning_rate: float | Schedule = 0.0001,
    rda_l1: float = 0.0, lr_decay: float = 0.0, weight_decay: float = 0.0, max_gradient_elem: float = 0.0,
    max_gradient_norm: float = 0.0, lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False,
    max_global_norm: float = 0.0, nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False,
    threads: int | None = None, patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
    groups: Mapping[str, Mapping[str, Any]] = ...,
) -> adaptive.RDA: ...
@overload
def build(
    algo: Literal["sgd"], loss: Callable[..., Any] | None = None, params: Any = None,
    inputs: Sequence[str] | None = None, updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (), monitor_gradients: bool = False, *,
    gradient: Gradient = None, comm: Any = None, reduction: str = "mean", learning_rate: float | Schedule = 0.0001,
    momentum: float = 0.0, nesterov: bool = False, lr_decay: float = 0.0, weight_decay: float = 0.0,
    decoupled_weight_decay: float = 0.0, l1: float = 0.0, l2: float = 0.0, max_gradient_elem: float = 0.0,
    max_gradient_norm: float = 0.0, lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False,
    max_global_norm: float = 0.0, nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False,
    threads: int | None = None, patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
    groups: Mapping[str, Mapping[str, Any]] = ...,
) -> adaptive.SGD: ...
@overload
def build(
    algo: Literal["adagrad_da"], loss: Callable[..., Any] | None = None, params: Any = None,
    inputs: Sequence[str] | None = None, updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (), monitor_gradients: bool = False, *,
    gradient: Gradient = None, comm: Any = None, reduction: str = "mean", learning_rate: float | Schedule = 0.0001,
    rms_regularizer: float = 1e-8, initial_accumulator_value: float = 0.0, rda_l1: float = 0.0, lr_decay: float = 0.0,
    weight_decay: float = 0.0, max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
    lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
    nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
    patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
    groups: Mapping[str, Mapping[str, Any]] = ...,
) -> adaptive.AdaGradDA: ...
@overload
def build(
    algo: Literal["adamax"], loss: Callable[..., Any] | None = None, params: Any = None,
    inputs: Sequence[str] | None = None, updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (), monitor_gradients: bool = False, *,
    gradient: Gradient = None, comm: Any = None, reduction: str = "mean", learning_rate: float | Schedule = 0.0001,
    beta1_halflife: float = 7.0, beta2_halflife: float = 69.0, rms_regularizer: float = 1e-8, momentum: float = 0.0,
    nesterov: bool = False, lr_decay: float = 0.0, weight_decay: float = 0.0, decoupled_weight_decay: float = 0.0,
    l1: float = 0.0, l2: float = 0.0, max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
    lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
    nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
    patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
    groups: Mapping[str, Mapping[str, Any]] = ...,
) -> adaptive.AdaMax: ...
@overload
def build(
    algo: Literal["adam"], loss: Callable[..., Any] | None = None, params: Any = None,
    inputs: Sequence[str] | None = None, updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (), monitor_gradients: bool = False, *,
    gradient: Gradient = None, comm: Any = None, reduction: str = "mean", learning_rate: float | Schedule = 0.0001,
    beta1_halflife: float = 7.0, beta2_halflife: float = 69.0, rms_regularizer: float = 1e-8, amsgrad: bool = False,
    momentum: float = 0.0, nesterov: bool = False, lr_decay: float = 0.0, weight_decay: float = 0.0,
    decoupled_weight_decay: float = 0.0, l1: float = 0.0, l2: float = 0.0, max_gradient_elem: float = 0.0,
    max_gradient_norm: float = 0.0, lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False,
    max_global_norm: float = 0.0, nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False,
    threads: int | None = None, patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
    groups: Mapping[str, Mapping[str, Any]] = ...,
) -> adaptive.Adam: ...
@overload
def build(
    algo: Literal["dadapt_adagrad"], loss: Callable[..., Any] | None = None, params: Any = None,
    inputs: Sequence[str] | None = None, updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (), monitor_gradients: bool = False, *,
    gradient: Gradient = None, comm: Any = None, reduction: str = "mean", learning_rate: float | Schedule = 1.0,
    initial_distance: float = 1e-6, dadapt_growth: float = 0.0, rms_regularizer: float = 1e-6,
    initial_accumulator_value: float = 1e-6, lr_decay: float = 0.0, weight_decay: float = 0.0,
    max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
    lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
    nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
    patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
    groups: Mapping[str, Mapping[str, Any]] = ...,
) -> adaptive.DAdaptAdaGrad: ...
@overload
def build(
    algo: Literal["dog"], loss: Callable[..., Any] | None = None, params: Any = None,
    inputs: Sequence[str] | None = None, updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (), monitor_gradients: bool = False, *,
    gradient: Gradient = None, comm: Any = None, reduction: str = "mean", learning_rate: float | Schedule = 1.0,
    initial_distance: float = 1e-6, rms_regularizer: float = 1e-8, momentum: float = 0.0, nesterov: bool = False,
    lr_decay: float = 0.0, weight_decay: float = 0.0, max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
    lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
    nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
    patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
    groups: Mapping[str, Mapping[str, Any]] = ...,
) -> adaptive.DoG: ...
@overload
def build(
    algo: Literal["dowg"], loss: Callable[..., Any] | None = None, params: Any = None,
    inputs: Sequence[str] | None = None, updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (), monitor_gradients: bool = False, *,
    gradient: Gradient = None, comm: Any = None, reduction: str = "mean", learning_rate: float | Schedule = 1.0,
    initial_distance: float = 0.01, rms_regularizer: float = 0.0001, momentum: float = 0.0, nesterov: bool = False,
    lr_decay: float = 0.0, weight_decay: float = 0.0, max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
    lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
    nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
    patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
    groups: Mapping[str, Mapping[str, Any]] = ...,
) -> adaptive.DoWG: ...
@overload
def build(
    algo: Literal["rmsprop"], loss: Callable[..., Any] | None = None, params: Any = None,
    inputs: Sequence[str] | None = None, updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (), monitor_gradients: bool = False, *,
    gradient: Gradient = None, comm: Any = None, reduction: str = "mean", learning_rate: float | Schedule = 0.0001,
    rms_halflife: float = 14.0, rms_regularizer: float = 1e-8, epsilon_inside: bool = True, centered: bool = True,
    momentum: float = 0.0, nesterov: bool = False, lr_decay: float = 0.0, weight_decay: float = 0.0,
    decoupled_weight_decay: float = 0.0, l1: float = 0.0, l2: float = 0.0, max_gradient_elem: float = 0.0,
    max_gradient_norm: float = 0.0, lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False,
    max_global_norm: float = 0.0, nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False,
    threads: int | None = None, patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
    groups: Mapping[str, Mapping[str, Any]] = ...,
) -> adaptive.RMSProp: ...
@overload
def build(
    algo: Literal["rprop"], loss: Callable[..., Any] | None = None, params: Any = None,
    inputs: Sequence[str] | None = None, updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (), monitor_gradients: bool = False, *,
    gradient: Gradient = None, comm: Any = None, reduction: str = "mean", learning_rate: float | Schedule = 0.0001,
    rprop_increase: float = 1.01, rprop_decrease: float = 0.99, rprop_min_step: float = 0.0,
    rprop_max_step: float = 100.0, momentum: float = 0.0, nesterov: bool = False, lr_decay: float = 0.0,
    weight_decay: float = 0.0, decoupled_weight_decay: float = 0.0, max_gradient_elem: float = 0.0,
    max_gradient_norm: float = 0.0, lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False,
    max_global_norm: float = 0.0, nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False,
    threads: int | None = None, patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
    groups: Mapping[str, Mapping[str, Any]] = ...,
) -> adaptive.RProp: ...
@overload
def build(
    algo: str, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
    updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
    monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
    hv: HessianProduct = None, hv_rng: Any = None, **hyper: Unpack[Hyper],
) -> Optimizer: ...
