"""Optimizers by name, and minimization in one call."""

from __future__ import annotations

import difflib
from typing import Any

from . import adaptive
from .hyper import hyper_names, refuse_unknown
from .ledger import Monitored
from .optimizer import MAKING, RUNNING, Optimizer

METHODS: dict[str, type[Optimizer]] = {
    method.rule.name: method for method in (getattr(adaptive, name) for name in adaptive.__all__)
}


def method_named(algo: str) -> type[Optimizer]:
    """Class of a method, its name in any case; ValueError if there is none."""
    method = METHODS.get(algo.lower()) if isinstance(algo, str) else None
    if method is None:
        close = difflib.get_close_matches(str(algo).lower(), METHODS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(METHODS)}"
        raise ValueError(f"there is no method {algo!r}: {hint}")
    return method


def build(algo: str, loss: Any = None, params: Any = None, *args: Any, **kwargs: Any) -> Optimizer:
    """Make an optimizer by name.

    Parameters
    ----------
    algo : str
        Name of the method, in any case: "adagrad", "sgd", "nag", "rprop", "rmsprop", "adadelta", "adam", "adagrad_da",
        "ftrl", "cocob".
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
    rule = method_named(algo).rule
    refuse_unknown(kwargs, [*hyper_names(rule), *MAKING, *RUNNING, "loss", "train", "valid", "params"], "minimize")
    running = {name: kwargs.pop(name) for name in RUNNING if name in kwargs}
    return build(algo, loss, params, **kwargs).minimize(train, valid, max_updates, **running)
