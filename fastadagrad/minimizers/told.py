"""Signatures and docstrings of minimizers, made from the options that all take and from the method's rule."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from ..engine.keywords import Keyword
from .choices import Choices, keywords_taken

_TAKEN = """\
fun : callable
    ``fun(x, *args)`` returns a number, also as an array of one element; with ``jac=True``, (number, gradient). It gets
    a copy of x, in float64.
x0 : array_like, shape (n,)
    Where it starts: copied to float64. What lies out of bounds is clipped to them, with an OptimizeWarning.
args : tuple, default ()
    More arguments of fun, jac{of_hessp}.
jac : callable, True, "2-point", "3-point", "cs" or None, default None
    ``jac(x, *args)`` returns the gradient. Without one it is formed by finite differences. `minimize` hands a method
    that is a function None in the place of a scheme: `finite_diff` chooses it there.
hess : None, default None
    It is refused.
hessp : {hessp}
bounds : scipy.optimize.Bounds, sequence of pairs (lower, upper) or None, default None
    Every iterate is projected onto them. An end that is None is infinite.
constraints : tuple, default ()
    They are refused.
callback : callable or None, default None
    It is called after each iteration, as ``callback(intermediate_result=result)`` if that is its only parameter, else
    as ``callback(xk)``. StopIteration ends the minimization; what it returns is not looked at.
tol : float or None, default None
    It sets `gtol`.
"""
_RETURNS = """\
scipy.optimize.OptimizeResult
    x, the last iterate at which fun and jac are finite, and its fun and jac; nit, nfev and njev; success, status and
    message. The status is 0 where a tolerance is met, 1 at `maxiter`, 3 where something is not finite, and 99 where
    the callback has ended it.
"""
_RAISES = """\
RuntimeError
    If SciPy is not installed.
TypeError, ValueError
    If an argument, an option or what fun or jac returns is refused; the message names it and the mend.
"""
_WARNS = """\
scipy.optimize.OptimizeWarning
    Of options that nobody knows, with what was probably meant, and of an x0 out of bounds.
"""
_EXAMPLE = """\
>>> import fastadagrad.scipy
>>> from scipy.optimize import minimize
>>> result = minimize(
...     lambda x: (x @ x, 2 * x), [3.0, -4.0], jac=True,{hessp} method=fastadagrad.scipy.{name},
...     options={{"maxiter": 5}},
... )
>>> result.nit, bool(result.fun < 25)
(5, True)
"""


def signature_of(function: Any, method: Any, fed: bool) -> inspect.Signature:
    """The signature of a minimizer, with every option and hyperparameter by name."""
    *named, others = inspect.Signature.from_callable(function).parameters.values()
    kind = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(each.name, kind, default=each.default, annotation=each.annotation)
        for each in _options(method, fed)
    ]
    return inspect.Signature([*named, *options, others], return_annotation="OptimizeResult")


def docstring_of(method: Any, fed: bool) -> str:
    """The docstring of a minimizer: a summary, all parameters, and an example, in numpydoc's order."""
    name, example_of = method.rule.name, " hessp=lambda x, p: 2 * p," if fed else ""
    taken = _TAKEN.format(
        of_hessp=" and hessp" if fed else "",
        hessp="callable\n    ``hessp(x, p, *args)`` returns the Hessian times p."
        if fed
        else "None, default None\n    It is refused.",
    )
    sections = {
        "Parameters": taken + "\n".join(_entries(method, fed)),
        "Returns": _RETURNS,
        "Raises": _RAISES,
        "Warns": _WARNS,
        "See Also": f"fastadagrad.{method.__name__} : the method, its formula, and what its hyperparameters mean",
        "Examples": _EXAMPLE.format(name=name, hessp=example_of),
    }
    told = [f"{title}\n{'-' * len(title)}\n{text.rstrip()}\n" for title, text in sections.items()]
    return "\n".join([f"Minimize a function by {method.__name__}, as `scipy.optimize.minimize` calls it.\n", *told])


def _options(method: Any, fed: bool) -> list[Keyword]:
    choices = [Keyword(field.name, str(field.type), field.default, field.metadata["doc"]) for field in fields(Choices)]
    names = [each.name for each in choices]
    return [*choices, *(each for each in keywords_taken(method.rule, fed) if each.name not in names)]


def _entries(method: Any, fed: bool) -> Iterator[str]:
    for each in _options(method, fed):
        yield f"{each.name} : {each.annotation.replace(' | ', ' or ')}, default {each.default!r}"
        text = each.doc or "As of the method's class."
        yield textwrap.fill(text, 116, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
    yield "**options\n    Others are not known: an OptimizeWarning says what was probably meant."
