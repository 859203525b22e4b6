"""Gradients by HIPS autograd."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def _differentiator(loss: Callable[..., Any]) -> Callable[..., Any]:
    try:
        from autograd import value_and_grad
    except ImportError:
        raise RuntimeError(
            "loss returns no gradients, and autograd, which would derive them, is not installed: "
            'pip install "fastadagrad[autograd]", or pass gradient='
        ) from None
    derived: Callable[..., Any] = value_and_grad(loss)
    return derived


def value_and_gradients(loss: Callable[..., Any], params: Any, arguments: tuple[Any, ...]) -> tuple[Any, Any]:
    """Value of loss(params, *arguments) and its derivative with respect to params, in their structure."""
    try:
        value, gradients = _differentiator(loss)(params, *arguments)
    except (TypeError, ValueError) as error:
        error.add_note("(the loss was being derived by autograd: write it with autograd.numpy, or pass gradient=)")
        raise
    return value, gradients
