"""One minimization: each iteration makes a step, projects, evaluates, calls the callback, and checks for the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..kernels.rules import trait
from ..optimizer.second_order import SecondOrder
from .box import Box, Floats
from .callbacks import STOPPED
from .choices import Choices
from .evaluations import Evaluations

SUCCESS, LIMIT, NOT_FINITE, BY_CALLBACK = 0, 1, 3, 99  # as SciPy's BFGS and `minimize` number them


class Point(NamedTuple):
    """An iterate with its value and gradient."""

    x: Floats
    fun: float
    jac: Floats

    @property
    def finite(self) -> bool:
        """Whether value and gradient are finite."""
        return bool(np.isfinite(self.fun) and np.isfinite(self.jac).all())


class Ending(NamedTuple):
    """The reason for which a minimization ends."""

    status: int
    message: str


class Run:
    """One call of `minimize`, from the start to the result.

    Parameters
    ----------
    opt : Optimizer
        The method, made for x.
    x : ndarray
        The parameter, stepped in place.
    evaluations : Evaluations
    box : Box
    choices : Choices
    tell : callable or None
        It is called with each intermediate result, and returns whether to end.
    result_of : callable
        `scipy.optimize.OptimizeResult`.
    """

    def __init__(
        self,
        opt: Any,
        x: Floats,
        evaluations: Evaluations,
        box: Box,
        choices: Choices,
        tell: Callable[[Any], bool] | None,
        result_of: Callable[..., Any],
    ) -> None:
        self._opt, self._x, self._evaluations, self._box = opt, x, evaluations, box
        self._choices, self._tell, self._result_of = choices, tell, result_of
        self._fed = isinstance(opt, SecondOrder)
        self._nit = 0

    def result(self) -> Any:
        """Minimize, and return the OptimizeResult of the last iterate whose value and gradient were finite."""
        point = self._point()
        ending = self._not_finite(point) or self._reached(point) or self._out_of_iterations(point)
        while ending is None:
            point, ending = self._next(point)
        outcome = {"status": ending.status, "success": ending.status == SUCCESS, "message": ending.message}
        if self._choices.disp:
            self._show(point, ending)
        return self._result_of(**self._fields(point), **outcome)

    def _next(self, before: Point) -> tuple[Point, Ending | None]:
        """Make one iteration; returns the new iterate, or the one before if the new one is not finite."""
        ending = self._step(before)
        if ending is not None:
            return before, ending
        self._nit += 1
        point = self._point()
        ending = self._not_finite(point)
        if ending is not None:
            return before, ending
        if self._tell is not None and self._tell(self._result_of(**self._fields(point))):
            return point, Ending(BY_CALLBACK, STOPPED)
        return point, self._reached(point, before) or self._out_of_iterations(point)

    def _point(self) -> Point:
        x = self._x.copy()
        if not np.isfinite(x).all():  # fun is not called: it might return a finite number for such an x
            return Point(x, np.nan, np.full(len(x), np.nan))
        return Point(x, *self._evaluations.at(x))

    def _step(self, point: Point) -> Ending | None:
        """Move x, and project it onto the box; returns an ending if the gradient or a product is not finite."""
        given = [point.jac]
        if self._fed:
            given.append(self._evaluations.product(point.x, self._opt.draw_vectors()))
            if not np.isfinite(given[1]).all():
                return Ending(NOT_FINITE, f"NaN result encountered: hessp is not finite {self._after()}.")
        try:
            self._opt.step(*given)
        except FloatingPointError as error:  # the gradient is finite, but its norm has overflowed
            return Ending(NOT_FINITE, f"NaN result encountered: {error} ({self._after()}).")
        if self._box.bounded:
            self._box.clip(self._x)
        return None

    def _not_finite(self, point: Point) -> Ending | None:
        if point.finite:
            return None
        if not np.isfinite(point.x).all():
            what = "x is not finite"
        else:
            what = "jac is not finite" if np.isfinite(point.fun) else f"fun is {point.fun:g}"
        last = "x is the iterate before" if self._nit else "choose another x0"
        return Ending(NOT_FINITE, f"NaN result encountered: {what} {self._after()}; {last}.")

    def _reached(self, point: Point, before: Point | None = None) -> Ending | None:
        """The ending of a success, if one of the tolerances is met."""
        choices, steepest = self._choices, self._box.steepest(point.x, point.jac)
        if steepest <= choices.gtol:
            return _success(f"the {self._slope()} is {steepest:.3g}, at most gtol = {choices.gtol:g}")
        if before is not None and choices.ftol:
            change = abs(before.fun - point.fun) / max(abs(before.fun), abs(point.fun), 1.0)
            if change <= choices.ftol:
                return _success(f"fun has changed by {change:.3g}, at most ftol = {choices.ftol:g}")
        if before is not None and choices.xtol:
            moved = float(np.abs(point.x - before.x).max(initial=0.0))
            if moved <= choices.xtol:
                return _success(f"x has moved by {moved:.3g}, at most xtol = {choices.xtol:g}")
        return None

    def _out_of_iterations(self, point: Point) -> Ending | None:
        if self._nit < self._choices.maxiter:
            return None
        rule, steepest = self._opt.rule, self._box.steepest(point.x, point.jac)
        rate = "" if trait(rule, "rate_free") else f", or another learning_rate than {self._rate()}"
        return Ending(
            LIMIT,
            f"Maximum number of iterations has been exceeded: {self._after()} the {self._slope()} is {steepest:.3g}, "
            f"above gtol = {self._choices.gtol:g}; choose a larger maxiter{rate}.",
        )

    def _rate(self) -> str:
        rate = self._opt.hyper.learning_rate
        return "this schedule" if callable(rate) else f"{rate:g}"

    def _slope(self) -> str:
        return f"largest element of the {'projected ' if self._box.bounded else ''}gradient"

    def _after(self) -> str:
        return f"after {self._nit} iteration{'' if self._nit == 1 else 's'}"

    def _fields(self, point: Point) -> dict[str, Any]:
        """The fields of an OptimizeResult, with arrays of its own."""
        evaluations = self._evaluations
        counts = {"nit": self._nit, "nfev": evaluations.nfev, "njev": evaluations.njev}
        if self._fed:
            counts["nhev"] = evaluations.nhev
        jac = np.where(evaluations.known, point.jac, np.nan)
        return {"x": point.x.copy(), "fun": point.fun, "jac": jac, **counts}

    def _show(self, point: Point, ending: Ending) -> None:
        print(ending.message)
        print(f"         Current function value: {point.fun:f}")
        print(f"         Iterations: {self._nit}")
        print(f"         Function evaluations: {self._evaluations.nfev}")
        print(f"         Gradient evaluations: {self._evaluations.njev}")


def _success(why: str) -> Ending:
    return Ending(SUCCESS, f"Optimization terminated successfully: {why}.")
