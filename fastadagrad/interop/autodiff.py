"""Gradients by HIPS autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def differentiated(loss: Callable[..., Any]) -> Callable[..., Any]:
    """Function of (params, *arguments) that returns the loss and its gradients in the structure of params."""
    try:
        from autograd import value_and_grad
    except ImportError:
        raise RuntimeError(
            "loss returns no gradients, and autograd, which would derive them, is not installed: "
            'pip install "fastadagrad[autograd]", or pass gradient='
        ) from None
    derived: Callable[..., Any] = value_and_grad(loss)

    def value_and_gradients(params: Any, *arguments: Any) -> Any:
        try:
            return derived(params, *arguments)
        except (TypeError, ValueError) as error:
            error.add_note("(the loss was being derived by autograd: write it with autograd.numpy, or pass gradient=)")
            raise

    return value_and_gradients
