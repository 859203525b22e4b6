"""Gradients and Hessian-vector products by HIPS autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..support.asking import asking, shown
from ..support.extras import needed

NOTE = "(the loss was being derived by autograd: write it with autograd.numpy, or pass gradient=)"
PURPOSE = "deriving the gradients of a loss that returns none (else pass gradient=)"


def differentiated(loss: Callable[..., Any]) -> Callable[..., Any]:
    """Function of (params, *arguments) that returns the loss and its gradients in the structure of params."""
    value_and_grad = needed("autograd", PURPOSE).value_and_grad
    return _noted(value_and_grad(_of_value_alone(loss)))


def hessian_product(loss: Callable[..., Any]) -> Callable[..., Any]:
    """Function of (params, vectors, *arguments) that returns the Hessian times the vectors, all in one structure."""
    anp, grad = needed("autograd.numpy", PURPOSE), needed("autograd", PURPOSE).grad
    slope = grad(_of_value_alone(loss))

    def along(params: Any, vectors: Any, *arguments: Any) -> Any:
        """How fast the loss changes along the vectors."""
        return product(slope(params, *arguments), vectors)

    def product(slopes: Any, vectors: Any) -> Any:
        if isinstance(vectors, dict):
            return sum(product(slopes[name], vector) for name, vector in vectors.items())
        if isinstance(vectors, list | tuple):
            return sum(product(slopes[i], vector) for i, vector in enumerate(vectors))
        return anp.sum(slopes * vectors)

    return _noted(grad(along))


def _of_value_alone(loss: Callable[..., Any]) -> Callable[..., Any]:
    """The loss as a function that raises an error if the loss returns gradients as well."""
    box = needed("autograd.extend", PURPOSE).Box  # of a number that is being derived

    def value(*arguments: Any) -> Any:
        result = loss(*arguments)
        with asking("the result of loss"):
            if isinstance(result, tuple):
                raise TypeError(
                    f"loss must return the loss alone to be derived by autograd, not a tuple of {len(result)}: pass "
                    "gradient=True if it returns (value, gradients)"
                )
            if not isinstance(result, box | np.ndarray | np.number | float | int):
                raise TypeError(f"loss must return a number, not {shown(result)}")
        return result

    return value


def _noted(derived: Callable[..., Any]) -> Callable[..., Any]:
    def derivative(*arguments: Any) -> Any:
        try:
            return derived(*arguments)
        except (TypeError, ValueError) as error:
            error.add_note(NOTE)
            raise

    return derivative
