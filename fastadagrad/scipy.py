"""The methods for `scipy.optimize.minimize`: ``method=fastadagrad.scipy.adagrad``, and so on for every method.

Each function takes the arguments that SciPy's own methods take (args, jac, bounds, callback, tol), and as options the
limits that SciPy's methods have and every hyperparameter of the method. It returns an `OptimizeResult`. The function
`method` finds a method by its name, registered ones included. The extra ``scipy`` installs the packages needed.

Examples
--------
>>> import fastadagrad.scipy
>>> from scipy.optimize import minimize, rosen, rosen_der
>>> options = {"learning_rate": 0.5, "maxiter": 20_000}
>>> result = minimize(rosen, [-1.2, 1.0], jac=rosen_der, method=fastadagrad.scipy.adagrad, options=options)
>>> result.success, result.x.round(3)
(True, array([1., 1.]))

The bounds hold at every iterate:

>>> method, bounds = fastadagrad.scipy.method("AdaGrad"), [(-2, 0.5), (0, None)]
>>> result = minimize(rosen, [-1.2, 1.0], jac=rosen_der, method=method, options=options, bounds=bounds)
>>> result.success, result.x.round(3)
(True, array([0.5 , 0.25]))
"""

from __future__ import annotations

from .engine.registry import METHODS, rule_names
from .minimizers.minimizer import Minimizer, minimizer_named
from .support.hints import METHODS as FOREIGN
from .support.hints import hint

__all__ = ["method", *rule_names()]


def method(name: str) -> Minimizer:
    """The method of this name, for ``scipy.optimize.minimize(..., method=...)``.

    Parameters
    ----------
    name : str
        Name of the method, in any case, as `fastadagrad.build` takes it.

    Returns
    -------
    callable
        The function, ``fastadagrad.scipy.adagrad`` for "adagrad"; its docstring names every option.

    Raises
    ------
    ValueError
        If there is no such method.

    Examples
    --------
    >>> import fastadagrad.scipy
    >>> from scipy.optimize import minimize
    >>> method = fastadagrad.scipy.method("rmsprop")
    >>> result = minimize(lambda x: (x @ x, 2 * x), [3.0, -4.0], jac=True, method=method, options={"maxiter": 2})
    >>> result.nit, result.nfev, result.njev
    (2, 3, 3)
    """
    return minimizer_named(name)


def __getattr__(name: str) -> Minimizer:
    if name in METHODS:
        return minimizer_named(name)
    meant = None if name.startswith("_") else hint(name, METHODS, FOREIGN)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}" + (f": {meant}" if meant else ""))


def __dir__() -> list[str]:
    return sorted({*globals(), *METHODS})
