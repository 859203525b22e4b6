"""The user's loss: its values and gradients on a batch, however they are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from .log import logger
from .parameters import Parameters

Gradient = Callable[..., Any] | bool | Literal["autograd"] | None


def _number(value: Any) -> float:
    if np.ndim(value) != 0 and np.size(value) != 1:
        raise TypeError(f"loss must return a single number, not an array of shape {np.shape(value)}")
    try:
        return float(value if np.ndim(value) == 0 else np.asarray(value).reshape(()))
    except (TypeError, ValueError):
        raise TypeError(f"loss must return a number, not {value!r}") from None


class Objective:
    """`loss(params, *batch)` and its gradients.

    Parameters
    ----------
    loss : callable
    gradient : True, callable, "autograd" or None
        True: loss returns (value, gradients). A callable returns the gradients. "autograd" derives them. None takes
        a pair if loss returns one and derives otherwise.
    params : Parameters
    inputs : sequence of str, optional
        Names that are picked out of a batch that is a dict or a DataFrame, in the order loss takes them.
    """

    def __init__(
        self, loss: Callable[..., Any], gradient: Gradient, params: Parameters, inputs: Sequence[str] | None
    ) -> None:
        if not callable(loss):
            raise TypeError(f"loss must be callable as loss(params, *batch), not {type(loss).__name__}")
        if not (gradient is None or gradient is True or gradient == "autograd" or callable(gradient)):
            raise TypeError(f"gradient must be True, a callable, 'autograd' or None, not {gradient!r}")
        if isinstance(inputs, str):
            raise TypeError(f"inputs must be a list of names, not the string {inputs!r}")
        self._loss, self._gradient, self._params, self._inputs = loss, gradient, params, inputs
        self._told_of_conversion = False

    def arguments(self, batch: Any) -> tuple[Any, ...]:
        """Positional arguments that follow params, from a batch."""
        if self._inputs is not None:
            source = batch
            if isinstance(batch, tuple | list) and len(batch) == 1:
                source = batch[0]
            if not hasattr(source, "keys"):
                raise TypeError(
                    f"inputs={[*self._inputs]} needs batches that are dicts or DataFrames, not {type(batch).__name__}"
                )
            missing = [name for name in self._inputs if name not in source]
            if missing:
                raise ValueError(f"the batch lacks the inputs {missing}; it has {list(source.keys())}")
            picked = (source[name] for name in self._inputs)
            return tuple(x.to_numpy() if hasattr(x, "to_numpy") else x for x in picked)
        if isinstance(batch, Mapping):
            raise TypeError("batches are dicts: pass inputs=[...], the names in the order that loss takes them")
        return tuple(batch) if isinstance(batch, tuple | list) else (batch,)

    def value(self, arguments: tuple[Any, ...]) -> float:
        result = self._loss(self._params.given, *arguments)
        return _number(result[0] if self._is_pair(result) else result)

    def value_and_gradients(self, arguments: tuple[Any, ...]) -> tuple[float, list[Any]]:
        """The loss and a list of gradients, C-ordered and of the parameters' dtypes."""
        if self._gradient is None:
            self._gradient = True if self._is_pair(self._loss(self._params.given, *arguments)) else "autograd"
        if callable(self._gradient):
            value, gradients = self.value(arguments), self._gradient(self._params.given, *arguments)
        elif self._gradient is True:
            result = self._loss(self._params.given, *arguments)
            if not self._is_pair(result):
                raise TypeError("gradient=True needs a loss that returns (value, gradients)")
            value, gradients = _number(result[0]), result[1]
        else:
            from .interop.autodiff import value_and_gradients

            result, gradients = value_and_gradients(self._loss, self._params.given, arguments)
            value = _number(result)
        return value, self._brought_into_form(self._params.flatten(gradients))

    def _is_pair(self, result: Any) -> bool:
        return isinstance(result, tuple) and len(result) == 2

    def _brought_into_form(self, gradients: list[Any]) -> list[Any]:
        for i, (name, parameter) in enumerate(self._params):
            gradient = gradients[i]
            if gradient is None or (
                type(gradient) is np.ndarray and gradient.dtype == parameter.dtype and gradient.flags.c_contiguous
            ):
                continue
            array = np.asarray(gradient)
            if array.dtype.kind != "f":
                raise TypeError(f"gradient of {name!r} must hold floats, not {array.dtype}")
            if not self._told_of_conversion:
                self._told_of_conversion = True
                logger.info("gradients of %r are converted from %s to %s each step", name, array.dtype, parameter.dtype)
            gradients[i] = np.asarray(array, parameter.dtype, order="C")
        return gradients
