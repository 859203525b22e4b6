# Written by tests/tools/typed_keywords.py from the rules: run it instead of editing this.
# fmt: off
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from ..engine.options import Schedule
from .curvature import HessianProduct
from .monitors import Monitor
from .objective import Gradient
from .optimizer import Optimizer
from .second_order import SecondOrder
from .updates import Pair

__all__ = [
    "ADADELTA", "ADAGRAD", "COCOB", "ESGD", "FTRL", "NAG", "RDA", "SGD", "AdaGradDA", "AdaMax", "Adam", "DAdaptAdaGrad",
    "DoG", "DoWG", "RMSProp", "RProp",
]

class ADADELTA(Optimizer):
    def __init__(
        self, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
        learning_rate: float | Schedule = 1.0, rms_halflife: float = 14.0, rms_regularizer: float = 1e-8,
        momentum: float = 0.0, nesterov: bool = False, lr_decay: float = 0.0, weight_decay: float = 0.0,
        decoupled_weight_decay: float = 0.0, max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
        lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
        nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
        patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
        groups: Mapping[str, Mapping[str, Any]] = ...,
    ) -> None: ...

class ADAGRAD(Optimizer):
    def __init__(
        self, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
        learning_rate: float | Schedule = 0.0001, rms_regularizer: float = 1e-8, epsilon_inside: bool = False,
        initial_accumulator_value: float = 0.0, momentum: float = 0.0, nesterov: bool = False, lr_decay: float = 0.0,
        weight_decay: float = 0.0, decoupled_weight_decay: float = 0.0, l1: float = 0.0, l2: float = 0.0,
        max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
        accumulator: Literal["element", "row", "tensor"] = "element",
        lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
        nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
        patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
        groups: Mapping[str, Mapping[str, Any]] = ...,
    ) -> None: ...

class COCOB(Optimizer):
    def __init__(
        self, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
        learning_rate: float | Schedule = 0.0001, cocob_alpha: float = 100.0, lr_decay: float = 0.0,
        weight_decay: float = 0.0, max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
        lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
        nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
        patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
        groups: Mapping[str, Mapping[str, Any]] = ...,
    ) -> None: ...

class ESGD(SecondOrder):
    def __init__(
        self, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
        hv: HessianProduct = None, hv_rng: Any = None, learning_rate: float | Schedule = 0.0001,
        rms_halflife: float = 14.0, rms_regularizer: float = 1e-8, epsilon_inside: bool = False, averaged: bool = False,
        momentum: float = 0.0, nesterov: bool = False, lr_decay: float = 0.0, weight_decay: float = 0.0,
        decoupled_weight_decay: float = 0.0, l1: float = 0.0, l2: float = 0.0, max_gradient_elem: float = 0.0,
        max_gradient_norm: float = 0.0, lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False,
        max_global_norm: float = 0.0, nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False,
        threads: int | None = None, patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
        groups: Mapping[str, Mapping[str, Any]] = ...,
    ) -> None: ...

class FTRL(Optimizer):
    def __init__(
        self, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
        learning_rate: float | Schedule = 0.1, ftrl_beta: float = 1.0, ftrl_l1: float = 0.0, ftrl_l2: float = 0.0,
        initial_accumulator_value: float = 0.0, lr_decay: float = 0.0, weight_decay: float = 0.0,
        max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
        lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
        nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
        patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
        groups: Mapping[str, Mapping[str, Any]] = ...,
    ) -> None: ...

class NAG(Optimizer):
    def __init__(
        self, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
        learning_rate: float | Schedule = 0.0001, momentum: float = 0.0, nesterov: bool = True, lr_decay: float = 0.0,
        weight_decay: float = 0.0, decoupled_weight_decay: float = 0.0, l1: float = 0.0, l2: float = 0.0,
        max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
        lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
        nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
        patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
        groups: Mapping[str, Mapping[str, Any]] = ...,
    ) -> None: ...

class RDA(Optimizer):
    def __init__(
        self, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
        learning_rate: float | Schedule = 0.0001, rda_l1: float = 0.0, lr_decay: float = 0.0, weight_decay: float = 0.0,
        max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
        lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
        nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
        patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
        groups: Mapping[str, Mapping[str, Any]] = ...,
    ) -> None: ...

class SGD(Optimizer):
    def __init__(
        self, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
        learning_rate: float | Schedule = 0.0001, momentum: float = 0.0, nesterov: bool = False, lr_decay: float = 0.0,
        weight_decay: float = 0.0, decoupled_weight_decay: float = 0.0, l1: float = 0.0, l2: float = 0.0,
        max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
        lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
        nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
        patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
        groups: Mapping[str, Mapping[str, Any]] = ...,
    ) -> None: ...

class AdaGradDA(Optimizer):
    def __init__(
        self, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
        learning_rate: float | Schedule = 0.0001, rms_regularizer: float = 1e-8, initial_accumulator_value: float = 0.0,
        rda_l1: float = 0.0, lr_decay: float = 0.0, weight_decay: float = 0.0, max_gradient_elem: float = 0.0,
        max_gradient_norm: float = 0.0, lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False,
        max_global_norm: float = 0.0, nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False,
        threads: int | None = None, patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
        groups: Mapping[str, Mapping[str, Any]] = ...,
    ) -> None: ...

class AdaMax(Optimizer):
    def __init__(
        self, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
        learning_rate: float | Schedule = 0.0001, beta1_halflife: float = 7.0, beta2_halflife: float = 69.0,
        rms_regularizer: float = 1e-8, momentum: float = 0.0, nesterov: bool = False, lr_decay: float = 0.0,
        weight_decay: float = 0.0, decoupled_weight_decay: float = 0.0, l1: float = 0.0, l2: float = 0.0,
        max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
        lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
        nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
        patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
        groups: Mapping[str, Mapping[str, Any]] = ...,
    ) -> None: ...

class Adam(Optimizer):
    def __init__(
        self, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
        learning_rate: float | Schedule = 0.0001, beta1_halflife: float = 7.0, beta2_halflife: float = 69.0,
        rms_regularizer: float = 1e-8, amsgrad: bool = False, momentum: float = 0.0, nesterov: bool = False,
        lr_decay: float = 0.0, weight_decay: float = 0.0, decoupled_weight_decay: float = 0.0, l1: float = 0.0,
        l2: float = 0.0, max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
        lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
        nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
        patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
        groups: Mapping[str, Mapping[str, Any]] = ...,
    ) -> None: ...

class DAdaptAdaGrad(Optimizer):
    def __init__(
        self, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
        learning_rate: float | Schedule = 1.0, initial_distance: float = 1e-6, dadapt_growth: float = 0.0,
        rms_regularizer: float = 1e-6, initial_accumulator_value: float = 1e-6, lr_decay: float = 0.0,
        weight_decay: float = 0.0, max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
        lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
        nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
        patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
        groups: Mapping[str, Mapping[str, Any]] = ...,
    ) -> None: ...

class DoG(Optimizer):
    def __init__(
        self, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
        learning_rate: float | Schedule = 1.0, initial_distance: float = 1e-6, rms_regularizer: float = 1e-8,
        momentum: float = 0.0, nesterov: bool = False, lr_decay: float = 0.0, weight_decay: float = 0.0,
        max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
        lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
        nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
        patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
        groups: Mapping[str, Mapping[str, Any]] = ...,
    ) -> None: ...

class DoWG(Optimizer):
    def __init__(
        self, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
        learning_rate: float | Schedule = 1.0, initial_distance: float = 0.01, rms_regularizer: float = 0.0001,
        momentum: float = 0.0, nesterov: bool = False, lr_decay: float = 0.0, weight_decay: float = 0.0,
        max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
        lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
        nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
        patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
        groups: Mapping[str, Mapping[str, Any]] = ...,
    ) -> None: ...

class RMSProp(Optimizer):
    def __init__(
        self, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
        learning_rate: float | Schedule = 0.0001, rms_halflife: float = 14.0, rms_regularizer: float = 1e-8,
        epsilon_inside: bool = True, centered: bool = True, momentum: float = 0.0, nesterov: bool = False,
        lr_decay: float = 0.0, weight_decay: float = 0.0, decoupled_weight_decay: float = 0.0, l1: float = 0.0,
        l2: float = 0.0, max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
        lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
        nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
        patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
        groups: Mapping[str, Mapping[str, Any]] = ...,
    ) -> None: ...

class RProp(Optimizer):
    def __init__(
        self, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
        learning_rate: float | Schedule = 0.0001, rprop_increase: float = 1.01, rprop_decrease: float = 0.99,
        rprop_min_step: float = 0.0, rprop_max_step: float = 100.0, momentum: float = 0.0, nesterov: bool = False,
        lr_decay: float = 0.0, weight_decay: float = 0.0, decoupled_weight_decay: float = 0.0,
        max_gradient_elem: float = 0.0, max_gradient_norm: float = 0.0,
        lazy: Literal["exact", "touched", "dense"] = "exact", frozen: bool = False, max_global_norm: float = 0.0,
        nonfinite: Literal["raise", "skip", "ignore"] = "raise", deferred: bool = False, threads: int | None = None,
        patience: int = 5, validate_every: int = 10, min_improvement: float = 0.0,
        groups: Mapping[str, Mapping[str, Any]] = ...,
    ) -> None: ...
