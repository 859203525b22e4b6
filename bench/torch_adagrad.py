"""torch.optim.Adagrad on NumPy arrays, in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

LEARNING_RATE, EPSILON = 1e-2, 1e-10


def stepper(torch: Any, threads: int, params: Sequence[Any], gradients: Sequence[Any], **how: Any) -> Callable[[], Any]:
    """A function that steps the arrays with these gradients; `how` is fused=True or foreach=True."""
    torch.set_num_threads(threads)
    tensors = [torch.from_numpy(array) for array in params]
    for tensor, gradient in zip(tensors, gradients, strict=True):
        tensor.grad = torch.from_numpy(gradient)
    step: Callable[[], Any] = torch.optim.Adagrad(tensors, lr=LEARNING_RATE, eps=EPSILON, **how).step
    return step
