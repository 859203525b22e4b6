"""A method of the library as the function that `scipy.optimize.minimize` takes for its `method`."""

from __future__ import annotations

from collections.abc import Sized
from functools import cache
from typing import Any, Protocol

import numpy as np

from ..engine.place import readable
from ..optimizer.methods import method_named
from ..optimizer.optimizer import Optimizer
from ..optimizer.second_order import SecondOrder
from ..support.asking import asking, shown
from ..support.extras import needed
from ..support.warned import warn
from .box import Floats, box_of
from .callbacks import told_by
from .choices import STEPS, sorted_options
from .evaluations import Evaluations
from .run import Run
from .told import docstring_of, signature_of

DOOR = "fastadagrad.scipy"


class Minimizer(Protocol):
    """The signature with which `scipy.optimize.minimize` calls a method."""

    __name__: str

    def __call__(
        self,
        fun: Any,
        x0: Any,
        args: Any = (),
        *,
        jac: Any = None,
        hess: Any = None,
        hessp: Any = None,
        bounds: Any = None,
        constraints: Any = (),
        callback: Any = None,
        tol: Any = None,
        **options: Any,
    ) -> Any: ...


def minimizer_named(name: str) -> Minimizer:
    """The minimizer of a method, which is the same object each time; ValueError if there is no such method."""
    return _minimizer_of(method_named(name))


@cache
def _minimizer_of(method: type[Optimizer]) -> Minimizer:
    fed = issubclass(method, SecondOrder)

    def minimizer(
        fun: Any,
        x0: Any,
        args: Any = (),
        *,
        jac: Any = None,
        hess: Any = None,
        hessp: Any = None,
        bounds: Any = None,
        constraints: Any = (),
        callback: Any = None,
        tol: Any = None,
        **options: Any,
    ) -> Any:
        scipy = needed("scipy.optimize", f"{DOOR}.{name}")
        with asking("constraints", constraints):
            _refuse_what_has_no_use(name, fed, hess, hessp, constraints)
        x = _start(x0)
        with asking("bounds", bounds):
            box = box_of(bounds, len(x))
        with asking("callback", callback):
            tell = told_by(callback)
        choices, hyper = sorted_options(method.rule, fed, options, tol)
        with asking("args", args):
            args = args if isinstance(args, tuple) else (args,)
        with asking("jac", jac):
            evaluations = Evaluations(fun, jac, hessp, args, box, choices)
        unused = [each for each in STEPS if each in options and not evaluations.differs]
        if unused:
            warn(
                f"{' and '.join(unused)} of finite differences has no use with jac (e of the method is a "
                "hyperparameter: rms_regularizer, of most)",
                scipy.OptimizeWarning,
            )
        if not box.holds(x):
            warn("Initial guess is not within the specified bounds: it is clipped to them", scipy.OptimizeWarning)
            box.clip(x)
        opt = method(params=x, **hyper)
        return Run(opt, x, evaluations, box, choices, tell, scipy.OptimizeResult).result()

    name = method.rule.name
    minimizer.__name__ = minimizer.__qualname__ = name
    minimizer.__module__ = DOOR
    minimizer.__doc__ = docstring_of(method, fed)
    minimizer.__signature__ = signature_of(minimizer, method, fed)  # type: ignore[attr-defined]  # `inspect` reads it
    return minimizer


def _start(x0: Any) -> Floats:
    """A copy of x0 in float64, as L-BFGS-B works on."""
    x0 = readable("x0", x0)
    with asking("x0", x0):
        x = np.atleast_1d(np.asarray(x0))
    if x.dtype.kind not in "fiub":
        raise TypeError(f"x0 must be real numbers, not an array of dtype {x.dtype}")
    if x.ndim != 1:
        raise ValueError(
            f"'x0' must only have one dimension, not shape {x.shape}: pass x0.ravel(), and reshape x in fun"
        )
    return np.array(x, np.float64)


def _refuse_what_has_no_use(name: str, fed: bool, hess: Any, hessp: Any, constraints: Any) -> None:
    if constraints is not None and not (isinstance(constraints, Sized) and len(constraints) == 0):
        raise ValueError(
            f"constraints are none that {name} can keep, not {shown(constraints)}: give bounds=, add a penalty to fun, "
            "or use SciPy's SLSQP, trust-constr or COBYLA"
        )
    if hess is not None:
        use = "pass hessp=lambda x, p: hess(x) @ p" if fed else "leave it out, or use SciPy's Newton-CG or trust-exact"
        raise ValueError(f"hess is no use to {name}, which forms no Hessian: {use}")
    if fed and not callable(hessp):
        raise TypeError(f"hessp must be a callable hessp(x, p, *args), which {name} goes by, not {shown(hessp)}")
    if hessp is not None and not fed:
        raise ValueError(f"hessp is no use to {name}, which goes by gradients alone: leave it out, or use esgd")
