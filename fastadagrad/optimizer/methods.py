"""Optimizers by name, and minimization in one call."""

from __future__ import annotations

from typing import Any

from ..engine.options import hyper_names, refuse_unknown
from ..engine.registry import METHODS as METHODS
from ..engine.registry import RegisteredRule
from ..kernels.rules import form_of, trait
from ..support import hints
from ..support.attributes import RUNNING
from ..support.log import logger
from . import adaptive, registering
from .history import Monitored
from .optimizer import Optimizer
from .second_order import SecondOrder

METHODS.update({method.rule.name: method for method in (getattr(adaptive, name) for name in adaptive.__all__)})


def method_named(algo: str) -> type[Optimizer]:
    """Class of a method, its name in any case; ValueError if there is none."""
    method: type[Optimizer] | None = METHODS.get(algo.lower()) if isinstance(algo, str) else None
    if method is None:
        meant = hints.hint(algo, METHODS, hints.METHODS) or f"there are {', '.join(METHODS)}"
        raise ValueError(f"there is no method {algo!r}: {meant}")
    return method


def register(rule: Any) -> Any:
    """Make a method of a rule of your own, in every driver, on the CPU and on CUDA.

    Parameters
    ----------
    rule : class or module
        With what :mod:`fastadagrad.kernels.rules` lists: `name`, `Hyperparameters`, `Scalars`, `scalar_values`,
        `slots`, `initial`, `accumulate`, `scale`, `delta` (or `place`), and traits. The functions are compiled: they
        may use `math`, and take every constant from `s`.

    Returns
    -------
    rule
        As it was given: to be used as a decorator. `build` and `compiled_update` find the method by its name, and
        ``fastadagrad.methods.method_named(name)`` is its class. A rule of yours that had the name is replaced, as where
        a cell of a notebook runs again; optimizers that were made with it go on with it.

    Raises
    ------
    TypeError
        If something is missing or does not fit, or a function of it fails on plain numbers or cannot be compiled.
    ValueError
        If a method of the library has the name.

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
    METHODS[name] = type(name.upper(), (base,), {"rule": own, "__doc__": rule.__doc__})
    return rule


def build(algo: str, loss: Any = None, params: Any = None, *args: Any, **kwargs: Any) -> Optimizer:
    """Make an optimizer by name.

    Parameters
    ----------
    algo : str
        Name of the method, in any case: "adagrad", "sgd", "nag", "rprop", "rmsprop", "adadelta", "esgd", "adam",
        "adagrad_da", "rda", "ftrl", "cocob", "dog", "dowg", "dadapt_adagrad", or one that was registered.
    loss, params, *args, **kwargs
        As the method's class takes them.

    Returns
    -------
    Optimizer

    Raises
    ------
    ValueError
        If there is no such method.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> fa.build("AdaGrad", params=np.zeros(3)).steps
    0
    """
    return method_named(algo)(loss, params, *args, **kwargs)


def minimize(
    loss: Any,
    train: Any = None,
    valid: Any = None,
    params: Any = None,
    algo: str = "adagrad",
    max_updates: int | None = None,
    **kwargs: Any,
) -> tuple[Monitored | None, Monitored]:
    """Make an optimizer and minimize a loss with it.

    Parameters
    ----------
    loss : callable
        ``loss(params, *batch)``.
    train, valid : Dataset, arrays, callable, iterable of batches, or None
    params : ndarray, list or dict of ndarray
        Updated in place.
    algo : str
        Name of the method.
    max_updates : int, optional
    **kwargs
        Arguments of the optimizer (`inputs`, `monitors`, ...), of `Optimizer.iterate` (`batch_size`, `max_epochs`, ...)
        and hyperparameters.

    Returns
    -------
    train_monitors, valid_monitors : dict of str to float
        See `Optimizer.minimize`.

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
    known = [*hyper_names(method.rule), *method._making, *RUNNING, "loss", "train", "valid", "params"]
    refuse_unknown(kwargs, known, "minimize")
    running = {name: kwargs.pop(name) for name in RUNNING if name in kwargs}
    return build(algo, loss, params, **kwargs).minimize(train, valid, max_updates, **running)
