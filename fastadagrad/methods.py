"""Optimizers by name, and minimization in one call."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any

from . import adaptive, hints
from .hyper import Conduct, Options, hyper_names, refuse_unknown
from .kernels.rules import COMMON, MOST_SLOTS, form_of, trait
from .ledger import Monitored
from .optimizer import MAKING, RUNNING, Optimizer

METHODS: dict[str, type[Optimizer]] = {
    method.rule.name: method for method in (getattr(adaptive, name) for name in adaptive.__all__)
}


def method_named(algo: str) -> type[Optimizer]:
    """Class of a method, its name in any case; ValueError if there is none."""
    method = METHODS.get(algo.lower()) if isinstance(algo, str) else None
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
        ``fastadagrad.methods.method_named(name)`` is its class.

    Raises
    ------
    TypeError
        If something is missing or does not fit.
    ValueError
        If there is such a method already.

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
    if not (isinstance(name, str) and name.isidentifier() and name == name.lower()):
        raise TypeError(f"name of a rule must be an identifier in lower case, not {name!r}")
    if name in METHODS:
        raise ValueError(f"there is a method {name!r} already: choose another name")
    _check_rule(rule, f"rule {name!r}")
    METHODS[name] = type(name.upper(), (Optimizer,), {"rule": rule, "__doc__": rule.__doc__})
    return rule


def _check_rule(rule: Any, what: str) -> None:
    """Raise TypeError for what cannot be compiled, with default hyperparameters."""
    missing = [part for part in ("Hyperparameters", "Scalars", "scalar_values") if not hasattr(rule, part)]
    if not missing:
        if not is_dataclass(rule.Hyperparameters) or getattr(rule.Scalars, "_fields", ())[: len(COMMON)] != COMMON:
            raise TypeError(f"{what}: Hyperparameters must be a dataclass, and Scalars begin with the names of COMMON")
        hyper: Any = rule.Hyperparameters()  # type: ignore[operator]  # is_dataclass says that it may be no class
        form = form_of(rule, hyper)
        wanted = "name", "Scalars", "slots", "initial", "accumulate", "scale"
        missing = [part for part in wanted if not hasattr(form, part)]
        missing += [] if hasattr(form, "delta") or hasattr(form, "place") else ["delta"]
    if missing:
        raise TypeError(f"{what} lacks {', '.join(missing)}: see fastadagrad.kernels.rules")
    taken = {"velocity", "param", "best", "learned"}
    if len({*form.slots} - taken) != len(form.slots) or len(form.slots) >= MOST_SLOTS:
        names = ", ".join(map(repr, sorted(taken)))
        raise TypeError(f"{what} may have {MOST_SLOTS - 1} slots, all different and none called {names}: {form.slots}")
    options = {*vars(Options()), *vars(Conduct()), "groups"}
    if options & {*vars(hyper)}:
        raise TypeError(f"{what}: Hyperparameters has {options & {*vars(hyper)}}, which all methods have: rename them")
    for part in ("defaults", "fixed"):
        if {*trait(rule, part)} - {*vars(Options())}:
            raise TypeError(f"{what}: {part} must be of {', '.join(vars(Options()))}, not {trait(rule, part)}")
    if len(form.initial(hyper, 1.0)) != len(form.slots):
        raise TypeError(f"{what}: initial must give a value for each of its slots {form.slots}")
    missing = [part for part in ("measure", "learn") if trait(rule, "measured") and not hasattr(rule, part)]
    if missing:
        raise TypeError(f"{what} is to measure {rule.measured}, but lacks {', '.join(missing)}")
    learned = [0.0] * len(trait(rule, "learned"))
    if len(rule.scalar_values(hyper, 1.0, 0, *learned)) != len(rule.Scalars._fields) - len(COMMON):
        raise TypeError(f"{what}: scalar_values must give its own of {rule.Scalars._fields}")


def build(algo: str, loss: Any = None, params: Any = None, *args: Any, **kwargs: Any) -> Optimizer:
    """Make an optimizer by name.

    Parameters
    ----------
    algo : str
        Name of the method, in any case: "adagrad", "sgd", "nag", "rprop", "rmsprop", "adadelta", "adam", "adagrad_da",
        "rda", "ftrl", "cocob", "dog", "dowg", "dadapt_adagrad", or one that was registered.
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
