"""Options of a minimizer: those that SciPy's own methods have, and the hyperparameters of a method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..engine.keywords import Keyword, keywords_of
from ..engine.place import readable
from ..kernels.rules import documented
from ..support import hints
from ..support.asking import asking, shown
from ..support.checks import checked_number, one_of, whole_number
from ..support.extras import needed
from ..support.hints import Said
from ..support.warned import warn

SCHEMES = ("2-point", "3-point", "cs")
STEPS = ("finite_diff_rel_step", "eps")  # as `approx_derivative` takes them


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The options that a user of `minimize` may give beside the hyperparameters of the method."""

    maxiter: int = documented(15_000, "Most iterations, each of which is one step and one evaluation of fun and jac.")
    gtol: float = documented(
        1e-5,
        "It ends with success where no element of the projected gradient of fun, in which the method's own penalties "
        "and decay have no share, is larger. `tol` sets it where it is not given.",
    )
    ftol: float = documented(
        0.0, "It ends with success where abs(f(k) - f(k+1)) <= ftol * max(abs(f(k)), abs(f(k+1)), 1); 0 is off."
    )
    xtol: float = documented(0.0, "It ends with success where no element of x has moved by more; 0 is off.")
    disp: bool = documented(False, "Print how it ended.")
    finite_diff: str = documented(
        "2-point",
        'How a gradient is formed without jac: "2-point", "3-point" or "cs". (SciPy tells a method that is a function '
        "of no scheme that jac names.)",
    )
    finite_diff_rel_step: Any = documented(
        None, "Relative step of finite differences, one number or one an element; None is SciPy's own."
    )
    eps: Any = documented(None, "Absolute step of finite differences; None goes by the relative one.")


HV_RNG = Keyword("hv_rng", "Any", None, "What the vectors are drawn from that `hessp` is called with: a seed, say.")

_DENSE = "a gradient of minimize is dense"
_ONE = "x is one parameter; bounds of which both ends are the same hold an element"
_STOPS = "it ends by maxiter, gtol, ftol or xtol here"
# Keywords of optimizers that have no meaning for a minimizer, and why.
_ELSEWHERE = {
    "groups": _ONE,
    "frozen": _ONE,
    "lazy": _DENSE,
    "nonfinite": "what is not finite ends it with success=False",
    "deferred": "what is not finite ends it with success=False",
    "patience": _STOPS,
    "validate_every": _STOPS,
    "min_improvement": _STOPS,
}
_COUNTED = Said(("maxiter",), "it is maxiter here: each iteration evaluates fun once")
# Other names in SciPy's own methods for options that a minimizer has.
_OF_SCIPY: hints.Foreign = {
    **hints.KEYWORDS,
    "maxfun": _COUNTED,
    "maxfev": _COUNTED,
    "maxupdates": "maxiter",
    "maxepochs": "maxiter",
    "epochs": "maxiter",
    "pgtol": "gtol",
    "fatol": "ftol",
    "xatol": "xtol",
    "xrtol": "xtol",
    "returnall": Said((), "a callback sees every x"),
    "randomstate": "hv_rng",
    "rng": "hv_rng",
    "seed": "hv_rng",
}


def keywords_taken(rule: Any, fed: bool) -> list[Keyword]:
    """The hyperparameters of a method that have a meaning for a minimizer."""
    return [each for each in keywords_of(rule) if each.name not in _ELSEWHERE] + [HV_RNG] * fed


def sorted_options(rule: Any, fed: bool, given: Mapping[str, Any], tol: Any) -> tuple[Choices, dict[str, Any]]:
    """Divide a user's options into the choices of a minimizer and the hyperparameters of its method.

    Parameters
    ----------
    rule : object
        The method's rule.
    fed : bool
        Whether the method uses Hessian-vector products.
    given : mapping
        The options by name. SciPy's OptimizeWarning names unknown options, and the options that were probably meant.
    tol : float or None
        Value of gtol, if that is not given.

    Returns
    -------
    choices : Choices
    hyper : dict

    Raises
    ------
    TypeError, ValueError
        If an option has a value that makes no sense, or if a hyperparameter of the rule has the name of an option.
    """
    names, hyper_names = _names(), [each.name for each in keywords_taken(rule, fed)]
    twice = sorted({*names} & {*hyper_names})
    if twice:
        raise ValueError(
            f"the method {rule.name!r} has a hyperparameter {twice[0]!r}, which is an option of minimize: rename it"
        )
    unknown = [name for name in given if name not in names and name not in hyper_names]
    if unknown:
        told = ", ".join(_told(name, [*names, *hyper_names]) for name in unknown)
        warn(f"Unknown solver options: {told}", needed("scipy.optimize", "minimize").OptimizeWarning)
    chosen = {name: value for name, value in given.items() if name in names and value is not None}
    if tol is not None:
        chosen.setdefault("gtol", checked_number("tol", tol))
    hyper = {name: value for name, value in given.items() if name in hyper_names}
    checked = {}
    for name, value in chosen.items():
        with asking(name, value):
            checked[name] = _checked(name, value)
    return Choices(**checked), hyper


def _names() -> list[str]:
    return [field.name for field in fields(Choices)]


def _told(name: str, known: Iterable[str]) -> str:
    """An unknown name, with the name that was probably meant, for a message."""
    why = _ELSEWHERE.get(name) or hints.hint(name, known, _OF_SCIPY)
    return f"{name} ({why})" if why else name


def _checked(name: str, value: Any) -> Any:
    if name == "maxiter":
        return whole_number(name, value, 0)
    if name in ("gtol", "ftol", "xtol"):
        return checked_number(name, value)
    if name == "finite_diff":
        return one_of(name, value, SCHEMES)
    if name in STEPS:
        value = readable(name, value)
        steps = np.asarray(value)
        if steps.dtype.kind not in "fiu" or not np.isfinite(steps).all() or (steps == 0).any():
            raise ValueError(f"{name} must be finite and not 0, one number or one for each of x0, not {shown(value)}")
    return bool(value) if name == "disp" else value
