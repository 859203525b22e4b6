"""Methods of a user's own, and minimization in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Unpack

from ..engine.options import Hyper, hyper_names, refuse_unknown
from ..engine.registry import METHODS as METHODS
from ..engine.registry import RegisteredRule
from ..kernels.rules import form_of, trait
from ..support.attributes import RUNNING
from ..support.log import logger
from . import registering
from .building import build as build
from .building import method_named as method_named
from .curvature import HessianProduct
from .documents import takes_as
from .history import Monitored
from .monitors import Monitor
from .objective import Gradient
from .optimizer import Optimizer
from .run import Touches
from .second_order import SecondOrder
from .updates import Pair


def register(rule: Any) -> Any:
    """Make a method of a rule of your own, in every driver, on the CPU and on CUDA.

    Parameters
    ----------
    rule : class or module
        Its attributes are those that :mod:`fastadagrad.kernels.rules` lists: `name`, `Hyperparameters`, `Scalars`,
        `scalar_values`, `slots`, `initial`, `accumulate`, `scale`, `delta` (or `place`), and traits. The functions are
        compiled: they may use `math`, and take every constant from `s`.

    Returns
    -------
    rule
        The rule as it was given, so that `register` can be used as a decorator. `build` and `compiled_update` find the
        method by its name, and ``fastadagrad.methods.method_named(name)`` is its class. An earlier rule of yours with
        the same name is replaced, as when a cell of a notebook runs again; optimizers made with the earlier rule keep
        it.

    Raises
    ------
    TypeError
        If an attribute is missing or does not fit, or if a function fails on plain numbers or cannot be compiled.
    ValueError
        If a method of the library has this name.

    Examples
    --------
    A sign of the gradient for a step:

    >>> from collections import namedtuple
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> from fastadagrad.kernels.rules import COMMON
    >>> @fa.register
    ... class SignDescent:
    ...     name = "sign_descent"
    ...     slots = ()
    ...     rests = True
    ...     Scalars = namedtuple("Scalars", COMMON)
    ...
    ...     @dataclass(frozen=True, kw_only=True)
    ...     class Hyperparameters:
    ...         pass
    ...
    ...     def scalar_values(hyper, a, t):
    ...         return ()
    ...
    ...     def initial(hyper, a):
    ...         return ()
    ...
    ...     def accumulate(p, g, square, own, s):
    ...         return own
    ...
    ...     def scale(own, s):
    ...         return s.one
    ...
    ...     def delta(g, H, own, s):
    ...         return (s.learning_rate if g > s.zero else -s.learning_rate if g < s.zero else g), own
    >>> w = np.array([3.0, 0.0, -2.0])
    >>> fa.build("sign_descent", params=w, learning_rate=0.5).step(w)
    >>> w
    array([ 2.5,  0. , -1.5])
    """
    name = getattr(rule, "name", None)
    if not (isinstance(name, str) and name.isidentifier() and name.isascii() and name == name.lower()):
        raise TypeError(f"name of a rule must be an identifier in lower case and of ASCII letters, not {name!r}")
    if name in METHODS and not isinstance(METHODS[name].rule, RegisteredRule):
        raise ValueError(f"there is a method {name!r} already, which is the library's: choose another name")
    own: Any = RegisteredRule(rule)
    registering.check(own, f"rule {name!r}")
    if name in METHODS:
        logger.info("the method %r is registered anew: the new rule takes the place of the old one", name)
    base = SecondOrder if trait(form_of(own, own.Hyperparameters()), "fed") else Optimizer
    METHODS[name] = type(name.upper(), (base,), {"rule": own, "__module__": own.home or __name__})
    return rule


@takes_as(Optimizer, SecondOrder, Optimizer.iterate)
def minimize(
    loss: Callable[..., Any],
    train: Any = None,
    valid: Any = None,
    params: Any = None,
    algo: str = "adagrad",
    max_updates: int | None = None,
    *,
    inputs: Sequence[str] | None = None,
    updates: Iterable[Pair] = (),
    monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
    monitor_gradients: bool = False,
    gradient: Gradient = None,
    comm: Any = None,
    reduction: str = "mean",
    hv: HessianProduct = None,
    hv_rng: Any = None,
    max_epochs: int | None = None,
    batch_size: int = 32,
    train_batches: int | None = None,
    valid_batches: int | None = None,
    rng: Any = None,
    progress: bool = False,
    touches: Touches | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int | str | timedelta = 1,
    keep: int | None = 2,
    resume: bool = False,
    **hyper: Unpack[Hyper],
) -> tuple[Monitored | None, Monitored]:
    """Make an optimizer and minimize a loss with it.

    Parameters
    ----------
    loss : callable
        ``loss(params, *batch)`` returns the loss, or (loss, gradients); params comes in the structure given here.
    algo : str, default "adagrad"
        Name of the method, as `build` takes it.
    **hyper
        Hyperparameters of the method, which its class names one by one.

    Returns
    -------
    train_monitors : dict of str to float
        Monitors of the last epoch; None if there was no epoch.
    valid_monitors : dict of str to float
        Monitors of the parameters at the end, which are the best that were validated.

    Raises
    ------
    TypeError, ValueError
        If an argument is refused, or there is no such method; the message names the argument and what to do.
    FloatingPointError
        If a gradient holds NaN or infinity, unless ``nonfinite`` is "skip" or "ignore".
    OSError
        If the folder for checkpoints cannot be made, read or written.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> w = np.zeros(2)
    >>> x, y = np.eye(2), np.array([1.0, -1.0])
    >>> def loss(w, x, y):
    ...     error = x @ w - y
    ...     return error @ error, 2 * error @ x
    >>> train, valid = fa.minimize(loss, [x, y], params=w, learning_rate=0.5, max_epochs=100)
    >>> w.round(3)
    array([ 1., -1.])
    """
    method = method_named(algo)
    known = [*hyper_names(method.rule), *method._making, *RUNNING, "loss", "train", "valid", "params", "algo"]
    refuse_unknown(hyper, known, "minimize")
    made = inputs, updates, monitors, monitor_gradients
    among = {"comm": comm, "reduction": reduction}
    opt = build(algo, loss, params, *made, gradient=gradient, hv=hv, hv_rng=hv_rng, **among, **hyper)
    return opt.minimize(
        train,
        valid,
        max_updates,
        max_epochs=max_epochs,
        batch_size=batch_size,
        train_batches=train_batches,
        valid_batches=valid_batches,
        rng=rng,
        progress=progress,
        touches=touches,
        checkpoint=checkpoint,
        every=every,
        keep=keep,
        resume=resume,
    )
