"""Optimizers by the names of their methods.

For type checkers `build` stands in building.pyi, where each name gives the class that it makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Unpack

from ..engine.options import Hyper
from ..engine.registry import METHODS
from ..support import hints
from ..support.asking import asking, shown
from . import adaptive
from .curvature import HessianProduct
from .documents import takes_as
from .monitors import Monitor
from .objective import Gradient
from .optimizer import Optimizer
from .second_order import SecondOrder
from .updates import Pair

METHODS.update({method.rule.name: method for method in (getattr(adaptive, name) for name in adaptive.__all__)})


def method_named(algo: str) -> type[Optimizer]:
    """Class of a method, by its name.

    Parameters
    ----------
    algo : str
        Name of the method, in any case, as `build` takes it.

    Returns
    -------
    type
        A subclass of `Optimizer`.

    Raises
    ------
    ValueError
        If there is no such method.

    Examples
    --------
    >>> from fastadagrad.methods import method_named
    >>> method_named("AdaGrad")
    <class 'fastadagrad.optimizer.adaptive.ADAGRAD'>
    """
    with asking("algo", algo):
        method: type[Optimizer] | None = METHODS.get(algo.lower()) if isinstance(algo, str) else None
    if method is None:
        meant = hints.hint(algo, METHODS, hints.METHODS) or f"there are {', '.join(METHODS)}"
        raise ValueError(f"there is no method {shown(algo)}: {meant}")
    return method


@takes_as(Optimizer, SecondOrder)
def build(
    algo: str,
    loss: Callable[..., Any] | None = None,
    params: Any = None,
    inputs: Sequence[str] | None = None,
    updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
    monitor_gradients: bool = False,
    *,
    gradient: Gradient = None,
    comm: Any = None,
    reduction: str = "mean",
    hv: HessianProduct = None,
    hv_rng: Any = None,
    **hyper: Unpack[Hyper],
) -> Optimizer:
    """Make an optimizer by name.

    Parameters
    ----------
    algo : str
        Name of the method, in any case: "adagrad", "sgd", "nag", "rprop", "rmsprop", "adadelta", "esgd", "adam",
        "adamax", "adagrad_da", "rda", "ftrl", "cocob", "dog", "dowg", "dadapt_adagrad", or one that was registered.

    Returns
    -------
    Optimizer
        An optimizer of the method's class.

    Raises
    ------
    ValueError
        If there is no such method, or a hyperparameter has a value that makes no sense.
    TypeError
        If a parameter is no array that can be updated in place, or the method does not take a keyword.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> fa.build("AdaGrad", params=np.zeros(3)).steps
    0
    """
    method = method_named(algo)
    fed: dict[str, Any] = {name: x for name, x in (("hv", hv), ("hv_rng", hv_rng)) if x is not None}
    made = loss, params, inputs, updates, monitors, monitor_gradients
    return method(*made, gradient=gradient, comm=comm, reduction=reduction, **fed, **hyper)
