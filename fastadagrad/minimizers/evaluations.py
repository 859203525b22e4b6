"""The user's function, its gradient and its Hessian-vector products: called with copies, checked, and counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.place import readable
from ..support.asking import OF_ARGUMENTS, asking, shown
from ..support.extras import needed
from .box import Box, Floats
from .choices import SCHEMES, STEPS, Choices


class Evaluations:
    """The user's functions, which `minimize` was given, as one object that calls them, checks results, and counts.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` returns a number, or (number, gradient) with ``jac=True``.
    jac : callable, True, "2-point", "3-point", "cs" or None
        ``jac(x, *args)`` returns the gradient; without one, it is formed by finite differences.
    hessp : callable or None
        ``hessp(x, p, *args)`` returns the Hessian times p.
    args : tuple
        Further arguments of all these functions.
    box : Box
        The bounds, within which finite differences stay.
    choices : Choices
        How finite differences are formed.

    Attributes
    ----------
    nfev, njev, nhev : int
        Calls of fun, gradients, and products with the Hessian, so far.
    known : ndarray of bool
        Elements of the gradient that are known: finite differences leave out elements that cannot move.
    """

    def __init__(self, fun: Any, jac: Any, hessp: Any, args: tuple[Any, ...], box: Box, choices: Choices) -> None:
        if not callable(fun):
            raise TypeError(f"fun must be callable, as fun(x, *args), not {shown(fun)}")
        if not (callable(jac) or jac is None or isinstance(jac, bool | np.bool) or jac in SCHEMES):
            raise TypeError(
                f"jac must be a callable jac(x, *args), True where fun returns (value, gradient), one of "
                f"{', '.join(map(repr, SCHEMES))}, or None, not {shown(jac)}"
            )
        self.nfev = self.njev = self.nhev = 0
        self._fun, self._jac, self._hessp, self._args, self._box = fun, jac, hessp, args, box
        self._pairs = isinstance(jac, bool | np.bool) and bool(jac)
        self.differs = not (callable(jac) or self._pairs)
        self._scheme = jac if isinstance(jac, str) else choices.finite_diff
        self._steps = [_steps_of(name, getattr(choices, name), len(box.lower)) for name in STEPS]
        self.known = box.free if self.differs else np.ones(len(box.lower), np.bool)

    def at(self, x: Floats) -> tuple[float, Floats]:
        """Value and gradient at x, the gradient as a copy; NaN if the value is not finite, as it is not used then."""
        if self._pairs:
            self.nfev, self.njev = self.nfev + 1, self.njev + 1
            pair = self._fun(np.copy(x), *self._args)
            try:
                value, gradient = pair
            except OF_ARGUMENTS:
                raise TypeError(f"fun must return (value, gradient) with jac=True, not {shown(pair)}") from None
            return _number(value), self._vector("fun with jac=True", gradient)
        exact = self._value(x)
        value = _number(exact)
        if not np.isfinite(value):
            return value, np.full(len(x), np.nan)
        self.njev += 1
        if self.differs:
            return value, self._differences(x, exact)
        return value, self._vector("jac", self._jac(np.copy(x), *self._args))

    def product(self, x: Floats, vector: Floats) -> Floats:
        """The Hessian at x times a vector."""
        self.nhev += 1
        return self._vector("hessp", self._hessp(np.copy(x), np.copy(vector), *self._args))

    def _value(self, x: Any) -> Any:
        self.nfev += 1
        return _scalar(self._fun(np.copy(x), *self._args))

    def _differences(self, x: Floats, value: Any) -> Floats:
        """The gradient by SciPy's `approx_derivative`, for the elements that may move."""
        free = self.known
        gradient = np.zeros(len(x))
        if not free.any():
            return gradient

        def of_free(part: Any) -> Any:
            whole = x.astype(np.asarray(part).dtype)
            whole[free] = part
            return self._value(whole)

        steps = [None if step is None else step[free] for step in self._steps]
        derivative: Callable[..., Any] = needed("scipy.optimize._numdiff", "jac=None").approx_derivative
        bounds = self._box.lower[free], self._box.upper[free]
        found = derivative(of_free, x[free], self._scheme, *steps, f0=value, bounds=bounds)
        gradient[free] = found
        return gradient

    def _vector(self, what: str, given: Any) -> Floats:
        given = readable(what, given)
        with asking(what):
            array = np.asarray(given)
        count = len(self._box.lower)
        if array.dtype.kind not in "fiub" or array.size != count:
            raise (ValueError if array.dtype.kind in "fiub" else TypeError)(
                f"{what} must give {count} real numbers, one for each element of x, not an array of shape "
                f"{array.shape} and dtype {array.dtype}"
            )
        return np.array(array, np.float64).ravel()


def _steps_of(name: str, steps: Any, count: int) -> Floats | None:
    """Steps of finite differences, one for each element of x; None stays None."""
    if steps is None:
        return None
    array = np.asarray(readable(name, steps), np.float64)
    if array.shape not in ((), (count,)):
        raise ValueError(f"{name} must be one number or {count}, one for each of x0, not of shape {array.shape}")
    return np.array(np.broadcast_to(array, (count,)))


def _scalar(value: Any) -> Any:
    """The number that fun has returned, maybe as an array of one element."""
    value = readable("the result of fun", value)
    try:
        with asking("the result of fun"):
            return np.asarray(value).item()
    except (TypeError, ValueError):
        raise ValueError(
            f"fun must return one number, not {shown(value)} (with jac=True, where it returns the gradient too)"
        ) from None


def _number(value: Any) -> float:
    scalar = _scalar(value)
    try:
        if not isinstance(scalar, str | bytes):  # these are refused, although float() takes them
            return float(scalar)
    except OF_ARGUMENTS:
        pass
    raise TypeError(f"fun must return a real number, not {shown(scalar)}")
